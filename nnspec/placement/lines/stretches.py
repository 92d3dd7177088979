"""How far segments of a line go within a load limit, from one position after the other.

Loads are looked at from the furthest end back until one keeps the limit. Any line can be
searched like this, and where it repeats, little of it is (`nnspec.placement.lines.folding`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnspec.placement.lines.folding import Fold, Stretch, Stretches
from nnspec.placement.lines.line import Line

if TYPE_CHECKING:
    from nnspec.placement.lines.line import Ints, Truths

CHUNK = 64
MOST_LOADS = 2_000_000
"""So many are computed at once."""


class Steps:
    """For single positions of a line how far segments go, within one limit after the other."""

    def __init__(self, line: Line, fold: Fold | None) -> None:
        self.line = line
        self.stretches = Stretches(fold)

    def ahead(self, kind: int, starts: Ints, limit: float) -> Ints:
        """The furthest ends of segments that start at each of some positions or before."""
        import numpy as np

        ends = [self._stretch(kind, start, limit) for start in starts.tolist()]
        return np.asarray(ends, dtype=np.int64)

    def back(self, kind: int, ends: Ints, limit: float) -> Ints:
        """The nearest starts of segments that end at each of some positions or behind."""
        import numpy as np

        starts = [self._stretch_back(kind, end, limit) for end in ends.tolist()]
        return np.asarray(starts, dtype=np.int64)

    def hits(self, kind: int, rows: Ints, columns: Ints, limit: float) -> Truths:
        """For each of `columns` whether a segment from one of `rows` ends there."""
        import numpy as np

        hit = np.zeros(len(columns), dtype=bool)
        step = max(1, MOST_LOADS // len(columns))
        for start in range(0, len(rows), step):
            loads = self.line.block(kind, rows[start : start + step], columns)
            hit |= (loads <= limit).any(axis=0)
        return hit

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
