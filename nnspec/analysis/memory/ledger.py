"""Whose bytes are alive: amounts that remember which operation made them, and in which pass.

A storage counts once, for the operation that made it, wherever it is kept. Amounts of a machine that keeps
such a ledger are `Owned`: numbers like any others, with the sums that they came from behind them. So
whatever is added and taken away, owners add up to the amount exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from nnspec.analysis.uses import Place
from nnspec.ir.dims import ZERO, Dim, Size, dim
from nnspec.records import dataclass


class Pass(StrEnum):
    """The pass in which something was made."""

    FORWARD = "activations"
    BACKWARD = "gradients"


@dataclass(frozen=True, slots=True)
class Owner:
    """The node that made something, and in which pass."""

    place: Place
    made: Pass = Pass.FORWARD


class Owned(Dim):
    """Bytes and whose they are: of one owner, or a sum of amounts that are `Owned`, each with its sign."""

    __slots__ = ("owner", "parts")

    def __init__(
        self,
        value: Dim,
        owner: Owner | None = None,
        parts: tuple[tuple[int, Owned], ...] = (),
    ) -> None:
        super().__init__(value.terms, value.constant)
        self.owner = owner
        self.parts = parts

    def __add__(self, other: Size) -> Dim:
        return _sum(self, 1, other)

    def __radd__(self, other: Size) -> Dim:
        return _sum(self, 1, other)

    def __sub__(self, other: Size) -> Dim:
        return _sum(self, -1, other)

    def __rsub__(self, other: Size) -> Dim:
        return Owned(Dim.__rsub__(self, other), parts=(*_signed(other, 1), (-1, self)))

    def __neg__(self) -> Dim:
        return Owned(Dim.__neg__(self), parts=((-1, self),))


def _sum(one: Owned, sign: int, other: Size) -> Owned:
    value = Dim.__add__(one, other) if sign == 1 else Dim.__sub__(one, other)
    return Owned(value, parts=((1, one), *_signed(other, sign)))


def _signed(amount: Size, sign: int) -> tuple[tuple[int, Owned], ...]:
    return ((sign, amount),) if isinstance(amount, Owned) else ()


def by_owner(amount: Dim) -> Mapping[Owner, Dim]:
    """What each owner has of an amount; sums that several amounts share are gone through once."""
    found: dict[Owner, Dim] = {}
    counts: dict[int, int] = {}
    for each in _in_order(amount):
        count = counts.pop(id(each), 0) if each is not amount else 1
        if each.owner is not None:
            found[each.owner] = found.get(each.owner, ZERO) + each.value * count
        for sign, part in each.parts:
            counts[id(part)] = counts.get(id(part), 0) + sign * count
    return {owner: value for owner, value in found.items() if value != 0}


def _in_order(amount: Dim) -> list[Owned]:
    """An amount and all that it is a sum of, sums before their parts."""
    found: list[Owned] = []
    seen: set[int] = set()
    waiting: list[tuple[Dim, bool]] = [(amount, False)]
    while waiting:
        each, is_done = waiting.pop()
        if not isinstance(each, Owned) or (id(each) in seen and not is_done):
            continue
        if is_done:
            found.append(each)
            continue
        seen.add(id(each))
        waiting.append((each, True))
        waiting.extend((part, False) for _, part in each.parts)
    found.reverse()
    return found


@dataclass(eq=False)
class Ledger:
    """Names the owner of whatever a machine makes; `sizes` are put in for symbols."""

    place: Place
    sizes: Mapping[str, Size]
    owner: Owner

    @staticmethod
    def of(place: Place, sizes: Mapping[str, Size]) -> Ledger:
        """The ledger of the function that is called at a place."""
        return Ledger(place, sizes, Owner(place))

    def owned(self, size: Dim) -> Dim:
        """Bytes that are made now; what comes from elsewhere has its owner."""
        if isinstance(size, Owned):
            return size
        return Owned(dim(size).at(self.sizes).value, self.owner)
