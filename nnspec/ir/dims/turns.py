"""The largest of a value over the turns of a loop, where nobody can say of which turn before sizes are known, and the sum of one that has no other formula.

The number of a turn is a symbol that the maximum or the sum binds. Bound symbols are `~1`, `~2`, ... by how many
of these stand in one another, so that two which differ in the name of a turn are equal; nothing else is named
so. While a value is taken out of these, a name that has never been used stands for the turn: whatever
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
    terms_of,
)
from nnspec.ir.dims.numbers import added, largest
from nnspec.ir.dims.polynomials import divided_monomial, single_atom
from nnspec.ir.dims.several import extreme_of, maximum, total

# The maximum or the sum over so many turns is that of the value in each of them.
FEW_TURNS = 4
# So is the sum where the first and the last turn are numbers, and there are so many at most.
MOST_ADDED = 256

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
    value, first, stop = _read(value, turn, first, stop)
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


def series(value: Size, turn: str, first: Size, stop: Size) -> Dim:
    """The sum of `value` over the integers `first <= turn < stop`, 0 where there are none.

    Of the turn and of its twin the same is said as by `greatest`; but the value may be negative. Terms are summed by
    themselves where symbols, or powers of numbers, come before them.
    """
    value, first, stop = _read(value, turn, first, stop)
    turns = stop - first
    if value.constant == 0 or _is_at_most_zero(turns):
        return ZERO
    if turns.constant is not None and turns.constant <= (
        FEW_TURNS if first.constant is None else MOST_ADDED
    ):
        each = (value.at({turn: first + past}) for past in range(turns.constant))
        return total(each)
    if first.constant is not None and stop.constant is not None and _is_of(value, turn):
        return dim(added(value, turn, range(first.constant, stop.constant), {}))
    groups: dict[Monomial, list[tuple[Monomial, int]]] = {}
    for monomial, coefficient in terms_of(value):
        before = tuple(each for each in monomial if _has_value(each[0], turn))
        inside = tuple(each for each in monomial if each not in before)
        groups.setdefault(before, []).append((inside, coefficient))
    return total(
        polynomial([(before, 1)]) * _series(polynomial(terms), turn, first, stop)
        for before, terms in groups.items()
    )


def _series(value: Dim, turn: str, first: Dim, stop: Dim) -> Dim:
    """The sum of a value that has no factor to take out but a number."""
    if value.constant is not None:
        turns = stop - first
        count = (
            turns
            if _is_at_least_one(turns + 1)
            else extreme_of("max", [turns, ZERO], max)
        )
        return value * count
    shared = gcd(*(coefficient for _, coefficient in value.terms))
    rest = polynomial((m, c // shared) for m, c in value.terms)
    return shared * _kept(rest, turn, first, stop, "sum")


def atom_over_turns(kind: str, value: Dim, turn: str, first: Dim, stop: Dim) -> Atom:
    """The largest (`greatest`) or the sum (`sum`) as an atom, whatever it could be besides: nothing is worked out but the name of the bound symbol."""
    bound = _bound(value, turn)
    value = value.at({turn: symbol(bound)})
    return Atom(kind, (value, first, stop), bound=bound)


def _over_turns(kind: str, value: Dim, turn: str, first: Dim, stop: Dim) -> Dim:
    made = greatest if kind == "greatest" else series
    return made(value, turn, first, stop)


def _read(value: Size, turn: str, first: Size, stop: Size) -> tuple[Dim, Dim, Dim]:
    """A value and the bounds of its turns, without twins. Raises `DimError` where these depend on the turn."""
    value, first, stop = (dim(each).value for each in (value, first, stop))
    if turn in first.symbols() | stop.symbols():
        raise DimError(f"the turns of `{turn}` cannot depend on it")
    return value, first, stop


def substituted(atom: Atom, replace: Replace) -> Dim | None:
    """A maximum or sum over turns in which atoms are replaced, the bound symbol never; None where all of them stay."""
    _, first, stop = atom.arguments
    low, high = first.substitute(replace), stop.substitute(replace)
    if _is_at_most_zero(high - low):
        # Where there are no turns the value may have none: 2^(depth - 3).
        return ZERO
    old, turn = _opened(atom)
    new = old.substitute(lambda each: None if each == turn else replace(each))
    if new is old and low is first and high is stop and not relations.current:
        return None
    return _over_turns(atom.kind, new, turn, low, high)


def rebound(atom: Atom, change: Callable[[Dim], Dim]) -> Dim:
    """A maximum or sum over turns, its value and its bounds changed."""
    _, first, stop = atom.arguments
    value, turn = _opened(atom)
    return _over_turns(atom.kind, change(value), turn, change(first), change(stop))


def _opened(atom: Atom) -> tuple[Dim, str]:
    """The value of a maximum or sum, and the name of a turn in it that no other value has."""
    turn = f"~~{next(_unused):09}"
    return atom.arguments[0].at({atom.bound: symbol(turn)}), turn


def _bound(value: Dim, turn: str) -> str:
    """The name for a bound symbol: by how many maxima and sums over turns stand in one another in a value."""
    inner = (int(atom.bound[1:]) for atom in value.atoms() if atom.bound)
    place = 1 + max(inner, default=0)
    if place > MOST_NESTED:
        raise DimTooLarge(
            f"more than {MOST_NESTED} maxima or sums over turns in one another"
        )
    taken = value.symbols() - {turn}
    while f"~{place}" in taken:
        place += 1
    return f"~{place}"


def _kept(value: Dim, turn: str, first: Dim, stop: Dim, kind: str = "greatest") -> Dim:
    """A maximum or sum that cannot be said otherwise. Bound symbols are at least 1, as all symbols are: proofs rely on it."""
    if not _is_at_least_one(first):
        value = value.at({turn: symbol(turn) + first - 1})
        first, stop = ONE, stop - first + 1
    atom = atom_over_turns(kind, value, turn, first, stop)
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


def _has_value(atom: Atom, turn: str) -> bool:
    """Whether an atom has a value where there are no turns, too, and the same in all of them."""
    if atom.kind in ("symbol", "^"):
        return _is_certain(atom, turn)
    if atom.bound or not atom.arguments:
        return False
    if atom.kind in ("//", "%") and atom.arguments[1].constant is None:
        return False
    return all(
        _has_value(each, turn)
        for part in atom.arguments
        for monomial, _ in part.terms
        for each, _ in monomial
    )


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
