"""The largest of several amounts, as far as it can be told before the sizes are known.

What lives at a moment is a polynomial in the sizes that are open, and the peak is the largest over all
moments. Most moments can be left out: those that another one exceeds at all sizes, and those between
two others (`2 b <= a + c` means that `b` exceeds not both), which is what becomes of a row of equal layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from nnspec.analysis.memory.dominance import Trial, larger, terms_of
from nnspec.analysis.memory.envelope import envelope
from nnspec.ir.dims import (
    Atom,
    Dim,
    DimTooLarge,
    Monomial,
    Substitution,
    maximum,
    symbol,
)


class Peaks:
    """Amounts of which the largest is wanted, in the order in which they came."""

    __slots__ = ("amounts",)

    def __init__(self) -> None:
        self.amounts: list[Dim] = []

    def add(self, amount: Dim) -> None:
        """Takes one more amount."""
        amounts = self.amounts
        while amounts:
            which = larger(amounts[-1], amount)
            if which > 0:
                return
            if which == 0:
                break
            amounts.pop()
        _append(amounts, amount)

    def settled(self) -> Peaks:
        """The same peak from as few amounts as can be told."""
        found = Peaks()
        found.amounts = reduced(self.amounts)
        return found


class Unwatched(Peaks):
    """Peaks that nobody asks for."""

    __slots__ = ()

    def add(self, amount: Dim) -> None:
        """Forgets an amount."""


# A row of equal layers has a few amounts for each, which come again and again, less by as much every time.
MOST_IN_TURN = 6


def _append(amounts: list[Dim], amount: Dim) -> None:
    """Adds an amount behind others; what then lies between two goes."""
    last = amounts[-MOST_IN_TURN:]
    *rows, new = _side_by_side([*last, amount])
    kept = [
        middle
        for place, middle in enumerate(last)
        if not any(_is_between(rows[place], one, new) for one in rows[:place])
    ]
    amounts[-MOST_IN_TURN:] = [*kept, amount]


Row: TypeAlias = tuple[int, ...]
"""The coefficients of an amount, of the same monomials as those of others."""


def _side_by_side(amounts: Sequence[Dim]) -> list[Row]:
    tables = [terms_of(amount) for amount in amounts]
    monomials = dict.fromkeys([m for table in tables for m in table])
    return [tuple([table.get(m, 0) for m in monomials]) for table in tables]


def lies_between(middle: Dim, one: Dim, other: Dim) -> bool:
    """Whether the one mean of two amounts that has as much of some term is no less in any term."""
    return _is_between(*_side_by_side([middle, one, other]))


def _is_between(middle: Row, one: Row, other: Row) -> bool:
    share = whole = 0
    for middles, ones, others in zip(middle, one, other, strict=True):
        if ones != others:
            share, whole = middles - others, ones - others
            break
    if whole < 0:
        share, whole = -share, -whole
    if not 0 <= share <= whole or whole == 0:
        return False
    rest = whole - share
    for middles, ones, others in zip(middle, one, other, strict=True):
        if share * ones + rest * others < whole * middles:
            return False
    return True


def reduced(amounts: Iterable[Dim], *, thorough: bool = False) -> list[Dim]:
    """The amounts without those that are never the largest, as far as can be told; `thorough` takes its time."""
    found = list(dict.fromkeys(amounts))
    if len(found) < 2:
        return found
    lines = envelope(found)
    if lines is not None:
        return lines
    trial = Trial(found, thorough=thorough)
    return _outside([found[number] for number in trial.undominated()], trial)


def _outside(amounts: list[Dim], trial: Trial) -> list[Dim]:
    """The amounts without those that lie between two others."""
    found = list(amounts)
    for amount in amounts:
        others = [each for each in found if each is not amount]
        if trial.is_reached(amount, others):
            found = others
    return found


# Among so few amounts any two may be asked whether a third lies between them.
FEW_OTHERS = 16


def exceeding(
    amounts: Iterable[Dim], others: Sequence[Dim], lows: Mapping[str, int]
) -> list[Dim]:
    """The amounts of which it cannot be told that they are never more than the largest of others.

    Sizes are at least their `lows`, 1 if not given.
    """
    known = set(others)
    open_ = [each for each in dict.fromkeys(amounts) if each not in known]
    if not open_:
        return []
    trial = Trial([*others, *open_], thorough=len(others) <= FEW_OTHERS)
    more = _more(lows)
    shifted = [_shifted(each, more) for each in others]
    return [
        each for each in open_ if not _is_reached(each, others, shifted, trial, more)
    ]


def _is_reached(
    amount: Dim,
    others: Sequence[Dim],
    shifted: Sequence[Mapping[Monomial, int] | None],
    trial: Trial,
    more: Substitution,
) -> bool:
    if any(trial.at_least(each, amount) for each in others):
        return True
    own = _shifted(amount, more)
    if any(_exceeds(each, own) for each in shifted):
        return True
    return trial.is_reached(amount, others)


def pruned(amounts: Sequence[Dim], lows: Mapping[str, int]) -> list[Dim]:
    """The amounts without those that another one exceeds at all sizes from their least on (1 if not given).

    With every size written as its least and what it is more, an amount is no less than another if no
    coefficient is less.
    """
    more = _more(lows)
    shifted = [_shifted(amount, more) for amount in amounts]
    found: list[int] = []
    for place, amount in enumerate(shifted):
        if any(_exceeds(shifted[known], amount) for known in found):
            continue
        found = [known for known in found if not _exceeds(amount, shifted[known])]
        found.append(place)
    return [amounts[place] for place in found]


def thinned(value: Dim, lows: Mapping[str, int]) -> Dim:
    """A value with as few amounts in its maxima as can be told of sizes from their least on."""

    def replace(atom: Atom) -> Dim | None:
        if atom.kind != "max":
            return None
        return maximum(*pruned(reduced(atom.arguments, thorough=True), lows))

    return value.substitute(replace)


def _shifted(amount: Dim, more: Substitution) -> Mapping[Monomial, int] | None:
    """The coefficients in what sizes are more than their least; None where they are not all there is, or too many."""
    atoms = {atom for monomial, _ in amount.terms for atom, _ in monomial}
    if any(atom.kind not in ("symbol", "^") for atom in atoms):
        return None
    try:
        return terms_of(more.of(amount))
    except DimTooLarge:
        return None


def _exceeds(
    one: Mapping[Monomial, int] | None, other: Mapping[Monomial, int] | None
) -> bool:
    if one is None or other is None:
        return False
    for term, count in other.items():
        if one.get(term, 0) < count:
            return False
    return all(count >= 0 or term in other for term, count in one.items())


def _more(lows: Mapping[str, int]) -> Substitution:
    """Writes sizes, and powers, as their least and what they are more."""

    def replace(atom: Atom) -> Dim:
        if atom.kind == "^":
            return symbol(f"{atom.key}+") + 1
        least = -(-lows.get(atom.symbol, 1) // atom.scale)
        return symbol(f"{atom.symbol}+") + least

    return Substitution(replace)
