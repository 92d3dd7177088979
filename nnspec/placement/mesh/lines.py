"""Divisions of meshes with one stage on each rank, by bounds of their stages.

What a step takes at least because of one stage depends on where that stage starts and ends
alone: what runs before its first part and behind its last, its parts, and what it waits for
between. So dynamic programming finds the division with the least bound, and all divisions
whose bounds are below a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf

from nnspec.placement.mesh.cost import MeshCost
from nnspec.placement.mesh.pipelines import HALVES, flight
from nnspec.placement.mesh.timetable import StageTimes


class Lines:
    """Divisions into a line of stages, one on each rank."""

    def __init__(self, cost: MeshCost, usable: float) -> None:
        self.cost = cost
        self.usable = usable
        self.mesh = cost.mesh
        self.chain = cost.chain
        self.halves = cost.mesh.schedule in HALVES
        self.flights = tuple(
            flight(self.mesh.schedule, rank, self.mesh.pipeline, self.mesh.microbatches)
            for rank in range(self.mesh.pipeline)
        )

    def best(self, most: float) -> tuple[float, Sequence[int] | None]:
        """The least bound below `most`, and where its stages start; (most, None) if none is.

        Exact, by dynamic programming over the first operators and stages.
        """
        found = self._through(most)
        return (most, None) if found is None else found

    def every(self, most: Callable[[], float]) -> Iterator[tuple[int, ...]]:
        """All divisions whose bound is below what `most` gives at that time."""
        ends: dict[tuple[int, int], list[tuple[float, int]]] = {}
        limit = most()
        for stage in reversed(range(self.cost.stages)):
            for first in range(stage, self.chain.count) if stage else (0,):
                found = list(self._going_on(stage, first, limit, ends))
                if found:
                    ends[stage, first] = found
        yield from self._along(ends, (0,), most)

    def _going_on(
        self,
        stage: int,
        first: int,
        limit: float,
        ends: Mapping[tuple[int, int], list[tuple[float, int]]],
    ) -> Iterator[tuple[float, int]]:
        """The bounds and ends of a stage behind which all others have room."""
        for last in self._ends(stage, first):
            value = self.seconds(stage, first, last, limit)
            if value is None:
                return
            is_last = stage + 1 == self.cost.stages
            if value < limit and (is_last or (stage + 1, last) in ends):
                yield value, last

    def _along(
        self,
        ends: Mapping[tuple[int, int], list[tuple[float, int]]],
        starts: tuple[int, ...],
        most: Callable[[], float],
    ) -> Iterator[tuple[int, ...]]:
        if len(starts) > self.cost.stages:
            yield starts
            return
        for value, last in ends.get((len(starts) - 1, starts[-1]), ()):
            if value < most():
                yield from self._along(ends, (*starts, last), most)

    def _through(self, most: float) -> tuple[float, Sequence[int]] | None:
        count, stages = self.chain.count, self.cost.stages
        best: dict[int, float] = {0: 0.0}
        cuts: list[dict[int, int]] = []
        for stage in range(stages):
            reached: dict[int, float] = {}
            came: dict[int, int] = {}
            for first, before in best.items():
                for last in self._ends(stage, first):
                    value = self.seconds(stage, first, last, most)
                    if value is None:
                        break
                    value = max(value, before)
                    if value < reached.get(last, most):
                        reached[last], came[last] = value, first
            best = reached
            cuts.append(came)
        if count not in best:
            return None
        starts = [count]
        for came in reversed(cuts):
            starts.append(came[starts[-1]])
        return best[count], starts[::-1]

    def _ends(self, stage: int, first: int) -> Iterable[int]:
        count, left = self.chain.count, self.cost.stages - stage - 1
        return (count,) if not left else range(first + 1, count - left + 1)

    # ---- measures of a stage -------------------------------------------------------------

    def _room(self, stage: int, first: int, last: int) -> float:
        kept = self.chain.kept.between(first, last) + self.chain.cuts[first]
        return self.cost.lying(stage, first, last) + self.flights[stage] * kept

    def seconds(self, stage: int, first: int, last: int, most: float) -> float | None:
        """What a step takes at least because of a stage; None if more operators take too long."""
        chain, turns = self.chain, self.mesh.microbatches
        load = chain.forward.between(first, last) + chain.backward.between(first, last)
        if turns * load >= most:
            return None
        if self._room(stage, first, last) > self.usable:
            return inf
        return self._bound(stage, first, last)

    def _bound(self, stage: int, first: int, last: int) -> float:
        """The parts of the stage, what runs before and behind them, and what it waits for between."""
        times, turns = self.cost.times(stage, first, last), self.mesh.microbatches
        synchronising = self.cost.synchronising(first, last)
        waiting = self._waiting(stage, last, times)
        found = self.chain.forward.upto[first] + turns * times.load(self.halves)
        behind = 0.0 if self.halves else self.chain.backward.upto[first]
        return found + waiting + max(behind, synchronising)

    def _waiting(self, stage: int, last: int, times: StageTimes) -> float:
        """Between its first part and its last: for what runs in later stages.

        A micro-batch goes through all of them and back. Meanwhile the stage has parts of
        others to run: forward before its first goes back, backward behind its last that
        goes forward.
        """
        chain, turns = self.chain, self.mesh.microbatches
        back = chain.inputs if self.halves else chain.backward
        later = chain.forward.whole - chain.forward.upto[last]
        later += back.whole - back.upto[last]
        if self.mesh.schedule == "GPipe":
            return (
                later  # each phase flows through all stages, at the pace of the slowest
            )
        ahead = min(turns, self.mesh.pipeline - stage)
        starting = max(0.0, later - (ahead - 1) * times.forward)
        if self.halves:
            return starting
        ending = max(0.0, later - (ahead - 1) * times.backward)
        return starting + ending if turns > ahead else max(starting, ending)
