"""The arithmetic of polynomials with integer coefficients.

A polynomial is its terms; a constant has the empty monomial. Results are tables, whose coefficients may
be zero and whose order means nothing: `in_order` makes the normal form of one. What a polynomial cannot
say is an atom, and made in `integers.py`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from math import gcd
from typing import TypeAlias

from nnspec.ir.dims.atoms import MOST_BITS, Atom, DimTooLarge, Monomial

MOST_TERMS = 400
_SMALL = 1 << 63

Terms: TypeAlias = tuple[tuple[Monomial, int], ...]
Table: TypeAlias = dict[Monomial, int]


def in_order(terms: list[tuple[Monomial, int]]) -> Terms:
    """Unlike terms, none of them zero, in the one order that equal polynomials share."""
    if len(terms) > MOST_TERMS:
        raise DimTooLarge(f"this size is a sum of more than {MOST_TERMS} terms")
    if len(terms) > 1:
        terms.sort(key=_place)
    for _, coefficient in terms:
        if not -_SMALL < coefficient < _SMALL:
            check_coefficient(coefficient)
    return tuple(terms)


def check_coefficient(coefficient: int) -> None:
    """Raises `DimTooLarge` for a coefficient beyond the bounds."""
    if coefficient.bit_length() > MOST_BITS:
        raise DimTooLarge(f"this size has coefficients of more than {MOST_BITS} bits")


def _place(term: tuple[Monomial, int]) -> tuple[int, list[tuple[str, int]]]:
    return _place_of(term[0])


@lru_cache(maxsize=4096)
def _place_of(monomial: Monomial) -> tuple[int, list[tuple[str, int]]]:
    return (-sum([p for _, p in monomial]), [(a, -p) for a, p in monomial])


def summed(left: Terms, right: Terms) -> Terms | None:
    """The sum of two polynomials of which one has all monomials, in its order; None where there is more to it."""
    if len(left) < len(right):
        left, right = right, left
    more = dict(right)
    found = [(monomial, one + more.pop(monomial, 0)) for monomial, one in left]
    if more:
        return None
    for _, coefficient in found:
        if coefficient == 0 or not -_SMALL < coefficient < _SMALL:
            return None
    return tuple(found)


def scaled(terms: Terms, factor: int) -> Terms:
    """A polynomial, in its order, times an integer other than 0."""
    found = tuple([(monomial, factor * c) for monomial, c in terms])
    for _, coefficient in found:
        if not -_SMALL < coefficient < _SMALL:
            check_coefficient(coefficient)
    return found


def shifted(terms: Terms, constant: int) -> Terms:
    """A polynomial, in its order, plus an integer: the empty monomial stands last."""
    monomial, last = terms[-1]
    if monomial:
        return (*terms, ((), constant))
    if last + constant == 0:
        return terms[:-1]
    check_coefficient(last + constant)
    return (*terms[:-1], ((), last + constant))


def collect(terms: Iterable[tuple[Monomial, int]]) -> Table:
    """The sum of terms, like ones taken together."""
    table: Table = {}
    known = table.get
    for monomial, coefficient in terms:
        table[monomial] = known(monomial, 0) + coefficient
    return table


def multiply(left: Terms, right: Terms) -> Table:
    """The product of two polynomials."""
    if len(left) * len(right) > 4 * MOST_TERMS:
        raise DimTooLarge(f"this size is a sum of more than {MOST_TERMS} terms")
    return collect(
        (multiplied_monomials(one, other), c * d)
        for one, c in left
        for other, d in right
    )


def multiplied_monomials(one: Monomial, other: Monomial) -> Monomial:
    """The product of two monomials."""
    if not one:
        return other
    if not other:
        return one
    powers = dict(one)
    for atom, power in other:
        powers[atom] = powers.get(atom, 0) + power
    # Powers are above 0, and atoms are unlike, so that they alone decide the order.
    return tuple(sorted(powers.items()))


def divide(left: Terms, right: Terms) -> tuple[Table, Table]:
    """`left` as quotient * right + rest, taking out every term that divides exactly."""
    if len(right) != 1:
        return {}, dict(left)
    quotient: Table = {}
    rest: Table = {}
    ((divisor, factor),) = right
    for monomial, coefficient in left:
        lower = divided_monomial(monomial, divisor)
        if lower is None:
            rest[monomial] = coefficient
            continue
        # A constant keeps its remainder; a symbolic term is only taken out where it divides.
        whole = (
            coefficient // factor if not monomial or coefficient % factor == 0 else 0
        )
        quotient[lower] = quotient.get(lower, 0) + whole
        if coefficient - whole * factor:
            rest[monomial] = coefficient - whole * factor
    return quotient, rest


def divided_monomial(monomial: Monomial, divisor: Monomial) -> Monomial | None:
    """A monomial over another; None where it is no monomial."""
    powers = dict(monomial)
    for atom, power in divisor:
        if powers.get(atom, 0) < power:
            return None
        powers[atom] -= power
    return tuple((a, p) for a, p in powers.items() if p)


def shared_factor(left: Terms, right: Terms) -> int:
    """The greatest integer that divides every coefficient of both."""
    return gcd(*(c for _, c in left), *(c for _, c in right))


def exact_quotient(terms: Terms, divisor: int) -> Table:
    """A polynomial over an integer that divides every coefficient."""
    return {m: c // divisor for m, c in terms}


def single_atom(terms: Terms) -> Atom | None:
    """The atom that a polynomial is, if it is no more than that."""
    if len(terms) != 1:
        return None
    (monomial, coefficient) = terms[0]
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    return monomial[0][0]
