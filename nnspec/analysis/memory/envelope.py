"""The largest of several amounts that are all so much of one product of sizes, and so much of another.

Over their ratio, which is at least 1 where the one product is a multiple of the other, each amount is a line,
and those that are the largest somewhere are the upper envelope of the lines: found in the time that sorting takes
(Andrew's monotone chain), and none of them can be left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from nnspec.analysis.memory.dominance import divides, terms_of
from nnspec.ir.dims import Dim, Monomial

Line: TypeAlias = tuple[int, int]
"""How much of the product that is the multiple there is, and how much of the other."""


def envelope(amounts: Sequence[Dim]) -> list[Dim] | None:
    """The amounts that are the largest at some sizes of at least 1, in their order; of equal ones the first.

    None where they are of other products than two, or neither of these is a multiple of the other.
    """
    tables = [terms_of(amount) for amount in amounts]
    products = _multiple_first(
        {m for table in tables for m, count in table.items() if count}
    )
    if products is None:
        return None
    high, low = products
    first: dict[Line, Dim] = {}
    for amount, table in zip(amounts, tables, strict=True):
        first.setdefault((table.get(high, 0), table.get(low, 0)), amount)
    kept = set(_upper(first))
    return [amount for line, amount in first.items() if line in kept]


def _multiple_first(products: set[Monomial]) -> tuple[Monomial, Monomial] | None:
    """Two products, the one that is a multiple of the other first."""
    if len(products) != 2:
        return None
    one, other = products
    if divides(other, one):
        return one, other
    return (other, one) if divides(one, other) else None


def _upper(lines: Iterable[Line]) -> list[Line]:
    """The lines that are above all others at some ratio of at least 1, the steepest last."""
    hull: list[Line] = []
    for line in sorted(lines):
        while hull and _at_one(hull[-1]) <= _at_one(line):
            hull.pop()
        while len(hull) > 1 and _is_below(hull[-1], hull[-2], line):
            hull.pop()
        hull.append(line)
    return hull


def _at_one(line: Line) -> int:
    return sum(line)


def _is_below(middle: Line, flat: Line, steep: Line) -> bool:
    """Whether a line is nowhere above both of two others, one less steep and one steeper than it."""
    rise = (steep[0] - middle[0]) * (flat[1] - middle[1])
    return rise >= (middle[0] - flat[0]) * (middle[1] - steep[1])
