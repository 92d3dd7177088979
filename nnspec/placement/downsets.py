"""Contiguous placement on any graph: dynamic programming over its downsets.

A downset is a set of units with everything that may not stand behind them. Devices in a
line take up the graph in a chain of downsets, and each has the difference of two. Exact,
while the downsets are few enough to list (Tarnawski et al., NeurIPS 2020, section 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

from nnspec.placement.interval import PRECISION, Stages
from nnspec.placement.line import SLACK
from nnspec.placement.problem import INFINITE, Problem
from nnspec.records import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

MOST_DOWNSETS = 40_000


def downsets(
    line: Sequence[Sequence[int]], most: int = MOST_DOWNSETS
) -> list[int] | None:
    """All downsets as bit sets, smaller ones first; None if they are more than `most`."""
    before = [0] * len(line)
    for unit, others in enumerate(line):
        for other in others:
            before[other] |= 1 << unit
    found = {0: None}
    layer = [(0, _free(0, before, range(len(line))))]
    while layer:
        grown: dict[int, list[int]] = {}
        for downset, free in layer:
            for unit in free:
                larger = downset | 1 << unit
                if larger not in grown:
                    candidates = [*line[unit], *(each for each in free if each != unit)]
                    grown[larger] = _free(larger, before, candidates)
        found.update(dict.fromkeys(grown))
        if len(found) > most:
            return None
        layer = list(grown.items())
    return list(found)


def _free(downset: int, before: Sequence[int], units: Sequence[int]) -> list[int]:
    return [unit for unit in units if not before[unit] & ~downset]


Steps = tuple["Ints", "Floats"]


@dataclass
class Lattice:
    """The downsets of a problem, by ascending work, with what segments cost."""

    problem: Problem
    masks: Sequence[int]
    limit: float
    _steps: dict[tuple[int, int], Steps] = field(
        default_factory=dict[tuple[int, int], "Steps"]
    )

    @cached_property
    def members(self) -> NDArray[np.uint8]:
        """Which unit (row) is in which downset (column)."""
        import numpy as np

        width = (self.problem.count + 7) // 8
        raw = b"".join(mask.to_bytes(width, "little") for mask in self.masks)
        packed = np.frombuffer(raw, dtype=np.uint8).reshape(len(self.masks), width)
        bits = np.unpackbits(packed, axis=1, bitorder="little")
        return np.ascontiguousarray(bits[:, : self.problem.count].T)

    @cached_property
    def words(self) -> list[NDArray[np.uint64]]:
        """The bit sets, 64 units at a time."""
        import numpy as np

        full = (1 << 64) - 1
        count = (self.problem.count + 63) // 64
        return [
            np.asarray([mask >> 64 * at & full for mask in self.masks], dtype=np.uint64)
            for at in range(count)
        ]

    def _sum(self, amounts: Sequence[float]) -> Floats:
        import numpy as np

        return np.asarray(amounts, dtype=float) @ self.members.astype(float)

    @cached_property
    def work(self) -> list[Floats]:
        """By class the time of each downset, without what the class cannot run."""
        return [
            self._sum([time if time < INFINITE else 0.0 for time in times])
            for times in self.problem.seconds
        ]

    @cached_property
    def closed(self) -> list[Floats]:
        """By class the number of units in each downset that the class cannot run."""
        return [
            self._sum([float(time == INFINITE) for time in times])
            for times in self.problem.seconds
        ]

    @cached_property
    def held(self) -> Floats:
        """The memory of each downset."""
        return self._sum(self.problem.memory)

    @cached_property
    def left(self) -> Floats:
        """The least time of all units that are not in each downset."""
        least = [min(times) for times in zip(*self.problem.seconds, strict=True)]
        return sum(least) - self._sum(least)

    @cached_property
    def points(self) -> NDArray[np.int16]:
        """How many points of each cut (row) are in each downset (column)."""
        import numpy as np

        found = np.zeros((len(self.problem.cuts), len(self.masks)), dtype=np.int16)
        for row, cut in enumerate(self.problem.cuts):
            found[row] = self.members[list(cut.points)].sum(axis=0)
        return found

    @cached_property
    def sizes(self) -> NDArray[np.int16]:
        """How many points each cut has, as a column."""
        import numpy as np

        sizes = [len(cut.points) for cut in self.problem.cuts]
        return np.asarray(sizes, dtype=np.int16)[:, None]

    @cached_property
    def costs(self) -> Floats:
        """The cost of each cut (column) for each class (row)."""
        import numpy as np

        costs = [cut.costs for cut in self.problem.cuts]
        return np.asarray(costs, dtype=float).reshape(len(costs), -1).T

    def steps(self, kind: int, start: int) -> Steps:
        """The downsets to which a device of a class can go on from one, with its load."""
        key = (kind, start)
        if key not in self._steps:
            self._steps[key] = self._find_steps(kind, start)
        return self._steps[key]

    def _find_steps(self, kind: int, start: int) -> Steps:
        import numpy as np

        work, closed = self.work[kind], self.closed[kind]
        room = self.held[start] + self.problem.usable[kind] * (1 + SLACK)
        kept = (work <= work[start] + self.limit) & (work >= work[start])
        kept &= (closed == closed[start]) & (self.held <= room)
        for word in self.words:
            kept &= word[start] & ~word == 0
        kept[start] = False
        ends = kept.nonzero()[0]
        inside = self.points[:, ends] - self.points[:, start, None]
        split = (inside > 0) & (inside < self.sizes)
        moving = self.costs[kind] @ split if len(self.sizes) else 0.0
        loads = np.maximum(work[ends] - work[start] + moving, 0.0)
        within = loads < self.limit
        return ends[within], loads[within]


def least_chain(
    problem: Problem, masks: Sequence[int], known: float
) -> tuple[float, list[int]] | None:
    """The least largest load below a known one, and the device of each unit.

    None if there is no value below `known` * (1 - 1e-10). Raises nothing; what memory
    or the classes forbid is no step.
    """
    import numpy as np

    lattice = Lattice(problem, masks, known * (1 - PRECISION))
    stages = Stages([len(members) for members in problem.classes])
    best = [np.full(len(masks), np.inf) for _ in stages.states]
    origin = [np.full(len(masks), -1) for _ in stages.states]
    best[0][0] = 0.0
    total = sum(stages.counts)
    for place, state in enumerate(stages.states):
        for kind, previous in stages.before(state):
            at = stages.index[previous]
            free = (total - sum(previous)) * lattice.limit
            _extend(lattice, kind, best[at], best[place], origin[place], free)
    if not best[-1][-1] < known:
        return None
    return float(best[-1][-1]), _walk_back(lattice, stages, best, origin)


def _extend(
    lattice: Lattice,
    kind: int,
    before: Floats,
    after: Floats,
    origin: Ints,
    free: float,
) -> None:
    """Improves what is reached by one more device of a class; it may stay empty."""
    import numpy as np

    idle = before < after
    after[idle] = before[idle]
    origin[idle] = idle.nonzero()[0]
    reached = (before < np.inf) & (lattice.left <= free)
    for start in reached.nonzero()[0].tolist():
        ends, loads = lattice.steps(kind, start)
        reach = np.maximum(loads, before[start])
        better = reach < after[ends]
        after[ends[better]] = reach[better]
        origin[ends[better]] = start


def _walk_back(
    lattice: Lattice,
    stages: Stages,
    best: Sequence[Floats],
    origin: Sequence[Ints],
) -> list[int]:
    devices = [-1] * lattice.problem.count
    state, end = stages.states[-1], len(lattice.masks) - 1
    while any(state):
        place = stages.index[state]
        start = int(origin[place][end])
        kind, previous = _last_device(lattice, stages, state, best, start, end)
        taken = lattice.masks[end] & ~lattice.masks[start]
        device = lattice.problem.classes[kind][previous[kind]]
        for unit in range(lattice.problem.count):
            if taken >> unit & 1:
                devices[unit] = device
        state, end = previous, start
    return devices


def _last_device(
    lattice: Lattice,
    stages: Stages,
    state: tuple[int, ...],
    best: Sequence[Floats],
    start: int,
    end: int,
) -> tuple[int, tuple[int, ...]]:
    value = best[stages.index[state]][end]
    for kind, previous in stages.before(state):
        before = best[stages.index[previous]][start]
        if start == end and before <= value:
            return kind, previous
        ends, loads = lattice.steps(kind, start)
        if before <= value and bool((loads[ends == end] <= value).any()):
            return kind, previous
    raise AssertionError("a downset that was reached was reached from somewhere")
