"""How far segments of a line go within a load limit, from all positions at once.

The load of a segment [i, j) is a term for i and one for j, less the cost of each *span*
(l, h] of a cut with l < i and j <= h: of the whole cut, which i and j both cross, and of
each part of it between neighbouring points, where the segment has none of them. Without
spans the furthest j is found by bisection among the least terms of all positions behind.
Short spans matter only to segments shorter than they are, whose loads are kept; a few
long ones give terms for j that hold for the positions i between their beginnings.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from nnspec.placement.lines.line import SLACK, Line
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.placement.lines.line import Floats, Ints, Truths

LONG = 64
"""Spans of more positions are long, unless too many are."""
MOST_LONG = 32
MOST_ENTRIES = 4_000_000
"""Of so many short segments corrections are kept; spans are long at the latest beyond."""
ROUNDING = 4e-15
"""Of the sum of all loads: by so much the loads of other formulas may be off."""


@dataclass(frozen=True)
class Side:
    """A line looked at from one of its ends; what its members are, `Line` says.

    `caps[c][i]` is the last end of a segment from i that memory and the class allow.
    Spans are `low`, `high` and, by class, `costs`.
    """

    work: list[Floats]
    crossing: list[Floats]
    caps: list[Ints]
    low: Ints
    high: Ints
    costs: list[Floats]


class Tables:
    """For all positions of a line how far segments go, within one limit after the other."""

    def __init__(self, line: Line, shortest: int) -> None:
        self.line = line
        self.shortest = shortest

    @staticmethod
    def of(line: Line) -> Tables | None:
        """The tables of a line; None if it has too many long spans."""
        low, high, _ = spans(line)
        lengths = high - low
        for most in (LONG, MOST_ENTRIES // (len(line.work) * (line.count + 1))):
            if int((lengths > most).sum()) <= MOST_LONG:
                return Tables(line, int(lengths[lengths <= most].max(initial=1)))
        return None

    def ahead(self, kind: int, starts: Ints, limit: float) -> Ints:
        """The furthest ends of segments that start at each of some positions or before."""
        return self._forth.table(kind, limit)[starts]

    def back(self, kind: int, ends: Ints, limit: float) -> Ints:
        """The nearest starts of segments that end at each of some positions or behind."""
        count = self.line.count
        return count - self._back.table(kind, limit)[count - ends]

    def hits(self, kind: int, rows: Ints, columns: Ints, limit: float) -> Truths:
        """For each of `columns` whether a segment from one of `rows` ends there. Both ascend."""
        import numpy as np

        hit = np.zeros(len(columns), dtype=bool)
        firsts = self._firsts[kind][columns]
        for zone in self._forth.zones[kind]:
            start, end = np.searchsorted(rows, (zone.first, zone.end))
            if start < end:
                before = rows[start:end]
                terms = self.line.crossing[kind][before] - self.line.work[kind][before]
                starts = _Starts(before, terms, zone.behind)
                hit |= starts.least(firsts, columns - self.shortest, columns) <= limit
                for length in starts.lengths(columns, self.shortest):
                    saved = self._forth.short[kind][:, length]
                    hit |= starts.short(firsts, columns, length, saved) <= limit
        return hit

    @cached_property
    def _firsts(self) -> list[Ints]:
        """By class, for each end the first start that memory and the class surely allow."""
        import numpy as np

        line = self.line
        found: list[Ints] = []
        for usable, closed in zip(line.usable, line.closed, strict=True):
            room = usable * (1 + SLACK / 2)
            by_memory = np.searchsorted(line.held, line.held - room, "left")
            by_class = np.searchsorted(closed, closed, "left")
            found.append(np.maximum(by_memory, by_class).astype(np.int64))
        return found

    @cached_property
    def _forth(self) -> _Reach:
        return _Reach(_forth(self.line), self.shortest)

    @cached_property
    def _back(self) -> _Reach:
        return _Reach(_back(self.line), self.shortest)


def spans(line: Line) -> tuple[Ints, Ints, Ints]:
    """The spans of all cuts that segments can lie in: their ends, and their cuts."""
    import numpy as np

    if not len(line.low):
        none = np.zeros(0, dtype=np.int64)
        return none, none, none
    cuts = np.arange(len(line.low))
    points = np.concatenate(line.points)
    of = np.repeat(cuts, [len(each) for each in line.points])
    inner = (of[1:] == of[:-1]).nonzero()[0]
    low = np.concatenate((line.low, points[inner]))
    high = np.concatenate((line.high, points[inner + 1]))
    long = (high - low > 1).nonzero()[0]
    return low[long], high[long], np.concatenate((cuts, of[inner]))[long]


def _forth(line: Line) -> Side:
    low, high, cuts = spans(line)
    return Side(
        work=line.work,
        crossing=line.crossing,
        caps=[_cap(line, kind) for kind in range(len(line.work))],
        low=low,
        high=high,
        costs=[each[cuts] for each in line.costs],
    )


def _cap(line: Line, kind: int) -> Ints:
    """For each start the last end that memory and the class allow."""
    import numpy as np

    room = line.usable[kind] * (1 + 2 * SLACK)
    by_memory = np.searchsorted(line.held, line.held + room, "right")
    by_class = np.searchsorted(line.closed[kind], line.closed[kind], "right")
    return np.minimum(by_memory, by_class).astype(np.int64) - 1


def _back(line: Line) -> Side:
    """The line from its other end: position i is position n - i."""
    import numpy as np

    forth, count = _forth(line), line.count
    places = np.arange(count + 1)
    first = [np.searchsorted(each, places, "left") for each in forth.caps]
    return Side(
        work=[each[-1] - each[::-1] for each in forth.work],
        crossing=[each[::-1] for each in forth.crossing],
        caps=[count - each[::-1].astype(np.int64) for each in first],
        low=count - forth.high - 1,
        high=count - forth.low - 1,
        costs=forth.costs,
    )


class _Reach:
    """One side of a line, with what is known of it for one limit after the other."""

    def __init__(self, side: Side, shortest: int) -> None:
        self.side = side
        self.count = len(side.caps[0]) - 1
        self.shortest = shortest
        self.zones = [self._zones(kind) for kind in range(len(side.work))]
        self.limit: float | None = None
        self._tables: dict[int, Ints] = {}

    def _zones(self, kind: int) -> list[_Zone]:
        """The positions between the beginnings of long spans."""
        import numpy as np

        side, places = self.side, np.arange(self.count + 1)
        long = side.high - side.low > self.shortest
        order = np.argsort(side.low[long], kind="stable")
        low, high = side.low[long][order], side.high[long][order]
        behind = side.work[kind] + side.crossing[kind]
        found: list[_Zone] = []
        first = 0
        for start, end, cost in zip(
            low, high, side.costs[kind][long][order], strict=True
        ):
            if start >= first:
                found.append(_Zone(first, int(start) + 1, behind))
                first = int(start) + 1
            behind = behind - np.where(places <= end, cost, 0.0)
        return [*found, _Zone(first, self.count + 1, behind)]

    @cached_property
    def short(self) -> list[Floats]:
        """By class, for each start i and d below the shortest, what short spans take off [i, i + d)."""
        import numpy as np

        side, width = self.side, self.shortest
        short = (side.high - side.low <= width).nonzero()[0]
        rows, columns = side.low[short] + 1, (side.high - side.low)[short] - 1
        found: list[Floats] = []
        for costs in side.costs:
            saved = np.zeros((self.count + 1, width + 1))
            np.add.at(saved, (rows, columns), costs[short])
            # A span counts for all segments within it: of its end or before, of its
            # start or behind.
            saved = np.cumsum(saved[:, ::-1], axis=1)[:, ::-1].copy()
            for length in reversed(range(width)):
                saved[1:, length] += saved[:-1, length + 1]
            found.append(saved)
        return found

    def table(self, kind: int, limit: float) -> Ints:
        """For each position the furthest end of a segment that starts there or before."""
        import numpy as np

        if limit != self.limit:
            self.limit = limit
            self._tables.clear()
        if kind not in self._tables:
            parts = [self._ends(kind, zone, limit) for zone in self.zones[kind]]
            self._tables[kind] = np.maximum.accumulate(np.concatenate(parts))
        return self._tables[kind]

    def _ends(self, kind: int, zone: _Zone, limit: float) -> Ints:
        """For the positions of a zone the furthest end of a segment that starts there."""
        import numpy as np

        side = self.side
        rows = np.arange(zone.first, zone.end)
        caps = side.caps[kind][zone.first : zone.end]
        before = side.crossing[kind][rows] - side.work[kind][rows]
        rounding = ROUNDING * float(zone.behind.max())
        room = limit * (1 + ROUNDING) + rounding - before
        ends = np.searchsorted(zone.least, room, "right").astype(np.int64) - 1
        over = (ends > caps).nonzero()[0]
        ends[over] = zone.last(caps[over], room[over])
        ends = np.maximum(ends, rows)
        if self.shortest > 1:
            short = (ends < np.minimum(rows + self.shortest, caps)).nonzero()[0]
            if len(short):
                found = self._short_ends(kind, zone, rows[short], room[short])
                ends[short] = np.maximum(ends[short], found)
        return ends

    def _short_ends(self, kind: int, zone: _Zone, rows: Ints, room: Floats) -> Ints:
        """The furthest ends within the reach of short spans; `rows` where there is none."""
        import numpy as np

        caps, saved = self.side.caps[kind][rows], self.short[kind]
        found = rows.copy()
        for length in range(1, self.shortest):
            ends = np.minimum(rows + length, self.count)
            kept = zone.behind[ends] - saved[rows, length] <= room
            found = np.where(kept & (rows + length <= caps), rows + length, found)
        return found


class _Zone:
    """The positions from `first` to before `end`, for which the terms `behind` hold."""

    def __init__(self, first: int, end: int, behind: Floats) -> None:
        import numpy as np

        self.first = first
        self.end = end
        self.behind = behind
        self.least: Floats = np.minimum.accumulate(behind[::-1])[::-1].copy()

    @cached_property
    def _windows(self) -> list[Floats]:
        return _windows(self.behind)

    def last(self, caps: Ints, room: Floats) -> Ints:
        """The last positions up to each cap whose term has room; -1 where there is none."""
        found = caps.copy()
        left = (self.behind[found] > room).nonzero()[0]
        for power in reversed(range(len(self._windows) if len(left) else 0)):
            at = found[left]
            none = (at >= 0) & (self._windows[power][at] > room[left])
            found[left[none]] = at[none] - (1 << power)
            found[found < 0] = -1
        return found


@dataclass(frozen=True)
class _Starts:
    """Where segments may start within a zone: ascending `rows`, and their `terms`."""

    rows: Ints
    terms: Floats
    behind: Floats

    def least(self, firsts: Ints, lasts: Ints, ends: Ints) -> Floats:
        """The least loads of segments to some ends, without what short spans take off, from
        rows between first and last ones; infinite where there is no such row.
        """
        import numpy as np

        start = np.searchsorted(self.rows, firsts, "left")
        count = np.searchsorted(self.rows, lasts, "right") - start
        found = np.full(len(ends), np.inf)
        some = (count > 0).nonzero()[0]
        if len(some):
            windows = np.asarray(_windows(self.terms))
            power = np.log2(count[some]).astype(np.int64)
            one = windows[power, start[some] + (1 << power) - 1]
            other = windows[power, start[some] + count[some] - 1]
            found[some] = np.minimum(one, other) + self.behind[ends[some]]
        return found

    def lengths(self, ends: Ints, shortest: int) -> range:
        """The lengths of segments below the shortest that there may be."""
        least = max(1, int(ends[0] - self.rows[-1]))
        return range(least, min(shortest, int(ends[-1] - self.rows[0]) + 1))

    def short(self, firsts: Ints, ends: Ints, length: int, saved: Floats) -> Floats:
        """The loads of the segments of a length to some ends; infinite where there is none."""
        import numpy as np

        starts = ends - length
        places = np.minimum(np.searchsorted(self.rows, starts), len(self.rows) - 1)
        there = (self.rows[places] == starts) & (starts >= firsts)
        loads = self.terms[places] + self.behind[ends] - saved[np.maximum(starts, 0)]
        return np.where(there, loads, np.inf)


def _windows(terms: Floats) -> list[Floats]:
    """For each position the least of the 1, 2, 4, ... terms that end there."""
    import numpy as np

    found = [terms]
    while 1 << len(found) <= len(terms):
        last, half = found[-1], 1 << (len(found) - 1)
        wider = last.copy()
        np.minimum(last[half:], last[:-half], out=wider[half:])
        found.append(wider)
    return found
