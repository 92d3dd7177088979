"""Products of two names that are known to be something simpler: `heads * (width // heads)` is `width`.

While relations are `current`, products are written by them, so that sizes which are equal by them are equal, and
what one of the names divides by them has a quotient.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager

from nnspec.ir.dims.atoms import Atom, Monomial
from nnspec.ir.dims.polynomials import (
    Table,
    Terms,
    collect,
    divided_monomial,
    multiplied_monomials,
)
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Relation:
    """`one * other` is `factor * product`, in which neither of them stands."""

    one: Atom
    other: Atom
    factor: int
    product: Monomial


current: Sequence[Relation] = ()
# What names of relations are, where it is known: for comparisons of magnitudes.
values: Mapping[str, int] = {}
# Told when other relations hold: who remembers results of arithmetic has to forget them.
watchers: list[Callable[[], None]] = []


@contextmanager
def related(relations: Sequence[Relation], known: Mapping[str, int]) -> Generator[None]:
    """Inside, products are written by these relations; names of them may be `known`."""
    global current, values
    outer = current, values
    current, values = relations, known
    _tell(outer[0])
    try:
        yield
    finally:
        changed = current
        current, values = outer
        _tell(changed)


def _tell(before: Sequence[Relation]) -> None:
    if before or current:
        for watcher in watchers:
            watcher()


def reduced(table: Table) -> Table:
    """A polynomial in which no product stands that a relation makes simpler."""
    for relation in current:
        if any(_times(monomial, relation) for monomial in table):
            table = collect(_written(*term, relation) for term in table.items())
    return table


def _times(monomial: Monomial, relation: Relation) -> int:
    """How often the product of a relation stands in a monomial."""
    powers = dict(monomial)
    return min(powers.get(relation.one, 0), powers.get(relation.other, 0))


def _written(
    monomial: Monomial, coefficient: int, relation: Relation
) -> tuple[Monomial, int]:
    for _ in range(_times(monomial, relation)):
        pair = tuple(sorted(((relation.one, 1), (relation.other, 1))))
        rest = divided_monomial(monomial, pair)
        assert rest is not None
        monomial = multiplied_monomials(rest, relation.product)
        coefficient *= relation.factor
    return monomial, coefficient


def quotient(left: Terms, right: Terms) -> Table | None:
    """`left // right` where relations say that nothing remains; None where they do not."""
    if len(right) != 1:
        return None
    ((below, divisor),) = right
    found: list[tuple[Monomial, int]] = []
    for monomial, coefficient in left:
        term = next(_over(monomial, coefficient, below, divisor), None)
        if term is None:
            return None
        found.append(term)
    return reduced(collect(found))


def _over(
    above: Monomial, coefficient: int, below: Monomial, divisor: int
) -> Iterator[tuple[Monomial, int]]:
    """The ways to divide a term by another: directly, or with a name of a relation for its product over the other."""
    whole = divided_monomial(above, below)
    if whole is not None:
        if coefficient % divisor == 0:
            yield whole, coefficient // divisor
        return
    for relation in current:
        for name, other in (
            (relation.one, relation.other),
            (relation.other, relation.one),
        ):
            less = divided_monomial(below, ((name, 1),))
            rest = divided_monomial(above, relation.product)
            if less is None or rest is None or coefficient % relation.factor:
                continue
            more = multiplied_monomials(rest, ((other, 1),))
            yield from _over(more, coefficient // relation.factor, less, divisor)
