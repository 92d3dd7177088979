"""Models as weighted graphs: nothing is lost on the way, and what must stay together does."""

from __future__ import annotations

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.setting import Setting
from nnspec.compiler import load_source
from nnspec.placement.clusters.file import preset
from nnspec.placement.evaluate import check_plan
from nnspec.placement.graph import Operator, check_graph
from nnspec.placement.labels import folded, selects
from nnspec.placement.model import BACKWARD, ModelGraph, Pin
from nnspec.placement.place import Options, place
from nnspec.placement.request import completed, first_devices, read_plan
from nnspec.source import Source

SPEC = """
block Block(x: [B, T, D]) {
  return x + (x -> LayerNorm -> fc: Linear(4 * D) -> gelu -> out: Linear(D))
}

model Tied(vocab: int = 100, width: int = 32, depth: int = 4) {
  input tokens: i64[B, T]
  wte = Embedding(vocab, width)
  x = wte(tokens)
  for _ in range(depth) { x = x -> blocks: Block() }
  output logits = x -> LayerNorm -> Linear(vocab, bias=false, weight=wte.weight)
}
"""
SIZES = {"B": 4, "T": 8}
CLUSTER = preset("2xcpu")


def model(*, trains: bool = False, pins: tuple[Pin, ...] = ()) -> ModelGraph:
    (spec,) = load_source(Source("tied.nns", SPEC), ["Tied"], {})
    analysis = Analysis(spec.program, Setting())
    return ModelGraph(analysis, CLUSTER, SIZES, trains=trains, pins=pins)


def named(found: ModelGraph, name: str) -> Operator:
    return found.graph.operators[found.graph.index[name]]


def figure(found: ModelGraph, name: str) -> int:
    return int(found.analysis.figure(name).at(SIZES))


def test_the_weights_of_all_operators_are_those_of_the_model() -> None:
    found = model()
    check_graph(found.graph)
    held = sum(operator.memory for operator in found.graph.operators)
    assert held == figure(found, "weight_bytes")


def test_training_holds_gradients_states_and_what_autograd_keeps() -> None:
    found = model(trains=True)
    check_graph(found.graph)
    lying = ("weight_bytes", "gradient_bytes", "optimizer_bytes")
    held = sum(operator.memory for operator in found.graph.operators)
    still = sum(figure(found, name) for name in lying)
    # Blocks keep what autograd saves, but for their inputs and results.
    results = 5 * 4 * 8 * 32 * 4
    assert still < held < still + figure(found, "saved_bytes")
    assert held + results >= still + 0.8 * figure(found, "saved_bytes")


def test_one_device_takes_as_long_as_all_kernels() -> None:
    forward, both = model(), model(trains=True)
    kind = CLUSTER.kinds["cpu"]
    flops = figure(forward, "flops") / kind.flops["fp32"]
    times = [
        sum(operator.seconds["cpu"] for operator in found.graph.operators)
        for found in (forward, both)
    ]
    assert times[0] > flops
    assert times[1] > 2.5 * times[0]


def test_uses_of_a_weight_share_a_device_and_passes_do() -> None:
    found = model(trains=True)
    assert named(found, "wte").group == named(found, "wte.weight").group == "wte"
    for operator in found.graph.operators:
        if operator.backward:
            forward = named(found, operator.name.removesuffix(BACKWARD))
            assert forward.group == operator.group is not None
    plan = place(found.graph, CLUSTER, "train", Options(contiguous=True))
    assert plan.assignment["wte"] == plan.assignment["wte.weight"]


def test_values_have_the_bytes_of_their_types() -> None:
    found = model()
    source = found.graph.index["blocks.0"]
    (value,) = [each for each in found.graph.values if each.source == source]
    assert value.bytes == 4 * 8 * 32 * 4
    assert value.targets == (found.graph.index["blocks.1"],)


def test_gradients_go_back_where_values_came_from() -> None:
    found = model(trains=True)
    graph = found.graph
    back = graph.index["blocks.1" + BACKWARD]
    (value,) = [each for each in graph.values if each.source == back]
    assert value.targets == (graph.index["blocks.0" + BACKWARD],)
    assert graph.index["linear" + BACKWARD] in graph.successors[graph.index["linear"]]


def test_pins_hold_for_all_that_they_name() -> None:
    pins = (Pin("blocks.0-1", "cpu:1"), Pin("wte", "cpu:0"))
    found = model(trains=True, pins=pins)
    plan = place(found.graph, CLUSTER, "train")
    for name in ("blocks.0", "blocks.1", "blocks.1" + BACKWARD):
        assert plan.assignment[name] == "cpu:1"
    assert plan.assignment["wte.weight"] == "cpu:0"


def test_a_plan_by_hand_says_only_what_is_decided() -> None:
    found = model(trains=True)
    text = """{"objective": "train", "assignment":
        {"wte": "cpu:0", "blocks": "cpu:0", "blocks.2-3": "cpu:1", "layer_norm": "cpu:1",
         "linear": "cpu:1"}}"""
    plan = check_plan(completed(read_plan(text), found.graph), found.graph, CLUSTER)
    assert plan.status == "checked"
    assert plan.assignment["blocks.1" + BACKWARD] == "cpu:0"
    assert plan.assignment["blocks.3" + BACKWARD] == "cpu:1"
    assert plan.value == max(use.load for use in plan.devices) > 0


def test_a_smaller_cluster_is_its_first_devices() -> None:
    cluster = preset("2x2xh100")
    found = first_devices(cluster, 3)
    names = [device.name for device in found.devices]
    assert names == ["node0/h100:0", "node0/h100:1", "node1/h100:0"]
    assert set(found.uplinks) == set(names)


@pytest.mark.parametrize(
    ("label", "name", "wanted"),
    [
        ("blocks", "blocks.3.fc", True),
        ("blocks.3", "blocks.3", True),
        ("blocks.3", "blocks.30", False),
        ("blocks.2-4", "blocks.4.fc", True),
        ("blocks.2-4", "blocks.5", False),
        ("blocks.3.fc", "blocks.3", False),
    ],
)
def test_labels_name_what_lies_below(label: str, name: str, wanted: bool) -> None:
    assert selects(label, name) is wanted


def test_names_that_count_on_are_folded() -> None:
    names = ["wte", "a.0", "a.1", "a.2", "b.0", "a.3", "a.5", "head"]
    assert folded(names) == ["wte", "a.0-2", "b.0", "a.3", "a.5", "head"]
