"""The largest of a value over the turns of a loop, where nobody can say of which turn before sizes are known.

The number of a turn is a symbol that the maximum binds. Bound symbols are `~1`, `~2`, ... by how many such
maxima stand in one another, so that two which differ in the name of a turn are equal; nothing else is named
so. While a value is taken out of its maximum, a name that has never been used stands for the turn: whatever
takes the place of other symbols may speak of any turn.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from math import gcd

import nnspec.ir.dims.relations as relations
from nnspec.ir.dims.atoms import (
    MOST_NESTED,
    Atom,
    DimError,
    DimTooLarge,
    Monomial,
    Replace,
)
from nnspec.ir.dims.integers import (
    ONE,
    ZERO,
    Dim,
    Size,
    dim,
    polynomial,
    symbol,
)
from nnspec.ir.dims.numbers import largest
from nnspec.ir.dims.polynomials import divided_monomial, single_atom
from nnspec.ir.dims.several import maximum

# The maximum over so many turns is that of the value in each of them.
FEW_TURNS = 4

_unused = count()


def greatest(value: Size, turn: str, first: Size, stop: Size) -> Dim:
    """The largest of `value` over the integers `first <= turn < stop`, 0 where there are none.

    The value is an amount, without a twin: it is never negative in any of these turns, and so neither is the result.
    The symbol named `turn` is not free in the result. Like any other it is taken to be at least 1 by arithmetic, as by
    `maximum`; numbers from 0 on may be given where that has made no use of it. Raises `DimError` where the first or
    last turn depends on it.

    Factors of the value that are symbols, or powers of numbers, come before the result, and the largest of a maximum is
    the maximum of what is the largest of each part: each can then be compared with other amounts.
    """
    value, first, stop = (dim(each).value for each in (value, first, stop))
    if turn in first.symbols() | stop.symbols():
        raise DimError(f"the turns of `{turn}` cannot depend on it")
    turns = stop - first
    if value.constant == 0 or _is_at_most_zero(turns):
        return ZERO
    if turn not in value.symbols():
        return value if _is_at_least_one(turns) else _kept(value, turn, first, stop)
    if turns.constant is not None and turns.constant <= FEW_TURNS:
        each = (value.at({turn: first + past}) for past in range(turns.constant))
        return maximum(*each)
    factor, rest = _apart(value, turn)
    if first.constant is not None and stop.constant is not None and _is_of(rest, turn):
        numbers = range(first.constant, stop.constant)
        return factor * largest(rest, turn, numbers, {})
    only = single_atom(rest.terms)
    if only is not None and only.kind == "max":
        parts = (greatest(part, turn, first, stop) for part in only.arguments)
        return factor * maximum(*parts)
    return factor * _kept(rest, turn, first, stop)


def greatest_atom(value: Dim, turn: str, first: Dim, stop: Dim) -> Atom:
    """The same as an atom, whatever it could be besides: nothing is worked out but the name of the bound symbol."""
    bound = _bound(value, turn)
    value = value.at({turn: symbol(bound)})
    return Atom("greatest", (value, first, stop), bound=bound)


def substituted(atom: Atom, replace: Replace) -> Dim | None:
    """A maximum over turns in which atoms are replaced, the bound symbol never; None where all of them stay."""
    _, first, stop = atom.arguments
    low, high = first.substitute(replace), stop.substitute(replace)
    if _is_at_most_zero(high - low):
        # Where there are no turns the value may have none: 2^(depth - 3).
        return ZERO
    old, turn = _opened(atom)
    new = old.substitute(lambda each: None if each == turn else replace(each))
    if new is old and low is first and high is stop and not relations.current:
        return None
    return greatest(new, turn, low, high)


def rebound(atom: Atom, change: Callable[[Dim], Dim]) -> Dim:
    """A maximum over turns, its value and its bounds changed."""
    _, first, stop = atom.arguments
    value, turn = _opened(atom)
    return greatest(change(value), turn, change(first), change(stop))


def _opened(atom: Atom) -> tuple[Dim, str]:
    """The value of a maximum, and the name of a turn in it that no other value has."""
    turn = f"~~{next(_unused):09}"
    return atom.arguments[0].at({atom.bound: symbol(turn)}), turn


def _bound(value: Dim, turn: str) -> str:
    """The name for a bound symbol: by how many maxima over turns stand in one another in a value."""
    inner = (int(atom.bound[1:]) for atom in value.atoms() if atom.bound)
    place = 1 + max(inner, default=0)
    if place > MOST_NESTED:
        raise DimTooLarge(f"more than {MOST_NESTED} maxima over turns in one another")
    taken = value.symbols() - {turn}
    while f"~{place}" in taken:
        place += 1
    return f"~{place}"


def _kept(value: Dim, turn: str, first: Dim, stop: Dim) -> Dim:
    """A maximum that cannot be said otherwise. Bound symbols are at least 1, as all symbols are: proofs rely on it."""
    if not _is_at_least_one(first):
        value = value.at({turn: symbol(turn) + first - 1})
        first, stop = ONE, stop - first + 1
    atom = greatest_atom(value, turn, first, stop)
    return polynomial([(((atom, 1),), 1)])


def _is_of(value: Dim, turn: str) -> bool:
    """Whether a value depends on the turn alone."""
    return all(atom == turn or atom.arguments for atom in value.atoms())


def _apart(value: Dim, turn: str) -> tuple[Dim, Dim]:
    """The factors of a whole value that are certainly not negative, and the rest of it."""
    powers = dict(value.terms[0][0])
    for monomial, _ in value.terms:
        found = dict(monomial)
        powers = {atom: min(p, found.get(atom, 0)) for atom, p in powers.items()}
    common: Monomial = tuple(
        (atom, power)
        for atom, power in powers.items()
        if power and _is_certain(atom, turn)
    )
    number = gcd(*(coefficient for _, coefficient in value.terms))
    rest: list[tuple[Monomial, int]] = []
    for monomial, coefficient in value.terms:
        left = divided_monomial(monomial, common)
        assert left is not None
        rest.append((left, coefficient // number))
    return polynomial([(common, number)]), polynomial(rest)


def _is_certain(atom: Atom, turn: str) -> bool:
    """Whether an atom has a value of at least 0 where there are no turns, too, and the same in all of them."""
    if atom.kind == "^":
        base, exponent = atom.arguments
        is_number = base.constant is not None and base.constant > 0
        return is_number and turn not in exponent.symbols() and _all(exponent, 1)
    return atom.kind == "symbol" and atom.symbol != turn


def _is_at_least_one(value: Dim) -> bool:
    """Whether a value is at least 1 whatever its symbols are, even 0, as far as can be seen."""
    if value.constant is not None:
        return value.constant > 0
    return _all(value, 1) and not value.terms[-1][0]


def _is_at_most_zero(value: Dim) -> bool:
    """The same of 0 or less."""
    return _all(value, -1) if value.constant is None else value.constant <= 0


def _all(value: Dim, sign: int) -> bool:
    """Whether all terms of a sum of products of symbols have a sign."""
    return all(
        sign * coefficient > 0 and all(atom.kind == "symbol" for atom, _ in monomial)
        for monomial, coefficient in value.terms
    )
