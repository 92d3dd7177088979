"""How loops may be divided into turns by themselves and turns that are alike."""

from __future__ import annotations

from nnspec.analysis.generic.courses import Guess
from nnspec.ir.dims import Dim
from nnspec.records import dataclass

PLANS = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0))
"""How many turns at the start and at the end may be unlike the others, as they are tried."""

PERIODS = {1: PLANS, 2: ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1))}
"""After how many turns a loop may do the same again, each with the plans for it."""

TURN, ROUND = "turn@", "round@"
"""Symbols of the number of a turn, and of several that are taken as one, begin so."""


@dataclass(frozen=True)
class Plan:
    """How a loop is divided: turns at the start and at the end by themselves, and rounds of `period` turns between.

    Rounds are counted from 0, and turns as they are.
    """

    first: int
    last: int
    period: int
    guess: Guess

    @property
    def begin(self) -> int:
        """The number of the first round."""
        return self.first if self.period == 1 else 0

    def rounds(self, turns: int) -> int | None:
        """How many rounds so many turns have; None where it does not come out even, or there is none."""
        count, rest = divmod(turns - self.first - self.last, self.period)
        return None if rest or count < 1 else count

    def end(self, count: Dim) -> Dim:
        """The number behind the last round, of a loop of so many turns."""
        if self.period == 1:
            return count - self.last
        return (count - self.first - self.last) // self.period

    def number(self, number: Dim, place: int) -> Dim:
        """The number of a turn, by that of its round and its place in this."""
        return self.period * (number - self.begin) + self.first + place


@dataclass(frozen=True)
class Repetition:
    """A loop of `count` turns whose turns, but the `first` and `last` ones, do the same after every `period` of them.

    `loop` is its key.
    """

    first: int
    last: int
    count: Dim
    period: int
    loop: str
