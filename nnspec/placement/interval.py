"""Contiguous placement of units in a line: exact for that line.

Dynamic programming over positions and over how many devices of each class are used up,
as a test whether a load limit can be kept, inside a search for the least such limit.
What can be reached is confined first by two relaxed passes from either end, in which
every position up to the furthest one counts as reached; near the least limit, that
leaves few positions for the exact pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING

from nnspec.placement.folding import Fold, Stretch, Stretches
from nnspec.placement.line import SLACK, Line
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.placement.line import Ints

MOST_STATES = 2048
CHUNK = 64
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

    def before(self, state: State) -> Iterator[tuple[int, State]]:
        """The classes whose device may have been the last, and the state before it."""
        for kind, used in enumerate(state):
            previous = (*state[:kind], used - 1, *state[kind + 1 :])
            if used and previous in self.index:
                yield kind, previous


Segments = tuple[tuple[int, int, int], ...]


def least_limit(
    line: Line, counts: Sequence[int], floor: float, fold: Fold | None = None
) -> Found | None:
    """The least load limit of a line; None if memory or the classes allow no division.

    `counts` are the devices of each class, `floor` is a proven lower bound, `fold` is
    the part of the line that repeats.
    """
    search = _Search(line, Stages(counts), Stretches(fold))
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
    def __init__(self, line: Line, stages: Stages, stretches: Stretches) -> None:
        self.line = line
        self.stages = stages
        self.stretches = stretches

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
        return None if reached is None else self._walk_back(limit, reached)

    def _furthest(self, limit: float) -> list[int]:
        """For each state a position that no division within the limit is beyond."""
        found = [0] * len(self.stages.states)
        for place, state in enumerate(self.stages.states):
            for kind, previous in self.stages.before(state):
                start = found[self.stages.index[previous]]
                found[place] = max(found[place], self._stretch(kind, start, limit))
        return found

    def _stretch(self, kind: int, start: int, limit: float) -> int:
        """The furthest end of a segment that starts at `start` or before it."""
        known = self.stretches.look_up(kind, True, start, limit)
        if known is not None:
            return known
        return self.stretches.note(
            kind, True, start, self._stretched(kind, start, limit)
        )

    def _stretched(self, kind: int, start: int, limit: float) -> Stretch:
        import numpy as np

        last = self.line.last(kind, start, limit)
        # One more unit was looked at to know that it is too much.
        behind, row = last + 1 - start, start
        while last > start:
            columns = np.arange(max(start + 1, last - CHUNK + 1), last + 1)
            first = self.line.first(kind, int(columns[0]), limit)
            row = min(first, start)
            loads = self.line.block(kind, np.arange(row, start + 1), columns)
            kept = (loads.min(axis=0) <= limit).nonzero()[0]
            if len(kept):
                length = int(columns[kept[-1]]) - start
                return Stretch(length, start - row + 1, behind)
            last = int(columns[0]) - 1
        return Stretch(0, start - row + 1, behind)

    def _nearest(self, limit: float) -> list[int]:
        """For each state a position that the rest of the devices can do no less from."""
        found = [self.line.count] * len(self.stages.states)
        for place in reversed(range(len(self.stages.states))):
            for kind, previous in self.stages.before(self.stages.states[place]):
                at = self.stages.index[previous]
                found[at] = min(
                    found[at], self._stretch_back(kind, found[place], limit)
                )
        return found

    def _stretch_back(self, kind: int, end: int, limit: float) -> int:
        """The nearest start of a segment that ends at `end` or behind it."""
        known = self.stretches.look_up(kind, False, end, limit)
        if known is not None:
            return known
        return self.stretches.note(
            kind, False, end, self._stretched_back(kind, end, limit)
        )

    def _stretched_back(self, kind: int, end: int, limit: float) -> Stretch:
        import numpy as np

        first = self.line.first(kind, end, limit)
        before, column = end - first + 1, end
        while first < end:
            rows = np.arange(first, min(end - 1, first + CHUNK - 1) + 1)
            last = self.line.last(kind, int(rows[-1]), limit)
            column = max(last, end)
            loads = self.line.block(kind, rows, np.arange(end, column + 1))
            kept = (loads.min(axis=1) <= limit).nonzero()[0]
            if len(kept):
                length = int(rows[kept[0]]) - end
                return Stretch(length, before, column + 1 - end)
            first = int(rows[-1]) + 1
        return Stretch(0, before, column + 1 - end)

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
                    hit |= np.isin(columns, rows)
                    hit |= self._any_within(kind, rows, columns, limit)
            reached.append(columns[hit])
        return reached if self.line.count in reached[-1] else None

    def _any_within(self, kind: int, rows: Ints, columns: Ints, limit: float) -> Ints:
        import numpy as np

        hit = np.zeros(len(columns), dtype=bool)
        step = max(1, 2_000_000 // len(columns))
        for start in range(0, len(rows), step):
            loads = self.line.block(kind, rows[start : start + step], columns)
            hit |= (loads <= limit).any(axis=0)
        return hit

    def _walk_back(self, limit: float, reached: Sequence[Ints]) -> Segments:
        end, state = self.line.count, self.stages.states[-1]
        segments: list[tuple[int, int, int]] = []
        while any(state):
            kind, state, start = self._step_back(limit, reached, state, end)
            if start < end:
                segments.append((kind, start, end))
            end = start
        return tuple(reversed(segments))

    def _step_back(
        self, limit: float, reached: Sequence[Ints], state: State, end: int
    ) -> tuple[int, State, int]:
        import numpy as np

        for kind, previous in self.stages.before(state):
            rows = reached[self.stages.index[previous]]
            if end in rows:
                return kind, previous, end
            if len(rows):
                loads = self.line.block(kind, rows, np.asarray([end]))[:, 0]
                best = int(loads.argmin())
                if loads[best] <= limit:
                    return kind, previous, int(rows[best])
        raise AssertionError("a position that was reached was reached from somewhere")
