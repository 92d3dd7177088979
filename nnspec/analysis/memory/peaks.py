"""The largest of several amounts, as far as it can be told before the sizes are known.

What lives at a moment is a polynomial in the sizes that are open, and the peak is the largest over all
moments. Most moments can be left out: those that another one exceeds at all sizes, and those between
two others (`2 b <= a + c` means that `b` exceeds not both), which is what becomes of a row of equal layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import TypeAlias

from nnspec.ir.dims import Atom, Dim, Monomial


class Peaks:
    """Amounts of which the largest is wanted, in the order in which they came."""

    __slots__ = ("amounts",)

    def __init__(self) -> None:
        self.amounts: list[Dim] = []

    def add(self, amount: Dim) -> None:
        """Takes one more amount."""
        amounts = self.amounts
        while amounts:
            larger = _larger(amounts[-1], amount)
            if larger > 0:
                return
            if larger == 0:
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
    tables = [_terms(amount) for amount in amounts]
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


def reduced(amounts: Iterable[Dim]) -> list[Dim]:
    """The amounts without those that are never the largest, as far as can be told."""
    found = list(dict.fromkeys(amounts))
    if len(found) < 2:
        return found
    trial = Trial(found)
    found = _undominated(found, trial)
    return _outside(found, trial)


def _undominated(amounts: list[Dim], trial: Trial) -> list[Dim]:
    found: list[Dim] = []
    for amount in amounts:
        if any(trial.at_least(known, amount) for known in found):
            continue
        found = [known for known in found if not trial.at_least(amount, known)]
        found.append(amount)
    return found


def _outside(amounts: list[Dim], trial: Trial) -> list[Dim]:
    """The amounts without those that lie between two others."""
    found = list(amounts)
    for amount in amounts:
        others = [each for each in found if each is not amount]
        if any(
            trial.between(amount, one, other)
            for place, one in enumerate(others)
            for other in others[place + 1 :]
        ):
            found = others
    return found


# Sizes at which amounts are tried before anything is proven of them.
TRIED = (1, 3, 60, 4000)
FINEST = 10**6


class Trial:
    """Amounts at a few sizes: what does not hold there need not be proven."""

    def __init__(self, amounts: Iterable[Dim]) -> None:
        self._values: dict[Monomial, tuple[int, ...]] = {}
        self._symbols: dict[str, int] = {}
        self._at = {id(amount): self._sampled(amount) for amount in amounts}

    def at_least(self, one: Dim, other: Dim) -> bool:
        """Whether an amount is no less than another, see `at_least`."""
        pairs = zip(self._at[id(one)], self._at[id(other)], strict=True)
        return all(a >= b for a, b in pairs) and at_least(one, other)

    def between(self, amount: Dim, one: Dim, other: Dim) -> bool:
        """Whether an amount is never more than some mean of two others, and so than the larger."""
        share = self._share(
            self._at[id(amount)], self._at[id(one)], self._at[id(other)]
        )
        if share is None:
            return False
        first, second = share.numerator, share.denominator - share.numerator
        return at_least(first * one + second * other, share.denominator * amount)

    def _share(
        self, amounts: Sequence[int], ones: Sequence[int], others: Sequence[int]
    ) -> Fraction | None:
        """The share of the first in a mean that is no less at any of the tried sizes."""
        low, high = 0.0, 1.0
        for amount, one, other in zip(amounts, ones, others, strict=True):
            if one == other:
                if amount > one:
                    return None
                continue
            bound = (amount - other) / (one - other)
            if one > other:
                low = max(low, bound)
            else:
                high = min(high, bound)
            if low > high:
                return None
        return Fraction((low + high) / 2).limit_denominator(FINEST)

    def _sampled(self, amount: Dim) -> list[int]:
        count = len(TRIED) ** 2
        if amount.constant is not None:
            return [amount.constant] * count
        found = [0] * count
        for monomial, coefficient in amount.terms:
            for place, value in enumerate(self._monomial(monomial)):
                found[place] += coefficient * value
        return found

    def _monomial(self, monomial: Monomial) -> tuple[int, ...]:
        if monomial not in self._values:
            values = [1] * len(TRIED) ** 2
            for atom, power in monomial:
                for place in range(len(values)):
                    values[place] *= self._atom(atom, place) ** power
            self._values[monomial] = tuple(values)
        return self._values[monomial]

    def _atom(self, atom: Atom, place: int) -> int:
        """An atom at the sizes of one trial: each symbol takes the sizes in an order of its own."""
        if atom.kind == "symbol":
            number = self._symbols.setdefault(atom.symbol, len(self._symbols))
            shift = place // len(TRIED) * number
            return TRIED[(place + shift) % len(TRIED)]
        return max(
            1, max((self._dim(each, place) for each in atom.arguments), default=1)
        )

    def _dim(self, size: Dim, place: int) -> int:
        if size.constant is not None:
            return size.constant
        return sum(c * self._monomial(m)[place] for m, c in size.terms)


def at_least(one: Dim, other: Dim) -> bool:
    """Whether an amount is no less than another for all sizes from 1 on; False where it is not known.

    A term that is missing may be made up for by a multiple of it: T * B is at least B.
    """
    if one.constant is not None and other.constant is not None:
        return one.constant >= other.constant
    left = _difference(one, other)
    lowest = min(left.values(), default=0)
    return lowest >= 0 or (max(left.values()) > 0 and _made_up(left))


def _larger(one: Dim, other: Dim) -> int:
    """1 where the first of two amounts is no less at all sizes, -1 where the second is; 0 if it is not known."""
    left = _difference(one, other)
    lowest, highest = min(left.values(), default=0), max(left.values(), default=0)
    if lowest >= 0:
        return 1
    if highest <= 0:
        return -1
    # At sizes of 1 the difference is the sum of its coefficients.
    if sum(left.values()) >= 0:
        return int(_made_up(left))
    return -_made_up({monomial: -c for monomial, c in left.items()})


def _difference(one: Dim, other: Dim) -> dict[Monomial, int]:
    left = _terms(one)
    for monomial, coefficient in other.terms or (((), other.constant or 0),):
        left[monomial] = left.get(monomial, 0) - coefficient
    return left


def _made_up(difference: Mapping[Monomial, int]) -> bool:
    """Whether positive terms that are multiples of the negative ones cover these."""
    left = dict(difference)
    over = sorted((m for m, c in left.items() if c > 0), key=_degree)
    short = (m for m, c in left.items() if c < 0)
    for monomial in sorted(short, key=_degree, reverse=True):
        missing = -left[monomial]
        for larger in over:
            if missing > 0 and left[larger] and _divides(monomial, larger):
                taken = min(missing, left[larger])
                left[larger] -= taken
                missing -= taken
        if missing > 0:
            return False
    return True


def _terms(amount: Dim) -> dict[Monomial, int]:
    if amount.constant is not None:
        return {(): amount.constant}
    return dict(amount.terms)


def _degree(monomial: Monomial) -> int:
    return sum(power for _, power in monomial)


def _divides(lower: Monomial, higher: Monomial) -> bool:
    """Whether a product of sizes is a multiple of another, the rest being sizes of at least 1."""
    powers = dict(higher)
    for atom, power in lower:
        if powers.get(atom, 0) < power:
            return False
        powers[atom] -= power
    return all(atom.kind == "symbol" for atom, power in powers.items() if power)
