"""Weighted graphs, and what their placements give by hand."""

from __future__ import annotations

import pytest

from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.evaluate import check_plan, is_contiguous, loads, plan_of
from nnspec.placement.graph import Operator, Value, WeightedGraph, check_graph
from nnspec.placement.latency.schedule import scheduled
from nnspec.placement.plan import plan_from_json

CLUSTER = cluster_of(
    {
        "kinds": {
            "fast": {"memory": 100, "port": {"bandwidth": 1.0}},
            "host": {},
        },
        "nodes": [{"devices": {"fast": 2, "host": 1}}],
    }
)


def chain(*seconds: float, moved: float = 1.0) -> WeightedGraph:
    operators = tuple(
        Operator(f"n{place}", {"fast": each, "host": 10 * each}, memory=10)
        for place, each in enumerate(seconds)
    )
    values = (Value(at, (at + 1,), bytes=moved) for at in range(len(seconds) - 1))
    return WeightedGraph(operators, tuple(values))


def test_loads_count_each_value_once_for_the_sender_and_each_receiver() -> None:
    operators = tuple(Operator(f"n{n}", {"fast": 1, "host": 5}) for n in range(4))
    graph = WeightedGraph(operators, (Value(0, (1, 2, 3), bytes=2),))
    found = loads(graph, CLUSTER, [0, 1, 1, 2])
    assert [found.of(device) for device in range(3)] == [3, 4, 5]
    assert (found.sending, found.receiving) == ([2, 0, 0], [0, 2, 0])


def test_a_sample_passes_a_chain_with_its_transfers() -> None:
    run = scheduled(chain(1, 2, 3), CLUSTER, [0, 1, 1], [0, 1, 2])
    assert run.sent == {0: (1, 2)}
    assert run.received == {(0, 1): (2, 3)}
    assert run.spans == [(0, 1), (3, 5), (5, 8)]


def test_values_take_memory_while_they_are_alive() -> None:
    operators = tuple(Operator(f"n{n}", {"fast": 1}, memory=10) for n in range(3))
    values = (Value(0, (1,), held=5), Value(1, (2,), held=7))
    run = scheduled(WeightedGraph(operators, values), CLUSTER, [0, 0, 0], [0, 1, 2])
    assert run.memory[0] == [(0, 35), (1, 42), (2, 37), (3, 30)]


def test_stages_that_wait_for_each_other_are_not_contiguous() -> None:
    operators = tuple(Operator(f"n{n}", {"fast": 1}) for n in range(4))
    graph = WeightedGraph(operators, (Value(0, (1,)), Value(2, (3,))))
    assert is_contiguous(graph, [0, 0, 1, 1])
    assert is_contiguous(graph, [0, 1, 0, 1])
    assert not is_contiguous(graph, [0, 1, 1, 0])  # each part is convex


def test_a_plan_survives_json_and_is_checked_again() -> None:
    graph = chain(1, 2, 3)
    plan = plan_of(
        graph,
        CLUSTER,
        "throughput",
        [0, 0, 1],
        [0, 1, 2],
        contiguous=True,
        bound=4.0,
        method="by hand",
    )
    assert (plan.value, plan.bound, plan.status) == (4, 4, "optimal")
    again = plan_from_json(plan.to_json())
    assert again == plan
    checked = check_plan(again, graph, CLUSTER)
    assert (checked.value, checked.status, checked.bound) == (4, "checked", 0)
    assert checked.devices == plan.devices


def edited(**changes: object) -> SpecErrors | SpecError:
    graph = chain(1, 2, 3)
    plan = plan_of(
        graph,
        CLUSTER,
        "throughput",
        [0, 0, 1],
        [0, 1, 2],
        contiguous=True,
        bound=4.0,
        method="by hand",
    )
    with pytest.raises((SpecErrors, SpecError)) as caught:
        check_plan(plan.model_copy(update=changes), graph, CLUSTER)
    return caught.value


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ({"n0": "fast:0", "n1": "fast:0"}, "the plan places no `n2`"),
        (
            {"n0": "fast:0", "n1": "fast:1", "n2": "fast:0"},
            "the plan is to be contiguous, and its devices wait in a circle",
        ),
        (
            {"n0": "fast:0", "n1": "fast:0", "n2": "fast:7"},
            "there is no device `fast:7` in cluster",
        ),
        (
            {"n0": "fast:0", "n1": "fast:0", "n2": "fast:1", "n9": "fast:0"},
            "the plan places `n9`, which is no operator",
        ),
    ],
)
def test_edited_plans_are_refused_where_they_are_wrong(
    assignment: dict[str, str], said: str
) -> None:
    assert said in str(edited(assignment=assignment))


def test_an_edited_order_must_hold() -> None:
    assert "which is later" in str(edited(order=("n1", "n0", "n2")))
    assert "each operator once" in str(edited(order=("n1", "n0")))


@pytest.mark.parametrize(
    ("graph", "code"),
    [
        (
            WeightedGraph(chain(1, 1).operators, (Value(0, (1,)), Value(1, (0,)))),
            "E1006",
        ),
        (WeightedGraph(chain(1, 1).operators, (Value(0, (2,)),)), "E1007"),
        (WeightedGraph((Operator("a", {}), Operator("a", {}))), "E1007"),
        (WeightedGraph((Operator("a", {"fast": float("nan")}),)), "E1007"),
        (WeightedGraph((Operator("a", {"fast": 1}, memory=-1),)), "E1007"),
    ],
)
def test_graphs_that_make_no_sense(graph: WeightedGraph, code: str) -> None:
    with pytest.raises(SpecError) as caught:
        check_graph(graph)
    assert caught.value.diagnostic.code == code


def test_malformed_plans_are_told() -> None:
    with pytest.raises(SpecErrors) as caught:
        plan_from_json('{"status": "optimal"}')
    assert {found.code for found in caught.value.diagnostics} == {"E1012"}
