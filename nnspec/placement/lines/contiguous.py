"""Plans whose devices stand in a line: which algorithm, and what it proves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from math import inf

from nnspec.placement.free import cpsat
from nnspec.placement.free.tally import largest_load
from nnspec.placement.latency.orders import is_chain, line_orders
from nnspec.placement.lines import downsets, interval
from nnspec.placement.lines.folding import fold_of
from nnspec.placement.lines.interval import Reach
from nnspec.placement.lines.line import Line, line_of
from nnspec.placement.lines.reach import Tables
from nnspec.placement.lines.stretches import Steps
from nnspec.placement.problem import Problem, work_bound
from nnspec.records import dataclass

FEW_UNITS = 16
FEW_DOWNSETS = 200
"""What is so small needs no start."""
MOST_FOR_ALL_ORDERS = 3000
MOST_FOR_DOWNSETS = 1000
LEAST_TO_FOLD = 1000
MOST_LITERALS = 4000


@dataclass(frozen=True, slots=True)
class Candidate:
    """An assignment of units to devices, its largest load, and a proven bound.

    Without an assignment, `bound` is infinite if there provably is none.
    """

    devices: list[int] | None
    value: float
    bound: float
    method: str

    @property
    def settled(self) -> bool:
        """Whether nothing better can be found."""
        if self.devices is None:
            return self.bound == inf
        return self.value - self.bound <= 1e-9 * self.value


def best_in_line(problem: Problem, effort: float) -> Candidate:
    """The best assignment along the line that is found, with a proven bound.

    Exact if the line is a chain, or has few downsets, or CP-SAT gets that far. Without
    effort, only divisions of some orders of the line are tried.
    """
    floor = work_bound(problem)
    if floor == inf:
        return Candidate(None, inf, inf, "")
    if effort and problem.count <= FEW_UNITS:
        few = downsets.downsets(problem.line, FEW_DOWNSETS)
        if few is not None:
            return _by_downsets(problem, Candidate(None, inf, floor, ""), few)
    best = _by_intervals(problem, floor)
    if best.settled or not effort:
        return best
    masks = None
    if problem.count <= MOST_FOR_DOWNSETS:
        masks = downsets.downsets(problem.line)
    if masks is not None:
        return _by_downsets(problem, best, masks)
    if is_in_reach(problem):
        return by_constraints(problem, best, effort)
    return best


def _by_intervals(problem: Problem, floor: float) -> Candidate:
    best = Candidate(None, inf, floor, "interval dynamic programming")
    for order in line_orders(problem.line):
        found = _along(problem, order, floor)
        if found.value < best.value:
            best = replace(found, bound=floor)
        if is_chain(problem.line, order):
            return found
        if best.settled or problem.count > MOST_FOR_ALL_ORDERS:
            break
    return best


def _along(problem: Problem, order: Sequence[int], floor: float) -> Candidate:
    """The best along one order; its bound holds for this order."""
    counts = [len(members) for members in problem.classes]
    method = "interval dynamic programming"
    line = line_of(problem, order)
    found = interval.least_limit(line, counts, floor, reach_of(problem, order, line))
    if found is None:
        fixed = interval.Stages(counts).fixed
        return Candidate(None, inf, floor if fixed else inf, method)
    devices = [-1] * problem.count
    left = [iter(members) for members in problem.classes]
    for kind, start, end in found.segments:
        device = next(left[kind])
        for unit in order[start:end]:
            devices[unit] = device
    return Candidate(
        devices, found.value, floor if found.fixed else found.bound, method
    )


def reach_of(problem: Problem, order: Sequence[int], line: Line) -> Reach:
    """Tables of all positions where a line has them; otherwise what repeats is folded."""
    tables = Tables.of(line)
    if tables is not None:
        return tables
    many = len(problem.classes) > 1 and problem.count > LEAST_TO_FOLD
    return Steps(line, fold_of(problem, order, line) if many else None)


def _by_downsets(problem: Problem, best: Candidate, masks: Sequence[int]) -> Candidate:
    found = downsets.least_chain(problem, masks, best.value)
    method = "downset dynamic programming"
    fixed = interval.Stages([len(members) for members in problem.classes]).fixed
    if found is None:
        bound = best.bound if fixed else best.value
        return replace(best, bound=bound, method=method)
    value, devices = found
    return Candidate(devices, value, best.bound if fixed else value, method)


def is_in_reach(problem: Problem) -> bool:
    """Whether CP-SAT is there, and the problem small enough for it."""
    devices = sum(len(members) for members in problem.classes)
    slots = devices * (len(problem.classes) if problem.line else 1)
    return problem.count * slots <= MOST_LITERALS and has_solver()


def has_solver() -> bool:
    """Whether OR-tools is installed (the extra `placement`)."""
    return find_spec("ortools") is not None


def by_constraints(problem: Problem, best: Candidate, effort: float) -> Candidate:
    """What CP-SAT makes of a candidate: a better one, a better bound, or neither."""
    found = cpsat.solve(problem, best.devices, best.bound, effort)
    bound = max(best.bound, found.bound)
    if found.devices is None:
        if best.devices is not None:
            bound = min(bound, best.value)
        return replace(best, bound=bound)
    value = largest_load(problem, found.devices)
    if value >= best.value:
        return replace(best, bound=min(bound, best.value), method=_CONSTRAINTS)
    return Candidate(found.devices, value, min(bound, value), _CONSTRAINTS)


_CONSTRAINTS = "constraint programming"
