"""The memory that a part of a graph takes on a device, with the values that are alive there.

Operators are taken up in the order of the graph. A device has what its operators hold, and
beside that each value from where it is made, or first needed, up to its last use; one that
other devices read stays until the first of them takes it.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import share_of
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.problem import INFINITE, Problem

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Truths = NDArray[np.bool_]


class Peaks:
    """The most memory in use on a device that runs some operators, all others elsewhere.

    That is what `scheduled` finds where operators and transfers take time: what takes none
    waits for nobody, and may come earlier.
    """

    def __init__(self, graph: WeightedGraph) -> None:
        import numpy as np

        values = [each for each in graph.values if each.held]
        readers = [each.targets or (each.source,) for each in values]
        at = np.empty(len(graph.operators), dtype=np.int64)
        at[graph.order] = np.arange(len(at))
        self.memory = np.asarray([each.memory for each in graph.operators], dtype=float)
        self.held = np.asarray([each.held for each in values], dtype=float)
        self.sources = np.asarray([each.source for each in values], dtype=np.int64)
        self.readers = np.asarray(
            [target for each in readers for target in each], dtype=np.int64
        )
        self.starts = np.cumsum([0, *(len(each) for each in readers[:-1])])
        self.at, self.steps = at, len(at)

    def of(self, here: Truths) -> Floats:
        """The bytes for some choices of operators: in each row those that are `here`."""
        import numpy as np

        always: Floats = here.astype(float) @ self.memory
        if not len(self.held):
            return always
        reads, moments = here[:, self.readers], self.at[self.readers]
        first = self._over(np.minimum, np.where(reads, moments, self.steps))
        last = self._over(np.maximum, np.where(reads, moments, -1))
        taken = self._over(np.minimum, np.where(reads, self.steps, moments))
        own = here[:, self.sources]
        begin = np.where(own, self.at[self.sources], first)
        end = np.maximum(last, np.where(own & (taken < self.steps), taken, begin))
        changes = self._at(begin, begin) - self._at(begin, end + 1)
        return always + np.cumsum(changes, axis=1).max(axis=1)

    def _over(self, join: np.ufunc, moments: Ints) -> Ints:
        """For each value, the moments of its readers joined."""
        return join.reduceat(moments, self.starts, axis=1)

    def _at(self, begin: Ints, moments: Ints) -> Floats:
        """What values hold by rows and moments, of those that ever begin."""
        import numpy as np

        width = self.steps + 2
        rows, values = np.nonzero(begin < self.steps)
        places = rows * width + moments[rows, values]
        sums = np.bincount(places, self.held[values], len(begin) * width)
        return sums.astype(float).reshape(len(begin), width)


def share_bound(graph: WeightedGraph, cluster: Cluster, problem: Problem) -> float:
    """A share of its memory that some device has in use under any plan.

    While an operator runs, its device has all that it reads and makes, beside what its unit
    holds. One that may take no time has no such moment.
    """
    beside = [0.0] * len(graph.operators)
    for value in graph.values:
        for place in {value.source, *value.targets}:
            beside[place] += value.held
    bound = 0.0
    for place, unit in enumerate(problem.unit_of):
        if min(graph.operators[place].seconds.values(), default=0.0) > 0:
            needed = problem.memory[unit] + beside[place]
            bound = max(bound, share_of(needed, _roomiest(cluster, problem, unit)))
    return bound


def _roomiest(cluster: Cluster, problem: Problem, unit: int) -> float:
    """The most usable memory of the devices that a unit can be on."""
    return max(
        (
            cluster.kind(members[0]).usable
            for members, times in zip(problem.classes, problem.seconds, strict=True)
            if times[unit] < INFINITE
        ),
        default=inf,
    )
