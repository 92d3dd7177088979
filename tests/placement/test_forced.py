"""The bound of latency that counts the transfers which memory forces: by hand, and tried out."""

from __future__ import annotations

import random
import statistics
from math import inf

import pytest

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.latency.forced import forced_bound
from nnspec.placement.latency.frontier import steps_of
from nnspec.placement.latency.search import latency_bound, scheduling_problem
from nnspec.placement.place import place
from tests.placement.brute import Brute, Instance


def boxes(count: int, *, cut_through: bool = False) -> Cluster:
    kind = {"memory": 100, "port": {"bandwidth": 1.0}}
    nodes = [{"devices": {"box": count}}]
    return cluster_of(
        {"kinds": {"box": kind}, "nodes": nodes, "cut_through": cut_through}
    )


def chain(length: int, memory: float) -> WeightedGraph:
    operators = (Operator(f"n{n}", {"box": 1.0}, memory) for n in range(length))
    values = (Value(n, (n + 1,), bytes=2) for n in range(length - 1))
    return WeightedGraph((*operators,), (*values,))


def bound_of(graph: WeightedGraph, cluster: Cluster, **limits) -> float:
    return forced_bound(graph, cluster, scheduling_problem(graph, cluster), **limits)


@pytest.mark.parametrize(("cut_through", "transfer"), [(False, 4.0), (True, 2.0)])
def test_a_chain_that_memory_cuts_is_proven_optimal(
    cut_through: bool, transfer: float
) -> None:
    graph, cluster = chain(12, memory=30), boxes(6, cut_through=cut_through)
    plan = place(graph, cluster, "latency")
    assert plan.status == "optimal"
    assert plan.value == plan.bound == 12 + 3 * transfer
    assert latency_bound(graph, cluster, scheduling_problem(graph, cluster)) == 12


def test_enough_memory_forces_nothing() -> None:
    assert bound_of(chain(12, memory=8), boxes(6)) == 12


def test_what_one_device_moves_and_computes_adds_up() -> None:
    """Both values of the first box come to the second, which can take one at a time."""
    homes = ("box:0", "box:0", "box:1", "box:1")
    graph = WeightedGraph(
        tuple(Operator(f"n{n}", {"box": 1.0}, pin=pin) for n, pin in enumerate(homes)),
        (Value(0, (1, 3), bytes=3), Value(1, (2,), bytes=3), Value(2, (3,), bytes=3)),
    )
    cluster = boxes(2, cut_through=True)
    assert bound_of(graph, cluster) == 1 + (3 + 3 + 1 + 1)
    assert place(graph, cluster, "latency").value >= 9


def test_a_known_time_ends_the_search_and_little_work_proves_nothing() -> None:
    graph = chain(12, memory=30)
    assert bound_of(graph, boxes(6), limit=20.0) == 20.0
    assert bound_of(graph, boxes(6), limit=inf) == 24.0
    assert bound_of(graph, boxes(6), most=3) == 0.0


def test_the_frontier_ends_at_joints() -> None:
    values = (Value(0, (1, 2)), Value(1, (3,)), Value(2, (3,)), Value(3, (4,)))
    graph = WeightedGraph(
        tuple(Operator(f"n{n}", {"box": 1.0}) for n in range(5)), values
    )
    steps = steps_of(graph, range(5), graph.order)
    assert [step.place for step in steps if step.is_joint] == [0, 3, 4]
    assert all(step.counts for step in steps)


@pytest.mark.slow
def test_no_schedule_of_a_narrow_graph_is_below_the_bound() -> None:
    """Chains with skips, on accelerators with little memory and a slow host beside."""
    ratios: list[float] = []
    plain: list[float] = []
    for seed in range(120):
        instance = narrow_instance(random.Random(seed))
        graph, cluster = instance.graph, instance.cluster
        best = float(Brute(instance).least_makespans().min())
        bounds = [bound_of(graph, cluster, limit=n * best) for n in (inf, 1.01, 1)]
        assert max(bounds) <= best * (1 + 1e-9)
        problem = scheduling_problem(graph, cluster)
        plain.append(latency_bound(graph, cluster, problem) / best)
        ratios.append(bounds[-1] / best)
    print(f"{statistics.fmean(ratios):.4f} of the optimum on average")
    assert statistics.fmean(ratios) > statistics.fmean(plain) + 0.2


def narrow_instance(draw: random.Random) -> Instance:
    count = draw.randint(6, 8)
    readers = [[n + 1] for n in range(count - 1)]
    at = 0
    while at < count - 2:
        length = draw.randint(2, 4)
        if at + length < count and draw.random() < 0.8:
            readers[at].append(at + length)
        at += length if draw.random() < 0.7 else length - 1
    operators = tuple(
        Operator(
            f"n{n}",
            {"acc": float(draw.randint(0, 3)), "host": float(draw.randint(3, 15))},
            memory=draw.randint(1, 4),
        )
        for n in range(count)
    )
    values = (
        Value(n, tuple(targets), bytes=draw.randint(1, 6))
        for n, targets in enumerate(readers)
    )
    accelerator = {"memory": draw.randint(6, 12), "port": {"bandwidth": 1.0}}
    kinds = {"acc": accelerator, "host": {"memory": None, "port": None}}
    devices = {"acc": draw.randint(2, 3), "host": 1}
    cut_through = draw.random() < 0.6
    cluster = cluster_of(
        {"kinds": kinds, "nodes": [{"devices": devices}], "cut_through": cut_through}
    )
    return Instance(WeightedGraph(operators, (*values,)), cluster)
