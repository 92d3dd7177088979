"""Contiguous placement of units in a line: exact for that line.

Dynamic programming over positions and over how many devices of each class are used up,
as a test whether a load limit can be kept, inside a search for the least such limit.
What can be reached is confined first by two relaxed passes from either end, in which
every position up to the furthest one counts as reached; near the least limit, that
leaves few positions for the exact pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Protocol

from nnspec.placement.lines.line import SLACK, Line
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.placement.lines.line import Ints, Truths

MOST_STATES = 2048
NEAR = 256
"""How many of the furthest positions are tried before all of them."""
PRECISION = 1e-10
"""The share of the least limit within which the search ends."""
RELAXED_STEP = 1e-3
"""The first step by which a limit grows that is too small."""

State = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The least load limit for a line, and who takes which segment.

    `segments` are (class, start, end) along the line. No division of this line among
    these devices, in this order of them if `fixed`, keeps a limit below `bound`.
    """

    value: float
    bound: float
    segments: tuple[tuple[int, int, int], ...]
    fixed: bool


class Stages:
    """How many devices of each class can be used up, step by step.

    All orders of the devices are tried where those are few enough; otherwise the
    classes stand in their given order.
    """

    def __init__(self, counts: Sequence[int]) -> None:
        self.counts = tuple(counts)
        states = 1
        for count in counts:
            states *= count + 1
        self.fixed = states > MOST_STATES
        self.states = list(self._in_turn() if self.fixed else self._all())
        self.index = {state: place for place, state in enumerate(self.states)}

    def _all(self) -> Iterator[State]:
        return product(*(range(count + 1) for count in self.counts))

    def _in_turn(self) -> Iterator[State]:
        used = [0] * len(self.counts)
        yield tuple(used)
        for kind, count in enumerate(self.counts):
            for _ in range(count):
                used[kind] += 1
                yield tuple(used)

    @cached_property
    def steps(self) -> list[tuple[int, Ints, Ints]]:
        """Steps that use up one more device of a class: the class, and the places of all
        states before and behind. What leads to a state stands in front of what it leads to.
        """
        import numpy as np

        found: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
        for place, state in enumerate(self.states):
            for kind, previous in self.before(state):
                pairs = found.setdefault((sum(state), kind), ([], []))
                pairs[0].append(self.index[previous])
                pairs[1].append(place)
        return [
            (kind, np.asarray(found[used, kind][0]), np.asarray(found[used, kind][1]))
            for used, kind in sorted(found)
        ]

    def before(self, state: State) -> Iterator[tuple[int, State]]:
        """The classes whose device may have been the last, and the state before it."""
        for kind, used in enumerate(state):
            previous = (*state[:kind], used - 1, *state[kind + 1 :])
            if used and previous in self.index:
                yield kind, previous


Segments = tuple[tuple[int, int, int], ...]


class Reach(Protocol):
    """How far segments of a line go within a load limit, by the class of their device."""

    def ahead(self, kind: int, starts: Ints, limit: float) -> Ints:
        """The furthest ends of segments that start at each of some positions or before."""
        ...

    def back(self, kind: int, ends: Ints, limit: float) -> Ints:
        """The nearest starts of segments that end at each of some positions or behind."""
        ...

    def hits(self, kind: int, rows: Ints, columns: Ints, limit: float) -> Truths:
        """For each of `columns` whether a segment from one of `rows` ends there. Both ascend."""
        ...


def least_limit(
    line: Line, counts: Sequence[int], floor: float, reach: Reach
) -> Found | None:
    """The least load limit of a line; None if memory or the classes allow no division.

    `counts` are the devices of each class, `floor` is a proven lower bound, `reach` says
    how far segments of the line go.
    """
    search = _Search(line, Stages(counts), reach)
    if not search.is_possible():
        return None
    bound, limit = search.relaxed_limits(floor)
    best = search.first_division(limit)
    value = search.value(best)
    below = True
    while value - bound > PRECISION * value:
        # A good value is most often the least one: try that before halving.
        limit = value * (1 - PRECISION) if below else (bound + value) / 2
        segments = search.divide(limit)
        if segments is None:
            bound, below = limit, False
        else:
            best, below = segments, not below
            value = min(search.value(segments), limit)
    value = search.value(best)
    return Found(value, min(bound, value), best, search.stages.fixed)


class _Search:
    def __init__(self, line: Line, stages: Stages, reach: Reach) -> None:
        self.line = line
        self.stages = stages
        self.reach = reach

    def ceiling(self) -> float:
        """A load that no segment exceeds."""
        return max(
            float(work[-1] + costs.sum())
            for work, costs in zip(self.line.work, self.line.costs, strict=True)
        )

    def value(self, segments: Segments) -> float:
        """The largest load of a division."""
        return max((self._load(*segment) for segment in segments), default=0.0)

    def _load(self, kind: int, start: int, end: int) -> float:
        import numpy as np

        return float(
            self.line.block(kind, np.asarray([start]), np.asarray([end]))[0, 0]
        )

    def is_possible(self) -> bool:
        """Whether there is any division; without a limit, going furthest is best."""
        return self._furthest(float("inf"))[-1] == self.line.count

    def relaxed_limits(self, floor: float) -> tuple[float, float]:
        """A limit that no division keeps, or `floor`, and one just above it that the
        furthest positions do not rule out.
        """
        low, high, step = floor, floor * (1 + SLACK), RELAXED_STEP
        while not self._may_keep(high):
            low, high = high, high * (1 + step) or self.ceiling()
            step *= 2
        while high - low > PRECISION / 2 * high:
            middle = (low + high) / 2
            if self._may_keep(middle):
                high = middle
            else:
                low = middle
        return low, high

    def _may_keep(self, limit: float) -> bool:
        return self._furthest(limit)[-1] == self.line.count

    def first_division(self, bound: float) -> Segments:
        """A division with a limit not far above a bound, by the furthest positions."""
        for share in (0.0, 1e-9, 1e-4, 1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0):
            found = self.divide(bound * (1 + share), thorough=False)
            if found is not None:
                return found
        found = self.divide(self.ceiling())
        assert found is not None, "what is possible is possible below the ceiling"
        return found

    def divide(self, limit: float, thorough: bool = True) -> Segments | None:
        """A division that keeps a limit, or None if there is none.

        If not `thorough`, only the furthest positions are tried and None says less.
        """
        highest = self._furthest(limit)
        if highest[-1] < self.line.count:
            return None
        lowest = self._nearest(limit)
        near = [
            max(low, high - NEAR) for low, high in zip(lowest, highest, strict=True)
        ]
        reached = self._reach(limit, near, highest)
        if reached is None and thorough and near != lowest:
            reached = self._reach(limit, lowest, highest)
        return None if reached is None else self._walk_back(reached)

    def _furthest(self, limit: float) -> list[int]:
        """For each state a position that no division within the limit is beyond."""
        import numpy as np

        found = np.zeros(len(self.stages.states), dtype=np.int64)
        for kind, previous, reached in self.stages.steps:
            ends = self.reach.ahead(kind, found[previous], limit)
            found[reached] = np.maximum(found[reached], ends)
        return found.tolist()

    def _nearest(self, limit: float) -> list[int]:
        """For each state a position that the rest of the devices can do no less from."""
        import numpy as np

        found = np.full(len(self.stages.states), self.line.count)
        for kind, previous, reached in reversed(self.stages.steps):
            starts = self.reach.back(kind, found[reached], limit)
            found[previous] = np.minimum(found[previous], starts)
        return found.tolist()

    def _reach(
        self, limit: float, lowest: Sequence[int], highest: Sequence[int]
    ) -> list[Ints] | None:
        """The positions that are truly reached in each state, within the confines."""
        import numpy as np

        reached: list[Ints] = [np.zeros(1, dtype=np.int64)]
        for place, state in enumerate(self.stages.states[1:], start=1):
            columns = np.arange(lowest[place], highest[place] + 1)
            hit = np.zeros(len(columns), dtype=bool)
            for kind, previous in self.stages.before(state):
                rows = reached[self.stages.index[previous]]
                if len(rows) and len(columns):
                    hit[np.searchsorted(columns, rows[rows >= columns[0]])] = True
                    hit |= self.reach.hits(kind, rows, columns, limit)
            reached.append(columns[hit])
        return reached if self.line.count in reached[-1] else None

    def _walk_back(self, reached: Sequence[Ints]) -> Segments:
        end, state = self.line.count, self.stages.states[-1]
        segments: list[tuple[int, int, int]] = []
        while any(state):
            kind, state, start = self._step_back(reached, state, end)
            if start < end:
                segments.append((kind, start, end))
            end = start
        return tuple(reversed(segments))

    def _step_back(
        self, reached: Sequence[Ints], state: State, end: int
    ) -> tuple[int, State, int]:
        import numpy as np

        least, found = float("inf"), None
        for kind, previous in self.stages.before(state):
            rows = reached[self.stages.index[previous]]
            if end in rows:
                return kind, previous, end
            if len(rows):
                loads = self.line.block(kind, rows, np.asarray([end]))[:, 0]
                best = int(loads.argmin())
                if loads[best] < least:
                    least, found = loads[best], (kind, previous, int(rows[best]))
        assert found is not None, "what was reached was reached from somewhere"
        return found
