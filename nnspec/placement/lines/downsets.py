"""Contiguous placement on any graph: dynamic programming over its downsets.

A downset is a set of units with everything that may not stand behind them. Devices in a
line take up the graph in a chain of downsets, and each has the difference of two. Exact,
while the downsets are few enough to list (Tarnawski et al., NeurIPS 2020, section 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from nnspec.placement.lines.interval import PRECISION, Stages, State
from nnspec.placement.lines.line import SLACK
from nnspec.placement.problem import INFINITE, Problem
from nnspec.records import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

MOST_DOWNSETS = 40_000
WHOLE = 2**52
ROUNDED = 1e-10
"""The share of all work by which it may be counted wrong."""


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


@dataclass
class Lattice:
    """The downsets of a problem, by ascending work, with what segments cost.

    Work is counted at the least time of each unit, on whichever class. No segment with
    a load of `limit` or more is looked at.
    """

    problem: Problem
    masks: Sequence[int]
    limit: float

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

    def _sum(self, amounts: Iterable[float]) -> Floats:
        import numpy as np

        found = np.zeros(len(self.masks))
        for amount, row in zip(amounts, self.members, strict=True):
            if amount:
                found += amount * row
        return found

    def by_work(self) -> Lattice:
        """The same, so that none stands before another one that it has in it."""
        import numpy as np

        sizes = np.asarray([mask.bit_count() for mask in self.masks])
        order: list[int] = np.lexsort((sizes, self.least)).tolist()
        masks = [self.masks[place] for place in order]
        return Lattice(self.problem, masks, self.limit)

    @cached_property
    def least(self) -> Floats:
        """The work of each downset, in steps so small and whole that sums are exact."""
        import numpy as np

        seconds = np.asarray(least_seconds(self.problem), dtype=float)
        step = float(seconds.sum()) / WHOLE or 1.0
        return self._sum(np.floor(seconds / step).tolist()) * step

    @cached_property
    def seconds(self) -> list[Floats]:
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
    def shares(self) -> list[float]:
        """By class the most work that a device does in a second."""
        least = least_seconds(self.problem)
        return [
            max(
                (1.0 if not time else work / time)
                for work, time in zip(least, times, strict=True)
            )
            for times in self.problem.seconds
        ]

    @cached_property
    def points(self) -> NDArray[np.int16]:
        """How many points of each cut (row) are in each downset (column)."""
        import numpy as np

        found = np.zeros((len(self.problem.cuts), len(self.masks)), dtype=np.int16)
        for row, cut in enumerate(self.problem.cuts):
            found[row] = self.members[list(cut.points)].sum(axis=0)
        return found

    @cached_property
    def open(self) -> list[Floats]:
        """By class the costs of the cuts that have points both in a downset and behind it."""
        import numpy as np

        found = [np.zeros(len(self.masks)) for _ in self.problem.classes]
        for points, cut in zip(self.points, self.problem.cuts, strict=True):
            divided = (points > 0) & (points < len(cut.points))
            for costs, cost in zip(found, cut.costs, strict=True):
                if cost:
                    costs += cost * divided
        return found

    @cached_property
    def total(self) -> float:
        """All work."""
        return sum(least_seconds(self.problem))

    def at_least(self, work: float) -> int:
        """The first downset with so much work, rounding errors forgiven."""
        slack = ROUNDED * self.total
        return int(self.least.searchsorted(work - slack, "left"))

    def work_of(self, kind: int, seconds: float) -> float:
        """The most work that a device of a class does in some time."""
        share = self.shares[kind]
        return share * seconds if share else 0.0

    def steps(self, kind: int, start: int, first: int) -> tuple[Ints, Floats]:
        """The downsets from `first` on to which a device of a class can go on from one,
        with its load.
        """
        import numpy as np

        most = float(self.least[start]) + self.work_of(kind, self.limit)
        first = max(first, start + 1)
        window = slice(first, max(first, self._behind(most)))
        least = self.seconds[kind][window] + self._least_moving(kind, start, window)
        kept = least < self.seconds[kind][start] + self.limit * (1 + SLACK)
        room = self.held[start] + self.problem.usable[kind] * (1 + SLACK)
        kept &= self.closed[kind][window] == self.closed[kind][start]
        kept &= self.held[window] <= room
        ends = self._supersets(start, kept.nonzero()[0] + first)
        loads = self.seconds[kind][ends] - self.seconds[kind][start]
        loads += self._moving(kind, start, ends)
        within = loads < self.limit
        return ends[within], np.maximum(loads[within], 0.0)

    def _least_moving(self, kind: int, start: int, window: slice) -> Floats:
        """What a device moves at least, by the costs of what is open at its two ends.

        Cuts that are open at its end and were not at its start are moved, and so are
        those that were open at its start and are not any more.
        """
        import numpy as np

        return np.abs(self.open[kind][window] - self.open[kind][start])

    def _supersets(self, start: int, ends: Ints) -> Ints:
        for word in self.words:
            if word[start]:
                ends = ends[word[start] & ~word[ends] == 0]
        return ends

    def _behind(self, work: float) -> int:
        slack = ROUNDED * self.total
        return int(self.least.searchsorted(work + slack, "right"))

    def _moving(self, kind: int, start: int, ends: Ints) -> Floats:
        """What is moved by a device that has the units between two downsets.

        A cut that is not open at the start is moved if it is open at the end; one that
        is, if the device has any of its points.
        """
        found = self.open[kind][ends]
        for cut in self._open_at(start):
            cost = self.problem.cuts[cut].costs[kind]
            if cost:
                inside = self.points[cut][ends]
                found += cost * (inside > self.points[cut, start])
                found -= cost * (inside < len(self.problem.cuts[cut].points))
        return found

    def _open_at(self, downset: int) -> list[int]:
        """The cuts that have points both in a downset and behind it."""
        inside = self.points[:, downset]
        divided: Ints = ((inside > 0) & (inside < self._sizes)).nonzero()[0]
        return divided.tolist()

    @cached_property
    def _sizes(self) -> NDArray[np.int16]:
        import numpy as np

        sizes = [len(cut.points) for cut in self.problem.cuts]
        return np.asarray(sizes, dtype=np.int16)


def least_seconds(problem: Problem) -> list[float]:
    """The least time of each unit."""
    return [min(times) for times in zip(*problem.seconds, strict=True)]


def least_chain(
    problem: Problem, masks: Sequence[int], known: float
) -> tuple[float, list[int]] | None:
    """The least largest load below a known one, and the device of each unit.

    None if there is no value below `known` * (1 - 1e-10). Raises nothing; what memory
    or the classes forbid is no step.
    """
    lattice = Lattice(problem, masks, known * (1 - PRECISION))
    search = _Search(lattice.by_work())
    for start in range(len(masks)):
        search.extend(start)
    value = float(search.best[-1].min())
    return (value, search.walk_back()) if value < known else None


class _Search:
    """The least largest load with which each downset is reached, for each way to use up
    devices of the classes (a column; `Stages`).

    What is left must be little enough for the devices that are left.
    """

    def __init__(self, lattice: Lattice) -> None:
        import numpy as np

        self.lattice = lattice
        counts = [len(members) for members in lattice.problem.classes]
        self.stages = Stages(counts)
        shape = len(lattice.masks), len(self.stages.states)
        self.best = np.full(shape, np.inf)
        self.origin = np.full(shape, -1, dtype=np.int32)
        self.best[0, 0] = 0.0

    @cached_property
    def first(self) -> Ints:
        """For each state the first downset whose rest the devices left could do."""
        import numpy as np

        lattice, total = self.lattice, self.lattice.total
        firsts: list[int] = []
        for state in self.stages.states:
            left = zip(self.stages.counts, state, strict=True)
            work = sum(
                lattice.work_of(kind, (count - used) * lattice.limit)
                for kind, (count, used) in enumerate(left)
                if count > used
            )
            firsts.append(lattice.at_least(total - work))
        return np.asarray(firsts)

    @cached_property
    def moves(self) -> list[tuple[Ints, Ints]]:
        """By class the states before and after one more device of it."""
        import numpy as np

        pairs: list[list[tuple[int, int]]] = [[] for _ in self.stages.counts]
        for place, state in enumerate(self.stages.states):
            for kind, previous in self.stages.before(state):
                pairs[kind].append((self.stages.index[previous], place))
        arrays = [np.asarray(each, dtype=np.int64).reshape(-1, 2) for each in pairs]
        return [(each[:, 0], each[:, 1]) for each in arrays]

    def reached(self, place: int) -> Floats:
        """The least load of a downset in each state, when devices may stay empty."""
        import numpy as np

        row = self.best[place]
        if self.stages.fixed:
            return np.minimum.accumulate(row)
        grid = row.reshape([count + 1 for count in self.stages.counts])
        for axis in range(grid.ndim):
            grid = np.minimum.accumulate(grid, axis=axis)
        return grid.reshape(-1)

    def extend(self, start: int) -> None:
        """Improves what is reached from a downset by one more device."""
        reached = self.reached(start)
        useful = (reached < self.lattice.limit) & (self.first <= start)
        if not useful.any():
            return
        for kind, (before, after) in enumerate(self.moves):
            chosen = useful[before]
            if chosen.any():
                self._extend(kind, start, reached[before[chosen]], after[chosen])

    def _extend(self, kind: int, start: int, reached: Floats, states: Ints) -> None:
        import numpy as np

        firsts: list[int] = self.first[states].tolist()
        ends, loads = self.lattice.steps(kind, start, min(firsts))
        for state, first, value in zip(
            states.tolist(), firsts, reached.tolist(), strict=True
        ):
            far = int(ends.searchsorted(first))
            goal, reach = ends[far:], np.maximum(loads[far:], value)
            better = reach < self.best[goal, state]
            self.best[goal[better], state] = reach[better]
            self.origin[goal[better], state] = start

    def walk_back(self) -> list[int]:
        """The device of each unit, in the best chain to the downset of all."""
        problem, masks = self.lattice.problem, self.lattice.masks
        devices = [-1] * problem.count
        state, end = self.stages.states[-1], len(masks) - 1
        while end:
            state = self._used(state, end)
            start = int(self.origin[end, self.stages.index[state]])
            kind, state = self._last(state, start, end)
            device = problem.classes[kind][state[kind]]
            taken = masks[end] & ~masks[start]
            for unit in range(problem.count):
                if taken >> unit & 1:
                    devices[unit] = device
            end = start
        return devices

    def _used(self, state: State, end: int) -> State:
        """The state without the devices that stayed empty."""
        value = self.reached(end)[self.stages.index[state]]
        return next(
            other
            for place, other in enumerate(self.stages.states)
            if self.best[end, place] <= value
            and all(one <= most for one, most in zip(other, state, strict=True))
        )

    def _last(self, state: State, start: int, end: int) -> tuple[int, State]:
        """The class of the device that went from one downset to another."""
        value = self.best[end, self.stages.index[state]]
        for kind, previous in self.stages.before(state):
            ends, loads = self.lattice.steps(kind, start, end)
            load = loads[ends == end]
            before = self.reached(start)[self.stages.index[previous]]
            if len(load) and max(before, float(load[0])) <= value:
                return kind, previous
        raise AssertionError("a downset that was reached was reached from somewhere")
