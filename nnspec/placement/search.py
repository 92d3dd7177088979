"""Placement without a line: local search on any graph, and exact search on small ones."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.placement.line import SLACK
from nnspec.placement.problem import Problem
from nnspec.placement.tally import Tally

MOST_ROUNDS = 50


def improved(problem: Problem, devices: Sequence[int], most_moves: int) -> list[int]:
    """An assignment at least as good, by moving single units off the busiest devices.

    A move counts as better if the sorted loads are smaller in lexicographic order.
    """
    loads = Tally(problem)
    for unit, device in enumerate(devices):
        loads.put(unit, device)
    unit_of_rank = max(loads.load, default=0.0) * 1e-11 or 1.0
    moves = 0
    for _ in range(MOST_ROUNDS):
        before = moves
        for device in _busiest_first(loads):
            own = [unit for unit, at in enumerate(loads.devices) if at == device]
            for unit in own:
                moves += _try_moves(loads, unit, unit_of_rank)
                if moves > most_moves:
                    return loads.devices
        if moves == before:
            break
    return loads.devices


def _busiest_first(loads: Tally) -> list[int]:
    return sorted(range(len(loads.load)), key=lambda device: -loads.load[device])


def _try_moves(loads: Tally, unit: int, unit_of_rank: float) -> bool:
    """Moves a unit to the first device that makes the sorted loads smaller."""
    home = loads.devices[unit]
    before = loads.rank(unit_of_rank)
    for device in range(len(loads.load)):
        if device == home or not loads.fits(unit, device):
            continue
        loads.take(unit)
        loads.put(unit, device)
        if loads.rank(unit_of_rank) < before:
            return True
        loads.take(unit)
        loads.put(unit, home)
    return False


def least_assignment(
    problem: Problem, known: float, most_steps: int
) -> tuple[float, list[int] | None, bool]:
    """The least largest load below a known one, its assignment, and whether all was tried.

    Depth first, the heaviest units first, without what cannot be below the best: a
    device's load only grows, and what is left has to go somewhere.
    """
    search = _Exhaustive(problem, known, most_steps)
    search.place(0)
    return search.best, search.assignment, search.steps <= most_steps


class _Exhaustive:
    def __init__(self, problem: Problem, known: float, most_steps: int) -> None:
        self.loads = Tally(problem)
        self.best = known
        self.assignment: list[int] | None = None
        self.steps = 0
        self.most_steps = most_steps
        self.least = [min(times) for times in zip(*problem.seconds, strict=True)]
        self.order = sorted(range(problem.count), key=lambda unit: -self.least[unit])
        self.left = [0.0]
        for unit in reversed(self.order):
            self.left.append(self.left[-1] + self.least[unit])
        self.left.reverse()

    def place(self, step: int) -> None:
        """Tries all devices for the unit of a step, and all that follows."""
        self.steps += 1
        if self.steps > self.most_steps:
            return
        if step == len(self.order):
            self.best = max(self.loads.load, default=0.0)
            self.assignment = list(self.loads.devices)
            return
        unit = self.order[step]
        for device in self._candidates(unit):
            self.loads.put(unit, device)
            if self._may_be_better(step + 1):
                self.place(step + 1)
            self.loads.take(unit)

    def _candidates(self, unit: int) -> list[int]:
        """The devices that could take a unit, one of those that are alike and empty."""
        used = set(self.loads.devices)
        found: list[int] = []
        for members in self.loads.problem.classes:
            empty = next((device for device in members if device not in used), None)
            found += [d for d in members if d in used or d == empty]
        able = [device for device in found if self.loads.fits(unit, device)]
        return sorted(able, key=lambda device: self.loads.load[device])

    def _may_be_better(self, step: int) -> bool:
        limit = self.best * (1 - SLACK)
        load = self.loads.load
        if max(load) >= limit:
            return False
        return (sum(load) + self.left[step]) / len(load) < limit
