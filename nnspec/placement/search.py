"""Placement without a line: local search on any graph, and exact search on small ones."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.placement.line import SLACK
from nnspec.placement.problem import INFINITE, Problem

MOST_ROUNDS = 50


class Loads:
    """The loads of an assignment that changes unit by unit; -1 is nowhere yet.

    A cut costs a device once it has a point there and one on another device.
    """

    def __init__(self, problem: Problem) -> None:
        count = sum(len(members) for members in problem.classes)
        self.problem = problem
        self.devices = [-1] * problem.count
        self.load = [0.0] * count
        self.held = [0.0] * count
        self._points: list[dict[int, int]] = [{} for _ in problem.cuts]

    def rank(self, unit: float) -> list[int]:
        """The loads, largest first, counted in a small unit so that equal ones are equal."""
        return sorted((round(load / unit) for load in self.load), reverse=True)

    def put(self, unit: int, device: int) -> None:
        """Puts a unit that is nowhere on a device."""
        self._change(unit, device, 1)
        self.devices[unit] = device

    def take(self, unit: int) -> None:
        """Takes a unit away."""
        self._change(unit, self.devices[unit], -1)
        self.devices[unit] = -1

    def _change(self, unit: int, device: int, sign: int) -> None:
        kind = self.problem.kinds[device]
        self.load[device] += sign * self.problem.seconds[kind][unit]
        self.held[device] += sign * self.problem.memory[unit]
        for place in self.problem.cuts_at[unit]:
            self._change_cut(place, device, sign)

    def _change_cut(self, place: int, device: int, sign: int) -> None:
        points = self._points[place]
        before = tuple(points) if len(points) > 1 else ()
        points[device] = points.get(device, 0) + sign
        if not points[device]:
            del points[device]
        after = points if len(points) > 1 else ()
        costs = self.problem.cuts[place].costs
        for other in before:
            if other not in after:
                self.load[other] -= costs[self.problem.kinds[other]]
        for other in after:
            if other not in before:
                self.load[other] += costs[self.problem.kinds[other]]

    def fits(self, unit: int, device: int) -> bool:
        """Whether a device can run a unit and has the memory for it."""
        kind = self.problem.kinds[device]
        if self.problem.seconds[kind][unit] == INFINITE:
            return False
        after = self.held[device] + self.problem.memory[unit]
        return after <= self.problem.usable[kind] * (1 + SLACK)


def improved(problem: Problem, devices: Sequence[int], most_moves: int) -> list[int]:
    """An assignment at least as good, by moving single units off the busiest devices.

    A move counts as better if the sorted loads are smaller in lexicographic order.
    """
    loads = Loads(problem)
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


def _busiest_first(loads: Loads) -> list[int]:
    return sorted(range(len(loads.load)), key=lambda device: -loads.load[device])


def _try_moves(loads: Loads, unit: int, unit_of_rank: float) -> bool:
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
        self.loads = Loads(problem)
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
