"""List scheduling: operators by rank, each to the device that ends it first.

Heterogeneous earliest finish time (Topcuoglu, Hariri and Wu, 2002), with the memory of
devices and groups of operators respected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from heapq import heapify, heappop, heappush

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.schedule import Clock
from nnspec.placement.lines.line import SLACK
from nnspec.placement.problem import INFINITE, Problem

Moving = Callable[[int, int], float]
"""The time from the end of an operator until another one has its value."""


def ranks(
    graph: WeightedGraph, seconds: Sequence[float], moving: Moving
) -> list[float]:
    """For each operator the longest way from its start to the end of the graph."""
    found = [0.0] * len(graph.operators)
    for place in reversed(graph.order):
        later = (
            moving(place, other) + found[other] for other in graph.successors[place]
        )
        found[place] = seconds[place] + max(later, default=0.0)
    return found


def by_rank(graph: WeightedGraph, rank: Sequence[float]) -> list[int]:
    """The operators such that of those that could be next, the highest rank is."""
    waiting = [0] * len(graph.operators)
    for targets in graph.successors:
        for target in targets:
            waiting[target] += 1
    free = [(-rank[place], place) for place, count in enumerate(waiting) if not count]
    heapify(free)
    order: list[int] = []
    while free:
        _, place = heappop(free)
        order.append(place)
        for target in graph.successors[place]:
            waiting[target] -= 1
            if not waiting[target]:
                heappush(free, (-rank[target], target))
    return order


def mean_ranks(graph: WeightedGraph, cluster: Cluster, problem: Problem) -> list[float]:
    """The ranks with each operator's mean time, and the mean time of transfers."""
    kinds = [cluster.devices[members[0]] for members in problem.classes]
    counts = [len(members) for members in problem.classes]
    seconds: list[float] = []
    for operator in graph.operators:
        pairs = [
            (operator.seconds_on(kind), count)
            for kind, count in zip(kinds, counts, strict=True)
        ]
        able = [(time, count) for time, count in pairs if time < INFINITE]
        total = sum(count for _, count in able)
        seconds.append(sum(time * count for time, count in able) / total)
    largest = [0.0] * len(graph.operators)
    for value in graph.values:
        ports = [cluster.port_seconds(members[0], value) for members in problem.classes]
        largest[value.source] = max(largest[value.source], *ports)
    return ranks(graph, seconds, lambda source, _: largest[source])


class Lister:
    """Places operators one after the other; groups stay where their first one went."""

    def __init__(
        self, graph: WeightedGraph, cluster: Cluster, problem: Problem
    ) -> None:
        self.problem = problem
        self.clock = Clock(graph, cluster, [-1] * len(graph.operators))
        self.placed = [-1] * len(graph.operators)
        self.clock.placed = self.placed
        self.devices = [-1] * problem.count
        self.held = [0.0] * len(cluster.devices)

    def copy(self) -> Lister:
        """Another one that stands where this one does."""
        other = Lister.__new__(Lister)
        other.problem = self.problem
        other.clock = self.clock.copy()
        other.placed = other.clock.placed = list(self.placed)
        other.devices = list(self.devices)
        other.held = list(self.held)
        return other

    def run(self, order: Sequence[int]) -> list[int] | None:
        """The device of each operator; None where one fits nowhere any more."""
        for place in order:
            device = self._choose(place)
            if device is None:
                return None
            self.put(place, device)
        return self.placed

    def _choose(self, place: int) -> int | None:
        unit = self.problem.unit_of[place]
        if self.devices[unit] >= 0:
            return self.devices[unit]
        ends = [
            (self._end(place, device), device)
            for device in self._candidates(place, unit)
        ]
        return min(ends)[1] if ends else None

    def _candidates(self, place: int, unit: int) -> list[int]:
        """Where inputs are, and of each class the device that is free first."""
        graph = self.clock.graph
        near = {self.placed[graph.values[v].source] for v in graph.inputs[place]}
        found = {device for device in near if self.fits(unit, device)}
        for kind, members in enumerate(self.problem.classes):
            able = self.able(unit, kind, members)
            if able:
                found.add(min(able, key=self.clock.free.__getitem__))
        return sorted(found)

    def fits(self, unit: int, device: int) -> bool:
        """Whether a device can run a unit and has memory left for it."""
        kind = self.problem.kinds[device]
        if self.problem.seconds[kind][unit] == INFINITE:
            return False
        after = self.held[device] + self.problem.memory[unit]
        return after <= self.problem.usable[kind] * (1 + SLACK)

    def able(self, unit: int, kind: int, members: Sequence[int]) -> list[int]:
        """The devices of a class that can run a unit and have memory left for it."""
        if self.problem.seconds[kind][unit] == INFINITE:
            return []
        held, more = self.held, self.problem.memory[unit]
        most = self.problem.usable[kind] * (1 + SLACK)
        return [device for device in members if held[device] + more <= most]

    def _end(self, place: int, device: int) -> float:
        """When the operator would end there, if others sent its inputs at once."""
        clock = self.clock
        free = clock.free[device]
        for value in clock.graph.inputs[place]:
            moved = clock.graph.values[value]
            source = self.placed[moved.source]
            if source == device or (value, device) in clock.received:
                free = max(free, clock.arrival(value, device))
                continue
            sent = clock.sent.get(value)
            end = clock.spans[moved.source][1]
            if sent is None:
                seconds = clock.cluster.port_seconds(source, moved)
                sent = (
                    end,
                    (max(end, clock.free[source]) if seconds else end) + seconds,
                )
            free = max(free, sent[1]) + clock.cluster.port_seconds(device, moved)
        return free + self._seconds(place, device)

    def _seconds(self, place: int, device: int) -> float:
        operator = self.clock.graph.operators[place]
        return operator.seconds_on(self.clock.cluster.devices[device])

    def put(self, place: int, device: int) -> None:
        """Runs the next operator on a device."""
        unit = self.problem.unit_of[place]
        if self.devices[unit] < 0:
            self.devices[unit] = device
            self.held[device] += self.problem.memory[unit]
        self.placed[place] = device
        self.clock.run(place, self._seconds(place, device))
