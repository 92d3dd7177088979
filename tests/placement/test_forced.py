"""The bound of latency that counts the transfers which memory forces, by hand."""

from __future__ import annotations

from math import inf

import pytest

from nnspec.placement.cluster import Cluster
from nnspec.placement.cluster_file import cluster_of
from nnspec.placement.forced import forced_bound
from nnspec.placement.frontier import steps_of
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.latency import latency_bound, scheduling_problem
from nnspec.placement.place import place


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
