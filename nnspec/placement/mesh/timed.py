"""What the stages of one mesh have in use, and for how long they keep their rank busy in a step.

The programs that look for divisions then make the busiest rank small, among the divisions
that have room. A step takes no less than the seconds of any rank: until its first
part can start, of all its parts, and of its synchronisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from nnspec.placement.mesh.cost import ROUNDED, MeshCost
from nnspec.placement.mesh.pipelines import HALVES
from nnspec.placement.mesh.seconds import Seconds
from nnspec.placement.mesh.uses import Amounts, Use, Uses


class TimedUses(Uses):
    """The bytes of stages on ranks with `usable` bytes, and as last amount and use their seconds."""

    def __init__(self, cost: MeshCost, usable: float) -> None:
        super().__init__(cost)
        self.usable = usable
        self.halves = cost.mesh.schedule in HALVES

    def nothing(self, rank: int, ahead: int = 0) -> Use:
        """Behind the bytes the seconds before its first part: each stage ahead has an operator."""
        seconds = self.chain.forward.upto[max(rank, ahead)]
        return (*super().nothing(rank), seconds)

    def _amounts_of(self, stage: int, first: int, last: int) -> Amounts:
        turns, times = self.cost.mesh.microbatches, self.cost.times(stage, first, last)
        seconds = turns * times.load(self.halves) + self.cost.synchronising(first, last)
        return (*super()._amounts_of(stage, first, last), seconds)

    def at_moments(self, stage: int, amounts: Amounts) -> Use:
        """What is in use of them, and the seconds."""
        return (*super().at_moments(stage, amounts[:-1]), amounts[-1])

    # ---- what is to be small -------------------------------------------------------------

    def measure(self, use: Use) -> float:
        """The seconds for which a rank is busy."""
        return use[-1]

    def limits(self, rank: int, most: float) -> Use:
        """What there is to use at each moment, and `most` seconds."""
        enough = self.usable * (1 + ROUNDED)
        return (*(enough for _ in super().nothing(rank)), most)

    # ---- bounds --------------------------------------------------------------------------

    def is_too_much(self, first: int, last: int, most: float) -> bool:
        """Whether no rank with these operators has room for them and is done before `most` seconds."""
        if super().is_too_much(first, last, self.usable * (1 + ROUNDED)):
            return True
        return self._busy[last] - self._busy[first] >= most

    def _grown_amounts(self, first: int, last: int) -> Amounts:
        busy = self._busy[last] - self._busy[first]
        return (*super()._grown_amounts(first, last), busy)

    @cached_property
    def sums(self) -> list[Sequence[float]]:
        """Of the first n operators, for each n, what lies there at least, what is kept, and their seconds."""
        return [self.cost.lying_upto, self.chain.kept.upto, self._busy]

    def have_room(self, rank: int, left: Sequence[float], most: float) -> bool:
        """Whether the ranks from this one on may have room for so much, and be done before `most` seconds."""
        *room, seconds = left
        ranks = self.cost.mesh.pipeline - rank
        if seconds > most * ranks * (1 + ROUNDED):
            return False
        return super().have_room(rank, room, self.usable)

    @cached_property
    def _busy(self) -> list[float]:
        """The seconds of the first n operators, for each n, whatever stage they are in: at least so many."""
        found = [0.0]
        for ahead, back, inputs, weights, end in self._seconds_alone:
            # The first stage has no halves.
            least = min(back, inputs + weights) if self.halves else back
            found.append(found[-1] + ahead + least + end)
        return found

    # ---- operators that are alike --------------------------------------------------------

    def _is_alike(self, first: int, place: int) -> bool:
        """Whether each part of an operator takes as long as well, up to what sums are rounded by."""
        pairs = zip(self._seconds_alone[first], self._seconds_alone[place], strict=True)
        noise = self._busy[-1] * ROUNDED / self.count
        return super()._is_alike(first, place) and all(
            abs(one - other) <= noise for one, other in pairs
        )

    @cached_property
    def _seconds_alone(self) -> list[tuple[float, ...]]:
        """The seconds of each operator in a step: of F, B, I and W, and behind the last part."""
        seconds, turns = Seconds(self.cost), self.cost.mesh.microbatches
        found: list[tuple[float, ...]] = []
        for this, behind in pairwise(range(self.count + 1)):
            parts = [turns * (upto[behind] - upto[this]) for upto in seconds.upto]
            found.append((*parts, seconds.ends[behind] - seconds.ends[this]))
        return found
