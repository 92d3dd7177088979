"""Where formulas of memory hold: an axis of one element lies otherwise in memory than others, which may matter or not.

A formula is found for sizes of at least 2. What a figure is where some open sizes are 1 is found by itself, and says
whether the formula is right there as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import combinations
from typing import TypeAlias

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import Measured, figure_named
from nnspec.ir.dims import Dim, Size, product, symbol
from nnspec.ir.graph import Program

Ones: TypeAlias = frozenset[str]
Cases: TypeAlias = Mapping[Ones, Dim]
"""What something is where some sizes are 1 and it is not what its formula gives: those of most such sizes first."""


def differing(analysis: Analysis, name: str, given: Mapping[str, Size]) -> list[Ones]:
    """The sizes that must not all be 1 for the formula of a figure, where some are `given`: no more than it takes."""
    if figure_named(name).whole is None:
        return []
    known = analysis.at(name, given)

    def agrees(ones: Ones) -> bool:
        sizes = {**given, **dict.fromkeys(ones, 1)}
        return _are_equal(analysis.at(name, sizes), known.at(sizes))

    return fewest(possible(analysis.program, given), agrees)


def fewest(sets: Iterable[Ones], agrees: Callable[[Ones], bool]) -> list[Ones]:
    """The sets, those of fewer names first, that do not agree, without those that hold another one of them."""
    found: list[Ones] = []
    for ones in sets:
        if not any(each <= ones for each in found) and not agrees(ones):
            found.append(ones)
    return found


def products_of(differing: Iterable[Ones]) -> list[Dim]:
    """The products of such sizes, which must not be 1."""
    return [product(symbol(name) for name in sorted(ones)) for ones in differing]


def conditions(products: Iterable[Dim]) -> list[str]:
    """That products of sizes are not 1, as comparisons of the language."""
    return [f"{size} >= 2" for size in products if not size.is_constant]


def cases(
    analysis: Analysis,
    differing: Collection[Ones],
    given: Mapping[str, Size],
    value: Callable[[Analysis], Dim],
) -> Cases:
    """What a `value` of an analysis is where open sizes are 1, for those that differ and all more."""
    found: dict[Ones, Dim] = {}
    for ones in reversed([*possible(analysis.program, given)] if differing else []):
        if any(each <= ones for each in differing):
            sizes = {**given, **dict.fromkeys(ones, 1)}
            found[ones] = value(analysis.where(sizes)).at(sizes)
    plain = value(analysis).at(given)
    return {
        ones: there
        for ones, there in found.items()
        if there != _otherwise(found, ones, plain).at(dict.fromkeys(ones, 1))
    }


def _otherwise(found: Cases, ones: Ones, plain: Dim) -> Dim:
    """What would be said where some sizes are 1 if nothing was said of just these."""
    fewer = (there for other, there in found.items() if other < ones)
    return next(fewer, plain)


def possible(program: Program, given: Mapping[str, Size]) -> Iterator[Ones]:
    """The open sizes that may be 1 at once, fewer first."""
    fault = program.assumptions.fault
    names = [n for n in program.symbols if n not in given and fault(n, 1) is None]
    for count in range(1, len(names) + 1):
        for ones in combinations(names, count):
            numbers = dict.fromkeys(ones, 1)
            needed = (size.at(numbers) for _, size in program.requirements)
            if not any(program.assumptions.holds("<", each, 1) for each in needed):
                yield frozenset(ones)


def _are_equal(one: Measured, other: Measured) -> bool:
    from nnspec.analysis.generic.memory.ones import are_equal

    return are_equal(one.value, other.value, {}) and one.below == other.below
