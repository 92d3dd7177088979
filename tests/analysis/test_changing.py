"""Memory of loops whose sizes change from turn to turn, as formulas: held against the program made with other numbers."""

from __future__ import annotations

import random
import re

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.generic.closed import closed_forms
from nnspec.analysis.generic.memory import changing
from nnspec.analysis.generic.tracing.sums import added_up
from nnspec.analysis.setting import Setting
from nnspec.diagnostics import SpecError
from tests.ir.models import spec

RUNNING = ["saved_bytes", "inference_peak", "backward_peak", "train_peak"]
HALVED = "require H % 2^depth == 0 and W % 2^depth == 0"

MODELS = {
    "concatenated": """
model M(width: int = 4, depth: int = 3) {
  input x: [B, 4]
  for _ in range(depth) { x = concat([x, x -> fc: Linear(width)], dim=1) }
  output y = x
}""",
    "doubled, with loops inside": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  for i in range(depth) {
    x = x -> fc: Linear(width * 2^i) -> relu -> Dropout(0.1)
    for _ in range(2) { x = x + (x -> LayerNorm -> inner: Linear(width * 2^i)) }
  }
  output y = x
}""",
    "dense": """
model M(width: int = 4, depth: int = 4, stem: int = 6) {
  input image: [B, 3, H, W]
  x = image -> Conv(stem, 3, padding=1)
  for i in range(depth) {
    new = x -> BatchNorm -> relu -> Conv(width, 3, padding=1)
    x = concat([x, new], dim=1)
  }
  output y = x -> global_avg_pool -> Linear(10)
}""",
    "a list of equal sizes": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  skips = []
  for i in range(depth) {
    x = x -> fc: Linear(width) -> LayerNorm -> gelu
    skips = [x] + skips
  }
  for skip in skips { x = concat([x, skip], dim=2) -> mix: Linear(width) -> gelu }
  output y = x
}""",
    "skips that are added": f"""
model M(width: int = 4, depth: int = 4) {{
  input image: [B, 3, H, W]
  {HALVED}
  x = image -> Conv(width, 3, padding=1)
  skips = []
  for i in range(depth) {{
    x = x -> Conv(width * 2^i, 3, padding=1) -> relu
    skips = skips + [x]
    x = x -> down: Conv(width * 2^i, 2, stride=2)
  }}
  for i in range(depth) {{
    skip = skips[-1 - i]
    C = shape(skip)[1]
    x = x -> up: ConvTranspose(C, 2, stride=2)
    x = (x + skip) -> merge: Conv(C, 3, padding=1) -> gelu
  }}
  output y = x -> head: Conv(2, 1)
}}""",
    "skips that are handed on": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  skips = []
  for i in range(depth) {
    x = x -> fc: Linear(width * 2^i) -> gelu
    skips = skips + [x]
  }
  for i in range(depth) { x = (skips[i] -> mix: Linear(width)) + (x -> back: Linear(width)) }
  output y = x
}""",
    "computed again": """
block Two(x: [B, T, D], width: int) {
  return x -> a: Linear(width) -> gelu -> b: Linear(width)
}
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  for i in range(depth) { @checkpoint x = x -> two: Two(width * 2^i) }
  output y = x
}""",
    "dilated": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, 1, T]
  x = x -> front: Conv(width, 1)
  total = x -> first: Conv(3, 1)
  for i in range(depth) {
    h = x -> dilated: Conv(2 * width, 2, dilation=2^i, padding="causal")
    a, g = h -> split(2, dim=1)
    z = (a -> tanh) * (g -> sigmoid)
    total = total + (z -> skip: Conv(3, 1))
    x = x + (z -> rest: Conv(width, 1))
  }
  output y = total -> relu
}""",
    "handed through": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  skips = []
  for i in range(depth) {
    x = concat([x, x -> grow: Linear(width)], dim=2)
    skips = [x] + skips
  }
  for skip in skips { x = (x -> back: Linear(shape(skip)[2])) + skip }
  output y = x
}""",
    "skips in the order in which they were made": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  skips = []
  for i in range(depth) {
    x = x -> a: Linear(width * 2^i) -> relu -> LayerNorm
    skips = [x] + skips
  }
  for i in range(depth) {
    C = shape(skips[-1 - i])[2]
    x = concat([x, skips[-1 - i]], dim=2) -> m: Linear(C) -> gelu
  }
  output y = x
}""",
    "a layer of all turns": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  shared = Linear(width)
  y = x
  for i in range(depth) { y = concat([y, y[:, :, :width] -> shared -> gelu], dim=2) }
  output z = y -> Linear(3)
}""",
    "experts with a gate each": """
block Expert(x: [B, T, D], hidden: int) {
  return x -> up: Linear(hidden) -> gelu -> down: Linear(D)
}
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  gates = x -> router: Linear(depth) -> softmax(dim=-1)
  total = x
  for i in range(depth) {
    total = total + gates[:, :, i:i+1] * (x -> expert: Expert(4 * width))
  }
  output y = total
}""",
    "parts of several sizes": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  parts = x -> Linear(3 * width * depth + 1)
  total = x
  for i in range(depth) {
    a = parts[:, :, 2*i:2*i+2] -> relu -> pair: Linear(width)
    b = parts[:, :, i:i+2*depth:2] -> gelu -> strided: Linear(width)
    c = parts[:, :, 3*width*i+1:] -> rest: Linear(width)
    d = parts[:, :, -width*i-width-1:] -> end: Linear(width)
    total = total + (a + b) * (c + d) * parts[:, :, 3*i+2:3*i+3]
  }
  output y = total
}""",
    "all of it at last": """
model M(width: int = 4, depth: int = 4) {
  input x: [B, T, width]
  parts = x -> Linear(2 * depth)
  total = x
  for i in range(depth) {
    total = total + (parts[:, :, :2*i+2] -> relu -> up: Linear(width))
  }
  output y = total
}""",
}


@pytest.mark.parametrize("name", MODELS)
def test_formulas_in_turns_that_change_are_what_other_numbers_take(name):
    setting = Setting(optimizer="adam")
    analysis = Analysis(spec(MODELS[name]).program, setting)
    # By itself, without a comparison with the model that has more turns.
    forms = closed_forms(analysis, RUNNING)
    assert "depth" not in forms.fixed
    assert not forms.kept
    # All turns are alike, and what they take of something is known.
    assert all("min(" not in str(each.value) for each in forms.figures.values())
    chance = random.Random(name)
    numbers = [(n, w) for n in (3, 4, 5, 8) for w in (2, 5)]
    for depth, width in numbers:
        constants = {"depth": depth, "width": width}
        if depth < forms.constants["depth"] and not forms.holds(constants):
            continue
        assert forms.holds(constants)
        other = spec(MODELS[name], **constants).program
        for figure in RUNNING:
            found = forms.at(figure, constants | {"stem": 6}).value
            known = Analysis(other, setting).figure(figure)
            for _ in range(4):
                multiples = other.assumptions.multiples
                sizes = {
                    each: chance.choice((1, 2, 3, 40)) * multiples.get(each, 1)
                    for each in other.symbols
                }
                assert found.at(sizes) == known.at(sizes), (figure, constants, sizes)


WHOLE = """
model M(part: int = {part}, width: int = 6) {{
  input x: [B, T, 5]
  h = x -> Linear(width)
  output y = h[:, :, :part] -> Linear(3)
}}"""


def test_a_slice_that_takes_all_of_an_axis_is_no_view():
    """Formulas are for those that leave something: what PyTorch gives for the others is the tensor itself."""
    forms = spec(WHOLE.format(part=4)).closed_forms(*RUNNING)
    assert "width > part" in map(str, forms.conditions)
    for part, width in [(2, 3), (2, 9), (5, 6), (6, 6)]:
        constants = {"part": part, "width": width}
        assert forms.holds(constants) == (part < width)
        other = Analysis(spec(WHOLE.format(part=part), width=width).program)
        for figure in RUNNING:
            found = forms.at(figure, constants).value
            is_same = found.at({"B": 3, "T": 7}) == other.figure(figure).at(
                {"B": 3, "T": 7}
            )
            assert is_same or not part < width
    with pytest.raises(SpecError, match="a slice may take all of an axis"):
        spec(WHOLE.format(part=6)).closed_forms("backward_peak")


@pytest.mark.parametrize("name", ["concatenated", "skips that are added"])
def test_two_turns_are_told_by_the_model_with_more_of_them(name):
    text = re.sub(r"depth: int = \d", "depth: int = 2", MODELS[name])
    forms = spec(text).closed_forms("saved_bytes", "inference_peak")
    assert not forms.fixed
    assert not forms.kept
    for depth in (2, 3, 6):
        assert forms.holds({"depth": depth})
        other = spec(text, depth=depth).program
        sizes = {
            each: 3 * other.assumptions.multiples.get(each, 1) for each in other.symbols
        }
        for figure in forms.figures:
            found = forms.at(figure, {**forms.constants, "depth": depth}).value
            assert found.at(sizes) == Analysis(other).figure(figure).at(sizes)


def test_a_wrong_formula_is_found_out_by_the_model_with_more_turns(monkeypatch):
    def short(value, turn, first, stop):
        found = added_up(value, turn, first, stop)
        return found if found is None else found - (stop - first - 1)

    model = spec(MODELS["concatenated"])
    right = model.closed_forms("saved_bytes").figures["saved_bytes"]
    monkeypatch.setattr(changing, "added_up", short)
    forms = model.closed_forms("saved_bytes")
    assert "depth" in {**forms.fixed, **forms.kept.get("saved_bytes", {})}
    assert "depth" in right.value.symbols()
    assert "depth" not in forms.figures["saved_bytes"].value.symbols()
