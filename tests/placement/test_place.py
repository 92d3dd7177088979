"""What is said where nothing can be placed, and promises of every plan."""

from __future__ import annotations

import pytest

from nnspec.cli.shown.placements import limits_text
from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors
from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.evaluate import check_plan, is_contiguous
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.place import Options, place
from nnspec.placement.plan import Objective, plan_from_json
from tests.placement.brute import random_instance


def machine(count: int, memory: int = 100):
    kind = {"memory": memory, "port": {"bandwidth": 1.0}}
    return cluster_of({"kinds": {"box": kind}, "nodes": [{"devices": {"box": count}}]})


def graph(*operators: Operator, chain: bool = True) -> WeightedGraph:
    steps = range(len(operators) - 1 if chain else 0)
    return WeightedGraph(operators, tuple(Value(n, (n + 1,), bytes=1) for n in steps))


def op(name: str, memory: float = 0, **fields) -> Operator:
    return Operator(name, fields.pop("seconds", {"box": 1.0}), memory, **fields)


def said(
    found: WeightedGraph, cluster, objective: Objective = "throughput"
) -> Diagnostic:
    with pytest.raises((SpecErrors, SpecError)) as caught:
        place(found, cluster, objective)
    error = caught.value
    if isinstance(error, SpecError):
        return error.diagnostic
    return error.diagnostics[0]


@pytest.mark.parametrize("objective", ["fit", "throughput", "latency"])
def test_too_little_memory_names_what_would_do(objective: Objective) -> None:
    found = said(graph(op("a", 60), op("b", 60), op("c", 60)), machine(2), objective)
    assert found.code == "E1011"
    assert (
        found.message == "the graph does not fit: it holds 180 B, and cluster has 200 B"
    )
    assert found.hint == (
        "it would fit with 120 B on each device, or on 3 devices `box` of this size"
    )


def test_what_the_hint_names_does_indeed() -> None:
    small = graph(op("a", 60), op("b", 60), op("c", 60))
    assert place(small, machine(2, 120), "fit").value == pytest.approx(1.0)
    assert place(small, machine(3), "fit").value == pytest.approx(0.6)
    assert said(small, machine(2, 119), "fit").code == "E1011"


def test_one_operator_that_is_too_large_needs_memory_not_devices() -> None:
    found = said(graph(op("a", 150), op("b", 10)), machine(4))
    assert found.hint == "it would fit with 150 B on each device"


def test_the_number_of_devices_that_would_do_may_be_beyond_those_of_any_cluster() -> (
    None
):
    small = graph(*(op(f"n{n}", 60) for n in range(600)))
    found = said(small, machine(512))
    assert (found.hint or "").endswith("or on 600 devices `box` of this size")


def test_values_in_flight_count() -> None:
    operators = (op("a", 40), op("b", 40), op("c", 10))
    values = (Value(0, (1,), bytes=1, held=70), Value(1, (2,), bytes=1))
    found = said(WeightedGraph(operators, values), machine(1))
    assert (found.code, found.hint) == (
        "E1011",
        "it would fit with 160 B on each device",
    )
    plan = place(WeightedGraph(operators, values), machine(3, 115))
    assert all(use.peak <= 115 for use in plan.devices)


def test_contradictory_pins_name_each_other() -> None:
    found = said(
        graph(op("a", group="tied", pin="box:0"), op("b", group="tied", pin="box:1")),
        machine(2),
    )
    assert (found.code, found.message) == (
        "E1009",
        "`b` is pinned to box:1 and `a`, which must share its device, to box:0",
    )


@pytest.mark.parametrize(
    ("operator", "code", "message"),
    [
        (op("a", pin="box:7"), "E1008", "there is no device `box:7` in cluster"),
        (
            op("a", pin="box:0", seconds={"box:1": 1.0}),
            "E1009",
            "`a` is pinned to box:0 and cannot run there",
        ),
        (op("a", seconds={"gpu": 1.0}), "E1010", "`a` can run on no device of cluster"),
    ],
)
def test_pins_and_kinds_that_cannot_be(
    operator: Operator, code: str, message: str
) -> None:
    found = said(graph(operator), machine(2))
    assert (found.code, found.message) == (code, message)


def test_a_group_that_no_device_can_run_as_a_whole() -> None:
    pair = (
        op("a", group="g", seconds={"box:0": 1.0}),
        op("b", group="g", seconds={"box:1": 1.0}),
    )
    assert said(graph(*pair), machine(2)).code == "E1010"


def test_a_cycle_and_a_missing_backward_pass() -> None:
    operators = (op("a"), op("b"))
    circle = WeightedGraph(operators, (Value(0, (1,)), Value(1, (0,))))
    assert said(circle, machine(2)).code == "E1006"
    assert said(graph(*operators), machine(2), "train").code == "E1013"


def test_no_operators_are_placed_at_once() -> None:
    plan = place(WeightedGraph(()), machine(2))
    assert (plan.status, plan.value) == ("optimal", 0.0)


@pytest.mark.parametrize("objective", ["fit", "latency", "throughput"])
@pytest.mark.parametrize("contiguous", [False, True])
@pytest.mark.slow
def test_plans_are_the_same_each_time_and_pass_their_own_check(
    objective: Objective, contiguous: bool
) -> None:
    for seed in range(20):
        instance = random_instance(seed, 9)
        options = Options(contiguous)
        try:
            plan = place(instance.graph, instance.cluster, objective, options)
        except SpecErrors:
            continue
        again = place(instance.graph, instance.cluster, objective, options)
        assert again.to_json() == plan.to_json()
        checked = check_plan(
            plan_from_json(plan.to_json()), instance.graph, instance.cluster
        )
        assert checked.value == plan.value
        placed = [
            instance.cluster.index[plan.assignment[each.name]]
            for each in instance.graph.operators
        ]
        assert not contiguous or is_contiguous(instance.graph, placed)
        assert plan.bound <= plan.value
        assert plan.gap == pytest.approx(
            (plan.value - plan.bound) / plan.value if plan.value else 0
        )


def test_ten_thousand_operators_are_placed_in_a_line_exactly() -> None:
    operators = tuple(
        op(f"n{n}", 1, seconds={"box": 1 + n * 7 % 13}) for n in range(10_000)
    )
    plan = place(graph(*operators), machine(16, 5000), options=Options(contiguous=True))
    assert plan.status == "optimal"
    assert plan.value == pytest.approx(
        sum(1 + n * 7 % 13 for n in range(10_000)) / 16, rel=5e-3
    )


def test_of_many_limits_the_first_are_shown() -> None:
    few = [f"memory of d{place}" for place in range(9)]
    assert list(limits_text(few)) == [f"limited by {each}\n" for each in few]
    *shown, rest = limits_text([f"memory of d{place}" for place in range(512)])
    assert len(shown) == 8
    assert rest == "and by 504 more\n"
