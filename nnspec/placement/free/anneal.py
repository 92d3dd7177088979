"""Placement by simulated annealing: connected units move together.

The largest load alone says nothing about most moves, so moves are judged by a norm of
all loads that is close to it. Single units go where their neighbours are, or anywhere;
connected units of one device go together; two units of different devices change places.
(Kirkpatrick, Gelatt and Vecchi, "Optimization by simulated annealing", 1983.)
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

from nnspec.placement.free.search import stands_in_line
from nnspec.placement.free.tally import Tally, largest_load
from nnspec.placement.lines.line import SLACK
from nnspec.placement.problem import INFINITE, Problem

ROUNDS = ((8, 0.05), (16, 0.001), (16, 0.005))
"""The norm of the loads in each round, and what a move may cost at first, as a share of
it. The first round looks far, the others even out what it found.
"""
COLDEST = 2e-5
NEARBY = 0.8
TOGETHER = 0.4
EXCHANGED = 0.3
"""How many of the moves go to a neighbour's device, take others along, or exchange."""
MOST_TOGETHER = 6
"""At most 2 to the power of this many units move together."""

Move = list[tuple[int, int]]
"""Units, and the device that each goes to."""


def annealed(problem: Problem, devices: Sequence[int], steps: int) -> list[int]:
    """An assignment at least as good, after so many random moves. Deterministic."""
    best = list(devices)
    if problem.count < 2:
        return best
    for seed, (power, heat) in enumerate(ROUNDS):
        found = _walked(problem, best, steps // len(ROUNDS), power, heat, seed)
        best = min(best, found, key=lambda each: largest_load(problem, each))
    return best


def _walked(
    problem: Problem,
    devices: Sequence[int],
    steps: int,
    power: int,
    heat: float,
    seed: int,
) -> list[int]:
    walk = _Walk(problem, devices, power, random.Random(seed))
    for step in range(steps):
        walk.step(heat * (COLDEST / heat) ** (step / steps))
    return walk.best


class _Walk:
    def __init__(
        self,
        problem: Problem,
        devices: Sequence[int],
        power: int,
        draw: random.Random,
    ) -> None:
        self.problem = problem
        self.power = power
        self.draw = draw
        self.tally = Tally(problem, devices)
        self.scale = self.tally.largest or 1.0
        self.norm = self._norm()
        self.least = self.tally.largest
        self.best = list(devices)

    def _norm(self) -> float:
        scale, power, tally = self.scale, self.power, self.tally
        powers = sum([(load / scale) ** power for load in tally.load])
        if tally.links:
            powers += sum([(load / scale) ** power for load in tally.links])
        # Loads that are all 0 may have drifted below it.
        return max(powers, 0.0) ** (1 / power)

    def step(self, heat: float) -> None:
        """Tries one move, and takes it back unless it gains or is forgiven."""
        move = self._move()
        if not move:
            return
        tally = self.tally
        before = [(unit, tally.devices[unit]) for unit, _ in move]
        for unit, device in move:
            tally.move(unit, device)
        norm = self._norm()
        if not (self._is_taken(norm, heat) and self._is_allowed(move)):
            for unit, device in before:
                tally.move(unit, device)
            return
        self.norm = norm
        if tally.largest < self.least * (1 - SLACK):
            self.least, self.best = tally.largest, list(tally.devices)

    def _is_taken(self, norm: float, heat: float) -> bool:
        worse = norm - self.norm
        return worse <= 0 or self.draw.random() < math.exp(-worse / heat)

    def _is_allowed(self, move: Move) -> bool:
        problem, held = self.problem, self.tally.held
        has_room = all(
            held[device] <= problem.usable[problem.kinds[device]] * (1 + SLACK)
            for device in {device for _, device in move}
        )
        return has_room and stands_in_line(problem, self.tally.devices)

    def _move(self) -> Move:
        unit = self.draw.randrange(self.problem.count)
        if self.draw.random() < EXCHANGED:
            return self._exchange(unit)
        device = self._goal(unit)
        if device == self.tally.devices[unit] or not self._can_be(unit, device):
            return []
        if self.draw.random() >= TOGETHER:
            return [(unit, device)]
        together = self._connected(unit, 1 << self.draw.randint(1, MOST_TOGETHER))
        return [(each, device) for each in together if self._can_be(each, device)]

    def _exchange(self, unit: int) -> Move:
        other = self.draw.randrange(self.problem.count)
        here, there = self.tally.devices[unit], self.tally.devices[other]
        if here == there or not (
            self._can_be(unit, there) and self._can_be(other, here)
        ):
            return []
        return [(unit, there), (other, here)]

    def _goal(self, unit: int) -> int:
        """The device of a neighbour, most of the time, or any."""
        tally, cuts = self.tally, self.problem.cuts_at[unit]
        if cuts and self.draw.random() < NEARBY:
            points = self.problem.cuts[self.draw.choice(cuts)].points
            return tally.devices[self.draw.choice(points)]
        return self.draw.randrange(len(tally.load))

    def _can_be(self, unit: int, device: int) -> bool:
        return self.problem.seconds[self.problem.kinds[device]][unit] < INFINITE

    def _connected(self, unit: int, most: int) -> list[int]:
        """A unit and others of its device, grown along random cuts."""
        problem, devices = self.problem, self.tally.devices
        found, ends = {unit: None}, [unit]
        while ends and len(found) < most:
            end = ends.pop(self.draw.randrange(len(ends)))
            for cut in problem.cuts_at[end]:
                for point in problem.cuts[cut].points:
                    if point not in found and devices[point] == devices[unit]:
                        found[point] = None
                        ends.append(point)
        return list(found)[:most]
