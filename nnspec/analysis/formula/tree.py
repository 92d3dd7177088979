"""Formulas as trees: what is left to do once a `Dim` is simplified is to write it down.

A `Dim` has one normal form, a sum of monomials; a formula has the form in which it is read, with common
factors taken out. Both have the same value for all values of the names.
"""

from __future__ import annotations

from typing import TypeAlias

from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Number:
    """An integer."""

    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """A size or constant of the spec; with places, an element of a list (`depths[0]`)."""

    name: str
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms added up; one that is a negative multiple is subtracted."""

    terms: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """Factors multiplied; a number comes first, and at most once."""

    factors: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Power:
    """A base raised to an exponent of at least 0."""

    base: Formula
    exponent: Formula


@dataclass(frozen=True, slots=True)
class Quotient:
    """A quotient rounded down; `exact` where nothing is ever left over."""

    above: Formula
    below: Formula
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A quotient rounded up."""

    above: Formula
    below: Formula


@dataclass(frozen=True, slots=True)
class Remainder:
    """What a quotient rounded down leaves over; it has the sign of `below`."""

    above: Formula
    below: Formula


@dataclass(frozen=True, slots=True)
class Extreme:
    """The least (`min`) or the greatest (`max`) of several."""

    kind: str
    parts: tuple[Formula, ...]


Formula: TypeAlias = (
    Number | Name | Sum | Product | Power | Quotient | Ceiling | Remainder | Extreme
)


def parts_of(formula: Formula) -> tuple[Formula, ...]:
    """The formulas that a formula is made of."""
    match formula:
        case Number() | Name():
            return ()
        case Sum(terms):
            return terms
        case Product(factors):
            return factors
        case Power(base, exponent):
            return (base, exponent)
        case Extreme(_, parts):
            return parts
        case Quotient() | Ceiling() | Remainder():
            return (formula.above, formula.below)


def names_of(formula: Formula) -> list[Name]:
    """The names of a formula, each once, in order."""
    found: dict[Name, None] = {}
    waiting = [formula]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Name):
            found[part] = None
        waiting += reversed(parts_of(part))
    return list(found)


def is_negative(formula: Formula) -> bool:
    """Whether a formula is written with a minus before it."""
    if isinstance(formula, Product):
        return is_negative(formula.factors[0])
    return isinstance(formula, Number) and formula.value < 0


def negated(formula: Formula) -> Formula:
    """A formula times -1."""
    match formula:
        case Number(value):
            return Number(-value)
        case Product((Number(value), *rest)):
            return times(-value, rest)
        case Product(factors):
            return times(-1, list(factors))
        case _:
            return times(-1, [formula])


def times(number: int, factors: list[Formula]) -> Formula:
    """A number times formulas, none of which is a product with a number of its own."""
    if number == 0 or not factors:
        return Number(number)
    if number != 1:
        factors = [Number(number), *factors]
    return factors[0] if len(factors) == 1 else Product(tuple(factors))
