"""Which names a formula of memory is right for at 1, too, though an axis of one element lies otherwise than others.

A formula is found for sizes of at least 2. Whether it holds at 1 as well is tried: the program is run with a 1 in the
place of the name, and has to give what the formula gives there. Names that are sizes of one tensor are tried in
each combination, for where a tensor lies in order may hang on several axes at once; of other names all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from math import gcd
from typing import TypeAlias

from nnspec.analysis.generic.memory.stacks import amounts_of, apart, same
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Atom, Dim, DimError
from nnspec.ir.graph import Program
from nnspec.records import dataclass

Names: TypeAlias = frozenset[str]

MOST_TOGETHER = 5
"""So many sizes of one tensor may be 1 at once in a formula: with each more it is tried twice as often."""

MOST_AMOUNTS = 64
"""Of a maximum of more amounts nothing is tried: comparing them takes its time, and nobody reads them."""


def factors(size: Dim) -> Names | None:
    """The names that a size is the product of; None where it is anything else."""
    if len(size.terms) != 1:
        return None
    monomial, coefficient = size.terms[0]
    if coefficient != 1 or any(
        atom.kind != "symbol" or atom.scale != 1 for atom, _ in monomial
    ):
        return None
    return frozenset(atom.symbol for atom, _ in monomial)


def is_above_one(size: Dim) -> bool:
    """Whether a size, which is at least 1, is a multiple of a number above that."""
    return gcd(*(count for _, count in size.terms)) > 1


@dataclass(frozen=True)
class AxesOfOne:
    """The names that may be 1 in a figure though they are sizes of axes, or factors of some."""

    names: Names

    @staticmethod
    def of(
        axes: Iterable[Dim],
        possible: Names,
        program: Program,
        agrees: Callable[[Names], bool],
    ) -> AxesOfOne:
        """Those of the `possible` ones at which a program gives what the formula does, as `agrees` says."""
        known = (factors(size) for size in axes)
        names = frozenset[str]().union(*(each for each in known if each is not None))
        shapes = shapes_of(program)
        return AxesOfOne(right_at_one(names & possible, shapes, agrees))

    def beside(self) -> list[Names]:
        """Those that may be 1 beside free sizes: none, each by itself, and all."""
        alone = (frozenset((name,)) for name in sorted(self.names))
        return [frozenset[str](), *alone, self.names]

    def may_be(self, size: Dim) -> bool:
        """Whether the figure is right where the size of an axis is 1, or it never is."""
        if Assumptions().holds(">=", size, 2) or is_above_one(size):
            return True
        names = factors(size)
        return names is not None and names <= self.names


def shapes_of(program: Program) -> Iterator[Sequence[Dim]]:
    """The shapes of all values of a program."""
    for function in program.functions.values():
        yield from (kind.shape for kind in function.types.values())


def quotients_in(program: Program) -> set[Atom]:
    """The quotients that sizes have, which may leave a remainder."""
    atoms = (a for shape in shapes_of(program) for size in shape for a in size.atoms())
    return {atom for atom in atoms if atom.kind == "//"}


def are_equal(one: Dim, other: Dim, lows: Mapping[str, int]) -> bool:
    """Whether two figures are the same at all sizes, as far as can be told; what differs somewhere is soon told apart."""
    if one == other:
        return True
    names = sorted(one.symbols() | other.symbols())
    for sizes in (dict.fromkeys(names, 2), {n: 5 + at for at, n in enumerate(names)}):
        try:
            if one.at(sizes) != other.at(sizes):
                return False
        except DimError:
            continue
    ones, others = (
        [a for each in amounts_of(value) for a in apart(each)] for value in (one, other)
    )
    return same(ones, others, lows)


def right_at_one(
    names: Iterable[str],
    shapes: Iterable[Sequence[Dim]],
    agrees: Callable[[Names], bool],
) -> Names:
    """The names of which any may be 1, as far as it `agrees` that a formula is right where some are."""
    agrees = cache(agrees)
    found: Names = frozenset()
    for group in _together(frozenset(names), shapes):
        grown = _grown(sorted(group), agrees)
        if grown and (not found or agrees(found | grown)):
            found |= grown
    return found


def _grown(names: Sequence[str], agrees: Callable[[Names], bool]) -> Names:
    """As many of the names as may be 1 in any combination, one after another."""
    found: list[str] = []
    for name in names:
        if len(found) < MOST_TOGETHER and all(
            agrees(frozenset((name, *others))) for others in _subsets(found)
        ):
            found.append(name)
    return frozenset(found)


def _subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for count in range(len(names) + 1):
        yield from combinations(names, count)


def _together(names: Names, shapes: Iterable[Sequence[Dim]]) -> list[Names]:
    """The names in groups: in one where some tensor has axes of both."""
    groups: list[Names] = [frozenset((name,)) for name in names]
    for shape in shapes:
        here = frozenset(n for size in shape for n in size.symbols()) & names
        meeting = [group for group in groups if not group.isdisjoint(here)]
        if len(meeting) > 1:
            groups = [group for group in groups if group.isdisjoint(here)]
            groups.append(frozenset[str]().union(*meeting))
    return sorted(groups, key=min)
