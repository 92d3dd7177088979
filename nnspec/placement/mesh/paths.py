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

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import count, pairwise

from nnspec.placement.mesh.cost import MeshCost
from nnspec.placement.mesh.pipelines import Part
from nnspec.placement.mesh.rooms import Rooms
from nnspec.placement.mesh.sums import Share, least_sum
from nnspec.placement.mesh.timetable import StageTimes, Timetable
from nnspec.records import dataclass

ROUNDED = 1e-9
"""The share by which what is in use may be counted wrong."""

Weights = dict[tuple[Part, int], float]
"""How often each part of each stage stands on a mean path."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A division, and what no division takes less than by the paths so far."""

    starts: tuple[int, ...]
    bound: float


class Paths:
    """The paths and divisions of one mesh.

    What is not a sum over operators (latencies of collectives, weights that stages share)
    is left out, which makes bounds lower, never higher.
    """

    def __init__(self, cost: MeshCost) -> None:
        self.cost = cost
        self.mesh = cost.mesh
        self.free = cost.without_latency()

    def play(
        self, starts: Sequence[int], usable: float, target: float
    ) -> Iterator[Answer]:
        """Divisions with bounds, from a first division on, as many as are asked for.

        The bounds are of divisions that have room in `usable` bytes on each rank. `target`
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
            moving = self._sent(stage, first) + self._sent(stage + 1, last)
            forward, backward, inputs, weights = (
                upto[last] - upto[first] for upto in self._upto
            )
            backward += moving
            halves = (inputs + moving, weights) if stage else (0.0, backward)
            found.append([forward + moving, backward, *halves])
        return found

    def _synchronising(self, starts: Sequence[int]) -> list[float]:
        """For each rank the seconds behind its last part."""
        found = [0.0] * self.mesh.pipeline
        for rank, (first, last) in zip(self.cost.ranks, pairwise(starts), strict=True):
            found[rank] += self._ends[last] - self._ends[first]
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
            for *row, end in zip(*self._upto, self._ends, strict=True)
        ]
        moving = forward + back + inputs
        places = range(self.cost.chain.count + 1)
        return Share(
            upto,
            [moving * self._sent(stage, place) for place in places],
            [moving * self._sent(stage + 1, place) for place in places],
        )

    # ---- sums over operators -------------------------------------------------------------

    @cached_property
    def _upto(self) -> tuple[list[float], ...]:
        """The seconds of F, B, I and W of the first n operators, for each n."""
        chain = self.cost.chain
        passed = [self._passed(n) for n in range(chain.count + 1)]
        gathered = [gathering for gathering, _ in passed]
        both = [gathering + scattering for gathering, scattering in passed]
        scattered = [scattering for _, scattering in passed]
        pairs = (
            (chain.forward, gathered),
            (chain.backward, both),
            (chain.inputs, gathered),
            (chain.weight_gradients, scattered),
        )
        return tuple(
            [a + b for a, b in zip(sums.upto, more, strict=True)]
            for sums, more in pairs
        )

    def _passed(self, operators: int) -> tuple[float, float]:
        """The seconds for sharded weights and gradients of the first operators."""
        chain, data, level = self.cost.chain, self.free.data, self.free.level
        devices = self.mesh.data
        weights = data.gather(chain.weights.upto[operators], devices)
        gradients = data.gather(chain.gradients.upto[operators], devices)
        return (weights if level >= 3 else 0.0, gradients if level >= 2 else 0.0)

    @cached_property
    def _ends(self) -> list[float]:
        """The seconds behind the last part for the first n operators, for each n."""
        chain, data, level = self.cost.chain, self.free.data, self.free.level
        devices, cost = self.mesh.data, self.cost
        share = devices if level else 1
        found: list[float] = []
        for weights, gradients, updates in zip(
            chain.weights.upto, chain.gradients.upto, chain.updates.upto, strict=True
        ):
            seconds = updates / share / cost.bandwidth
            if level < 2:
                seconds += data.gather(gradients, devices)
            if level < 3:
                seconds += data.gather(weights if level else gradients, devices)
            found.append(seconds)
        return found

    def _sent(self, border: int, cut: int) -> float:
        """The seconds of what goes from rank to rank in front of a stage."""
        if not self.cost.moves(border):
            return 0.0
        return self._sends[cut]

    @cached_property
    def _sends(self) -> list[float]:
        return [self.cost.line.send(cut) for cut in self.cost.chain.cuts]


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
