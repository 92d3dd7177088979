"""Local search for the time of one sample: runs of units move to other devices.

Most of a schedule is what it was before a move: it is taken up again at the last point
before the first operator that moves, and given up as soon as it surely takes too long.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import is_contiguous
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.listing import ranks
from nnspec.placement.latency.schedule import Clock
from nnspec.placement.lines.line import SLACK
from nnspec.placement.problem import INFINITE, Problem
from nnspec.records import dataclass

FIRST_THRESHOLD = 0.05
"""The share of the time that the first random moves may cost."""

MOST_LOST = 2.0
"""How many times what can be gained those moves may cost."""
POINTS = 12
"""At about so many points a schedule can be taken up again."""

Move = tuple[tuple[int, ...], int]
"""Units, and the device that they all go to."""


@dataclass(slots=True)
class Run:
    """A schedule as far as it went: its end, and the clocks at some points of the order,
    each with the end until then.
    """

    placed: Sequence[int]
    end: float
    points: list[tuple[Clock, float]]


class Mover:
    """Tries moves of units between devices; takes those that make a sample faster."""

    def __init__(
        self, graph: WeightedGraph, cluster: Cluster, problem: Problem, contiguous: bool
    ) -> None:
        self.graph = graph
        self.cluster = cluster
        self.problem = problem
        self.contiguous = contiguous
        self.members: list[list[int]] = [[] for _ in range(problem.count)]
        for place, unit in enumerate(problem.unit_of):
            self.members[unit].append(place)
        self.seconds = [
            [each.seconds_on(device) for device in cluster.devices]
            for each in graph.operators
        ]
        self.stride = -(-len(graph.operators) // POINTS) or 1
        self.tails = self._tails()

    def _tails(self) -> list[float]:
        """For each operator a time that surely passes between its end and the last one."""
        least = [min(row) for row in self.seconds]
        whole = ranks(self.graph, least, lambda _source, _target: 0.0)
        return [rank - own for rank, own in zip(whole, least, strict=True)]

    def improve(
        self, placed: Sequence[int], order: Sequence[int], runs: int
    ) -> list[int]:
        """An assignment at least as fast in this order, after at most `runs` tries."""
        best = self._run(list(placed), order)
        while runs > 0:
            before = best.end
            for units, device in self._moves(best.placed, order):
                moved = self._moved(best.placed, units, device)
                if moved is None:
                    continue
                runs -= 1
                found = self._run(moved, order, best.end, best)
                if found.end < best.end * (1 - 1e-12):
                    best = found
                if runs <= 0:
                    break
            if best.end == before:
                break
        return list(best.placed)

    def anneal(
        self,
        placed: Sequence[int],
        order: Sequence[int],
        runs: int,
        seed: int,
        floor: float,
    ) -> list[int]:
        """An assignment at least as fast in this order, after `runs` random moves.

        Simulated annealing (Kirkpatrick et al., 1983) by threshold accepting (Dueck and
        Scheuer, 1990): a move may cost a share of the time, which shrinks to nothing,
        or some of what can be gained down to `floor`, a bound, if that is less. The
        random numbers are the same for the same seed.
        """
        draw = random.Random(seed)
        now = best = self._run(list(placed), order)
        units = list(dict.fromkeys(self.problem.unit_of[place] for place in order))
        for run in range(runs):
            moved = self._random_move(draw, now.placed, units)
            if moved is None:
                continue
            most = min(best.end * FIRST_THRESHOLD, (best.end - floor) * MOST_LOST)
            allowed = most * (1 - run / runs) ** 2
            found = self._run(moved, order, now.end + allowed, now)
            if found.end < now.end + allowed:
                now = found
                if now.end < best.end * (1 - 1e-12):
                    best = now
        return list(best.placed)

    def _random_move(
        self, draw: random.Random, placed: Sequence[int], units: Sequence[int]
    ) -> list[int] | None:
        """Some units in turn, all on one device, to the device of a neighbour or a spare."""
        at = draw.randrange(len(units))
        home = self._device(placed, units[at])
        most = 1 << draw.randrange(6)
        run = [
            unit for unit in units[at : at + most] if self._device(placed, unit) == home
        ]
        others = self._neighbours(run, placed)
        if draw.random() < 0.1:
            others |= self._spare(placed)
        others.discard(home)
        if not others:
            return None
        return self._moved(placed, run, draw.choice(sorted(others)))

    def _device(self, placed: Sequence[int], unit: int) -> int:
        return placed[self.members[unit][0]]

    def _run(
        self,
        placed: Sequence[int],
        order: Sequence[int],
        limit: float = INFINITE,
        like: Run | None = None,
    ) -> Run:
        """The schedule of an assignment, or what of it shows that it takes `limit` or longer.

        `like` is the whole schedule of another assignment in the same order.
        """
        points = [] if like is None else self._common(placed, order, like)
        clock, end = Clock(self.graph, self.cluster, placed), 0.0
        if points:
            last, end = points[-1]
            clock = last.copy()
            clock.placed = placed
        most = limit * (1 + SLACK)
        for turn in range(len(points) * self.stride, len(order)):
            place = order[turn]
            clock.run(place, self.seconds[place][placed[place]])
            own = clock.spans[place][1]
            end = max(end, own)
            if end >= limit or own + self.tails[place] >= most:
                return Run(placed, max(end, limit), points)
            if (turn + 1) % self.stride == 0:
                points.append((clock.copy(), end))
        return Run(placed, end, points)

    def _common(
        self, placed: Sequence[int], order: Sequence[int], like: Run
    ) -> list[tuple[Clock, float]]:
        """The points of a schedule in front of the first operator that is elsewhere now."""
        same = len(order)
        for turn, place in enumerate(order):
            if placed[place] != like.placed[place]:
                same = turn
                break
        return like.points[: same // self.stride]

    def _moves(self, placed: Sequence[int], order: Sequence[int]) -> Iterator[Move]:
        """Whole runs, then their beginnings and ends, to devices of their neighbours."""
        for run in self._runs(placed, order):
            home = placed[self.members[run[0]][0]]
            others = self._neighbours(run, placed) | self._spare(placed)
            length = len(run)
            while length:
                for device in sorted(others - {home}):
                    yield tuple(run[:length]), device
                    if length < len(run):
                        yield tuple(run[-length:]), device
                length //= 2

    def _runs(self, placed: Sequence[int], order: Sequence[int]) -> list[list[int]]:
        """Units in the order of their first operators, cut where the device changes."""
        units = dict.fromkeys(self.problem.unit_of[place] for place in order)
        runs: list[list[int]] = []
        last = -1
        for unit in units:
            device = placed[self.members[unit][0]]
            if device != last:
                runs.append([])
            runs[-1].append(unit)
            last = device
        return runs

    def _neighbours(self, run: Sequence[int], placed: Sequence[int]) -> set[int]:
        found: set[int] = set()
        for unit in run:
            for cut in self.problem.cuts_at[unit]:
                for point in self.problem.cuts[cut].points:
                    found.add(placed[self.members[point][0]])
        return found

    def _spare(self, placed: Sequence[int]) -> set[int]:
        """One device of each class that has nothing to do."""
        used = set(placed)
        empty = (
            next((device for device in members if device not in used), None)
            for members in self.problem.classes
        )
        return {device for device in empty if device is not None}

    def _moved(
        self, placed: Sequence[int], units: Sequence[int], device: int
    ) -> list[int] | None:
        if not self._is_allowed(placed, units, device):
            return None
        found = list(placed)
        for unit in units:
            for place in self.members[unit]:
                found[place] = device
        if self.contiguous and not is_contiguous(self.graph, found):
            return None
        return found

    def _is_allowed(
        self, placed: Sequence[int], units: Sequence[int], device: int
    ) -> bool:
        """Whether a device can run units that are elsewhere, and has memory left for them."""
        kind, memory = self.problem.kinds[device], self.problem.memory
        seconds, usable = self.problem.seconds[kind], self.problem.usable[kind]
        if any(seconds[unit] == INFINITE for unit in units):
            return False
        if usable == INFINITE:
            return True
        held = sum(memory[unit] for unit in units)
        for unit, places in enumerate(self.members):
            if placed[places[0]] == device:
                held += memory[unit]
        return held <= usable * (1 + SLACK)
