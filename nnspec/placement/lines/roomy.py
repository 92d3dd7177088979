"""Divisions of a line in which each device has room for values while they are alive.

What a segment needs is known beforehand (`nnspec.placement.peaks`), unlike that of any
assignment, so divisions are exact for the order along which they go.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import TOLERANCE, share_of
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.orders import line_orders
from nnspec.placement.lines.serial import division, segment_loads
from nnspec.placement.peaks import Peaks
from nnspec.placement.plan import Objective
from nnspec.placement.problem import INFINITE, Line, Problem, problem_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_UNITS = 200
"""There are half as many segments as the square of that."""


def roomy_divisions(
    graph: WeightedGraph, cluster: Cluster, objective: Objective
) -> Iterator[list[int]]:
    """The device of each operator, for some orders of the line.

    For `fit` such that the fullest device is least full, otherwise such that all fit and
    loads, or for `latency` their sum, are least. Nothing if there are too many units.
    """
    lines: list[Line] = ["returns"]
    if any(operator.backward for operator in graph.operators):
        lines.append("repeats")
    known: list[tuple[list[int], list[int]]] = []
    for line in lines:
        # The units of `latency` are those that other objectives make larger ones of.
        problem = problem_of(graph, cluster, "latency", line)
        if problem.count > MOST_UNITS:
            continue
        for order in line_orders(problem.line):
            if (problem.unit_of, order) not in known:
                known.append((problem.unit_of, order))
                yield from _divided(graph, cluster, problem, objective, order)


def _divided(
    graph: WeightedGraph,
    cluster: Cluster,
    problem: Problem,
    objective: Objective,
    order: Sequence[int],
) -> Iterator[list[int]]:
    import numpy as np

    tables = _shares(cluster, problem, order, _segment_peaks(graph, problem, order))
    if objective != "fit":
        loads = segment_loads(problem, order, problem.cuts)
        tables = [
            np.where(shares <= 1 + TOLERANCE, load, np.inf)
            for shares, load in zip(tables, loads, strict=True)
        ]
    join = np.add if objective == "latency" else np.maximum
    devices = division(problem, order, tables, join)
    if devices is not None:
        yield problem.placed(devices)


def _segment_peaks(
    graph: WeightedGraph, problem: Problem, order: Sequence[int]
) -> Floats:
    """The memory of each segment of an order, from one position to another; what is none is infinite."""
    import numpy as np

    peaks, unit_of = Peaks(graph), np.asarray(problem.unit_of)
    at = np.empty(len(order), dtype=np.int64)
    at[[*order]] = np.arange(len(order))
    position = at[unit_of]
    found = np.full((len(order) + 1, len(order) + 1), np.inf)
    np.fill_diagonal(found, 0.0)
    for start in range(len(order)):
        ends = np.arange(start + 1, len(order) + 1)
        here = (start <= position) & (position < ends[:, None])
        found[start, start + 1 :] = peaks.of(here)
    return found


def _shares(
    cluster: Cluster, problem: Problem, order: Sequence[int], peaks: Floats
) -> list[Floats]:
    """The same as shares of what the devices of each class have; infinite where one of
    the units cannot be.
    """
    import numpy as np

    found: list[Floats] = []
    for members, seconds in zip(problem.classes, problem.seconds, strict=True):
        usable = cluster.kind(members[0]).usable
        closed = np.cumsum([0, *(seconds[unit] == INFINITE for unit in order)])
        shares = np.full_like(peaks, np.inf)
        known = np.isfinite(peaks)
        shares[known] = [share_of(peak, usable) for peak in peaks[known].tolist()]
        shares[closed[None, :] > closed[:, None]] = np.inf
        found.append(shares)
    return found
