"""The variables that the count of memory assumes are those of the emitted program, name by name.

How long a value lives depends on the variable in which it lies, so where these agree, peaks do.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import nnspec
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.memory.variables import Plan, Variables
from nnspec.ir.graph import Function, values_of
from nnspec.spec import Spec
from tests.ir.models import spec as of_text

ROOT = Path(__file__).parents[2]
SPECS = {
    "LeNet5": "vision/lenet",
    "UNet64": "vision/unet",
    "SwinT": "vision/swin",
    "ResNet50": "vision/resnet",
    "GPT2Small": "language/gpt2",
    "Llama2_7B": "language/llama",
    "Transformer": "language/transformer",
    "StackedLSTM": "sequence/recurrent",
}
TEXTS = {
    "steps of Runge and Kutta": """
block Slope(x: [B, D], t: []) { return concat([x, broadcast(t, [B, 1])], dim=1) -> Linear(D) -> tanh }
model M(steps: int = 4) {
  input x: [B, 6]
  f = Slope()
  h = 1 / steps
  for i in range(steps) {
    k1 = f(x, tensor(i * h))
    k2 = f(x + 0.5 * h * k1, tensor((i + 0.5) * h))
    k3 = f(x + 0.5 * h * k2, tensor((i + 0.5) * h))
    k4 = f(x + h * k3, tensor((i + 1) * h))
    x = x + (h / 6) * (k1 + 2 * k2 + 2 * k3 + k4)
  }
  output y = x -> Linear(3)
}""",
    "turns that are written out": """
block Cell(x: [B, D], h: [B, H], c: [B, H]) {
  i, f, o, g = concat([x, h], dim=1) -> Linear(4 * H) -> split(4, dim=1)
  c = sigmoid(f) * c + sigmoid(i) * tanh(g)
  return sigmoid(o) * tanh(c), c
}
model M {
  input x: [B, 5, 4]
  cells = [Cell() for _ in range(2)]
  hs, cs = [zeros([B, 6]) for _ in range(2)], [zeros([B, 6]) for _ in range(2)]
  y = x[:, 0]
  for t in range(5) {
    y = x[:, t]
    for l in range(2) {
      h, c = cells[l](y, hs[l], cs[l])
      hs, cs = hs[:l] + [h] + hs[l + 1:], cs[:l] + [c] + cs[l + 1:]
      y = h
    }
  }
  output z = y -> Linear(3)
}""",
    "a sum that begins with none": """
block Gated(x: [B, C, T], i: int) {
  z = tanh(x -> f: Conv(C, 2, padding="causal")) * sigmoid(x -> g: Conv(C, 2, padding="causal"))
  return x + (z -> Conv(C, 1)), z -> skip: Conv(5, 1)
}
model M {
  input x: [B, 4, T]
  total = none
  for i in range(10) {
    x, y = x -> layers: Gated(i)
    total = (y if total == none else total + y)
  }
  output z = total -> relu -> out: Conv(5, 1) -> relu -> last: Conv(5, 1)
  output last = x
}""",
    "a branch without a name": """
model M(depth: int = 3) {
  input x: [B, 8]
  for i in range(depth) {
    x = x -> fc: Linear(8)
    x = (relu(x) if i < depth - 1 else tanh(x))
  }
  output y = x
}""",
    "a branch of some turns": """
model M(depth: int = 3) {
  input x: [B, 8]
  for i in range(depth) {
    y = x -> norm: LayerNorm -> fc: Linear(8)
    if i > 0 { y = y -> gelu -> again: Linear(8) -> sigmoid }
    x = x + y
  }
  output z = x -> Linear(2) -> softmax
}""",
    "a name that one way of an `if` writes": """
block P(x: [B, C], flag: bool) {
  y = x -> Linear(C)
  z = y
  if flag { y = z -> Linear(C) -> tanh }
  x = (z + y) -> Linear(2)
  y = x -> Linear(C)
  x = y -> Linear(64) -> Linear(64) -> tanh -> Linear(C)
  return x + y
}
model M {
  input x: [B, 16]
  output w = x -> P(true) -> P(false)
}""",
    "names that an `if` exchanges": """
block P(x: [B, C], flag: bool) {
  y = x -> Linear(C)
  z = x -> Linear(C) -> tanh
  if flag { z, y = y, z } else { return (z + y) -> Linear(C) -> tanh }
  z = (x + (y -> Linear(C))) -> Linear(C)
  y = (x + (z -> Linear(C))) -> Linear(2)
  x = y -> Linear(64) -> Linear(64) -> tanh -> Linear(C)
  return x + z
}
model M {
  input x: [B, 16]
  output w = x -> P(true) -> P(false)
}""",
    "what blocks in blocks read again": """
block Attend(q: [B, D], memory: [B, S, D]) {
  a = einsum("b d, b s d -> b s", q, memory) -> softmax
  return einsum("b s, b s d -> b d", a, memory)
}
block Step(q: [B, D], memory: [B, S, D]) {
  return q + ((q, memory) -> Attend -> Linear(D) -> tanh)
}
model M {
  input x: [B, T, 4]
  memory = x -> Linear(6)
  step = Step()
  q = memory[:, 0]
  for _ in range(3) { q = step(q, memory) }
  output y = q
}""",
    "a product with what was turned": """
model M {
  input x: [B, 6, 4]
  y = x -> LayerNorm -> transpose([0, 2, 1]) -> Linear(6) -> transpose([0, 2, 1])
  output z = x * y
}""",
    "softmax of what was turned": """
model M {
  input x: [B, T, 8]
  k = x -> k: Linear(8, bias=false) -> rearrange("b t (h d) -> b h t d", h=2)
  v = x -> v: Linear(8, bias=false) -> rearrange("b t (h d) -> b h t d", h=2)
  output y = einsum("b h t d, b h t e -> b h d e", softmax(k, dim=-2), v)
}""",
    "values that nobody reads": """
model M {
  input x: [B, T, 4]
  y, last = x -> GRU(6, returns="all")
  a, b, c = y -> split(3, dim=2)
  output z = a * c
}""",
}


def assumed(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """The variables of each block but its inputs, as the count of an inference's peak has them."""
    found: dict[str, set[str]] = defaultdict(set)
    inputs: dict[Variables, tuple[str, set[int]]] = {}
    begin, hold = Variables.__init__, Variables.hold

    def beginning(self: Variables, function: Function, plan: Plan) -> None:
        inputs[self] = function.name, set(values_of(function.inputs))
        begin(self, function, plan)

    def holding(self: Variables, name: str, value: int) -> None:
        block, given = inputs[self]
        if value not in given:
            found[block].add(name)
        hold(self, name, value)

    monkeypatch.setattr(Variables, "__init__", beginning)
    monkeypatch.setattr(Variables, "hold", holding)
    Analysis(spec.program).figure("inference_peak")
    return found


def emitted(spec: Spec) -> dict[str, set[str]]:
    """The variables that forward passes assign, those of sizes left out."""
    methods = {
        (each.name, method.name): method
        for each in ast.parse(spec.source("torch")).body
        if isinstance(each, ast.ClassDef)
        for method in each.body
        if isinstance(method, ast.FunctionDef)
    }
    return {
        block: {
            name.id
            for statement in ast.walk(method)
            if isinstance(statement, ast.Assign) and not _is_of_sizes(statement.value)
            for target in statement.targets
            for name in ast.walk(target)
            if isinstance(name, ast.Name)
        }
        for (block, name), method in methods.items()
        if name == "forward"
    }


def _is_of_sizes(value: ast.expr) -> bool:
    """Whether a value is `x.shape` or `x.shape[0]`."""
    shape = value.value if isinstance(value, ast.Subscript) else value
    return isinstance(shape, ast.Attribute) and shape.attr == "shape"


def compare(spec: Spec, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = assumed(spec, monkeypatch), emitted(spec)
    blocks = {function.name for function in spec.program.functions.values()}
    assert blocks
    assert {b: ours.get(b, set()) for b in blocks} == {b: theirs[b] for b in blocks}


@pytest.mark.parametrize("name", SPECS)
def test_of_specs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(nnspec.load(str(ROOT / f"specs/{SPECS[name]}.nns"), name), monkeypatch)


@pytest.mark.parametrize("name", TEXTS)
def test_of_loops_and_branches(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compare(of_text(TEXTS[name]), monkeypatch)


@pytest.mark.framework
@pytest.mark.parametrize("name", TEXTS)
def test_peaks_are_those_of_pytorch(name: str) -> None:
    from tests.analysis.test_truth_resampling import compare as compare_bytes

    compare_bytes(TEXTS[name])


def test_how_constants_are_spelled_decides_nothing() -> None:
    """Numbers of many digits break no statement that others leave whole."""
    text = TEXTS["steps of Runge and Kutta"]
    lines = [
        of_text(text.replace("1 / steps", step)).source("torch").count(" = ")
        for step in ("0.5", "0.123456789012345", "1 / steps")
    ]
    assert len(set(lines)) == 1
