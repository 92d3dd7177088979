"""The largest of several amounts, as far as it can be told before the sizes are known."""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.ir.dims import Dim, Monomial


class Peaks:
    """Amounts of which the largest is wanted: those that no other one exceeds at all sizes."""

    __slots__ = ("amounts",)

    def __init__(self, amounts: Iterable[Dim] = ()) -> None:
        self.amounts: list[Dim] = []
        for amount in amounts:
            self.add(amount)

    def add(self, amount: Dim) -> None:
        """Takes one more amount."""
        for known in reversed(self.amounts):
            if at_least(known, amount):
                return
        self.amounts = [each for each in self.amounts if not at_least(amount, each)]
        self.amounts.append(amount)


def at_least(one: Dim, other: Dim) -> bool:
    """Whether an amount is no less than another for all sizes from 1 on; False where it is not known.

    A term that is missing may be made up for by a multiple of it: T * B is at least B.
    """
    if one.constant is not None and other.constant is not None:
        return one.constant >= other.constant
    spare = _terms(one)
    short: list[tuple[Monomial, int]] = []
    for monomial, coefficient in _terms(other).items():
        left = spare.get(monomial, 0) - coefficient
        spare[monomial] = left
    short = [(monomial, -left) for monomial, left in spare.items() if left < 0]
    if not short:
        return True
    over = {monomial: left for monomial, left in spare.items() if left > 0}
    for monomial, missing in sorted(short, key=lambda each: -_degree(each[0])):
        for larger in sorted(over, key=_degree):
            if missing <= 0:
                break
            if over[larger] and _divides(monomial, larger):
                taken = min(missing, over[larger])
                over[larger] -= taken
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
