"""Placement unit by unit: local search on any graph, and exact search on small ones."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from nnspec.placement.evaluate import has_circle
from nnspec.placement.free.tally import Tally
from nnspec.placement.lines.line import SLACK
from nnspec.placement.problem import Problem

MOST_ROUNDS = 50
MOST_TO_EXCHANGE = 32
"""So many devices are tried in pairs."""


def improved(problem: Problem, devices: Sequence[int], most_moves: int) -> list[int]:
    """An assignment at least as good, by moving single units off the busiest devices.

    A move counts as better if the sorted loads are smaller in lexicographic order. With
    links, devices that run everything equally fast may exchange all that they have.
    """
    loads = Tally(problem, devices)
    unit_of_rank = loads.largest * 1e-11 or 1.0
    moves = 0
    for _ in range(MOST_ROUNDS):
        before = moves
        moves += _try_exchanges(loads, unit_of_rank)
        for device in _busiest_first(loads):
            own = [unit for unit, at in enumerate(loads.devices) if at == device]
            for unit in own:
                moves += _try_moves(loads, unit, unit_of_rank)
                if moves > most_moves:
                    return loads.devices
        if moves == before:
            break
    return loads.devices


def stands_in_line(problem: Problem, devices: Sequence[int]) -> bool:
    """Whether devices do not wait for each other in a circle; -1 is nowhere yet.

    True if the problem does not ask for a line.
    """
    if not problem.line:
        return True
    pairs = {
        (devices[unit], devices[other])
        for unit, others in enumerate(problem.line)
        for other in others
        if devices[unit] != devices[other] and min(devices[unit], devices[other]) >= 0
    }
    return not has_circle(pairs)


def _busiest_first(loads: Tally) -> list[int]:
    return sorted(range(len(loads.load)), key=lambda device: -loads.load[device])


def _try_moves(loads: Tally, unit: int, unit_of_rank: float) -> bool:
    """Moves a unit to the first device that makes the sorted loads smaller."""
    home = loads.devices[unit]
    before = loads.loads
    for device in _different(loads):
        if device == home or not loads.fits(unit, device):
            continue
        loads.move(unit, device)
        if loads.is_below(before, unit_of_rank) and stands_in_line(
            loads.problem, loads.devices
        ):
            return True
        loads.move(unit, home)
    return False


def _different(loads: Tally) -> list[int]:
    """The devices in use, and of those that are alike and empty one."""
    used = set(loads.devices)
    found: list[int] = []
    for members in loads.problem.classes:
        empty = next((device for device in members if device not in used), None)
        found += [device for device in members if device in used or device == empty]
    return found


def _try_exchanges(loads: Tally, unit_of_rank: float) -> int:
    """How many pairs of devices exchanged all their units; only links tell them apart."""
    problem, gained = loads.problem, 0
    if not problem.links.count or len(loads.load) > MOST_TO_EXCHANGE:
        return 0
    for one, other in combinations(range(len(loads.load)), 2):
        kinds = problem.kinds[one], problem.kinds[other]
        if kinds[0] == kinds[1] or not problem.are_alike(*kinds):
            continue
        before = loads.loads
        _exchange(loads, one, other)
        if loads.is_below(before, unit_of_rank):
            gained += 1
        else:
            _exchange(loads, one, other)
    return gained


def _exchange(loads: Tally, one: int, other: int) -> None:
    goal = {one: other, other: one}
    moved = [(unit, goal[at]) for unit, at in enumerate(loads.devices) if at in goal]
    for unit, device in moved:
        loads.move(unit, device)


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
            self.best = self.loads.largest
            self.assignment = list(self.loads.devices)
            return
        unit = self.order[step]
        for device in self._candidates(unit):
            self.loads.put(unit, device)
            if self._may_be_better(step + 1) and stands_in_line(
                self.loads.problem, self.loads.devices
            ):
                self.place(step + 1)
            self.loads.take(unit)

    def _candidates(self, unit: int) -> list[int]:
        """The devices that could take a unit, one of those that are alike and empty."""
        able = [each for each in _different(self.loads) if self.loads.fits(unit, each)]
        return sorted(able, key=lambda device: self.loads.load[device])

    def _may_be_better(self, step: int) -> bool:
        limit = self.best * (1 - SLACK)
        load = self.loads.load
        if self.loads.largest >= limit:
            return False
        return (sum(load) + self.left[step]) / len(load) < limit
