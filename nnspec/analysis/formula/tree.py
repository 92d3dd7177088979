"""Formulas as trees: what is left to do once a `Dim` is simplified is to write it down.

A `Dim` has one normal form, a sum of monomials; a formula has the form in which it is read, with common
factors taken out. Both have the same value for all values of the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from nnspec.ir.dims import names_of_turns
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


@dataclass(frozen=True, slots=True)
class OverTurns:
    """The largest (`max`) or the sum (`sum`) of a value over the turns from `first` to `last`, before `stop`, of a loop; 0 where there are none.

    `turn` stands for a turn in the value, and for nothing elsewhere.
    """

    kind: str
    value: Formula
    turn: Name
    first: Formula
    last: Formula
    stop: Formula


Formula: TypeAlias = (
    Number
    | Name
    | Sum
    | Product
    | Power
    | Quotient
    | Ceiling
    | Remainder
    | Extreme
    | OverTurns
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
        case OverTurns(_, value, _, first, last, stop):
            return (value, first, last, stop)


def rebuilt(formula: Formula, change: Callable[[Formula], Formula]) -> Formula:
    """A formula, each of those that it is made of changed."""
    match formula:
        case Number() | Name():
            return formula
        case Sum(terms):
            return Sum(tuple(map(change, terms)))
        case Product(factors):
            return Product(tuple(map(change, factors)))
        case Power(base, exponent):
            return Power(change(base), change(exponent))
        case Extreme(kind, parts):
            return Extreme(kind, tuple(map(change, parts)))
        case Quotient(above, below, exact):
            return Quotient(change(above), change(below), exact)
        case Ceiling(above, below):
            return Ceiling(change(above), change(below))
        case Remainder(above, below):
            return Remainder(change(above), change(below))
        case OverTurns(kind, value, turn, first, last, stop):
            bounds = map(change, (first, last, stop))
            return OverTurns(kind, change(value), turn, *bounds)


def names_of(formula: Formula) -> list[Name]:
    """The names of a formula, each once, in order; not those that stand for turns."""
    return list(dict.fromkeys(_names(formula)))


def _names(formula: Formula) -> Iterator[Name]:
    if isinstance(formula, Name):
        yield formula
    for part in parts_of(formula):
        if isinstance(formula, OverTurns) and part is formula.value:
            yield from (name for name in _names(part) if name != formula.turn)
        else:
            yield from _names(part)


def legible(formula: Formula) -> Formula:
    """A formula in which turns have names (i, j, ...) that nothing else in it has."""
    if not _has_turns(formula):
        return formula
    taken = {name.name for name in names_of(formula)}
    return _named(formula, {}, [Name(each) for each in names_of_turns(taken)])


def _has_turns(formula: Formula) -> bool:
    return isinstance(formula, OverTurns) or any(map(_has_turns, parts_of(formula)))


def _named(
    formula: Formula, names: Mapping[Name, Name], free: Sequence[Name]
) -> Formula:
    if isinstance(formula, Name):
        return names.get(formula, formula)
    if not isinstance(formula, OverTurns):
        return rebuilt(formula, lambda part: _named(part, names, free))
    turn, *others = free
    value = _named(formula.value, {**names, formula.turn: turn}, others)
    bounds = (formula.first, formula.last, formula.stop)
    first, last, stop = (_named(bound, names, free) for bound in bounds)
    return OverTurns(formula.kind, value, turn, first, last, stop)


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
