"""A time that no sample takes less than, with the transfers that full memories force.

The longest way through a graph says nothing of memory: all of it could lie on one
device. Here operators are taken up along an order, and every way to divide them between
devices is kept, as a label of what later operators can see of it. A *part* is what one
device holds of the frontier and what led there; it is no larger than the device.
Between parts values move. What is left out makes the bound lower, never higher: a
device that is used again later begins as a new part, and links take no time.

A label has the longest way to each operator, transfers included. But a device does one
thing at a time: where all ways meet (a *joint*), each part must also have done all its
work since the joint before.

Labels that are worse than another in everything are dropped (dynamic programming with
dominance, as for shortest paths with resources: Desrochers and Soumis, 1988). Where too
many are left, several are joined to one that is no worse than any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from math import inf
from operator import le
from typing import NamedTuple

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.frontier import Step, steps_of
from nnspec.placement.latency.orders import line_orders
from nnspec.placement.latency.schedule import seconds_by_class
from nnspec.placement.lines.line import SLACK
from nnspec.placement.problem import INFINITE, Problem

MOST_ALIKE = 256
"""So many labels that differ in numbers only are kept apart."""
MOST_LABELS = 4000
"""More than so many are no longer followed."""
SENDER = -1
"""Stands for the sender of a value where other numbers stand for parts."""


class Part(NamedTuple):
    """What a device holds: its class, bytes, and its work since the last joint.

    The work takes `work` seconds and cannot begin before `release`.
    """

    kind: int
    memory: float
    release: float = inf
    work: float = 0.0

    @property
    def end(self) -> float:
        """A time before which the work is not done."""
        return self.release + self.work if self.work else 0.0

    def busy(self, release: float, seconds: float) -> Part:
        """The part with more to do, which can begin at `release`."""
        return self._replace(
            release=min(self.release, release), work=self.work + seconds
        )


class Label(NamedTuple):
    """What later operators can see of a division.

    `ends` and `homes` are those of the frontier: the homes are numbers of parts, or
    `~kind` for a class whose devices count as one. `moved` are values with the part
    that has received them, or SENDER; `done` is the end of the parts that nothing sees
    any more, `latest` that of such operators.
    """

    ends: tuple[float, ...] = ()
    homes: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
    moved: frozenset[tuple[int, int]] = frozenset()
    done: float = 0.0
    latest: float = 0.0

    @property
    def key(self) -> object:
        """What labels must have in common to be compared."""
        return self.homes, tuple(part.kind for part in self.parts), self.moved

    @property
    def numbers(self) -> tuple[float, ...]:
        """What is to be small."""
        found = [*self.ends, self.done, self.latest]
        for part in self.parts:
            found += (part.memory, part.release + part.work, part.work)
        return tuple(found)


def forced_bound(
    graph: WeightedGraph,
    cluster: Cluster,
    problem: Problem,
    limit: float = inf,
    most: int = 1_000_000,
) -> float:
    """A time that no schedule is below; no more than `limit`, that of a known one.

    0 if it takes more than `most` extensions of labels, or too many at once.
    """
    relaxed = _Relaxation(graph, cluster, problem, limit)
    labels = [Label()]
    order = next(line_orders(graph.successors))
    for step in steps_of(graph, problem.unit_of, order):
        further = (each for label in labels for each in relaxed.extended(label, step))
        found = [*islice(further, most + 1)]
        most -= len(found)
        if most < 0:
            return 0.0
        labels = _best(found)
        if len(labels) > MOST_LABELS:
            return 0.0
    return min((label.latest for label in labels), default=limit)


class _Relaxation:
    """What can become of a label with the next operator."""

    def __init__(
        self, graph: WeightedGraph, cluster: Cluster, problem: Problem, limit: float
    ) -> None:
        first = [members[0] for members in problem.classes]
        total = sum(problem.memory)
        self.graph = graph
        self.limit = limit
        self.cluster = cluster
        self.kinds = range(len(first))
        self.counts = [len(members) for members in problem.classes]
        self.room = [inf if total <= room else room for room in problem.usable]
        self.lumped = [
            room == inf and cluster.kind(device).port is None
            for room, device in zip(self.room, first, strict=True)
        ]
        self.ports = [
            [cluster.port_seconds(device, value) for device in first]
            for value in graph.values
        ]
        self.seconds = seconds_by_class(graph, cluster, problem)
        self.tails = self._tails()

    def extended(self, label: Label, step: Step) -> Iterator[Label]:
        """The labels that the operator can make of one, wherever it can be."""
        for home, parts in self._homes(label, step):
            found = self._placed(label, step, home, parts)
            if found is not None:
                yield found

    def _homes(
        self, label: Label, step: Step
    ) -> Iterator[tuple[int, tuple[Part, ...]]]:
        """Where the operator can be, and the parts then."""
        seconds = self.seconds[step.place]
        if step.mate is not None:
            home = label.homes[step.mate]
            if home < 0 or self._fits(step.place, label.parts[home]):
                yield home, label.parts
            return
        for kind in self.kinds:
            if seconds[kind] < INFINITE and self.lumped[kind]:
                yield ~kind, label.parts
        yield from self._in_parts(label, step.place)

    def _in_parts(
        self, label: Label, place: int
    ) -> Iterator[tuple[int, tuple[Part, ...]]]:
        for number, part in enumerate(label.parts):
            if self._fits(place, part):
                yield number, label.parts
        used = [part.kind for part in label.parts]
        for kind in self.kinds:
            new = Part(kind, 0.0)
            free = not self.lumped[kind] and used.count(kind) < self.counts[kind]
            if free and self._fits(place, new):
                yield len(label.parts), (*label.parts, new)

    def _fits(self, place: int, part: Part) -> bool:
        memory = part.memory + self.graph.operators[place].memory
        fits = memory <= self.room[part.kind] * (1 + SLACK)
        return fits and self.seconds[place][part.kind] < INFINITE

    def _placed(
        self, label: Label, step: Step, home: int, before: tuple[Part, ...]
    ) -> Label | None:
        parts, moved = list(before), set(label.moved)
        kind = ~home if home < 0 else parts[home].kind
        seconds = self.seconds[step.place][kind]
        ready = self._received(label, step, home, parts, moved)
        if home >= 0:
            parts[home] = self._filled(parts[home], step, ready, seconds)
        end = ready + seconds
        if step.is_joint:
            waits = (
                part.end + (seconds if number != home else 0.0)
                for number, part in enumerate(parts)
            )
            end = max(end, label.done + seconds, *waits)
        if end + self.tails[step.place][kind] >= self.limit:
            return None
        return self._seen(label, step, home, parts, moved, end)

    def _filled(self, part: Part, step: Step, ready: float, seconds: float) -> Part:
        if self.room[part.kind] < inf:
            memory = part.memory + self.graph.operators[step.place].memory
            part = part._replace(memory=memory)
        return part.busy(ready, seconds) if step.counts else part

    def _received(
        self,
        label: Label,
        step: Step,
        home: int,
        parts: list[Part],
        moved: set[tuple[int, int]],
    ) -> float:
        """When the inputs are there at the earliest; notes the work that brings them."""
        ready = 0.0
        kind = ~home if home < 0 else parts[home].kind
        for value in self.graph.inputs[step.place]:
            known = step.known[self.graph.values[value].source]
            end, source = label.ends[known], label.homes[known]
            if source == home:
                ready = max(ready, end)
                continue
            sending = self.ports[value][~source if source < 0 else parts[source].kind]
            receiving = self.ports[value][kind]
            ready = max(ready, end + self.cluster.passing(sending, receiving))
            if not step.counts:
                continue
            if source >= 0 and (value, SENDER) not in moved:
                moved.add((value, SENDER))
                parts[source] = parts[source].busy(end, sending)
            if home >= 0 and (value, home) not in moved:
                moved.add((value, home))
                begin = end if self.cluster.cut_through else end + sending
                parts[home] = parts[home].busy(begin, receiving)
        return ready

    def _seen(
        self,
        label: Label,
        step: Step,
        home: int,
        parts: list[Part],
        moved: set[tuple[int, int]],
        end: float,
    ) -> Label:
        """The label of what later operators see, its parts numbered in their order."""
        ends = [label.ends[each] for each in step.kept]
        homes = [label.homes[each] for each in step.kept]
        if step.stays:
            ends.append(end)
            homes.append(home)
        seen = [each for each in dict.fromkeys(homes) if each >= 0]
        last = not self.graph.successors[step.place]
        latest = max(label.latest, end) if last else label.latest
        if step.is_joint:
            begun = (parts[n]._replace(release=end, work=0.0) for n in seen)
            above = tuple(min(0, each) for each in homes)
            return Label(tuple(ends), above, (*begun,), latest=latest)
        number = {old: new for new, old in enumerate(seen)}
        done = max((p.end for n, p in enumerate(parts) if n not in number), default=0.0)
        return Label(
            tuple(ends),
            tuple(each if each < 0 else number[each] for each in homes),
            tuple(parts[each] for each in seen),
            self._still_seen(step, moved, number),
            max(label.done, done),
            latest,
        )

    def _still_seen(
        self, step: Step, moved: set[tuple[int, int]], number: Mapping[int, int]
    ) -> frozenset[tuple[int, int]]:
        """What has moved of values that later operators can still read, to parts by their new numbers."""
        kept = {place for place, each in step.known.items() if each in step.kept}
        known = {**number, SENDER: SENDER}
        return frozenset(
            (value, known[part])
            for value, part in moved
            if part in known and self.graph.values[value].source in kept
        )

    def _tails(self) -> list[list[float]]:
        """For each operator and class, the least time from its end there to the last end."""
        found = [[0.0 for _ in self.kinds] for _ in self.graph.operators]
        for place in reversed(self.graph.order):
            for value in self.graph.inputs[place]:
                source = self.graph.values[value].source
                for kind in self.kinds:
                    tail = min(self._tail(found, value, kind, place))
                    found[source][kind] = max(found[source][kind], tail)
        return found

    def _tail(
        self, found: list[list[float]], value: int, kind: int, reader: int
    ) -> Iterator[float]:
        ports = self.ports[value]
        for other in self.kinds:
            passing = self.cluster.passing(ports[kind], ports[other])
            moving = passing if other != kind else 0.0
            yield moving + self.seconds[reader][other] + found[reader][other]


def _best(labels: Iterable[Label]) -> list[Label]:
    """Those that no other is better than in everything, not too many of them."""
    groups: dict[object, list[tuple[tuple[float, ...], Label]]] = {}
    for label in labels:
        groups.setdefault(label.key, []).append((label.numbers, label))
    return [each for group in groups.values() for each in _joined(_undominated(group))]


def _undominated(
    group: list[tuple[tuple[float, ...], Label]],
) -> list[Label]:
    group.sort(key=lambda each: each[0])
    kept: list[tuple[tuple[float, ...], Label]] = []
    for numbers, label in group:
        for better, _ in kept:
            if all(map(le, better, numbers)):
                break
        else:
            kept.append((numbers, label))
    return [label for _, label in kept]


def _joined(labels: Sequence[Label]) -> Iterable[Label]:
    """Of too many labels, each some that follow each other as one."""
    size = -(-len(labels) // MOST_ALIKE)
    return (_least(labels[at : at + size]) for at in range(0, len(labels), size or 1))


def _least(labels: Sequence[Label]) -> Label:
    """A label that is no worse than any of these, which differ in numbers only."""
    if len(labels) == 1:
        return labels[0]
    return labels[0]._replace(
        ends=_least_each(label.ends for label in labels),
        parts=tuple(
            _least_part(parts)
            for parts in zip(*(label.parts for label in labels), strict=True)
        ),
        done=min(label.done for label in labels),
        latest=min(label.latest for label in labels),
    )


def _least_each(rows: Iterable[tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(min(column) for column in zip(*rows, strict=True))


def _least_part(parts: Sequence[Part]) -> Part:
    """Less memory, less work that is done no later."""
    return Part(
        parts[0].kind,
        *_least_each((part.memory, part.release, part.work) for part in parts),
    )
