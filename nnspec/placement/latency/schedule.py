"""Times of one sample, when devices take up their operators in a given order.

Each device does one thing at a time, in the order of the sequence. Before an operator
runs, its device receives the values that it lacks, in the order of the values; each is
sent when it is first needed so, unless that has happened, crosses the links on the way,
and is received. What takes no time waits for nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from math import inf

from nnspec.placement.clusters.cluster import Cluster, Link
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.problem import Problem
from nnspec.records import dataclass

Span = tuple[float, float]


@dataclass(slots=True)
class Schedule:
    """When operators run and values move, in seconds, and what memory that takes.

    `received` says from when to when a value (by its place) comes to a device (by its
    place); `memory` gives for each device its use over time, `critical` a chain of
    operators and transfers without a pause that ends last.
    """

    spans: list[Span]
    sent: dict[int, Span]
    received: dict[tuple[int, int], Span]
    memory: list[list[tuple[float, float]]] = field(
        default_factory=list[list[tuple[float, float]]]
    )
    critical: tuple[str, ...] = ()

    @property
    def makespan(self) -> float:
        """The end of the last operator."""
        return max((end for _, end in self.spans), default=0.0)

    @property
    def peaks(self) -> list[float]:
        """The most memory in use on each device."""
        return [max(amount for _, amount in steps) for steps in self.memory]


class Clock:
    """What is free when, while operators are put behind each other."""

    def __init__(
        self, graph: WeightedGraph, cluster: Cluster, placed: Sequence[int]
    ) -> None:
        self.graph = graph
        self.cluster = cluster
        self.placed = placed
        self.free = [0.0] * len(cluster.devices)
        self.links: dict[str, float] = {}
        self.spans: list[Span] = [(0.0, 0.0)] * len(graph.operators)
        self.sent: dict[int, Span] = {}
        self.crossed: dict[tuple[int, str], Span] = {}
        self.received: dict[tuple[int, int], Span] = {}

    def copy(self) -> Clock:
        """Another clock that stands where this one does."""
        other = Clock.__new__(Clock)
        other.graph, other.cluster = self.graph, self.cluster
        other.placed = self.placed
        other.free = list(self.free)
        other.links = dict(self.links)
        other.spans = list(self.spans)
        other.sent = dict(self.sent)
        other.crossed = dict(self.crossed)
        other.received = dict(self.received)
        return other

    def run(self, place: int, seconds: float) -> None:
        """Puts an operator behind all that its device has done so far."""
        device = self.placed[place]
        ready = 0.0
        for value in self.graph.inputs[place]:
            ready = max(ready, self.arrival(value, device))
        start = max(ready, self.free[device])
        self.spans[place] = (start, start + seconds)
        self.free[device] = start + seconds

    def arrival(self, value: int, device: int) -> float:
        """When a value is on a device; brings it there if it must."""
        source = self.graph.values[value].source
        if self.placed[source] == device:
            return self.spans[source][1]
        if (value, device) not in self.received:
            self.received[value, device] = self._receive(value, device)
        return self.received[value, device][1]

    def _receive(self, value: int, device: int) -> Span:
        moved = self.graph.values[value]
        source = self.placed[moved.source]
        span = self._send(value)
        for link in self.cluster.between(source, device):
            span = self._cross(value, link, span)
        seconds = self.cluster.port_seconds(device, moved)
        return self._through_port(device, seconds, span)

    def _send(self, value: int) -> Span:
        if value not in self.sent:
            moved = self.graph.values[value]
            source = self.placed[moved.source]
            end = self.spans[moved.source][1]
            seconds = self.cluster.port_seconds(source, moved)
            self.sent[value] = self._through_port(source, seconds, (end, end))
        return self.sent[value]

    def _cross(self, value: int, link: Link, before: Span) -> Span:
        key = (value, link.name)
        if key not in self.crossed:
            seconds = link.kind.seconds(self.graph.values[value])
            span = self._behind(before, seconds, self.links.get(link.name, 0.0))
            self.links[link.name] = span[1]
            self.crossed[key] = span
        return self.crossed[key]

    def _through_port(self, device: int, seconds: float, before: Span) -> Span:
        if not seconds:
            return (before[1], before[1])
        shared = self.cluster.ports.get(self.cluster.devices[device].name)
        busy = self.links.get(shared.name, 0.0) if shared else 0.0
        span = self._behind(before, seconds, max(busy, self.free[device]))
        self.free[device] = span[1]
        if shared:
            self.links[shared.name] = span[1]
        return span

    def _behind(self, before: Span, seconds: float, free: float) -> Span:
        """Starts when all is free and the step before has ended or, where values are
        cut through, started; never ends before it.
        """
        start = max(before[0] if self.cluster.cut_through else before[1], free)
        return start, max(start + seconds, before[1])


def scheduled(
    graph: WeightedGraph,
    cluster: Cluster,
    placed: Sequence[int],
    order: Sequence[int],
) -> Schedule:
    """The times of an assignment when operators are taken up in an order.

    `order` holds every operator behind those that it reads.
    """
    clock = Clock(graph, cluster, placed)
    seconds = seconds_of(graph, cluster, placed)
    for place in order:
        clock.run(place, seconds[place])
    found = Schedule(clock.spans, clock.sent, clock.received)
    found.memory = _memory(graph, cluster, placed, found)
    found.critical = _critical(graph, cluster, placed, found)
    return found


def seconds_of(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int]
) -> list[float]:
    """The time of each operator where it is."""
    return [
        operator.seconds_on(cluster.devices[device])
        for operator, device in zip(graph.operators, placed, strict=True)
    ]


def seconds_by_class(
    graph: WeightedGraph, cluster: Cluster, problem: Problem
) -> list[list[float]]:
    """The time of each operator on each class of devices, infinite where its unit cannot be."""
    devices = [cluster.devices[members[0]] for members in problem.classes]
    return [
        [
            operator.seconds_on(device) if problem.seconds[kind][unit] < inf else inf
            for kind, device in enumerate(devices)
        ]
        for operator, unit in zip(graph.operators, problem.unit_of, strict=True)
    ]


def _memory(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int], run: Schedule
) -> list[list[tuple[float, float]]]:
    """Steps of use over time: what operators hold, and values from their making, or
    receiving, to the end of their last use there.
    """
    always = [0.0] * len(cluster.devices)
    for operator, device in zip(graph.operators, placed, strict=True):
        always[device] += operator.memory
    changes: list[list[tuple[float, float]]] = [[] for _ in cluster.devices]
    for place, value in enumerate(graph.values):
        if value.held:
            for device, (start, end) in _lives(graph, placed, run, place).items():
                changes[device] += [(start, value.held), (end, -value.held)]
    return [_steps(first, each) for first, each in zip(always, changes, strict=True)]


def _lives(
    graph: WeightedGraph, placed: Sequence[int], run: Schedule, place: int
) -> dict[int, Span]:
    value = graph.values[place]
    home = placed[value.source]
    sent = run.sent.get(place, run.spans[value.source])
    lives = {
        home: (run.spans[value.source][0], max(sent[1], run.spans[value.source][1]))
    }
    for target in value.targets:
        device = placed[target]
        start, end = lives.get(device, run.received.get((place, device), (0.0, 0.0)))
        lives[device] = (start, max(end, run.spans[target][1]))
    return lives


def _steps(
    first: float, changes: Sequence[tuple[float, float]]
) -> list[tuple[float, float]]:
    steps = [(0.0, first)]
    # What ends makes room before what begins at the same moment.
    for moment, change in sorted(changes):
        last, amount = steps[-1]
        if moment == last:
            steps[-1] = (moment, amount + change)
        else:
            steps.append((moment, amount + change))
    return steps


def _critical(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int], run: Schedule
) -> tuple[str, ...]:
    """The devices of the operators that end last, from back to front, each named once."""
    if not run.spans:
        return ()
    place = max(range(len(run.spans)), key=lambda each: (run.spans[each][1], -each))
    name = cluster.devices[placed[place]].name
    return (f"the path to `{graph.operators[place].name}` on {name}",)
