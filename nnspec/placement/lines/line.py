"""The loads of all segments of units that stand in a line, as numpy arrays.

A segment [i, j) has the units at the positions i to j - 1. A cut that spans the
boundary i costs the segment exactly once, and so does one that spans j; one that spans
both was then counted twice, and costs once if a point of it lies between, else nothing.
So a load is a sum of one term for i, one for j, and a correction that few cuts need.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from nnspec.placement.problem import INFINITE, Problem
from nnspec.records import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Truths = NDArray[np.bool_]

SLACK = 1e-12
"""Sums of floating-point numbers may exceed a limit by this share of it."""


@dataclass(frozen=True)
class Line:
    """Sums along an order of the units, by class of devices where they differ.

    `work[c][i]` is the time of all units before position i, `closed[c][i]` the number
    of those that cannot run on the class, `held[i]` their memory, `crossing[c][i]` the
    cost of the cuts that span i. `low`, `high` and `points` are the first, last and all
    positions of each cut, the widest cuts first.
    """

    work: list[Floats]
    closed: list[Ints]
    held: Floats
    usable: list[float]
    crossing: list[Floats]
    low: Ints
    high: Ints
    widths: Ints
    costs: list[Floats]
    points: list[Ints]

    @property
    def count(self) -> int:
        """How many units stand in the line."""
        return len(self.held) - 1

    def last(self, kind: int, start: int, limit: float) -> int:
        """The last j for which the units of [start, j) alone respect a load limit,
        the memory and what the class can run.
        """
        work, closed = self.work[kind], self.closed[kind]
        room = self.held[start] + self.usable[kind] * (1 + SLACK)
        return -1 + min(
            _position(work, work[start] + limit * (1 + SLACK), "right"),
            _position(closed, closed[start], "right"),
            _position(self.held, room, "right"),
        )

    def first(self, kind: int, end: int, limit: float) -> int:
        """The first i for which the units of [i, end) alone do."""
        work, closed = self.work[kind], self.closed[kind]
        room = self.held[end] - self.usable[kind] * (1 + SLACK)
        return max(
            _position(work, work[end] - limit * (1 + SLACK), "left"),
            _position(closed, closed[end], "left"),
            _position(self.held, room, "left"),
        )

    def block(self, kind: int, rows: Ints, columns: Ints) -> Floats:
        """The loads of the segments from each of `rows` to each of `columns`.

        Both ascend. What is no segment, or breaks a limit of memory or of the class,
        has an infinite load.
        """
        import numpy as np

        left = self.crossing[kind][rows] - self.work[kind][rows]
        right = self.crossing[kind][columns] + self.work[kind][columns]
        loads = left[:, None] + right[None, :]
        self._correct(loads, kind, rows, columns)
        held = self.held[columns][None, :] - self.held[rows][:, None]
        closed = self.closed[kind][columns][None, :] != self.closed[kind][rows][:, None]
        wrong = (rows[:, None] >= columns[None, :]) | closed
        wrong |= held > self.usable[kind] * (1 + SLACK)
        return np.where(wrong, np.inf, loads)

    def _correct(self, loads: Floats, kind: int, rows: Ints, columns: Ints) -> None:
        """Takes off what cuts that span both ends were counted too often."""
        costs = self.costs[kind]
        for cut in self._spanning(int(rows[-1]), int(columns[0])):
            if not costs[cut]:
                continue
            upper = rows[(rows > self.low[cut]) & (rows <= self.high[cut])]
            across = _position(columns, self.high[cut], "right")
            if not len(upper) or not across:
                continue
            start = _position(rows, upper[0], "left")
            points = self.points[cut]
            following = points[points.searchsorted(upper)]
            between = following[:, None] < columns[None, :across]
            part = loads[start : start + len(upper), :across]
            part -= costs[cut] * (2.0 - between)

    def _spanning(self, row: int, column: int) -> Sequence[int]:
        """The cuts that may span a position up to `row` and one from `column` on."""
        wide = _position(-self.widths, row - column - 1, "right")
        reach = (self.low[:wide] < row) & (self.high[:wide] >= column)
        return reach.nonzero()[0].tolist()


def line_of(problem: Problem, order: Sequence[int]) -> Line:
    """The sums of a problem along an order of its units."""
    import numpy as np

    at = np.empty(len(order), dtype=np.int64)
    at[np.asarray(order, dtype=np.int64)] = np.arange(len(order))
    seconds = [np.asarray(times)[list(order)] for times in problem.seconds]
    places = at.tolist()
    spread = [sorted(places[point] for point in cut.points) for cut in problem.cuts]
    by_width = sorted(range(len(spread)), key=lambda c: spread[c][0] - spread[c][-1])
    low = np.asarray([spread[cut][0] for cut in by_width], dtype=np.int64)
    high = np.asarray([spread[cut][-1] for cut in by_width], dtype=np.int64)
    costs = [
        np.asarray([problem.cuts[cut].costs[kind] for cut in by_width], dtype=float)
        for kind in range(len(problem.classes))
    ]
    return Line(
        work=[_before(np.where(each < INFINITE, each, 0.0)) for each in seconds],
        closed=[_before(each == INFINITE).astype(np.int64) for each in seconds],
        held=_before(np.asarray(problem.memory, dtype=float)[list(order)]),
        usable=problem.usable,
        crossing=[_crossing(len(order), low, high, each) for each in costs],
        low=low,
        high=high,
        widths=high - low,
        costs=costs,
        points=[np.asarray(spread[cut], dtype=np.int64) for cut in by_width],
    )


def _position(
    sums: Floats | Ints, amount: float, side: Literal["left", "right"]
) -> int:
    """Where an amount would stand among ascending sums."""
    import numpy as np

    found: Any = np.searchsorted(sums, amount, side)
    return int(found)


def _before(amounts: Floats) -> Floats:
    """The sum of all amounts before each position."""
    import numpy as np

    return np.concatenate(([0.0], np.cumsum(amounts)))


def _crossing(count: int, low: Ints, high: Ints, costs: Floats) -> Floats:
    """The cost of the cuts with `low` < i <= `high`, for each position i."""
    import numpy as np

    changes = np.zeros(count + 2)
    np.add.at(changes, low + 1, costs)
    np.subtract.at(changes, high + 1, costs)
    found = np.cumsum(changes)[: count + 1]
    return np.where(np.abs(found) < SLACK * costs.sum(), 0.0, found)
