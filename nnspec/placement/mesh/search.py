"""The best mesh: every one is looked at, and for each the best division of the model into stages.

What a mesh with its stages takes is its timetable's end. No division of a mesh takes less
than its bound: the work of the mean rank, and what has to run before its first part and
behind its last. Meshes are taken up in the order of these bounds, until none is below
the best that was found. How each is divided:

- one stage on each rank: a stage has a bound of its own, by where it stands; all divisions
  are tried whose stages have bounds below the best. Dynamic programming finds the
  division with the least bound, and that is what no division takes less than if there are
  too many to try;
- several stages on each rank: the model is cut where the work in front is nearest to equal
  shares, and cuts are moved as long as that helps. Bounds of all divisions are raised by
  paths through their timetables (`nnspec.placement.mesh.paths`), and the divisions that
  this finds are tried. If there are few divisions, all are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import combinations, islice, pairwise
from math import comb, inf
from typing import NamedTuple

from nnspec.placement.mesh.candidates import Meshes
from nnspec.placement.mesh.chain import Chain
from nnspec.placement.mesh.cost import ROUNDED, Divided, MeshCost
from nnspec.placement.mesh.cover import Cover
from nnspec.placement.mesh.cuts import equal_shares, neighbours
from nnspec.placement.mesh.packing import Packing, Unfinished
from nnspec.placement.mesh.paths import Answer, Paths
from nnspec.placement.mesh.pipelines import HALVES, flight
from nnspec.placement.mesh.plan import Mesh
from nnspec.placement.mesh.timetable import StageTimes
from nnspec.placement.mesh.uses import Uses
from nnspec.records import dataclass

FEW = 100_000
"""All divisions of a mesh are tried if that takes at most so many parts of timetables."""

MANY = 400_000
"""Of others those that may be better are tried, until timetables with so many parts have been made."""

PATHS = 400_000
"""Bounds of meshes with several stages on a rank are raised until timetables with at most so
many parts have been made."""

ROOMS = 200_000
"""Whether ranks can hold the model is looked at in so many steps (`nnspec.placement.mesh.cover`)."""

DIVISIONS = 40_000
"""Of meshes with several stages on a rank that may be better, all divisions are tried if they are no more,"""

PARTS = 2_000_000
"""and until timetables with so many parts have been made."""

AT_ONCE = 20
"""So many turns, before the mesh with the lowest bound is looked for again."""

STEPS = 60_000
"""Cuts are moved until timetables with so many parts have been made."""

WORTH = 1.05
"""Cuts are moved where the first division is at most so much slower than the best."""


NEARLY = 0.25
"""Or where room is missing for at most so large a share of what there is."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best mesh that was found, what no mesh takes less than, and how many there are.

    `lines` is what none takes less than of those with one stage on each rank.
    """

    best: Divided | None
    bound: float
    lines: float
    count: int


class Waiting(NamedTuple):
    """A mesh with several stages on each rank, with its bound so far and those to come."""

    bound: float
    number: int
    parts: int
    divided: Divided
    answers: Iterator[Answer] | None = None


class Search:
    """The search for the best of some meshes."""

    def __init__(self, meshes: Meshes) -> None:
        self.meshes = meshes
        self.usable = meshes.usable
        self.best: Divided | None = None
        self.value = inf
        self.waiting: list[Waiting] = []

    def run(self, every: Sequence[Mesh], known: Divided | None = None) -> Found:
        """Looks at all of them, from a division on that is known, if there is one."""
        if known is not None:
            self._keep(known)
        costs = map(self.meshes.cost, every)
        bounds = (mean_bound(cost, self.usable) for cost in costs)
        ordered = sorted((bound, number) for number, bound in enumerate(bounds))
        lines = inf
        for least, number in ordered:
            if least >= self.value or least == inf:
                break
            lines = min(lines, max(least, self._look_at(every[number], least)))
        several = self._refined(self.waiting, lines)
        lines, several = min(lines, self.value), min(several, self.value)
        return Found(self.best, min(lines, several), lines, len(every))

    def _look_at(self, mesh: Mesh, least: float) -> float:
        """Divides a mesh; what no division of it takes less than as far as that is known by it.

        Infinity if none is better than the best.
        """
        cost = self.meshes.cost(mesh)
        if cost.stages > cost.chain.count or not cost.has_room(self.usable):
            return inf
        parts = mesh.microbatches * cost.stages * (3 if mesh.schedule in HALVES else 2)
        if comb(cost.chain.count - 1, cost.stages - 1) * parts <= FEW:
            self._try_all(cost)
            return inf
        balanced = cost.divided(_balanced(cost))
        if mesh.rounds > 1:
            self._move_cuts(balanced, parts)
            number = len(self.waiting)
            self.waiting.append(Waiting(least, number, parts, balanced))
            return inf
        self._keep(balanced)
        return self._divide(Lines(cost, self.usable), parts)

    def _divide(self, lines: Lines, parts: int) -> float:
        """Tries the divisions whose bound is below the best, as long as there are not too many."""
        bound, starts = lines.best(self.value)
        if starts is None:
            return inf
        self._move_cuts(lines.cost.divided(starts), parts)
        left = MANY // parts
        for division in lines.every(lambda: self.value):
            if not left:
                return bound
            left -= 1
            self._keep(lines.cost.divided(division))
        return inf

    def _refined(self, waiting: list[Waiting], lines: float) -> float:
        """The least bound of meshes with several stages on a rank, the lowest raised first.

        Until none is below `lines`, what others take at least, or the best. Keeps divisions
        that are found meanwhile.
        """
        waiting = self._not_tried(self._with_room(waiting, lines), lines)
        heapify(waiting)
        left = self._worth(waiting)
        while waiting and left > 0 and waiting[0].bound < min(lines, self.value):
            bound, number, parts, divided, answers = heappop(waiting)
            cost = divided.cost
            if answers is None:
                answers = Paths(cost).play(divided.starts, self.usable, self.value)
            for answer in islice(answers, AT_ONCE):
                bound = max(bound, answer.bound)
                self._keep(cost.divided(answer.starts))
                left -= parts
            heappush(waiting, Waiting(bound, number, parts, divided, answers))
        return waiting[0].bound if waiting else inf

    def _with_room(self, waiting: Iterable[Waiting], lines: float) -> list[Waiting]:
        """Without those whose ranks cannot hold the model, as far as that is soon seen."""
        found: list[Waiting] = []
        left = ROOMS if self.usable < inf else 0
        for each in sorted(waiting):
            may_be_better = each.bound < min(lines, self.value) < inf
            if left > 0 and may_be_better:
                has_room, steps = self._may_have_room(each.divided.cost)
                left -= steps
                if not has_room:
                    continue
            found.append(each)
        return found

    def _may_have_room(self, cost: MeshCost) -> tuple[bool, int]:
        """Whether ranks may hold the model, and in how many steps that was seen. Keeps a division that has room."""
        uses, most = Uses(cost), self.usable * (1 + ROUNDED)
        cover = Cover(uses, most)
        if cover.bound >= most:
            return False, cover.steps
        packing = Packing(uses, most, ROOMS // 8)
        try:
            starts = packing.least()
        except Unfinished:
            return True, cover.steps + packing.taken
        if starts is not None:
            self._keep(cost.divided(starts))
        return starts is not None, cover.steps + packing.taken

    def _not_tried(self, waiting: Iterable[Waiting], lines: float) -> list[Waiting]:
        """Those of which not all divisions could be tried: there are too many."""
        found: list[Waiting] = []
        divisions, parts = DIVISIONS, PARTS
        for each in sorted(waiting):
            cost = each.divided.cost
            count = comb(cost.chain.count - 1, cost.stages - 1)
            if count <= divisions and each.bound < min(lines, self.value):
                divisions -= count
                parts = self._try_all(cost, each.parts, parts)
                if parts >= 0:
                    continue
            found.append(each)
        return found

    def _worth(self, waiting: Iterable[Waiting]) -> float:
        """The parts of timetables for which bounds are raised: less if many meshes wait.

        All that are below the best have to be raised. What there is no time for
        even to begin with keeps the least bound down, whatever becomes of the others.
        """
        if self.best is None:
            return 0
        parts = (each.parts for each in waiting if each.bound < self.value)
        return PATHS * min(1.0, PATHS / max(1, AT_ONCE * sum(parts)))

    def _keep(self, divided: Divided) -> None:
        if self._excess(divided) or divided.least >= self.value:
            return
        if divided.value < self.value:
            self.best, self.value = divided, divided.value

    def _try_all(self, cost: MeshCost, parts: int = 0, most: int = 0) -> int:
        """Tries all divisions, or until their timetables have more than `most` parts; how many are left."""
        count = cost.chain.count
        for inner in combinations(range(1, count), cost.stages - 1):
            divided = cost.divided((0, *inner, count))
            if divided.least < self.value:
                most -= parts
                if most < 0:
                    return most
                self._keep(divided)
        return most

    def _move_cuts(self, divided: Divided, parts: int) -> None:
        """Moves one cut at a time as long as that helps."""
        self._keep(divided)
        left, at, found = STEPS // parts, divided, self._measure(divided)
        moved = found[1] < WORTH * self.value
        if found[0] > 0:
            moved = at.least < self.value and found[0] < NEARLY * self.usable
        while moved and left > 0:
            moved = False
            for starts in neighbours(at.starts):
                other = at.cost.divided(starts)
                if self._excess(other) > found[0] or other.least >= found[1]:
                    continue
                left -= 1
                measure = self._measure(other)
                if measure < found and left > 0:
                    found, at, moved = measure, other, True
        self._keep(at)

    def _measure(self, divided: Divided) -> tuple[float, float]:
        """What it has too little room for, in bytes, and if it has enough, the seconds of a step."""
        excess = self._excess(divided)
        return excess, inf if excess else divided.value

    def _excess(self, divided: Divided) -> float:
        return max(0.0, max(divided.peaks) - self.usable)


def _balanced(cost: MeshCost) -> tuple[int, ...]:
    """Cuts where the work in front of them is nearest to the share of the stages there."""
    chain = cost.chain
    work = [f + b for f, b in zip(chain.forward.upto, chain.backward.upto, strict=True)]
    return equal_shares(work, cost.stages)


# ---- bounds ------------------------------------------------------------------------------


def mean_bound(cost: MeshCost, usable: float) -> float:
    """What the mean rank of a mesh takes at least, wherever the model is cut.

    Rank n has n operators or more in front of it, and every micro-batch goes through all
    stages and back. Infinite if not even the mean rank has
    room for its weights.
    """
    chain, mesh, ranks = cost.chain, cost.mesh, cost.mesh.pipeline
    turns = mesh.microbatches
    if cost.lying_of_all > usable * ranks:
        return inf
    free = cost.without_latency()
    gathering, scattering = free.for_each_microbatch(0, chain.count)
    turn = chain.forward.whole + chain.backward.whole
    turn += 2 * gathering + scattering + cost.moving_at_least
    ahead = sum(chain.forward.upto[rank] for rank in range(ranks))
    behind = sum(chain.backward.upto[rank] for rank in range(ranks))
    once = turn
    if mesh.schedule in HALVES:  # gradients of weights need not be waited for
        behind, once = 0.0, chain.forward.whole
    behind = max(behind, free.synchronising(0, chain.count))
    found = (turns * turn + ahead + behind) / ranks
    found = max(found, once, turns * _fullest(chain, ranks))
    if mesh.schedule == "GPipe":
        # Both phases flow through all stages, at the pace of the slowest.
        found = max(found, turn * (1 + (turns - 1) / ranks))
    return found


def _fullest(chain: Chain, ranks: int) -> float:
    """The least load of the fullest rank: of n operators that take so long or longer, it has n / ranks."""
    loads = zip(chain.forward.upto, chain.backward.upto, strict=True)
    upto = [forward + backward for forward, backward in loads]
    ordered = sorted((b - a for a, b in pairwise(upto)), reverse=True)
    return max(-(-n // ranks) * each for n, each in enumerate(ordered, 1))


class Lines:
    """Divisions into a line of stages, one on each rank."""

    def __init__(self, cost: MeshCost, usable: float) -> None:
        self.cost = cost
        self.usable = usable
        self.mesh = cost.mesh
        self.chain = cost.chain
        self.halves = cost.mesh.schedule in HALVES
        self.flights = tuple(
            flight(self.mesh.schedule, rank, self.mesh.pipeline, self.mesh.microbatches)
            for rank in range(self.mesh.pipeline)
        )

    def best(self, most: float) -> tuple[float, Sequence[int] | None]:
        """The least bound below `most`, and where its stages start; (most, None) if none is.

        Exact, by dynamic programming over the first operators and stages.
        """
        found = self._through(most)
        return (most, None) if found is None else found

    def every(self, most: Callable[[], float]) -> Iterator[tuple[int, ...]]:
        """All divisions whose bound is below what `most` gives at that time."""
        ends: dict[tuple[int, int], list[tuple[float, int]]] = {}
        limit = most()
        for stage in reversed(range(self.cost.stages)):
            for first in range(stage, self.chain.count) if stage else (0,):
                found = list(self._going_on(stage, first, limit, ends))
                if found:
                    ends[stage, first] = found
        yield from self._along(ends, (0,), most)

    def _going_on(
        self,
        stage: int,
        first: int,
        limit: float,
        ends: Mapping[tuple[int, int], list[tuple[float, int]]],
    ) -> Iterator[tuple[float, int]]:
        """The bounds and ends of a stage behind which all others have room."""
        for last in self._ends(stage, first):
            value = self.seconds(stage, first, last, limit)
            if value is None:
                return
            is_last = stage + 1 == self.cost.stages
            if value < limit and (is_last or (stage + 1, last) in ends):
                yield value, last

    def _along(
        self,
        ends: Mapping[tuple[int, int], list[tuple[float, int]]],
        starts: tuple[int, ...],
        most: Callable[[], float],
    ) -> Iterator[tuple[int, ...]]:
        if len(starts) > self.cost.stages:
            yield starts
            return
        for value, last in ends.get((len(starts) - 1, starts[-1]), ()):
            if value < most():
                yield from self._along(ends, (*starts, last), most)

    def _through(self, most: float) -> tuple[float, Sequence[int]] | None:
        count, stages = self.chain.count, self.cost.stages
        best: dict[int, float] = {0: 0.0}
        cuts: list[dict[int, int]] = []
        for stage in range(stages):
            reached: dict[int, float] = {}
            came: dict[int, int] = {}
            for first, before in best.items():
                for last in self._ends(stage, first):
                    value = self.seconds(stage, first, last, most)
                    if value is None:
                        break
                    value = max(value, before)
                    if value < reached.get(last, most):
                        reached[last], came[last] = value, first
            best = reached
            cuts.append(came)
        if count not in best:
            return None
        starts = [count]
        for came in reversed(cuts):
            starts.append(came[starts[-1]])
        return best[count], starts[::-1]

    def _ends(self, stage: int, first: int) -> Iterable[int]:
        count, left = self.chain.count, self.cost.stages - stage - 1
        return (count,) if not left else range(first + 1, count - left + 1)

    # ---- measures of a stage -------------------------------------------------------------

    def _room(self, stage: int, first: int, last: int) -> float:
        kept = self.chain.kept.between(first, last) + self.chain.cuts[first]
        return self.cost.lying(stage, first, last) + self.flights[stage] * kept

    def seconds(self, stage: int, first: int, last: int, most: float) -> float | None:
        """What a step takes at least because of a stage; None if more operators take too long."""
        chain, turns = self.chain, self.mesh.microbatches
        load = chain.forward.between(first, last) + chain.backward.between(first, last)
        if turns * load >= most:
            return None
        if self._room(stage, first, last) > self.usable:
            return inf
        return self._bound(stage, first, last)

    def _bound(self, stage: int, first: int, last: int) -> float:
        """The parts of the stage, what runs before and behind them, and what it waits for between."""
        times, turns = self.cost.times(stage, first, last), self.mesh.microbatches
        synchronising = self.cost.synchronising(first, last)
        waiting = self._waiting(stage, last, times)
        found = self.chain.forward.upto[first] + turns * times.load(self.halves)
        behind = 0.0 if self.halves else self.chain.backward.upto[first]
        return found + waiting + max(behind, synchronising)

    def _waiting(self, stage: int, last: int, times: StageTimes) -> float:
        """Between its first part and its last: for what runs in later stages.

        A micro-batch goes through all of them and back. Meanwhile the stage has parts of
        others to run: forward before its first goes back, backward behind its last that
        goes forward.
        """
        chain, turns = self.chain, self.mesh.microbatches
        back = chain.inputs if self.halves else chain.backward
        later = chain.forward.whole - chain.forward.upto[last]
        later += back.whole - back.upto[last]
        if self.mesh.schedule == "GPipe":
            return (
                later  # each phase flows through all stages, at the pace of the slowest
            )
        ahead = min(turns, self.mesh.pipeline - stage)
        starting = max(0.0, later - (ahead - 1) * times.forward)
        if self.halves:
            return starting
        ending = max(0.0, later - (ahead - 1) * times.backward)
        return starting + ending if turns > ahead else max(starting, ending)
