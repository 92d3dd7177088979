"""How far segments of a line go: tables of all positions, and one position after the other."""

from __future__ import annotations

import random

import numpy as np
import pytest

from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.lines import reach
from nnspec.placement.lines.line import Line, line_of
from nnspec.placement.lines.reach import Tables
from nnspec.placement.lines.stretches import Steps
from nnspec.placement.problem import problem_of


def random_line(seed: int, count: int, reads: int) -> Line:
    """Operators that cannot be everywhere, and values with several readers, some far away."""
    draw = random.Random(seed)
    operators = tuple(
        Operator(
            f"n{n}",
            {
                kind: draw.choice((0.0, draw.uniform(1, 9)))
                for kind in ("ab", "ab", "ab", "a", "b")[draw.randrange(5)]
            },
            draw.randint(0, 9),
        )
        for n in range(count)
    )
    values = [Value(n, (n + 1,), bytes=draw.randint(0, 9)) for n in range(count - 1)]
    for _ in range(reads):
        source = draw.randrange(count - 1)
        most = draw.choice((4, count))
        targets = {min(count - 1, source + draw.randint(1, most)) for _ in range(3)}
        values.append(Value(source, tuple(targets), bytes=draw.randint(1, 9)))
    memory = sum(each.memory for each in operators) // draw.choice((1, 3, 9))
    port = {"bandwidth": draw.choice((0.5, 2.0))}
    kinds = {kind: {"memory": memory, "port": port} for kind in "ab"}
    nodes = [{"devices": {"a": 1, "b": 1}}]
    cluster = cluster_of({"kinds": kinds, "nodes": nodes, "cut_through": True})
    problem = problem_of(WeightedGraph(operators, tuple(values)), cluster, "throughput")
    return line_of(problem, range(problem.count))


@pytest.mark.parametrize("entries", [4_000_000, 300, 0])
@pytest.mark.parametrize("seed", range(5))
def test_tables_say_what_all_segments_say(
    seed: int, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reach, "MOST_ENTRIES", entries)
    monkeypatch.setattr(reach, "LONG", 0 if entries else 64)
    draw = random.Random(seed)
    line = random_line(seed, draw.randint(2, 60), draw.randint(0, 9))
    tables, steps = Tables.of(line), Steps(line, None)
    assert tables is not None
    every = np.arange(line.count + 1)
    for kind in range(len(line.work)):
        loads = line.block(kind, every, every)
        chosen = np.unique(loads[np.isfinite(loads)])[:: 1 + len(loads) // 4]
        for limit in (*chosen.tolist(), *(chosen * 1.01 + 0.01).tolist(), np.inf):
            kept = np.isfinite(loads) & (loads <= limit * (1 + 1e-12))
            ends = np.where(kept, every[None, :], every[:, None]).max(axis=1)
            starts = np.where(kept, every[:, None], every[None, :]).min(axis=0)
            ahead = np.maximum.accumulate(ends)
            back = np.minimum.accumulate(starts[::-1])[::-1]
            for found in (tables, steps):
                slack = limit * (1 + 1e-12)
                assert (found.ahead(kind, every, slack) == ahead).all()
                assert (found.back(kind, every, slack) == back).all()
                rows = every[draw.randrange(3) :: draw.randint(1, 3)]
                columns = every[draw.randrange(len(every)) :]
                hit = (kept & (every[:, None] < every[None, :]))[rows][:, columns]
                found_hit = found.hits(kind, rows, columns, min(slack, 1e9))
                assert (found_hit == hit.any(axis=0)).all()


def test_too_many_long_spans_have_no_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    line = random_line(1, 60, 9)
    monkeypatch.setattr(reach, "MOST_ENTRIES", 0)
    monkeypatch.setattr(reach, "MOST_LONG", 2)
    monkeypatch.setattr(reach, "LONG", 8)
    assert Tables.of(line) is None
