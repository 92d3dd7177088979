"""Amounts with powers of numbers in them, written in one way: those that are equal are equal, and others can be compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import cycle, islice, product
from math import lcm
from random import Random
from typing import TypeAlias

from nnspec.analysis.generic.names.powers import Powers, collected, divided, spread
from nnspec.analysis.memory.peaks import pruned, reduced, thinned
from nnspec.ir.dims import (
    Atom,
    Dim,
    DimError,
    Monomial,
    maximum,
    numbers,
    polynomial,
    rebuilt,
)
from nnspec.ir.dims.polynomials import multiplied_monomials as multiplied

Table: TypeAlias = Mapping[Monomial, Fraction]
"""The coefficients of products, without numbers in exponents."""


TRIED = 4096
"""At so many places at most it is seen whether a division leaves a remainder."""


class Normal:
    """Writes amounts in one way. Quotients that leave no remainder anywhere, as sums have them, are products like others.

    Those that are sizes (`is_size`) stay as they are.
    """

    def __init__(self, is_size: Callable[[Atom], bool]) -> None:
        self._is_size = is_size
        self._exact: dict[Atom, bool] = {}

    def written(self, amount: Dim) -> Dim:
        """An amount in this way."""
        return _whole(self._table(amount))

    def largest(self, amounts: Iterable[Dim], lows: Mapping[str, int]) -> list[Dim]:
        """The amounts without those that are never the largest, where names are at least `lows`, as far as can be told."""
        tables = [self._table(amount) for amount in amounts]
        scale = lcm(*(c.denominator for table in tables for c in table.values()), 1)
        scaled = {
            polynomial((m, int(c * scale)) for m, c in table.items()): table
            for table in tables
        }
        found = pruned(reduced(scaled, thorough=True), lows)
        return [_whole(scaled[each]) for each in found]

    def _table(self, amount: Dim) -> Table:
        return collected(self._products(amount, (), Fraction(1)))

    def _products(
        self, amount: Dim, beside: Monomial, factor: Fraction
    ) -> Iterable[tuple[Fraction, Powers]]:
        """The products in an amount, times others beside, those in quotients too."""
        for monomial, coefficient in amount.terms or (((), int(amount)),):
            whole = next((a for a, p in monomial if p == 1 and self._is_exact(a)), None)
            if whole is None:
                product = multiplied(monomial, beside)
                yield factor * coefficient, Powers.of(product)
                continue
            rest = tuple((atom, p) for atom, p in monomial if atom != whole)
            above, below = whole.arguments
            share = factor * coefficient / int(below)
            yield from self._products(above, multiplied(rest, beside), share)

    def _is_exact(self, atom: Atom) -> bool:
        if atom.kind != "//" or atom.arguments[1].constant is None:
            return False
        if atom not in self._exact:
            above, below = atom.arguments
            self._exact[atom] = not self._is_size(atom) and divides(int(below), above)
        return self._exact[atom]


def divides(number: int, value: Dim) -> bool:
    """Whether a number divides a value, whatever its names are.

    A polynomial repeats itself with them, and so does a power of a number in its exponent, so that all of a
    period of each are enough; where these are too many, some by chance stand for them.
    """
    scales = {a.symbol: a.scale for a in value.atoms() if a.kind == "symbol"}
    count, chance = number ** len(scales), Random(0)
    places = product(range(1, number + 1), repeat=len(scales))
    if count > TRIED:
        drawn = (chance.randint(1, number) for _ in cycle([None]))
        places = (tuple(islice(drawn, len(scales))) for _ in range(TRIED))
    tried = 0
    for place in places:
        found = zip(scales.items(), place, strict=True)
        try:
            left = numbers.number(value, {n: s * at for (n, s), at in found}) % number
        except DimError:
            # A power has no value where its exponent is negative.
            continue
        if left:
            return False
        tried += 1
    return tried > 0


class Written:
    """Writes figures in the constants of a model, `shortened` by what it requires and, where powers are among them, in a `normal` way.

    Maxima, also those over turns, are left with as few amounts as can be told where names are at least `lows`.
    """

    def __init__(
        self,
        shortened: Callable[[Dim], Dim],
        normal: Normal | None,
        lows: Mapping[str, int],
    ) -> None:
        self._shortened = shortened
        self._normal = normal
        self._lows = lows

    def of(self, value: Dim) -> Dim:
        """A figure."""
        if self._normal is None:
            return self._written(thinned(value, self._lows))
        return self._written(self._normal.written(value))

    def _written(self, part: Dim) -> Dim:
        said = self._shortened(part.substitute(self._inside))
        return said if self._normal is None else self._normal.written(said)

    def _inside(self, atom: Atom) -> Dim | None:
        if atom.bound:
            return rebuilt(atom, self._written)
        if atom.kind != "max":
            return None
        return maximum(*map(self._written, self._fewest(atom.arguments)))

    def _fewest(self, amounts: Sequence[Dim]) -> Sequence[Dim]:
        if self._normal is not None:
            return self._normal.largest(amounts, self._lows)
        return [thinned(part, self._lows) for part in amounts]


def _whole(table: Table) -> Dim:
    return divided(*spread((c, Powers.of(m)) for m, c in table.items()))
