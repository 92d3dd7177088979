"""A bound by minimum cuts: what a device that holds a unit is loaded with at least.

Some device holds a unit, and with it some set of units: it takes their time, and the cost
of every cut that has some, but not all, of its points among them. The least such load is
a minimum cut (cuts of hypergraphs are submodular; Lawler, "Cutsets and partitions of
hypergraphs", 1973), and no assignment is below that of any unit. Where there are as many
devices as units this is most often reached, by every unit on a device of its own.
"""

from __future__ import annotations

from math import inf
from typing import Any

from nnspec.placement.problem import INFINITE, Problem

MOST_UNITS = 300
"""Of more units the cuts are not looked for."""
STEPS = 1 << 40
"""Amounts are whole numbers of so small parts of the largest, rounded down."""


def holder_bound(problem: Problem, enough: float) -> float:
    """A value that no assignment can be below; larger ones than `enough` are not looked for."""
    if problem.count > MOST_UNITS or not problem.cuts:
        return 0.0
    kinds, found = _unlike(problem), 0.0
    alone = [_alone(problem, unit) for unit in range(problem.count)]
    for unit in sorted(range(problem.count), key=lambda each: -alone[each]):
        if alone[unit] <= found or found >= enough:
            break
        found = max(found, min(_least_load(problem, kind, unit) for kind in kinds))
    return found


def _alone(problem: Problem, unit: int) -> float:
    """The least load of a device with this unit only."""
    return min(_load(problem, kind, unit) for kind in range(len(problem.classes)))


def _load(problem: Problem, kind: int, unit: int) -> float:
    cuts = sum(problem.cuts[cut].costs[kind] for cut in problem.cuts_at[unit])
    return problem.seconds[kind][unit] + cuts


def _unlike(problem: Problem) -> list[int]:
    """One of the classes that differ in nothing but their links."""
    found: list[int] = []
    for kind in range(len(problem.classes)):
        if not any(problem.are_alike(kind, other) for other in found):
            found.append(kind)
    return found


def _least_load(problem: Problem, kind: int, unit: int) -> float:
    """The least load of a device of a class, of all sets of units with this one."""
    import networkx

    networks: Any = networkx
    own = problem.seconds[kind][unit]
    if own == INFINITE:
        return inf
    if not problem.cuts_at[unit]:
        return own
    finite = [time for time in problem.seconds[kind] if time < INFINITE]
    part = max(*finite, *(cut.costs[kind] for cut in problem.cuts)) / STEPS
    if not part:
        return 0.0
    graph = networks.DiGraph()
    graph.add_node("end")
    for other, time in enumerate(problem.seconds[kind]):
        if other != unit and time == INFINITE:
            graph.add_edge(other, "end")
        elif other != unit:
            graph.add_edge(other, "end", capacity=int(time / part))
    for place, cut in enumerate(problem.cuts):
        some, others = ("some", place), ("others", place)
        graph.add_edge(some, others, capacity=int(cut.costs[kind] / part))
        for point in cut.points:
            graph.add_edge(point, some)
            graph.add_edge(others, point)
    return own + int(networks.minimum_cut_value(graph, unit, "end")) * part
