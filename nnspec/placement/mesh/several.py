"""Bounds of meshes with several stages on each rank, raised until they say which mesh is the best.

The mesh with the lowest bound is taken up again and again, each time in a way that takes
longer. What each way says holds for all divisions that have room and are better than the best:

- how many operators each rank can hold and be done in time (`nnspec.placement.mesh.cover`);
- how busy the busiest rank is at least, by dynamic programming from rank to rank
  (`nnspec.placement.mesh.packing`), which finds a division that has room as well;
- if there are few divisions, all of them;
- paths through timetables (`nnspec.placement.mesh.paths`), for as long as there is time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from heapq import heappop, heappush
from itertools import islice
from math import inf
from typing import NamedTuple

from nnspec.placement.mesh.best import Best, balanced, divisions_of, parts_of
from nnspec.placement.mesh.cost import ROUNDED, MeshCost
from nnspec.placement.mesh.cover import Cover
from nnspec.placement.mesh.packing import Packing, Unfinished
from nnspec.placement.mesh.paths import Paths
from nnspec.placement.mesh.sums import Share
from nnspec.placement.mesh.timed import TimedUses
from nnspec.placement.mesh.uses import Uses
from nnspec.placement.mesh.weighed import WeighedUses

STEPS = 1_500_000
"""How busy ranks are at least is looked at in so many steps (`nnspec.placement.mesh.packing`),"""

STEPS_OF_ONE = 60_000
"""and of one mesh in so many."""

TURNS = 20
"""So many paths are looked for among the divisions alone that have room and are not too busy."""

DIVISIONS = 40_000
"""All divisions of meshes are tried if they are no more,"""

PARTS = 2_000_000
"""and until timetables with so many parts have been made."""

PATHS = 600_000
"""Paths are looked for until timetables with at most so many parts have been made."""

AT_ONCE = 20
"""So many turns, before the mesh with the lowest bound is looked for again."""


class Waiting(NamedTuple):
    """A mesh with its bound so far, and those to come."""

    bound: float
    number: int
    cost: MeshCost
    bounds: Iterator[float]


class Several:
    """Meshes with several stages on each rank, and what none of them takes less than."""

    def __init__(self, best: Best) -> None:
        self.best = best
        self.waiting: list[Waiting] = []
        self.steps = STEPS
        self.divisions: int = DIVISIONS
        self.parts: float = PARTS
        self.made = self.sought = 0

    def add(self, cost: MeshCost, bound: float) -> None:
        """One more mesh, with what it takes at least; its cuts are moved where that is worth it."""
        self.best.move_cuts(balanced(cost))
        number = len(self.waiting)
        heappush(self.waiting, Waiting(bound, number, cost, self._bounds(cost)))

    def bound(self, others: float) -> float:
        """What none takes less than. Not raised beyond what `others` or the best take.

        Takes divisions that are found meanwhile.
        """
        waiting = self.waiting
        while waiting and waiting[0].bound < min(others, self.best.value):
            bound, number, cost, bounds = waiting[0]
            raised = next(bounds, None)
            if raised is None:
                return bound
            heappop(waiting)
            if raised < inf:
                raised = max(bound, raised)
                heappush(waiting, Waiting(raised, number, cost, bounds))
        return waiting[0].bound if waiting else inf

    # ---- of one mesh ---------------------------------------------------------------------

    def _bounds(self, cost: MeshCost) -> Iterator[float]:
        """Bounds of a mesh, infinite where no division of it can be better."""
        with suppress(Unfinished):
            yield from self._of_busy_ranks(cost)
        yield from self._of_all_divisions(cost)
        yield from self._of_paths(cost)

    def _of_busy_ranks(self, cost: MeshCost) -> Iterator[float]:
        if self.steps <= 0 or self.best.divided is None:
            return
        uses, most = TimedUses(cost, self.best.usable), self.best.value
        cover = Cover(uses, most)
        may_be_better = cover.bound < most
        self.steps -= cover.steps
        yield cover.bound * (1 - ROUNDED) if may_be_better else inf
        least, starts = self._packed(uses, most, cover.held)
        if starts is None:
            yield inf
            return
        self.best.move_cuts(cost.divided(starts))
        yield least * (1 - ROUNDED)
        yield from self._of_weighed_paths(cost, starts, most, cover.held)

    def _of_weighed_paths(
        self,
        cost: MeshCost,
        starts: Sequence[int],
        most: float,
        held: Sequence[int],
    ) -> Iterator[float]:
        """By paths, of the divisions alone that have room and are done before `most` seconds."""
        uses = WeighedUses(cost, self.best.usable, most)

        def least_sum(shares: Sequence[Share]) -> tuple[float, Sequence[int]]:
            uses.shares = shares
            least, starts = self._packed(uses, inf, held)
            assert starts is not None
            return least, starts

        for answer in islice(Paths(cost).play(starts, inf, most, least_sum), TURNS):
            self.best.try_at(cost, answer.starts)
            yield answer.bound

    def _packed(
        self, uses: Uses, most: float, held: Sequence[int]
    ) -> tuple[float, Sequence[int] | None]:
        """The least measure, and where stages start. Raises Unfinished if that takes too long."""
        packing = Packing(uses, most, min(STEPS_OF_ONE, self.steps), held)
        try:
            starts = packing.least()
        finally:
            self.steps -= packing.taken
        return packing.most, starts

    def _of_all_divisions(self, cost: MeshCost) -> Iterator[float]:
        if divisions_of(cost) <= self.divisions and self.parts > 0:
            self.divisions -= divisions_of(cost)
            self.parts = self.best.try_all(cost, self.parts)
            if self.parts >= 0:
                yield inf

    def _of_paths(self, cost: MeshCost) -> Iterator[float]:
        parts, least = parts_of(cost), 0.0
        self.sought += parts
        answers = Paths(cost).play(
            balanced(cost).starts, self.best.usable, self.best.value
        )
        while self.made < self._worth:
            for answer in islice(answers, AT_ONCE):
                least = max(least, answer.bound)
                self.best.try_at(cost, answer.starts)
                self.made += parts
            yield least

    @property
    def _worth(self) -> float:
        """The parts of timetables for which paths are looked for: less if they are of many meshes.

        All that may be better have to be raised. What there is no time for
        even to begin with keeps the least bound down, whatever becomes of the others.
        """
        if self.best.divided is None:
            return 0
        return PATHS * min(1.0, PATHS / (AT_ONCE * self.sought))
