"""Links that values of several devices pass, as the solvers see them.

A link between nodes is busy with each value that passes it, once however many devices
read the value behind it; a shared port with all that its devices send and receive. That
is counted beside the loads of devices, and no plan is faster than its busiest link.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property

from nnspec.placement.clusters.cluster import Cluster, Link
from nnspec.placement.graph import WeightedGraph
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Crossing:
    """The values from one unit to some others, and their seconds on each link."""

    source: int
    targets: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Links:
    """The links of a cluster, by number, and what may pass them.

    `between[d][e]` are those on the way from device d to device e, `port_of[d]` is the
    shared port of device d, if it has one.
    """

    count: int = 0
    between: Sequence[Sequence[tuple[int, ...]]] = ()
    port_of: Mapping[int, int] = field(default_factory=dict[int, int])
    crossings: Sequence[Crossing] = ()

    @cached_property
    def crossings_at(self) -> Mapping[int, list[int]]:
        """For each unit, the crossings that it is an end of."""
        found: dict[int, list[int]] = {}
        for place, crossing in enumerate(self.crossings):
            for unit in {crossing.source, *crossing.targets}:
                found.setdefault(unit, []).append(place)
        return found


NO_LINKS = Links()


def has_links(cluster: Cluster) -> bool:
    """Whether values of several devices pass any link."""
    return bool(cluster.ports or cluster.uplinks or cluster.routes)


def links_of(graph: WeightedGraph, cluster: Cluster, unit_of: Sequence[int]) -> Links:
    """The links of a cluster with the values between units of operators."""
    devices = range(len(cluster.devices))
    routes = [[cluster.between(one, other) for other in devices] for one in devices]
    links: dict[str, Link] = {link.name: link for link in cluster.ports.values()}
    for row in routes:
        links.update({link.name: link for route in row for link in route})
    number = {name: place for place, name in enumerate(links)}
    between = [
        [tuple(number[link.name] for link in route) for route in row] for row in routes
    ]
    port_of = {
        cluster.index[name]: number[link.name] for name, link in cluster.ports.items()
    }
    crossings = _crossings(graph, list(links.values()), unit_of)
    return Links(len(links), between, port_of, crossings)


def _crossings(
    graph: WeightedGraph, links: Sequence[Link], unit_of: Sequence[int]
) -> list[Crossing]:
    """The values between units; those from one unit to the same others are one."""
    found: dict[tuple[int, tuple[int, ...]], list[float]] = {}
    for value in graph.values:
        source = unit_of[value.source]
        targets = {unit_of[each] for each in value.targets} - {source}
        if not targets:
            continue
        key = (source, tuple(sorted(targets)))
        seconds = found.setdefault(key, [0.0] * len(links))
        for place, link in enumerate(links):
            seconds[place] += link.kind.seconds(value)
    return [
        Crossing(source, targets, tuple(seconds))
        for (source, targets), seconds in found.items()
        if any(seconds)
    ]
