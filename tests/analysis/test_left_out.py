"""What nothing reads is computed neither by programs nor in figures, unless a loop or another use computes it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.summary import summary
from nnspec.spec import Spec
from tests.ir.models import spec
from tests.targets.random_specs import random_models

SIZES = {"B": 3, "T": 8}
COMPUTED = ["flops", "training_flops", "elementwise", "bytes_read", "bytes_written"]

WRITTEN_OUT = """
model M(width: int = 4, depth: int = 4) {
  input x: [B, width, T]
  total = 0.0 * x
  skips = []
  for i in range(depth) {
    gate = x -> wide: Conv(width, 3, padding=1) -> tanh
    skips = [gate -> to_skip: Conv(width, 1)] + skips
    x = x + (gate -> to_out: Conv(width, 1))
  }
  for skip in skips { total = total + skip }
  output result = total
}"""

MODELS = {
    "all that leads to what is not read": """
model M(width: int = 8) {
  input x: [B, width, T]
  y = x -> wide: Conv(width, 3, padding=1) -> tanh
  z = y -> one: Conv(width, 1) -> other: Conv(width, 1)
  output result = x -> head: Conv(width, 1)
}""",
    "the last turn of a loop that is written out": WRITTEN_OUT,
    "the last turn of a loop, which does what all turns do": """
model M(width: int = 8, depth: int = 3) {
  input x: [B, width, T]
  total = 0.0 * x
  for i in range(depth) {
    gate = x -> wide: Conv(width, 3, padding=1) -> tanh
    total = total + (gate -> to_skip: Conv(width, 1))
    x = x + (gate -> to_out: Conv(width, 1))
  }
  output result = total
}""",
    "the only turn of a loop": """
model M(width: int = 8, depth: int = 1) {
  input x: [B, width, T]
  total = 0.0 * x
  for i in range(depth) {
    total = total + (x -> to_skip: Conv(width, 1))
    x = x + (x -> to_out: Conv(width, 1))
  }
  output result = total
}""",
    "what a loop carries for itself alone": """
model M(width: int = 8, depth: int = 3) {
  input x: [B, width, T]
  unread = x -> first: Conv(width, 1)
  for i in range(depth) {
    x = x -> body: Conv(width, 1)
    unread = unread + (x -> side: Conv(width, 1))
  }
  output result = x
}""",
    "a result of a block that is read of another use": """
block Two(x: [B, C, T]) {
  y = x -> a: Conv(C, 3, padding=1) -> tanh
  return (x -> c: Conv(C, 1)), y -> b: Conv(C, 1)
}
model M(width: int = 8) {
  input x: [B, width, T]
  y, z = x -> Two
  w, _ = (y + z) -> Two
  unread, too = w -> Two
  output result = w
}""",
    "what an `if` needs that another use takes": """
block Either(x: [B, C, T], deep: bool) {
  y = x -> a: Conv(C, 3, padding=1) -> tanh
  z = x -> c: Conv(C, 1)
  if deep { z = z + (y -> b: Conv(C, 1)) }
  return z
}
model M(width: int = 8) {
  input x: [B, width, T]
  output result = x -> Either(true) -> Either(false)
}""",
    "the last turn of a loop that no sizes are counted along in": """
model M(width: int = 4, depth: int = 3) {
  input x: [B, width]
  y = x -> Linear(3)
  for i in range(depth) {
    x = concat([x, y], dim=1)
    y = concat([y, x -> Linear(2) -> tanh], dim=1)
  }
  output w = x
}""",
    "what an `if` needs in another class of the block": """
block P(x: [B, C], deep: bool, ws: list[int]) {
  y = concat([x] + [x -> Linear(q) for q in ws], dim=1)
  z = y -> Linear(3) -> tanh
  if deep {
    y = (y -> relu -> Linear(4)) + (z -> Linear(4))
    x = y -> Linear(C)
  }
  return x + (y -> Linear(C))
}
model M {
  input x: [B, 16]
  output w = x -> P(true, [2, 3]) -> P(false, [5])
}""",
    "a result that the next turn does not read": """
block Two(x: [B, C]) { return (x -> Linear(C)), x -> Linear(30) }
model M {
  input x: [B, 3]
  h, f = x -> Two
  skip = h -> Linear(3)
  for _ in range(2) {
    h, skip = skip -> Linear(6) -> rearrange("b (n d) -> n b d", n=2) -> unstack(dim=0)
  }
  output w = (h -> Linear(3)) + h + (h -> tanh)
}""",
    "an early return, evaluated as it is given back": """
block Part(x: [B, C], w: int) {
  y = x -> Linear(C)
  if w > 3 {
    return x + (x -> tanh), concat([y, x], dim=1)
  }
  return (x -> tanh), concat([x, x], dim=1)
}
model M {
  input x: [B, 30]
  y, f = x -> Part(2)
  z, k = y -> Part(4)
  output w = z + (z -> Linear(30))
}""",
    "a result that keeps much and that nothing reads": """
block Two(x: [B, C]) {
  y = x -> Linear(C) -> tanh
  return (y -> Linear(C)), (y -> relu -> tanh)
}
model M {
  input x: [B, 64]
  y, z = x -> Two
  output w = y
}""",
}


UNREAD = {
    "operations apart and together": """
block Part(x: [B, C]) {
  y = x -> Linear(C) -> tanh -> Linear(C)
  return (y -> tanh -> Linear(2)), (y -> relu -> tanh)
}
model M(depth: int = 2) {
  input x: [B, 64]
  x = x -> Linear(64)
  z, w = x -> Part
""",
    "an argument": """
block Part(x: [B, C]) {
  return (x * 0.5), (tanh(x -> Linear(C)))
}
model M(depth: int = 2) {
  input x: [B, 64]
  x = x -> Linear(64)
  z, w = (x -> Linear(64) -> tanh -> Linear(512)) -> Part
""",
    "another result": """
block Part(x: [B, C]) {
  y = x -> Linear(512)
  return y, y -> Linear(4)
}
model M(depth: int = 2) {
  input x: [B, 64]
  x = x -> Linear(64)
  z, w = x -> Part
""",
    "what a block inside keeps": """
block Inner(x: [B, C]) {
  return (x -> Linear(C) -> tanh -> Linear(C) -> tanh), (x -> tanh -> Linear(C))
}
block Part(x: [B, C]) {
  y, z = x -> Inner
  return (y -> Linear(C) -> tanh), y -> tanh
}
model M(depth: int = 2) {
  input x: [B, 64]
  x = x -> Linear(64)
  z, w = x -> Part
""",
}
"""What results keep that nothing reads: one of them until a loop has written its variable, the other to the end."""


@pytest.mark.framework
@pytest.mark.parametrize("name", UNREAD)
def test_what_unread_results_keep_lives_as_long_as_they(name: str) -> None:
    turns = "  for _ in range(depth) { z = x -> Linear(512) -> tanh -> Linear(64) }\n"
    model = spec(f"{UNREAD[name]}{turns}  output v = z\n}}")
    compare_memory(model, {"B": 2000})


@pytest.mark.framework
@pytest.mark.parametrize("name", MODELS)
def test_figures_are_what_the_program_computes(name: str) -> None:
    from tests.analysis.counted import counted_flops

    model = spec(MODELS[name])
    counted = counted_flops(model, SIZES, training=True)
    analysis = Analysis(model.program)
    assert {each: int(analysis.at(each, SIZES).value) for each in counted} == counted


@pytest.mark.framework
@pytest.mark.parametrize("seed", [*range(0, 60, 3), 31, 32])
def test_figures_of_random_programs(seed: int) -> None:
    """They have branches, loops in loops, blocks used several ways, and much that nothing reads."""
    from tests.analysis.counted import counted_flops

    for model in random_models(seed):
        sizes = dict.fromkeys(model.program.symbols, 5)
        analysis = Analysis(model.program)
        counted = counted_flops(model, sizes)["flops"]
        assert int(analysis.at("flops", sizes).value) == counted


def test_figures_do_not_hang_on_which_is_asked_for_first() -> None:
    """How the program is arranged is asked for once, by whichever figure needs it first."""
    text = """
model M(width: int = 5, depth: int = 4) {
  input x: [B, 1, T]
  x = x -> front: Conv(width, 1)
  total = x -> first: Conv(3, 1)
  for i in range(depth) {
    a, g = x -> dilated: Conv(2 * width, 2, dilation=2^i, padding="causal") -> split(2, dim=1)
    z = (a -> tanh) * (g -> sigmoid)
    total = total + (z -> skip: Conv(3, 1))
    x = x + (z -> rest: Conv(width, 1))
  }
  output y = total -> relu
}"""
    figures = ["saved_bytes", "inference_peak", "backward_peak", "train_peak"]
    found = set[tuple[str, ...]]()
    for first in figures:
        analysis = Analysis(spec(text).program)
        analysis.figure(first)
        found.add(tuple(str(analysis.figure(each)) for each in figures))
    assert len(found) == 1


def test_programs_have_no_statement_for_it() -> None:
    source = spec(MODELS["all that leads to what is not read"]).source("torch")
    constructor, _, forward = source.partition("def forward")
    for label in ("wide", "one", "other"):
        assert f"self.{label} = " in constructor
        assert f"self.{label}" not in forward


def test_parts_of_what_is_left_out_take_nothing_but_weights() -> None:
    text = """
block Two(x: [B, C, T]) { return x -> a: Conv(C, 3, padding=1) -> b: Conv(C, 1) }
model M(width: int = 4) {
  input x: [B, width, T]
  unread = x -> Two
  output y = x -> head: Conv(width, 1)
}"""
    tree = summary(spec(text).program, figures=("parameters", "flops"))
    two, head = tree.children
    for row in (two, *two.children):
        assert row.figures["flops"] == 0
        assert row.figures["parameters"] > 0
    assert head.figures["flops"] == tree.figures["flops"]


def test_formulas_leave_out_the_last_turn() -> None:
    forms = spec(WRITTEN_OUT).closed_forms(*COMPUTED)
    assert not forms.fixed
    for depth in (2, 3, 5, 9):
        other = Analysis(spec(WRITTEN_OUT, depth=depth).program)
        for figure in COMPUTED:
            found = forms.at(figure, {"depth": depth, "width": 4})
            assert found.at(SIZES) == other.measured(figure).at(SIZES), (figure, depth)


@pytest.mark.framework
@pytest.mark.parametrize("name", MODELS)
def test_memory_is_what_the_program_takes(name: str) -> None:
    compare_memory(spec(MODELS[name]), SIZES)


@pytest.mark.framework
@pytest.mark.parametrize("seed", [*range(3, 110, 9), 20, 31, 32, 37, 65, 88, 92, 124])
def test_memory_of_random_programs(seed: int) -> None:
    """Results of blocks that nothing reads live as long as their variables, with what their operations keep."""
    for model in random_models(seed):
        compare_memory(model, dict.fromkeys(model.program.symbols, 3))


@pytest.mark.framework
@pytest.mark.parametrize("seed", [5, 8, 9, 17, 28, 33, 44, 51, 58])
def test_memory_of_random_programs_that_count(seed: int) -> None:
    """Their loops carry integers, too."""
    for model in random_models(seed, counts=True):
        compare_memory(model, dict.fromkeys(model.program.symbols, 3))


def compare_memory(model: Spec, sizes: Mapping[str, int]) -> None:
    """Figures of memory are what PyTorch takes, to the byte."""
    from torch._subclasses import FakeTensorMode

    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    with FakeTensorMode():
        truth = measured.memory_of(measured.built(model), inputs_of(model, sizes))
    analysis = Analysis(model.program)
    ours = {name: int(analysis.at(name, sizes).value) for name in truth}
    assert ours == truth
