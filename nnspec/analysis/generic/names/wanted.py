"""Constants that loops divide from turn to turn, and what they would have to be multiples of for that to leave nothing.

`width // 2^i` is one formula for all turns where `width` is a multiple of the power in the last one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from nnspec.analysis.generic.names.parts import Part
from nnspec.analysis.generic.names.powers import (
    Powers,
    canonical,
    root_of,
    times_of,
)
from nnspec.ir.dims import Atom, Dim, DimError, dim, polynomial, symbol
from nnspec.ir.dims.integers import terms_of
from nnspec.ir.dims.polynomials import divided_monomial
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Within:
    """The numbers of a turn: from `first` to below `stop`."""

    first: int
    stop: Dim


class Wanted:
    """What is divided while turns are gone through, of the `known` constants, which may be said by `parts` already."""

    def __init__(self, known: Mapping[str, Dim], parts: Iterable[Part]) -> None:
        self._known = known
        self._parts = {part.symbol: part for part in parts}
        self._found: dict[str, list[Dim]] = {}

    def note(self, size: Dim, turns: Mapping[str, Within]) -> None:
        """Takes note of what a size divides that speaks of the number of a turn."""
        for atom in size.atoms():
            if atom.kind == "//" and not _names(atom).isdisjoint(turns):
                above, below = atom.arguments
                self._divides(above, below, turns)

    def shrinks(
        self, before: Dim, after: Dim, count: Dim, turns: Mapping[str, Within]
    ) -> None:
        """Takes note of a size that so many turns divide by the same number, each what the one before left."""
        for atom in after.atoms():
            if atom.kind != "//":
                continue
            above, below = atom.arguments
            number = below.constant
            if number and number > 1 and (above - before).is_constant:
                self._divides(before, dim(number) ** count, turns)

    def _divides(self, above: Dim, below: Dim, turns: Mapping[str, Within]) -> None:
        most = _divisor(above, below, turns)
        if most is None:
            return
        for name in sorted(_factors(above) & self._known.keys()):
            part = self._parts.get(name)
            divisor = canonical(most * part.divisor) if part else most
            size = part.size if part else name
            if self._is_whole(size, divisor):
                found = self._found.setdefault(size, [])
                found += [divisor] if divisor not in found else []
                return

    def parts(self) -> tuple[Part, ...]:
        """The parts that say all that is divided without remainder, as constants are."""
        return tuple(
            Part(name, _largest(each), is_free=False)
            for name, each in sorted(self._found.items())
        )

    def _is_whole(self, size: str, divisor: Dim) -> bool:
        """Whether the constants as they are leave nothing."""
        known = self._known
        names = {p.size: known[p.symbol] * p.divisor for p in self._parts.values()}
        known = {**known, **{name: value.at(known) for name, value in names.items()}}
        if not divisor.symbols() <= known.keys() - self._parts.keys() - {size}:
            return False
        try:
            return (known[size] % divisor.at(known)).constant == 0
        except DimError:
            return False


def _names(atom: Atom) -> set[str]:
    return {name for part in atom.arguments for name in part.symbols()}


def _factors(value: Dim) -> set[str]:
    """The names that are factors of every term."""
    products = ({a.symbol for a, _ in m if a.kind == "symbol"} for m, _ in value.terms)
    return set[str].intersection(*products) if value.terms else set()


def _divisor(above: Dim, below: Dim, turns: Mapping[str, Within]) -> Dim | None:
    """What a factor of all of a size has to be a multiple of for it to divide without remainder in every turn.

    None where nothing remains anyway, or where that cannot be said.
    """
    above, below = _in_lowest_terms(above, below)
    if len(below.terms) > 1:
        return None
    needed = Powers.of(below.terms[0][0] if below.terms else ())
    found = polynomial([(needed.rest, 1)])
    exponents = dict(needed.exponents)
    root, times = root_of(below.terms[0][1] if below.terms else int(below))
    exponents[root] = exponents.get(root, dim(0)) + times
    for base, exponent in exponents.items():
        own = [Powers.of(m).exponents.get(base, dim(0)) for m, _ in above.terms]
        most = _most([_at_most(exponent - each, turns) for each in own])
        if most is None:
            return None
        found = found if most == 0 else found * dim(base) ** most
    return None if found == 1 or found.symbols() & turns.keys() else canonical(found)


def _at_most(exponent: Dim, turns: Mapping[str, Within]) -> Dim | None:
    """The most that an exponent is in any turn; None where that cannot be said."""
    for turn, within in reversed([*turns.items()]):
        times = times_of(exponent, turn)
        if times is None:
            return None
        last = within.stop - 1 if times > 0 else dim(within.first)
        exponent = exponent + (last - symbol(turn)) * times
    is_plain = all(atom.kind == "symbol" for atom in exponent.atoms())
    return exponent if is_plain else None


def _most(exponents: Sequence[Dim | None]) -> Dim | None:
    """The largest of some exponents, at least 0; None where that cannot be said."""
    found = dim(0)
    for each in exponents:
        if each is None:
            return None
        if _is_less(found, each):
            found = each
        elif not _is_less(each, found):
            return None
    return found


def _is_less(one: Dim, other: Dim) -> bool:
    """Whether an exponent is at most another where names are large."""
    more = other - one
    if more.constant is not None:
        return more.constant >= 0
    return all(times > 0 for monomial, times in more.terms if monomial)


def _is_factor(one: Dim, other: Dim) -> bool:
    """Whether a product is a factor of another, where names in exponents are large."""
    ((below, factor),), ((above, number),) = terms_of(one), terms_of(other)
    small, large = Powers.of(below), Powers.of(above)
    return (
        divided_monomial(large.rest, small.rest) is not None
        and all(
            _is_less(each, large.exponents.get(base, dim(0)))
            for base, each in small.exponents.items()
        )
        and (number % factor == 0 or bool(small.exponents))
    )


def _largest(divisors: Sequence[Dim]) -> Dim:
    """The first divisor of which most others are factors, as far as can be told."""
    found, *others = divisors
    for each in others:
        if _is_factor(found, each):
            found = each
    return found


def _in_lowest_terms(above: Dim, below: Dim) -> tuple[Dim, Dim]:
    """What is divided and what divides it, without names that are factors of both."""
    shared = _factors(above) & _factors(below)
    for name in shared:
        above, below = above // symbol(name), below // symbol(name)
    return above, below
