"""Layers of lists in loops: which is applied hangs on what was written, not on the number that it happens to be."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from nnspec.compiler import load_source
from nnspec.ir.graph import Node
from nnspec.ir.json import program_from_json, program_to_json
from nnspec.ops import OPS
from nnspec.source import Source
from nnspec.spec import Spec
from nnspec.targets import emit, emitted
from nnspec.verify.build import import_source
from tests.targets.comparing import agree

TARGETS = ("torch", "keras")


def spec(text: str, **settings: str) -> Spec:
    return load_source(Source("chosen.nns", text), ["M"], settings)[0]


def model(loop: str, pool: str = "[Linear(8) for _ in range(3)]") -> str:
    """A model that applies layers of a list in a loop."""
    return (
        "model M(n: int = 1, m: int = 1, order: list[int] = [0, 0]) {\n"
        "  input x: [B, 8]\n  first = Linear(8)\n  second = Linear(8)\n"
        f"  pool = {pool}\n  {loop}\n  output y = x\n}}\n"
    )


def layers(found: Spec) -> list[Node]:
    """The nodes of layers, in order."""
    return [node for node in found.program.main.nodes if node.owns]


FIXED = [
    "for _ in range(n) { x = pool[0](x) -> relu }",
    "for i in range(m) { for _ in range(n) { x = pool[0](x) -> relu } }",
    "for i in range(n) { for j in range(m) { x = pool[j](x) -> relu } }",
    "chosen = pool[0]\n  for _ in range(n) { x = matmul(chosen(x), chosen.weight) }",
]


@pytest.mark.parametrize("loop", FIXED)
def test_a_class_from_one_turn_serves_several(loop: str) -> None:
    """In the only turn, the first layer of a list has the number of that turn."""
    one, three = spec(model(loop)), spec(model(loop), n="3")
    made = emitted(one.program, "torch")
    maker = getattr(import_source(made.source), made.factory)
    found = maker(n=3, dtype=torch.float64)
    assert isinstance(found, nn.Module)
    agree(three, found)


@pytest.mark.parametrize("target", TARGETS)
def test_classes_from_one_turn_and_several_are_one(target: str) -> None:
    programs = (emit(spec(model(FIXED[0]), n=n).program, target) for n in "13")
    one, three = (
        each.partition("n: int = 1")[2].partition("\n\n\n")[0] for each in programs
    )
    assert "range(" in one
    assert one.rstrip() == three.rstrip().replace("m_model", "m")


CHOSEN = [
    ("for i in range(2) { x = pool[i](x) }", "[first, second]"),
    ("for i in range(2) { x = pool[i](x) }", "[second, first]"),
    ("for i in order { x = pool[i](x) }", "[first, second]"),
    ("for i in order { x = pool[i](x) }", "[Linear(8) for _ in range(2)]"),
]


@pytest.mark.parametrize(("loop", "pool"), CHOSEN)
def test_what_the_turns_choose_otherwise_is_written_out(loop: str, pool: str) -> None:
    found = spec(model(loop, pool))
    agree(found)
    for target in TARGETS:
        program = emit(found.program, target)
        assert "range(" not in program
        assert "order" not in program


@pytest.mark.parametrize(
    "loop",
    [
        "for i in range(n) { x = pool[i](x) }",
        "for i, width in enumerate(order) { x = pool[i](x) * width }",
        "for _ in range(n) { x = x -> Linear(8) }",
    ],
)
def test_the_layer_of_a_turn_is_known_by_its_loop(loop: str) -> None:
    found = spec(model(loop), n="2")
    uids = {turns[-1][0] for turns in found.program.main.around.values() if turns}
    assert {node.loops for node in layers(found)} == {(uid,) for uid in uids}
    assert "for " in emit(found.program, "torch").partition("def forward")[2]


NESTED = "for j in range(m) { for i in range(n) { x = pool[i](x) } }"


def test_layers_that_an_inner_loop_alone_counts_are_written_out() -> None:
    """With one turn of it, all turns of the outer loop apply the first layer; with two, they would apply two."""
    found = spec(model(NESTED), m="2")
    agree(found)
    for target in TARGETS:
        made = emit(found.program, target)
        assert "range(m)" in made.replace("self.m", "m")
        assert "n: int" not in made
    text = model(NESTED).replace("  for j", "  x = pool[0](x)\n  for j")
    forms = spec(text, m="2").closed_forms("parameters", constants=["n", "m"])
    assert "n" in forms.fixed


@pytest.mark.parametrize("loop", FIXED)
def test_a_layer_from_outside_counts_no_turns_and_stays_so_in_json(loop: str) -> None:
    program = spec(model(loop)).program
    again = program_from_json(program_to_json(program), OPS)
    for found in (program, again):
        counted = {node.loops[0] is None for node in found.main.nodes if node.owns}
        assert counted == {"pool[j]" not in loop}
    assert emit(again, "torch") == emit(program, "torch")


@pytest.mark.parametrize("n", ["2", "3"])
def test_the_formula_of_a_shared_layer_is_constant(n: str) -> None:
    found = spec(model(FIXED[0]), n=n)
    forms = found.closed_forms("parameters", constants=["n"])
    assert forms.figures["parameters"].value == 72
    assert forms.names() == ["n"]
    alone = spec(model(FIXED[0])).closed_forms("parameters", constants=["n"])
    assert alone.figures["parameters"].value == 72
    assert alone.names() == ["n"]
