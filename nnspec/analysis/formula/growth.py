"""What a figure grows with: its terms, gathered by the free sizes that they multiply."""

from __future__ import annotations

from collections.abc import Collection
from math import gcd

from nnspec.analysis.formula.factor import (
    added,
    as_formulas,
    factored,
    joined,
    raised,
)
from nnspec.analysis.formula.tree import Formula, Number, Product, legible
from nnspec.ir.dims import Atom, Dim, Monomial, dim, polynomial
from nnspec.records import dataclass


@dataclass(frozen=True)
class Growth:
    """The part of a figure that grows with one product of free sizes.

    `sizes` is that product, 1 for the part that is fixed; `factor` is what it is multiplied by, in the
    constants of the spec; `value` is the part itself.
    """

    sizes: tuple[Formula, ...]
    factor: Dim
    value: Dim
    key: str

    @property
    def formula(self) -> Formula:
        """The part as a formula: constants first, then the sizes."""
        return legible(joined(factored(self.factor), self.sizes))


def growths(value: Dim, symbols: Collection[str]) -> tuple[Growth, ...]:
    """The parts of a value by what they grow with, the fastest first."""
    groups: dict[Monomial, list[tuple[Monomial, int]]] = {}
    for monomial, coefficient in terms_with(value):
        free = tuple((a, p) for a, p in monomial if _is_free(a, symbols))
        rest = tuple((a, p) for a, p in monomial if not _is_free(a, symbols))
        groups.setdefault(free, []).append((rest, coefficient))
    ordered = sorted(groups, key=lambda free: _order(free, symbols))
    return tuple(_growth(free, groups[free], symbols) for free in ordered)


def _order(free: Monomial, symbols: Collection[str]) -> tuple[int, int]:
    """The highest powers first; of these, sizes as they are before quotients and the like."""
    others = sum(power for atom, power in free if atom.kind != "symbol")
    return -_degree(free, symbols), others


def _degree(factors: Monomial, symbols: Collection[str]) -> int:
    """How fast a product grows with free sizes; over turns, as what it is the largest of."""
    found = 0
    for atom, power in factors:
        if _is_free(atom, symbols):
            terms = atom.arguments[0].terms if atom.bound else ()
            inside = (_degree(monomial, symbols) for monomial, _ in terms)
            found += power * max(inside, default=1)
    return found


def grouped(value: Dim, symbols: Collection[str]) -> Formula:
    """A value as the sum of its parts by growth; an extreme that is a factor of all of them stands before it."""
    before, rest = _apart(value, symbols)
    parts = [growth.formula for growth in growths(rest, symbols)]
    found = added(parts) if parts else Number(0)
    return legible(Product((*before, found)) if before else found)


def _apart(value: Dim, symbols: Collection[str]) -> tuple[list[Formula], Dim]:
    """The least and greatest of something that are factors of a sum, and the rest of it."""
    if len(value.terms) < 2:
        return [], value
    shared = set(value.terms[0][0]).intersection(*(m for m, _ in value.terms))
    extremes = tuple(each for each in value.terms[0][0] if _is_extreme(each, shared))
    if not extremes:
        return [], value
    rest = [(tuple(f for f in m if f not in extremes), c) for m, c in value.terms]
    powers, _ = as_formulas(extremes, 1, lambda inner: grouped(inner, symbols))
    return raised(powers), polynomial(rest)


def _is_extreme(factor: tuple[Atom, int], shared: set[tuple[Atom, int]]) -> bool:
    return factor[0].kind in ("min", "max", "greatest") and factor in shared


def terms_with(value: Dim) -> tuple[tuple[Monomial, int], ...]:
    """The terms of a dim; those of an integer other than 0 are one without factors."""
    if value.constant is None:
        return value.terms
    return (((), value.constant),) if value.constant else ()


def _is_free(atom: Atom, symbols: Collection[str]) -> bool:
    """Whether an atom depends on a free size."""
    if atom.kind == "symbol":
        return atom.symbol in symbols
    return any(part.symbols() & set(symbols) for part in atom.arguments)


def _growth(
    free: Monomial, rest: list[tuple[Monomial, int]], symbols: Collection[str]
) -> Growth:
    """One part; a number that all its terms share brings multiples of sizes into their own form."""
    shared = gcd(*(coefficient for _, coefficient in rest))
    powers, number = as_formulas(free, shared, lambda inner: grouped(inner, symbols))
    factor = polynomial((m, c // shared) for m, c in rest) * number
    value = polynomial((m, c) for m, c in rest) * polynomial([(free, 1)])
    key = dim(1).key if not free else polynomial([(free, 1)]).key
    return Growth(tuple(map(legible, raised(powers))), factor, value, key)
