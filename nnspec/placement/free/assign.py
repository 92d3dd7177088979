"""Plans without a line, or with links in it: which algorithm, and what it proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf

from nnspec.placement.free.anneal import annealed
from nnspec.placement.free.holders import holder_bound
from nnspec.placement.free.search import improved, least_assignment, stands_in_line
from nnspec.placement.free.tally import Tally, largest_load
from nnspec.placement.lines.contiguous import (
    Candidate,
    by_constraints,
    is_in_reach,
)
from nnspec.placement.problem import Problem, work_bound

MOST_UNITS_TO_EXHAUST = 14
MOST_UNITS_TO_IMPROVE = 500
MOST_UNITS_TO_ANNEAL = 5000
MOVES = 500
ANNEALED = 10_000
STEPS = 20_000
"""Moves of local search, of annealing, and steps of exhaustive search, for each unit of
effort.
"""


def best_assignment(
    problem: Problem,
    starts: Sequence[Sequence[int]],
    effort: float,
    floor: float = 0.0,
) -> Candidate:
    """The best assignment that is found, from some others, with a proven bound.

    Exact if there are few units, or CP-SAT gets that far. `floor` is a bound that is
    known. If the problem asks for a line, all that is found stands in one.
    """
    bound = max(floor, work_bound(problem))
    best = Candidate(None, inf, bound, "local search")
    if best.settled:
        return best
    allowed = [start for start in starts if is_allowed(problem, start)]
    for start in allowed:
        best = _better(problem, start, best)
    best = _bounded(problem, best)
    for start in allowed:
        best = _better(problem, _improved(problem, start, best, effort), best)
    if best.settled:
        return best
    if best.devices is None or problem.count <= MOST_UNITS_TO_IMPROVE:
        best = _from_scratch(problem, best, effort)
    if best.settled:
        return best
    if problem.count <= MOST_UNITS_TO_EXHAUST:
        return _exhausted(problem, best, effort)
    best = _annealed(problem, best, effort)
    if not best.settled and is_in_reach(problem):
        return by_constraints(problem, best, effort)
    return best


def _bounded(problem: Problem, best: Candidate) -> Candidate:
    """A candidate with the bound of minimum cuts, where what it has is not enough."""
    if best.settled or problem.count <= MOST_UNITS_TO_EXHAUST:
        return best
    bound = max(best.bound, holder_bound(problem, best.value))
    return replace(best, bound=min(bound, best.value))


def _annealed(problem: Problem, best: Candidate, effort: float) -> Candidate:
    if best.devices is None or problem.count > MOST_UNITS_TO_ANNEAL:
        return best
    devices = annealed(problem, best.devices, int(ANNEALED * effort))
    value = largest_load(problem, devices)
    if value >= best.value:
        return best
    return Candidate(devices, value, min(best.bound, value), "simulated annealing")


def _from_scratch(problem: Problem, best: Candidate, effort: float) -> Candidate:
    start = first_fit(problem)
    if start is None or not stands_in_line(problem, start):
        return best
    return _better(problem, _improved(problem, start, best, effort), best)


def _improved(
    problem: Problem, start: Sequence[int], best: Candidate, effort: float
) -> Sequence[int]:
    """What local search makes of a start that is not yet as good as the bound."""
    found = replace(best, devices=[*start], value=largest_load(problem, start))
    if found.settled or problem.count > MOST_UNITS_TO_IMPROVE:
        return start
    return improved(problem, start, int(MOVES * effort))


def _better(problem: Problem, devices: Sequence[int], best: Candidate) -> Candidate:
    value = largest_load(problem, devices)
    if value >= best.value:
        return best
    return Candidate([*devices], value, min(best.bound, value), best.method)


def is_allowed(problem: Problem, devices: Sequence[int]) -> bool:
    """Whether each unit can be where it is, and memory is enough."""
    loads = Tally(problem)
    for unit, device in enumerate(devices):
        if not loads.fits(unit, device):
            return False
        loads.put(unit, device)
    return stands_in_line(problem, devices)


def first_fit(problem: Problem) -> list[int] | None:
    """Each unit, the largest first, where it makes the least load; None if one fits nowhere."""
    loads = Tally(problem)
    for unit in sorted(range(problem.count), key=lambda each: -problem.memory[each]):
        able = [device for device in problem.kinds if loads.fits(unit, device)]
        if not able:
            return None
        best = min(able, key=lambda device: _load_with(loads, unit, device))
        loads.put(unit, best)
    return loads.devices


def _load_with(loads: Tally, unit: int, device: int) -> float:
    kind = loads.problem.kinds[device]
    return loads.load[device] + loads.problem.seconds[kind][unit]


def _exhausted(problem: Problem, best: Candidate, effort: float) -> Candidate:
    steps = int(STEPS * effort)
    value, devices, all_tried = least_assignment(problem, best.value, steps)
    bound = value if all_tried else best.bound
    method = "exhaustive search" if all_tried else best.method
    return Candidate(devices or best.devices, value, bound, method)
