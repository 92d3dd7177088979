"""Divisions of a line in which each device has room for values while they are alive.

What a part of the line needs is known beforehand (`nnspec.placement.peaks`), unlike that of
any assignment, so divisions are exact for the positions between which they go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import TOLERANCE, share_of
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.orders import line_orders
from nnspec.placement.lines.downsets import downsets
from nnspec.placement.lines.interval import Stages
from nnspec.placement.lines.serial import division, segment_loads, steps_of
from nnspec.placement.peaks import Peaks
from nnspec.placement.plan import Objective
from nnspec.placement.problem import INFINITE, Line, Problem, problem_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Truths = NDArray[np.bool_]

MOST_UNITS = 200
MOST_DOWNSETS = 300
"""There are half as many parts of a line as the square of these."""


def roomy_divisions(
    graph: WeightedGraph, cluster: Cluster, objective: Objective
) -> Iterator[list[int]]:
    """The device of each operator, for some orders of the line, such that everything fits.

    Loads, or for `latency` their sum, are least. Nothing if there are too many units.
    """
    import numpy as np

    peaks = Peaks(graph)
    join = np.add if objective == "latency" else np.maximum
    for problem in _problems(graph, cluster):
        few = problem.count <= MOST_UNITS
        for order in line_orders(problem.line) if few else ():
            steps = steps_of(order)
            tables = [
                np.where(shares <= 1 + TOLERANCE, load, np.inf)
                for shares, load in zip(
                    _shares(cluster, problem, steps, peaks.of),
                    segment_loads(problem, order, problem.cuts),
                    strict=True,
                )
            ]
            found = division(problem, steps, tables, join)
            if found is not None:
                yield problem.placed(found[1])


def emptiest_divisions(
    graph: WeightedGraph, cluster: Cluster
) -> Iterator[tuple[list[int] | None, float]]:
    """For each line that devices may stand in, their operators such that the fullest device is
    least full, and a share of its memory that one has in use under any plan, in any order.

    The latter is 0 where only some orders of the line are tried.
    """
    import numpy as np

    peaks = Peaks(graph)
    for problem in _problems(graph, cluster):
        if problem.count > MOST_UNITS:
            yield None, 0.0
            continue
        every = _every_step(problem)
        tried = [every] if every else map(steps_of, line_orders(problem.line))
        found = [
            division(
                problem, steps, _shares(cluster, problem, steps, peaks.of), np.maximum
            )
            for steps in tried
        ]
        best = min((each for each in found if each is not None), default=None)
        bound = 0.0
        if every:
            tables = _shares(cluster, problem, every, peaks.surely)
            least = division(problem, every, tables, np.maximum)
            bound = INFINITE if least is None else least[0]
        yield None if best is None else problem.placed(best[1]), bound


def _problems(graph: WeightedGraph, cluster: Cluster) -> Iterator[Problem]:
    """The problems of the lines that differ."""
    lines: list[Line] = ["returns"]
    if any(operator.backward for operator in graph.operators):
        lines.append("repeats")
    known: list[tuple[list[int], list[list[int]]]] = []
    for line in lines:
        # The units of `latency` are those that other objectives make larger ones of.
        problem = problem_of(graph, cluster, "latency", line)
        if (problem.unit_of, problem.line) not in known:
            known.append((problem.unit_of, problem.line))
            yield problem


def _every_step(problem: Problem) -> list[Sequence[int]] | None:
    """The units in front of each place where any order of the line can be divided, if that is
    all: few places, and devices in any order.
    """
    if Stages([len(members) for members in problem.classes]).fixed:
        return None
    masks = downsets(problem.line, MOST_DOWNSETS)
    units = range(problem.count)
    if masks is None:
        return None
    return [[unit for unit in units if mask >> unit & 1] for mask in masks]


def _shares(
    cluster: Cluster,
    problem: Problem,
    steps: Sequence[Sequence[int]],
    figure: Callable[[Truths], Floats],
) -> list[Floats]:
    """By class of devices, what share of their memory they need for what lies between two steps.

    Infinite where one does not contain the other, or a unit cannot be.
    """
    import numpy as np

    within = np.zeros((len(steps), problem.count), dtype=bool)
    for row, units in enumerate(steps):
        within[row, list(units)] = True
    found = [np.full((len(steps), len(steps)), np.inf) for _ in problem.classes]
    closed = [np.asarray(times) == INFINITE for times in problem.seconds]
    usable = [cluster.kind(members[0]).usable for members in problem.classes]
    for row, front in enumerate(within):
        ends = np.flatnonzero((within | ~front).all(axis=1))
        parts = within[ends] & ~front
        needed = figure(parts[:, problem.unit_of]).tolist()
        for table, no, room in zip(found, closed, usable, strict=True):
            shares = [share_of(amount, room) for amount in needed]
            table[row, ends] = np.where((parts & no).any(axis=1), np.inf, shares)
    return found
