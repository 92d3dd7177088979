"""What no division of a mesh with several stages on each rank takes less than.

What parts of a pipeline wait for does not depend on where the model is cut; only their
times do. So a step takes at least what stands on any path of parts that wait for each
other, and at least any mean of paths. Of a mean, which is a sum over stages, dynamic
programming finds the division for which it is least, and that is a bound of all.

Divisions that have no room do not count: what the fullest rank has in use joins the mean
(`nnspec.placement.mesh.rooms`), and as much as fits is taken off again.

Paths and divisions are found in turn, each the best answer to the mean of the others so
far (fictitious play: Brown, 1951; Robinson, 1951): the path on which the mean division
ends last, and the division that makes the mean path shortest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count, pairwise

from nnspec.placement.mesh.cost import MeshCost
from nnspec.placement.mesh.pipelines import Part
from nnspec.placement.mesh.rooms import Rooms
from nnspec.placement.mesh.seconds import Seconds
from nnspec.placement.mesh.sums import Share, least_sum
from nnspec.placement.mesh.timetable import StageTimes, Timetable
from nnspec.records import dataclass

ROUNDED = 1e-9
"""The share by which what is in use may be counted wrong."""

LeastSum = Callable[[Sequence[Share]], tuple[float, Sequence[int]]]
"""The least sum over stages, and where they start that have it, with the end of the last."""

Weights = dict[tuple[Part, int], float]
"""How often each part of each stage stands on a mean path."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A division, and what no division takes less than by the paths so far."""

    starts: Sequence[int]
    bound: float


class Paths:
    """The paths and divisions of one mesh, of what is a sum over operators."""

    def __init__(self, cost: MeshCost) -> None:
        self.cost = cost
        self.mesh = cost.mesh
        self.seconds = Seconds(cost)

    def play(
        self,
        starts: Sequence[int],
        usable: float,
        target: float,
        least_sum: LeastSum = least_sum,
    ) -> Iterator[Answer]:
        """Divisions with bounds, from a first division on, as many as are asked for.

        The bounds are of divisions that have room in `usable` bytes on each rank, and that
        `least_sum` looks at. `target`
        is about what they are to reach, in seconds: time counts in units of that and room
        in units of `usable`, and what is larger is looked at. What is found later counts
        for more: the n-th path and division n times.
        """
        times, ends = self._times(starts), self._synchronising(starts)
        rooms = Rooms(self.cost, usable)
        held = rooms.bytes(starts)
        parts: Weights = {}
        last = [0.0] * self.mesh.pipeline
        often = 0.0
        for turn in count(1):
            table = self._timetable(times)
            rank = _last_rank(table, ends)
            seconds = table.ends[rank] + ends[rank]
            if turn > 1 and rooms.fullest(held) / usable > seconds / target:
                rooms.add_fullest(held, turn)
            else:
                often += turn
                last[rank] += turn
                for key, number in table.path(rank).items():
                    parts[key] = parts.get(key, 0.0) + turn * number
            least, starts = least_sum(self._shares(parts, last, rooms, target))
            left = least - rooms.whole * (1 + ROUNDED)
            yield Answer(starts, target * left / often)
            share = 2 / (turn + 2)
            times = _nearer(times, self._times(starts), share)
            (ends,) = _nearer([ends], [self._synchronising(starts)], share)
            held = _nearer(held, rooms.bytes(starts), share)

    # ---- the path that takes longest -----------------------------------------------------

    def _timetable(self, times: Sequence[Sequence[float]]) -> Timetable:
        stages = [StageTimes(*row) for row in times]
        return Timetable(self.cost.orders, stages, self.mesh.microbatches)

    def _times(self, starts: Sequence[int]) -> list[list[float]]:
        """For each stage the seconds of F, B, I and W."""
        found: list[list[float]] = []
        for stage, (first, last) in enumerate(pairwise(starts)):
            moving = self.seconds.sent(stage, first) + self.seconds.sent(
                stage + 1, last
            )
            forward, backward, inputs, weights = (
                upto[last] - upto[first] for upto in self.seconds.upto
            )
            backward += moving
            halves = (inputs + moving, weights) if stage else (0.0, backward)
            found.append([forward + moving, backward, *halves])
        return found

    def _synchronising(self, starts: Sequence[int]) -> list[float]:
        """For each rank the seconds behind its last part."""
        found = [0.0] * self.mesh.pipeline
        for rank, (first, last) in zip(self.cost.ranks, pairwise(starts), strict=True):
            found[rank] += self.seconds.ends[last] - self.seconds.ends[first]
        return found

    # ---- the division for which a mean path is shortest ----------------------------------

    def _shares(
        self, parts: Weights, last: Sequence[float], rooms: Rooms, target: float
    ) -> list[Share]:
        """What each stage has of all paths and moments, in units of `target` and of room."""
        found = rooms.shares()
        for stage, share in enumerate(found):
            own = self._weighed(stage, parts, last)
            found[stage] = Share(
                *(
                    [a + b / target for a, b in zip(room, time, strict=True)]
                    for room, time in (
                        (share.upto, own.upto),
                        (share.first, own.first),
                        (share.last, own.last),
                    )
                )
            )
        return found

    def _weighed(self, stage: int, parts: Weights, last: Sequence[float]) -> Share:
        """What a stage has of the paths."""
        forward, back, inputs, weights = (
            parts.get((part, stage), 0.0) for part in ("F", "B", "I", "W")
        )
        if not stage:  # all of its backward pass is its last half
            back, inputs, weights = back + weights, 0.0, 0.0
        factors = forward, back, inputs, weights
        ends = last[self.cost.ranks[stage]]
        upto = [
            sum(factor * each for factor, each in zip(factors, row, strict=True))
            + ends * end
            for *row, end in zip(*self.seconds.upto, self.seconds.ends, strict=True)
        ]
        moving = forward + back + inputs
        places = range(self.cost.chain.count + 1)
        return Share(
            upto,
            [moving * self.seconds.sent(stage, place) for place in places],
            [moving * self.seconds.sent(stage + 1, place) for place in places],
        )


def _last_rank(table: Timetable, ends: Sequence[float]) -> int:
    """The rank that is done last, with what is behind its last part."""
    whole = [a + b for a, b in zip(table.ends, ends, strict=True)]
    return max(range(len(whole)), key=whole.__getitem__)


def _nearer(
    rows: Sequence[Sequence[float]], others: Sequence[Sequence[float]], share: float
) -> list[list[float]]:
    """Rows of a mean, of which others are so large a share now."""
    return [
        [a + share * (b - a) for a, b in zip(one, other, strict=True)]
        for one, other in zip(rows, others, strict=True)
    ]
