"""Repeated blocks: a line is looked at once for each position in the period."""

from __future__ import annotations

import random

import pytest

from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.lines.folding import fold_of
from nnspec.placement.lines.interval import least_limit
from nnspec.placement.lines.line import Line, line_of
from nnspec.placement.lines.reach import Tables
from nnspec.placement.lines.stretches import Steps
from nnspec.placement.problem import Problem, problem_of, work_bound


def repeated(seed: int, turns: int, *, shared: bool = False) -> Problem:
    """A chain of blocks with skips inside, between two ends that do not repeat.

    With a `shared` value, all blocks read the first operator.
    """
    draw = random.Random(seed)
    period = draw.randint(3, 9)
    block = [(draw.uniform(1, 9), draw.randint(1, 5)) for _ in range(period)]
    sizes = [draw.randint(1, 9) for _ in range(period)]
    skips = {n: draw.randint(2, 6) for n in range(period) if draw.random() < 0.3}
    ends = [(draw.uniform(1, 9), 1) for _ in range(7)]
    work = [*ends, *(block * turns), *ends]
    operators = tuple(
        Operator(f"n{n}", {"a": seconds, "b": 1.7 * seconds}, memory)
        for n, (seconds, memory) in enumerate(work)
    )
    count, values = len(operators), []
    for n in range(count - 1):
        phase = (n - len(ends)) % period
        targets = {n + 1, n + skips.get(phase, 1)}
        values.append(
            Value(n, tuple(t for t in targets if t < count), bytes=sizes[phase])
        )
    if shared:
        values.append(Value(0, tuple(range(9, count, period)), bytes=3))
    port = {"bandwidth": draw.choice((0.5, 2.0))}
    memory = sum(memory for _, memory in work) // 4
    kinds = {kind: {"memory": memory, "port": port} for kind in "ab"}
    cluster = cluster_of(
        {"kinds": kinds, "nodes": [{"devices": {"a": 4, "b": 3}}], "cut_through": True}
    )
    graph = WeightedGraph(operators, tuple(values))
    return problem_of(graph, cluster, "throughput", "returns")


@pytest.mark.parametrize("seed", range(25))
def test_a_folded_line_has_the_same_least_limit(seed: int) -> None:
    problem = repeated(seed, 40)
    order = [*range(problem.count)]
    line, counts = line_of(problem, order), [4, 3]
    fold = fold_of(problem, order, line)
    assert fold is not None
    assert fold.end - fold.start > 30 * fold.period
    floor = work_bound(problem)
    tables = Tables.of(line)
    assert tables is not None
    folded, plain, tabled = (
        least_limit(line, counts, floor, each)
        for each in (Steps(line, fold), Steps(line, None), tables)
    )
    assert plain is not None
    for found in (folded, tabled):
        assert found is not None
        assert found.value == pytest.approx(plain.value, rel=1e-9)
        assert found.bound == pytest.approx(plain.bound, rel=1e-9)


def test_what_is_looked_at_hardly_grows_with_the_number_of_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked: list[int] = []
    block = Line.block
    monkeypatch.setattr(
        Line, "block", lambda self, *rest: looked.append(1) or block(self, *rest)
    )
    counts: list[int] = []
    for turns in (200, 1600):
        problem = repeated(3, turns)
        order = [*range(problem.count)]
        line = line_of(problem, order)
        looked.clear()
        steps = Steps(line, fold_of(problem, order, line))
        assert least_limit(line, [4, 3], work_bound(problem), steps) is not None
        counts.append(len(looked))
    assert counts[1] < 1.6 * counts[0]


def test_a_value_that_all_blocks_read_is_not_folded_over() -> None:
    problem = repeated(0, 40, shared=True)
    order = [*range(problem.count)]
    assert fold_of(problem, order, line_of(problem, order)) is None
