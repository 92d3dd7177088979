"""Local search for the time of one sample: runs of units move to other devices."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import is_contiguous
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.schedule import Clock
from nnspec.placement.problem import Problem

FIRST_THRESHOLD = 0.05
"""The share of the time that the first random moves may cost."""

Move = tuple[tuple[int, ...], int]
"""Units, and the device that they all go to."""


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

    def improve(
        self, placed: Sequence[int], order: Sequence[int], runs: int
    ) -> list[int]:
        """An assignment at least as fast in this order, after at most `runs` tries."""
        best = list(placed)
        value = self._time(best, order)
        while runs > 0:
            before = value
            for units, device in self._moves(best, order):
                moved = self._moved(best, units, device)
                if moved is None:
                    continue
                runs -= 1
                time = self._time(moved, order, value)
                if time < value * (1 - 1e-12):
                    best, value = moved, time
                if runs <= 0:
                    break
            if value == before:
                break
        return best

    def anneal(
        self, placed: Sequence[int], order: Sequence[int], runs: int, seed: int
    ) -> list[int]:
        """An assignment at least as fast in this order, after `runs` random moves.

        Simulated annealing (Kirkpatrick et al., 1983) by threshold accepting (Dueck and
        Scheuer, 1990): a move may cost a share of the time, which shrinks to nothing.
        The random numbers are the same for the same seed.
        """
        draw = random.Random(seed)
        now = best = list(placed)
        time = least = self._time(best, order)
        units = list(dict.fromkeys(self.problem.unit_of[place] for place in order))
        for run in range(runs):
            moved = self._random_move(draw, now, units)
            if moved is None:
                continue
            limit = time + least * FIRST_THRESHOLD * (1 - run / runs) ** 2
            found = self._time(moved, order, limit)
            if found < limit:
                now, time = moved, found
                if time < least * (1 - 1e-12):
                    best, least = now, time
        return best

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

    def _time(
        self, placed: Sequence[int], order: Sequence[int], limit: float = float("inf")
    ) -> float:
        """The time of a sample; at least `limit` once that much is certain."""
        clock = Clock(self.graph, self.cluster, placed)
        end = 0.0
        for place in order:
            clock.run(place, self.seconds[place][placed[place]])
            end = max(end, clock.spans[place][1])
            if end >= limit:
                return end
        return end

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
        found = list(placed)
        for unit in units:
            for place in self.members[unit]:
                found[place] = device
        if not self.problem.allows(found):
            return None
        if self.contiguous and not is_contiguous(self.graph, found):
            return None
        return found
