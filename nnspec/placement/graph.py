"""A weighted graph: what there is to place, from any source.

Operators take time, which differs by device, and hold memory; values go from one
operator to others and take time to move between devices. Nothing here knows of specs.

    graph = WeightedGraph(
        (Operator("embed", {"cpu": 3e-3, "h100": 2e-4}, memory=1 << 20),
         Operator("head", {"h100": 1e-4}, memory=1 << 20, group="tied")),
        (Value(0, (1,), bytes=4096),),
    )
    check_graph(graph)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from nnspec.diagnostics import SpecError
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.placement.clusters.cluster import Device


@dataclass(frozen=True, slots=True)
class Operator:
    """One thing to run.

    `seconds` is its time by the name of a device or of a kind of devices (the device's
    own entry counts first); where neither is named, it cannot run. `memory` is what it
    holds on its device all the while (weights, their gradients and states, whatever
    else its maker counts), in bytes. Operators of one `group` share a device. A `pin`
    names the device it must be on. `backward` marks the operators of a backward pass.
    """

    name: str
    seconds: Mapping[str, float]
    memory: float = 0
    group: str | None = None
    pin: str | None = None
    backward: bool = False

    def seconds_on(self, device: Device) -> float:
        """The time on a device; infinite where the operator cannot run."""
        times = self.seconds
        return times.get(device.name, times.get(device.kind, math.inf))


@dataclass(frozen=True, slots=True)
class Value:
    """What one operator computes and others read, by their places in the graph.

    `bytes` is what moves. `seconds` is the time through a port or link, for graphs whose
    source gives times instead of sizes; the speed of links then does not matter. `held`
    is what it takes, while it is alive, on each device that has it, in bytes, where the
    memory of the operators does not count it already.
    """

    source: int
    targets: tuple[int, ...]
    bytes: float = 0
    seconds: float | None = None
    held: float = 0


@dataclass(frozen=True)
class WeightedGraph:
    """Operators and the values between them. Operators are meant by their place."""

    operators: tuple[Operator, ...]
    values: tuple[Value, ...] = field(default=())

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each operator by its name."""
        return {each.name: place for place, each in enumerate(self.operators)}

    @cached_property
    def inputs(self) -> list[list[int]]:
        """For each operator the values that it reads, by their places, ascending."""
        found: list[list[int]] = [[] for _ in self.operators]
        for place, value in enumerate(self.values):
            for target in dict.fromkeys(value.targets):
                found[target].append(place)
        return found

    @cached_property
    def successors(self) -> list[list[int]]:
        """For each operator those that read one of its values, each once, sorted."""
        found: list[set[int]] = [set() for _ in self.operators]
        for value in self.values:
            found[value.source].update(value.targets)
        return [sorted(each) for each in found]

    @cached_property
    def order(self) -> list[int]:
        """The operators such that each stands behind what it reads.

        Of those that could be next, the one that became free last comes first, so that
        chains stay together; ties go by place. Raises SpecError for a cyclic graph.
        """
        return topological_order(self.successors)


def topological_order(successors: Sequence[Sequence[int]]) -> list[int]:
    """A depth-first order in which sources stand before targets (Kahn, with a stack).

    Shorter than all operators, where some lie on a cycle, is never returned: that
    raises SpecError (E1006).
    """
    waiting = [0] * len(successors)
    for targets in successors:
        for target in targets:
            waiting[target] += 1
    free = [place for place in reversed(range(len(successors))) if not waiting[place]]
    order: list[int] = []
    while free:
        place = free.pop()
        order.append(place)
        for target in reversed(successors[place]):
            waiting[target] -= 1
            if not waiting[target]:
                free.append(target)
    if len(order) < len(successors):
        raise _cyclic(len(successors) - len(order))
    return order


def _cyclic(stuck: int) -> SpecError:
    return SpecError(
        "E1006",
        f"the graph is cyclic: {stuck} operators wait for each other",
        hint="a value can only go to operators that run after its source",
    )


def check_graph(graph: WeightedGraph) -> None:
    """Raises SpecError for a graph that makes no sense.

    E1006: it is cyclic. E1007: names repeat, a value goes nowhere that exists, a time
    or size is negative or no number.
    """
    if len(graph.index) < len(graph.operators):
        raise _malformed(f"two operators are named `{_repeated(graph.operators)}`")
    for operator in graph.operators:
        _check_numbers(
            f"operator `{operator.name}`", (*operator.seconds.values(), operator.memory)
        )
    for place, value in enumerate(graph.values):
        _check_value(place, value, len(graph.operators))
    _ = graph.order


def _repeated(operators: Iterable[Operator]) -> str:
    seen: set[str] = set()
    return next(
        each.name for each in operators if each.name in seen or seen.add(each.name)
    )


def _check_value(place: int, value: Value, operators: int) -> None:
    for end in (value.source, *value.targets):
        if not 0 <= end < operators:
            raise _malformed(f"value {place} names operator {end}, and there is none")
    _check_numbers(f"value {place}", (value.bytes, value.seconds or 0, value.held))


def _check_numbers(owner: str, numbers: Iterable[float]) -> None:
    for number in numbers:
        if not (math.isfinite(number) and number >= 0):
            raise _malformed(f"{owner} has an amount of {number}")


def _malformed(message: str) -> SpecError:
    return SpecError("E1007", message, hint="amounts are finite and not negative")
