"""Repeated blocks in a line: what was found out at one of them holds at all others.

A model of many equal blocks gives a line whose units repeat with a period. The load of
a segment within the repetition depends on where in the period it starts, and on its
length; so a solver needs to look at one period only, however often it is repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nnspec.placement.lines.line import Line
from nnspec.placement.problem import Problem
from nnspec.records import dataclass

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]

MOST_PERIODS = 64
"""How many periods are tried."""
LEAST_TURNS = 4
"""What is repeated less often is no repetition."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Segments that begin at `start` or later and end at `end` or before it have the same
    load when they are moved by `period`, as long as they stay in between.
    """

    start: int
    end: int
    period: int


def fold_of(problem: Problem, order: Sequence[int], line: Line) -> Fold | None:
    """The repetition around the middle of a line, or None."""
    import numpy as np

    kinds = _kinds(problem, order)
    middle, found = len(kinds) // 2, None
    later = (kinds[middle + 1 :] == kinds[middle]).nonzero()[0][:MOST_PERIODS] + 1
    for period in later.tolist():
        differs = (kinds[:-period] != kinds[period:]).nonzero()[0]
        at = int(np.searchsorted(differs, middle))
        first = int(differs[at - 1]) + 1 if at else 0
        last = int(differs[at]) if at < len(differs) else len(kinds) - period
        fold = _within(line, first, last + period, period)
        if found is None or fold.end - fold.start > found.end - found.start:
            found = fold
    if found is None or found.end - found.start < LEAST_TURNS * found.period:
        return None
    return found


def _kinds(problem: Problem, order: Sequence[int]) -> Ints:
    """A number for each position of a line, the same for units that are alike: in their
    times, their memory, and the cuts that begin there.
    """
    import numpy as np

    at = {unit: place for place, unit in enumerate(order)}
    begins: list[list[tuple[object, ...]]] = [[] for _ in order]
    for cut in problem.cuts:
        places = sorted([at[point] for point in cut.points])
        first = places[0]
        begins[first].append((cut.costs, *[place - first for place in places]))
    numbers: dict[tuple[object, ...], int] = {}
    found: list[int] = []
    for unit, cuts in zip(order, begins, strict=True):
        times = [row[unit] for row in problem.seconds]
        key = (problem.memory[unit], *times, *(sorted(cuts, key=repr) if cuts else ()))
        found.append(numbers.setdefault(key, len(numbers)))
    return np.asarray(found, dtype=np.int64)


def _within(line: Line, first: int, last: int, period: int) -> Fold:
    """The part of a repetition that no cut reaches that does not repeat."""
    before = line.high[line.low < first]
    inside = line.widths[(line.low >= first) & (line.low < last)]
    reach = int(before.max()) + 1 if len(before) else 0
    width = int(inside.max()) if len(inside) else 0
    return Fold(max(first + width, reach), last, period)


@dataclass(frozen=True, slots=True)
class Stretch:
    """How far a segment goes from a position, and what of the line was looked at for it."""

    length: int
    before: int
    behind: int


class Stretches:
    """Stretches that were found, for one limit after the other."""

    def __init__(self, fold: Fold | None) -> None:
        self.fold = fold
        self.limit: float | None = None
        self._known: dict[tuple[int, bool, int], Stretch] = {}

    def look_up(
        self, kind: int, forth: bool, position: int, limit: float
    ) -> int | None:
        """What is known of a position, or of one that is like it."""
        if limit != self.limit:
            self.limit = limit
            self._known.clear()
        if self.fold is None:
            return None
        known = self._known.get((kind, forth, position % self.fold.period))
        if known is None or not self._holds(position, known):
            return None
        return position + known.length

    def note(self, kind: int, forth: bool, position: int, found: Stretch) -> int:
        """Keeps what was found if all of it lies in the repetition; where it ends."""
        if self.fold is not None and self._holds(position, found):
            self._known[kind, forth, position % self.fold.period] = found
        return position + found.length

    def _holds(self, position: int, found: Stretch) -> bool:
        fold = self.fold
        return (
            fold is not None
            and position - found.before >= fold.start
            and position + found.behind <= fold.end
        )
