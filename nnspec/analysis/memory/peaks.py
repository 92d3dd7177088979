"""The largest of several amounts, as far as it can be told before the sizes are known.

What lives at a moment is a polynomial in the sizes that are open, and the peak is the largest over all
moments. Most moments can be left out: those that another one exceeds at all sizes, and those between
two others (`2 b <= a + c` means that `b` exceeds not both), which is what becomes of a row of equal layers.
"""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.ir.dims import Dim, Monomial, maximum

LONGEST_PERIOD = 6


class Peaks:
    """Amounts of which the largest is wanted, in the order in which they came."""

    __slots__ = ("amounts",)

    def __init__(self) -> None:
        self.amounts: list[Dim] = []

    def add(self, amount: Dim) -> None:
        """Takes one more amount."""
        amounts = self.amounts
        if amounts and at_least(amounts[-1], amount):
            return
        while amounts and at_least(amount, amounts[-1]):
            amounts.pop()
        _append(amounts, amount)

    def settled(self) -> Peaks:
        """The same peak from as few amounts as can be told."""
        found = Peaks()
        found.amounts = reduced(self.amounts)
        return found

    def largest(self) -> Dim:
        """The peak: one amount, or the maximum of those that exceed each other at different sizes."""
        return maximum(*reduced(self.amounts), 0)


def _append(amounts: list[Dim], amount: Dim) -> None:
    """Adds an amount behind others; what then lies between two goes."""
    while len(amounts) > 1 and at_least(amounts[-2] + amount, 2 * amounts[-1]):
        amounts.pop()
    amounts.append(amount)


def reduced(amounts: Iterable[Dim]) -> list[Dim]:
    """The amounts without those that are never the largest, as far as can be told."""
    found = _undominated(list(dict.fromkeys(amounts)))
    for period in range(1, LONGEST_PERIOD + 1):
        if len(found) > 2:
            found = _without_rows(found, period)
    return _undominated(found)


def _without_rows(amounts: list[Dim], period: int) -> list[Dim]:
    """Each `period`-th amount in a row of its own, of which only the ends stay where it is straight."""
    rows: list[list[Dim]] = [[] for _ in range(period)]
    for place, amount in enumerate(amounts):
        _append(rows[place % period], amount)
    kept = {amount for row in rows for amount in row}
    return [amount for amount in amounts if amount in kept]


def _undominated(amounts: list[Dim]) -> list[Dim]:
    found: list[Dim] = []
    for amount in amounts:
        if any(at_least(known, amount) for known in found):
            continue
        found = [known for known in found if not at_least(amount, known)]
        found.append(amount)
    return found


def at_least(one: Dim, other: Dim) -> bool:
    """Whether an amount is no less than another for all sizes from 1 on; False where it is not known.

    A term that is missing may be made up for by a multiple of it: T * B is at least B.
    """
    if one.constant is not None and other.constant is not None:
        return one.constant >= other.constant
    left = _terms(one)
    for monomial, coefficient in _terms(other).items():
        left[monomial] = left.get(monomial, 0) - coefficient
    short = [monomial for monomial, coefficient in left.items() if coefficient < 0]
    return not short or (len(short) < len(left) and _made_up(left, short))


def _made_up(left: dict[Monomial, int], short: list[Monomial]) -> bool:
    """Whether positive terms that are multiples of the negative ones cover these."""
    over = sorted((m for m, c in left.items() if c > 0), key=_degree)
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
