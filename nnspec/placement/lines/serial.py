"""The division of a line whose loads add up to least: for one sample, all are waited for.

With few branches, the devices of a contiguous plan work one after the other, so the sum
of their loads is the time of a sample. It is also what is paid for in transfers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nnspec.placement.lines.interval import Stages
from nnspec.placement.lines.line import Line, line_of
from nnspec.placement.problem import Cut, Problem

if TYPE_CHECKING:
    import numpy as np

    from nnspec.placement.lines.line import Floats, Ints

MOST_UNITS = 1500
MOST_STATES = 256


def least_sum(
    problem: Problem, order: Sequence[int], moving: float = 1.0
) -> list[int] | None:
    """The device of each unit; None if memory allows no division of this order.

    `moving` weighs transfers: each is paid for twice, but may take its time only once.
    """
    import numpy as np

    weighed = [
        Cut(cut.points, tuple(moving * cost for cost in cut.costs))
        for cut in problem.cuts
    ]
    tables = segment_loads(problem, order, weighed)
    found = division(problem, steps_of(order), tables, np.add)
    return None if found is None else found[1]


def steps_of(order: Sequence[int]) -> list[Sequence[int]]:
    """The units in front of each position of an order."""
    return [order[:position] for position in range(len(order) + 1)]


def segment_loads(
    problem: Problem, order: Sequence[int], cuts: Sequence[Cut]
) -> list[Floats]:
    """By class of devices, the loads of all segments of an order, from one position to another."""
    line = line_of(replace(problem, cuts=[*cuts]), order)
    return [_table(line, kind) for kind in range(len(problem.classes))]


def division(
    problem: Problem,
    steps: Sequence[Iterable[int]],
    tables: Sequence[Floats],
    join: np.ufunc,
) -> tuple[float, list[int]] | None:
    """The device of each unit such that the segments' figures, joined by `np.add` or
    `np.maximum`, are least, behind that figure; None if all divisions have infinite ones.

    `steps` are the units in front of each position, and `tables` have, by class of devices, the
    figure of what lies between two positions.
    """
    import numpy as np

    stages = Stages([len(members) for members in problem.classes])
    best = [np.full(len(steps), np.inf) for _ in stages.states]
    origin: list[Ints] = [np.zeros(len(steps), dtype=np.int64) for _ in stages.states]
    taken: list[Ints] = [np.full(len(steps), -1) for _ in stages.states]
    best[0][0] = 0.0
    for place, state in enumerate(stages.states):
        for kind, previous in stages.before(state):
            sums = join(best[stages.index[previous]][:, None], tables[kind])
            _extend(sums, kind, best[place], origin[place], taken[place])
    if not np.isfinite(best[-1][-1]):
        return None
    devices = _walk_back(problem, steps, stages, origin, taken)
    return float(best[-1][-1]), devices


def _table(line: Line, kind: int) -> Floats:
    """The loads of all segments of a class of devices; empty segments cost nothing."""
    import numpy as np

    positions = np.arange(line.count + 1)
    table = line.block(kind, positions, positions)
    np.fill_diagonal(table, 0.0)
    return table


def _extend(sums: Floats, kind: int, best: Floats, origin: Ints, taken: Ints) -> None:
    import numpy as np

    starts = sums.argmin(axis=0)
    ends = np.arange(len(best))
    better = sums[starts, ends] < best
    best[better] = sums[starts, ends][better]
    origin[better] = starts[better]
    taken[better] = kind


def _walk_back(
    problem: Problem,
    steps: Sequence[Iterable[int]],
    stages: Stages,
    origin: Sequence[Ints],
    taken: Sequence[Ints],
) -> list[int]:
    devices = [-1] * problem.count
    state, end = stages.states[-1], len(steps) - 1
    while any(state):
        place = stages.index[state]
        kind, start = int(taken[place][end]), int(origin[place][end])
        state = (*state[:kind], state[kind] - 1, *state[kind + 1 :])
        device = problem.classes[kind][state[kind]]
        for unit in {*steps[end]}.difference(steps[start]):
            devices[unit] = device
        end = start
    return devices
