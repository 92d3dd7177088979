"""Weighed sums over stages, of the divisions alone that have room and keep no rank busy for too long.

Means of paths (`nnspec.placement.mesh.paths`) are such sums. Where memory leaves few divisions,
they say much more of those than of all.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.placement.mesh.cost import MeshCost
from nnspec.placement.mesh.sums import Share
from nnspec.placement.mesh.timed import TimedUses
from nnspec.placement.mesh.uses import Use


class WeighedUses(TimedUses):
    """The bytes and seconds of stages, and as last use what they have of a sum.

    Ranks have `usable` bytes and less than `seconds`; `shares` are those of the stages.
    """

    def __init__(self, cost: MeshCost, usable: float, seconds: float) -> None:
        super().__init__(cost, usable)
        self.seconds = seconds
        self.shares: Sequence[Share] = ()

    def nothing(self, rank: int, ahead: int = 0) -> Use:
        """Behind bytes and seconds what there is of the sum: nothing."""
        return (*super().nothing(rank, ahead), 0.0)

    def use(self, stage: int, first: int, last: int) -> Use:
        """What a stage has in use, its seconds, and its share."""
        share = self.shares[stage].of(first, last)
        return (*super().use(stage, first, last), share)

    def grown_at_moments(self, stage: int, first: int, last: int) -> Use:
        """What is in use at least; of the sum nothing."""
        return (*super().grown_at_moments(stage, first, last), 0.0)

    def together(self, one: float, other: float) -> float:
        """The sum."""
        return one + other

    def limits(self, rank: int, most: float) -> Use:
        """What there is to use, the seconds, and of the sum `most`."""
        return (*super().limits(rank, self.seconds), most)

    def have_room(self, rank: int, left: Sequence[float], most: float) -> bool:
        """Whether the ranks from this one on may have room and time for so much."""
        return super().have_room(rank, left, self.seconds)
