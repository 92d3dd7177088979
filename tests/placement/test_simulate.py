"""The event simulator agrees with the plans, and with what is known of pipelines."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from nnspec.diagnostics import SpecErrors
from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.evaluate import plan_of
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.place import Options, place
from nnspec.placement.simulate import (
    Simulation,
    Task,
    simulate_memory,
    simulate_pipeline,
    simulate_sample,
    simulate_stream,
)
from tests.placement.brute import random_instance


@pytest.mark.parametrize("part", range(4))
def test_plans_give_what_they_say(part: int) -> None:
    seen = 0
    for seed in range(part, 200, 4):
        instance = random_instance(seed, 10)
        graph, cluster = instance.graph, instance.cluster
        try:
            fastest = place(graph, cluster, "latency", Options(effort=0.0))
            steady = place(graph, cluster, "throughput", Options(effort=0.0))
        except SpecErrors:
            continue
        sample = simulate_sample(graph, cluster, fastest)
        stream = simulate_stream(graph, cluster, steady)
        assert sample == pytest.approx(fastest.value, rel=1e-9, abs=1e-12)
        assert stream == pytest.approx(steady.value, rel=1e-9, abs=1e-12)
        seen += 1
    assert seen >= 25


TWO_NODES: dict[str, Any] = {
    "kinds": {
        "fast": {"memory": 1000, "port": {"bandwidth": 8.0, "latency": 0.125}},
        "slow": {"memory": 1000, "port": {"bandwidth": 4.0, "shared": True}},
    },
    "links": {
        "one": {"bandwidth": 2.0, "latency": 0.25, "shared": True},
        "each": {"bandwidth": 2.0},
    },
    "nodes": [
        {"name": "a", "devices": {"fast": 2, "slow": 2}, "uplink": "one"},
        {"name": "b", "devices": {"fast": 2}, "uplink": "each"},
    ],
}


def tangle(count: int) -> WeightedGraph:
    operators = tuple(
        Operator(f"n{n}", {"fast": 1 + n % 3, "slow": 2 + n % 5}, memory=8)
        for n in range(count)
    )
    values = tuple(
        Value(
            n,
            tuple(sorted({n + 1, min(count - 1, n + 3)})),
            bytes=1 + n % 4,
            held=n % 3,
        )
        for n in range(count - 1)
    )
    return WeightedGraph(operators, values)


@pytest.mark.parametrize("cut_through", [False, True])
@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_links_between_nodes_and_memory_agree(cut_through: bool, step: int) -> None:
    cluster = cluster_of({**TWO_NODES, "cut_through": cut_through})
    graph = tangle(17)
    placed = [n // step % len(cluster.devices) for n in range(17)]
    decisions = {"contiguous": False, "bound": 0.0, "method": "by hand"}
    plan = plan_of(graph, cluster, "latency", placed, graph.order, **decisions)
    assert plan.links
    assert simulate_sample(graph, cluster, plan) == pytest.approx(plan.value, rel=1e-9)
    peaks = {use.name: use.peak for use in plan.devices}
    assert simulate_memory(graph, cluster, plan) == pytest.approx(peaks)


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_a_stream_over_links_is_as_slow_as_what_is_busiest(step: int) -> None:
    tables = copy.deepcopy(TWO_NODES)
    # A transfer that needs two queues at once may have to wait for either.
    tables["kinds"]["slow"]["port"]["shared"] = False
    cluster = cluster_of(tables)
    graph = tangle(17)
    placed = [n // step % len(cluster.devices) for n in range(17)]
    decisions = {"contiguous": False, "bound": 0.0, "method": "by hand"}
    plan = plan_of(graph, cluster, "throughput", placed, graph.order, **decisions)
    stream = simulate_stream(graph, cluster, plan)
    assert stream == pytest.approx(plan.value, rel=1e-9)


@pytest.mark.parametrize("stages", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("batches", [1, 2, 4, 7, 16])
def test_bubbles_of_equal_stages(stages: int, batches: int) -> None:
    for schedule in ("gpipe", "1f1b"):
        run = simulate_pipeline([1.0] * stages, [2.0] * stages, batches, schedule)
        assert run.seconds == pytest.approx((batches + stages - 1) * 3.0, rel=1e-12)
        assert run.bubble == pytest.approx((stages - 1) / batches, rel=1e-9, abs=1e-12)
    assert run.in_flight == tuple(min(batches, stages - each) for each in range(stages))


def test_a_slow_stage_sets_the_pace() -> None:
    run = simulate_pipeline([1.0, 3.0, 1.0], [2.0, 6.0, 2.0], 50, "1f1b")
    other = simulate_pipeline([1.0, 3.0, 1.0], [2.0, 6.0, 2.0], 51, "1f1b")
    assert other.seconds - run.seconds == pytest.approx(9.0)


def test_tasks_that_wait_for_each_other_are_found() -> None:
    simulation = Simulation()
    first = simulation.add(Task("first", 1.0, ("a",), [1]))
    simulation.add(Task("second", 1.0, ("b",), [first]))
    with pytest.raises(ValueError, match="for ever"):
        simulation.run()
