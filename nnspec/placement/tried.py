"""Few operators with values in flight: everything is tried."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import is_contiguous, share_in_use
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.schedule import scheduled
from nnspec.placement.problem import problem_of

MOST = 10_000
"""So many assignments, and so many pairs of one with an order, are looked at."""

Tried = tuple[float, list[int], list[int]]
"""The share of its memory that the fullest device has in use, an assignment, an order."""


def every_pair(
    graph: WeightedGraph, cluster: Cluster, contiguous: bool
) -> list[Tried] | None:
    """Each assignment with each order, however full devices are; None if there are too many."""
    count = len(graph.operators)
    if len(cluster.devices) ** count > MOST:
        return None
    # That of `fit` has no limit of memory.
    problem = problem_of(graph, cluster, "fit")
    devices = range(len(cluster.devices))
    assignments = [
        [*placed]
        for placed in product(devices, repeat=count)
        if problem.allows(placed) and (not contiguous or is_contiguous(graph, placed))
    ]
    orders: list[list[int]] = []
    for order in _orders(graph.successors):
        orders.append(order)
        if len(orders) * len(assignments) > MOST:
            return None
    return [
        (_share(graph, cluster, placed, order), placed, order)
        for placed in assignments
        for order in orders
    ]


def _share(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int], order: Sequence[int]
) -> float:
    return share_in_use(cluster, scheduled(graph, cluster, placed, order).peaks)


def _orders(successors: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """All orders in which each operator stands behind those that it reads."""
    waiting = [0] * len(successors)
    for target in (each for targets in successors for each in targets):
        waiting[target] += 1
    order: list[int] = []

    def further() -> Iterator[list[int]]:
        if len(order) == len(successors):
            yield [*order]
        for place in [p for p, count in enumerate(waiting) if count == 0]:
            order.append(place)
            waiting[place] = -1
            for target in successors[place]:
                waiting[target] -= 1
            yield from further()
            order.pop()
            waiting[place] = 0
            for target in successors[place]:
                waiting[target] += 1

    return further()
