"""The least time of one sample by trying all orders and devices, for few operators."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import is_contiguous
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.schedule import Clock
from nnspec.placement.lines.line import SLACK
from nnspec.placement.problem import INFINITE, Problem

MOST_TO_EXHAUST = 7


class Exhaustive:
    """Depth-first search over which operator is next, and where.

    What cannot end before the best known schedule is left out: a device's time only
    grows, what is left takes its least time, and the longest way to the end remains.
    """

    def __init__(
        self,
        graph: WeightedGraph,
        cluster: Cluster,
        problem: Problem,
        tails: Sequence[float],
        contiguous: bool,
        known: float,
        most_steps: int,
    ) -> None:
        self.graph = graph
        self.problem = problem
        self.tails = tails
        self.contiguous = contiguous
        self.best = known
        self.found: tuple[list[int], list[int]] | None = None
        self.steps_left = most_steps
        self.alike = not (cluster.ports or cluster.uplinks or cluster.routes)
        self.seconds = [
            [operator.seconds_on(device) for operator in graph.operators]
            for device in cluster.devices
        ]
        self.least = [min(times) for times in zip(*self.seconds, strict=True)]
        self.before = [
            {graph.values[value].source for value in inputs} for inputs in graph.inputs
        ]
        self.devices = [-1] * problem.count
        self.held = [0.0] * len(cluster.devices)
        self.start = Clock(graph, cluster, [-1] * len(tails))

    def run(self) -> bool:
        """Tries everything; whether it got through within the steps it may take."""
        self._extend(self.start, [], frozenset())
        return self.steps_left > 0

    def _extend(self, clock: Clock, order: list[int], done: frozenset[int]) -> None:
        self.steps_left -= 1
        if self.steps_left <= 0:
            return
        if len(order) == len(self.tails):
            self._finish(clock, order)
            return
        for place in range(len(self.tails)):
            if place not in done and self.before[place] <= done:
                for device in self._candidates(place):
                    self._try(clock, [*order, place], done | {place}, device)

    def _finish(self, clock: Clock, order: list[int]) -> None:
        end = max((end for _, end in clock.spans), default=0.0)
        if self.contiguous and not is_contiguous(self.graph, clock.placed):
            return
        if end < self.best * (1 - SLACK):
            self.best = end
            self.found = (list(clock.placed), order)

    def _try(
        self, clock: Clock, order: list[int], done: frozenset[int], device: int
    ) -> None:
        place = order[-1]
        unit = self.problem.unit_of[place]
        first = self.devices[unit] < 0
        further = clock.copy()
        further.placed = [*clock.placed]
        further.placed[place] = device
        further.run(place, self.seconds[device][place])
        if not self._may_be_better(further, done):
            return
        if first:
            self.devices[unit] = device
            self.held[device] += self.problem.memory[unit]
        self._extend(further, order, done)
        if first:
            self.devices[unit] = -1
            self.held[device] -= self.problem.memory[unit]

    def _candidates(self, place: int) -> list[int]:
        unit = self.problem.unit_of[place]
        if self.devices[unit] >= 0:
            return [self.devices[unit]]
        used = set(self.devices)
        found: list[int] = []
        for members in self.problem.classes:
            empty = next((device for device in members if device not in used), None)
            able = (device for device in members if self._fits(unit, device))
            found += [d for d in able if not self.alike or d in used or d == empty]
        return found

    def _fits(self, unit: int, device: int) -> bool:
        kind = self.problem.kinds[device]
        if self.problem.seconds[kind][unit] == INFINITE:
            return False
        after = self.held[device] + self.problem.memory[unit]
        return after <= self.problem.usable[kind] * (1 + SLACK)

    def _may_be_better(self, clock: Clock, done: frozenset[int]) -> bool:
        limit = self.best * (1 - SLACK)
        left = 0.0
        for place, tail in enumerate(self.tails):
            if place in done:
                if clock.spans[place][1] >= limit:
                    return False
                continue
            left += self.least[place]
            ready = max(
                (clock.spans[each][1] for each in self.before[place] if each in done),
                default=0.0,
            )
            if ready + tail >= limit:
                return False
        return (sum(clock.free) + left) / len(clock.free) < limit
