"""The memory that a part of a graph takes on a device, with the values that are alive there.

Operators are taken up in the order of the graph. A device has what its operators hold, and
beside that each value from where it is made, or first needed, up to its last use; one that
other devices read stays until the first of them takes it.
"""

from __future__ import annotations

from functools import cached_property
from math import inf
from typing import TYPE_CHECKING

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import share_of
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.problem import INFINITE, Problem, problem_of

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
        self.graph, self.values, self.order = graph, values, np.asarray(graph.order)

    @cached_property
    def takes_time(self) -> Truths:
        """For each moment of the order, whether its operator takes time wherever it is."""
        import numpy as np

        operators = self.graph.operators
        least = [min(each.seconds.values(), default=0.0) for each in operators]
        return (np.asarray(least) > 0)[self.order]

    @cached_property
    def follows(self) -> Truths:
        """For each operator which ones can only run behind it."""
        import numpy as np

        found = np.zeros((self.steps, self.steps), dtype=bool)
        for place in reversed(self.graph.order):
            for target in self.graph.successors[place]:
                found[place, target] = True
                found[place] |= found[target]
        return found

    @cached_property
    def reads(self) -> Truths:
        """For each value that is held the operators that read it."""
        import numpy as np

        found = np.zeros((len(self.values), self.steps), dtype=bool)
        for row, value in enumerate(self.values):
            found[row, list(value.targets)] = True
        return found

    @cached_property
    def has(self) -> Truths:
        """For each value that is held the operators that make or read it."""
        import numpy as np

        found = self.reads.copy()
        found[np.arange(len(found)), self.sources] = True
        return found

    def of(self, here: Truths) -> Floats:
        """The bytes for some choices of operators: in each row those that are `here`."""
        always: Floats = here.astype(float) @ self.memory
        return always + (self._alive(here).max(axis=1) if len(self.held) else 0.0)

    def surely(self, here: Truths) -> Floats:
        """The same, or less: what no order of the operators takes less than.

        While an operator runs, its device has what was made or read there by operators in front
        of it and is read there by ones behind it, in any order. Here that is the operator at the
        fullest moment of this order, if it takes time anywhere.
        """
        import numpy as np

        always: Floats = here.astype(float) @ self.memory
        if not len(self.held):
            return always
        alive = np.where(self.takes_time, self._alive(here)[:, : self.steps], -1.0)
        places = self.order[alive.argmax(axis=1)]
        runs = here[np.arange(len(here)), places] & (alive.max(axis=1) >= 0)
        front = here & self.follows[:, places].T
        back = here & self.follows[places]
        begun = front.astype(np.float32) @ self.has.T.astype(np.float32) > 0
        needed = back.astype(np.float32) @ self.reads.T.astype(np.float32) > 0
        stays = self.has.T[places] | (begun & needed)
        return always + np.where(runs, stays.astype(float) @ self.held, 0.0)

    def _alive(self, here: Truths) -> Floats:
        """What values hold, by rows and moments of the order."""
        import numpy as np

        reads, moments = here[:, self.readers], self.at[self.readers]
        first = self._over(np.minimum, np.where(reads, moments, self.steps))
        last = self._over(np.maximum, np.where(reads, moments, -1))
        taken = self._over(np.minimum, np.where(reads, self.steps, moments))
        own = here[:, self.sources]
        begin = np.where(own, self.at[self.sources], first)
        end = np.maximum(last, np.where(own & (taken < self.steps), taken, begin))
        changes = self._at(begin, begin) - self._at(begin, end + 1)
        return np.cumsum(changes, axis=1)

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


def share_bound(graph: WeightedGraph, cluster: Cluster) -> float:
    """A share of its memory that some device has in use under any plan.

    While an operator runs, its device has all that it reads and makes, beside what its unit
    holds and surely has. One that may take no time has no such moment.
    """
    import numpy as np

    problem = problem_of(graph, cluster, "latency")
    units = np.arange(problem.count)[:, None] == np.asarray(problem.unit_of)
    needed = Peaks(graph).surely(units).tolist()
    beside = [0.0] * len(graph.operators)
    for value in graph.values:
        for place in {value.source, *value.targets}:
            beside[place] += value.held
    for place, unit in enumerate(problem.unit_of):
        if min(graph.operators[place].seconds.values(), default=0.0) > 0:
            needed[unit] = max(needed[unit], problem.memory[unit] + beside[place])
    return max(
        (
            share_of(amount, _roomiest(cluster, problem, unit))
            for unit, amount in enumerate(needed)
        ),
        default=0.0,
    )


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
