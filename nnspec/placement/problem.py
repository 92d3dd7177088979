"""A placement as the solvers see it: units, classes of equal devices, and cuts.

A value costs a device its transfer time exactly if the device has some, but not all, of
the value's source and readers: it then sends it, or receives it. So a value is a *cut*,
a set of units with a cost, and its direction does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from functools import cached_property
from typing import Literal

from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.graph import Operator, WeightedGraph
from nnspec.placement.links import NO_LINKS, Links, has_links, links_of
from nnspec.placement.plan import Objective
from nnspec.placement.units import (
    Units,
    join_circles,
    join_groups,
    join_leaves,
    line_between_units,
)
from nnspec.records import dataclass

INFINITE = float("inf")

Line = Literal["returns", "repeats", None]
"""Whether devices stand in a line, and then which way the backward pass goes along it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The units that one value ties together, and its cost for each class of devices."""

    points: tuple[int, ...]
    costs: tuple[float, ...]


@dataclass(frozen=True)
class Problem:
    """Place each unit on a device such that the largest load is least.

    Unit `u` on a device of class `c` takes `seconds[c][u]` (infinite where it cannot
    be) and `memory[u]` of `usable[c]`. Devices of a class are interchangeable. `line`
    gives for each unit those that may not stand before it when the devices are to
    stand in a line. `links` are those that are busy beside the devices.
    """

    unit_of: list[int]
    classes: list[list[int]]
    seconds: list[list[float]]
    memory: list[float]
    usable: list[float]
    cuts: list[Cut]
    line: list[list[int]]
    links: Links = field(default=NO_LINKS)

    @property
    def count(self) -> int:
        """How many units there are."""
        return len(self.memory)

    def allows(self, placed: Sequence[int]) -> bool:
        """Whether operators, by their devices, are where they can be and memory is enough."""
        held: dict[int, float] = {}
        first: dict[int, int] = {}
        for unit, device in zip(self.unit_of, placed, strict=True):
            if first.setdefault(unit, device) != device:
                return False
        for unit, device in first.items():
            if self.seconds[self.kinds[device]][unit] == INFINITE:
                return False
            held[device] = held.get(device, 0.0) + self.memory[unit]
        return all(
            amount <= self.usable[self.kinds[device]] * (1 + 1e-12)
            for device, amount in held.items()
        )

    @cached_property
    def kinds(self) -> dict[int, int]:
        """The class of each device."""
        return {d: kind for kind, members in enumerate(self.classes) for d in members}

    @cached_property
    def cuts_at(self) -> list[list[int]]:
        """For each unit the cuts that it is a point of."""
        found: list[list[int]] = [[] for _ in range(self.count)]
        for place, cut in enumerate(self.cuts):
            for point in cut.points:
                found[point].append(place)
        return found

    def are_alike(self, one: int, other: int) -> bool:
        """Whether the devices of two classes differ in nothing but their links."""
        return (
            self.seconds[one] == self.seconds[other]
            and self.usable[one] == self.usable[other]
            and all(cut.costs[one] == cut.costs[other] for cut in self.cuts)
        )

    def placed(self, devices: Sequence[int]) -> list[int]:
        """The device of each operator, from the device of each unit."""
        return [devices[unit] for unit in self.unit_of]


def problem_of(
    graph: WeightedGraph,
    cluster: Cluster,
    objective: Objective,
    line: Line = None,
    *,
    linked: bool = False,
) -> Problem:
    """The problem of a graph on a cluster; with a `line`, that of contiguous plans.

    Only if it is `linked` the loads of links count, and devices of different nodes are
    of different classes.

    Raises SpecErrors: E1008 (pins to unknown devices), E1009 (pins that contradict each
    other, or the operator), E1010 (operators that no device can run).
    """
    check_placeable(graph, cluster)
    linked = linked and has_links(cluster) and objective in ("throughput", "train")
    classes = device_classes(graph, cluster, by_node=linked)
    unit_of = _units(graph, cluster, objective, line).numbered()
    count = max(unit_of, default=-1) + 1
    memory = _sums(unit_of, count, (each.memory for each in graph.operators))
    limits = [cluster.kind(members[0]).usable for members in classes]
    seconds = [
        _seconds(graph, cluster, unit_of, count, members[0]) for members in classes
    ]
    if objective == "fit":
        seconds = [
            _shares(memory, limit, time)
            for limit, time in zip(limits, seconds, strict=True)
        ]
    return Problem(
        unit_of=unit_of,
        classes=classes,
        seconds=seconds,
        memory=memory,
        usable=[INFINITE for _ in limits] if objective == "fit" else limits,
        cuts=[] if objective == "fit" else _cuts(graph, cluster, unit_of, classes),
        line=_line(unit_of, graph, count, line),
        links=links_of(graph, cluster, unit_of) if linked else NO_LINKS,
    )


def _units(
    graph: WeightedGraph, cluster: Cluster, objective: Objective, line: Line
) -> Units:
    units = Units(len(graph.operators))
    join_groups(units, graph)
    if line is not None:
        join_circles(units, graph, line == "returns")
    # Without time or memory an operator still has its turn in a schedule.
    if objective not in ("fit", "latency"):
        held = sum(operator.memory for operator in graph.operators)
        least = min(cluster.kinds[device.kind].usable for device in cluster.devices)
        join_leaves(units, graph, memory_binds=held > least)
    return units


def _line(
    unit_of: Sequence[int], graph: WeightedGraph, count: int, line: Line
) -> list[list[int]]:
    if line is None:
        return []
    return line_between_units(unit_of, graph, count, line == "returns")


def device_classes(
    graph: WeightedGraph, cluster: Cluster, *, by_node: bool = False
) -> list[list[int]]:
    """Devices that can be exchanged for each other, by their places, in their order.

    Those are of one kind (and `by_node` of one node), and nothing names them: no pin and
    no time of an operator.
    """
    named = {each.pin for each in graph.operators if each.pin is not None}
    for times in {id(each.seconds): each.seconds for each in graph.operators}.values():
        named.update(name for name in times if name in cluster.index)
    classes: dict[str, list[int]] = {}
    for place, device in enumerate(cluster.devices):
        key = f"\0{device.name}" if device.name in named else device.kind
        if by_node:
            key = f"{device.node}\0{key}"
        classes.setdefault(key, []).append(place)
    return list(classes.values())


def check_placeable(graph: WeightedGraph, cluster: Cluster) -> None:
    """Raises SpecErrors for pins and times that no assignment can respect."""
    found: list[Diagnostic] = []
    pinned: dict[str, Operator] = {}
    names = {device.name for device in cluster.devices}
    names |= {device.kind for device in cluster.devices}
    for operator in graph.operators:
        found += _pin_faults(operator, cluster, pinned)
        if names.isdisjoint(operator.seconds):
            message = f"`{operator.name}` can run on no device of {cluster.name}"
            found.append(Diagnostic("E1010", message))
    found += _group_faults(graph, cluster)
    if found:
        raise SpecErrors(dict.fromkeys(found))


def _pin_faults(
    operator: Operator, cluster: Cluster, pinned: dict[str, Operator]
) -> Iterable[Diagnostic]:
    if operator.pin is None:
        return
    try:
        device = cluster.devices[cluster.place(operator.pin)]
    except SpecError as error:
        yield error.diagnostic
        return
    if operator.seconds.keys().isdisjoint((device.name, device.kind)):
        yield Diagnostic(
            "E1009",
            f"`{operator.name}` is pinned to {operator.pin} and cannot run there",
        )
    if operator.group is not None:
        other = pinned.setdefault(operator.group, operator)
        if other.pin != operator.pin:
            yield _contradiction(operator, other)


def _contradiction(operator: Operator, other: Operator) -> Diagnostic:
    return Diagnostic(
        "E1009",
        f"`{operator.name}` is pinned to {operator.pin} and `{other.name}`, "
        f"which must share its device, to {other.pin}",
        hint="pin both to one device, or only one of them",
    )


def _group_faults(graph: WeightedGraph, cluster: Cluster) -> Iterable[Diagnostic]:
    """Groups of which each operator can run somewhere, but not all at one place."""
    able: dict[str, set[str]] = {}
    for operator in graph.operators:
        if operator.group is None:
            continue
        own = {
            device.name
            for device in cluster.devices
            if not operator.seconds.keys().isdisjoint((device.name, device.kind))
        }
        before = able.get(operator.group, own)
        able[operator.group] = before & own
        if own and before and not before & own:
            yield Diagnostic(
                "E1010", f"no device can run `{operator.name}` and all of its group"
            )


def _sums(unit_of: Sequence[int], count: int, amounts: Iterable[float]) -> list[float]:
    found = [0.0] * count
    for unit, amount in zip(unit_of, amounts, strict=True):
        found[unit] += amount
    return found


def _seconds(
    graph: WeightedGraph,
    cluster: Cluster,
    unit_of: Sequence[int],
    count: int,
    device: int,
) -> list[float]:
    here = cluster.devices[device]
    found = [0.0] * count
    for unit, operator in zip(unit_of, graph.operators, strict=True):
        if operator.pin is not None and operator.pin != here.name:
            found[unit] = INFINITE
        else:
            found[unit] += operator.seconds_on(here)
    return found


def _shares(
    memory: Sequence[float], usable: float, seconds: Sequence[float]
) -> list[float]:
    def share(held: float) -> float:
        if usable <= 0:
            return INFINITE if held else 0.0
        return held / usable

    return [
        INFINITE if time == INFINITE else share(held)
        for held, time in zip(memory, seconds, strict=True)
    ]


def _cuts(
    graph: WeightedGraph,
    cluster: Cluster,
    unit_of: Sequence[int],
    classes: Sequence[Sequence[int]],
) -> list[Cut]:
    """The values between units; those between the same units are one."""
    ports = [cluster.kind(members[0]).port for members in classes]
    found: dict[tuple[int, ...], list[float]] = {}
    for value in graph.values:
        points = {unit_of[value.source], *(unit_of[each] for each in value.targets)}
        if len(points) == 1:
            continue
        costs = found.setdefault(tuple(sorted(points)), [0.0] * len(ports))
        for place, port in enumerate(ports):
            costs[place] += port.seconds(value) if port else 0.0
    return [Cut(points, tuple(costs)) for points, costs in found.items() if any(costs)]


def work_bound(problem: Problem) -> float:
    """A value that no assignment can be below: devices that share all work perfectly.

    The largest of the units' least times; those of the units that the fullest device has
    at least, of the heaviest ones; and the least T such that units, split at
    will between the classes, keep each class within T times its devices. The latter is
    a linear programme, whose dual is bounded by weights of the classes: here equal ones
    and, for two classes, all ratios at which a unit changes sides.
    """
    if not problem.count:
        return 0.0
    speeds = _speeds(problem)
    least = [min(times) for times in zip(*speeds, strict=True)]
    bounds = [_crowded(least, sum(speeds.values()))]
    bounds.append(sum(least) / sum(speeds.values()))
    bounds += [_weighted_bound(speeds, weights) for weights in _weights(speeds)]
    return max(bounds)


def _crowded(least: Sequence[float], devices: int) -> float:
    """Of n units that take so long or longer, some device has n / devices, rounded up."""
    ordered = sorted(least, reverse=True)
    turns = range(0, len(ordered), devices)
    return max((turn // devices + 1) * ordered[turn] for turn in turns)


Speeds = dict[tuple[float, ...], int]
"""How many devices take these times for the units."""


def _speeds(problem: Problem) -> Speeds:
    found: Speeds = {}
    for times, members in zip(problem.seconds, problem.classes, strict=True):
        key = tuple(times)
        found[key] = found.get(key, 0) + len(members)
    return found


def _weights(speeds: Speeds) -> Iterable[tuple[float, ...]]:
    totals = [sum(time for time in times if time < INFINITE) for times in speeds]
    if all(totals):
        yield tuple(totals[0] / total for total in totals)
    if len(speeds) != 2 or len(next(iter(speeds))) > 2000:
        return
    for first, second in zip(*speeds, strict=True):
        if 0 < first < INFINITE and 0 < second < INFINITE:
            yield (second / first, 1.0)


def _weighted_bound(speeds: Speeds, weights: Sequence[float]) -> float:
    """Weighted work over weighted devices: T * sum(w n) >= sum of loads weighted."""
    work = sum(
        min(time * weight for time, weight in zip(times, weights, strict=True))
        for times in zip(*speeds, strict=True)
    )
    devices = sum(
        weight * count for weight, count in zip(weights, speeds.values(), strict=True)
    )
    return work / devices
