"""Formulas of loops that do something else in every third turn, or fourth: held against the program made with other numbers."""

from __future__ import annotations

import pytest

from nnspec.analysis.analysis import Analysis
from tests.ir.models import spec

FIGURES = ["parameters", "flops", "bytes_read", "saved_bytes", "inference_peak"]

LAYER = """
block Layer(x: [B, T, C], hidden: int, wide: bool) {
  x = x + (x -> LayerNorm -> up: Linear(hidden) -> gelu -> down: Linear(C))
  if wide { x = x -> out: Linear(C) }
  return x
}
"""

BODIES = {
    "an argument": (
        3,
        "for i in range(depth) { x = x -> layers: Layer(hidden, i % 3 == 2) }",
    ),
    "a branch": (
        4,
        """for i in range(depth) {
          if i % 4 == 3 { x = x -> wide: Linear(width) } else { x = x -> norm: LayerNorm }
          x = x -> tanh
        }""",
    ),
    "a size": (
        3,
        """for i in range(depth) {
          x = x + (x -> up: Linear(hidden * 2 if i % 3 == 0 else hidden) -> relu -> down: Linear(width))
        }""",
    ),
    "a number of the model": (
        6,
        """for i in range(depth) {
          if (i + 1) % every == 0 { x = x -> wide: Linear(width) }
          x = x -> relu -> narrow: Linear(width)
        }""",
    ),
}


def made(body: str, **numbers: int):
    text = f"""{LAYER}
model M(width: int = 6, hidden: int = 10, depth: int = 12, every: int = 6) {{
  input x: [B, T, width]
  {body}
  output y = x
}}"""
    return spec(text, **numbers)


@pytest.mark.parametrize("rest", [0, 1, 2])
@pytest.mark.parametrize("name", BODIES)
def test_rounds_of_several_turns_have_formulas(name, rest):
    period, body = BODIES[name]
    depth = 2 * period + rest
    forms = made(body, depth=depth).closed_forms(*FIGURES)
    assert "depth" not in forms.fixed
    assert not forms.kept
    held = 0
    for more in (period, 2 * period, 3 * period, 5 * period):
        numbers = {"depth": depth + more, "width": 4, "hidden": 7}
        assert forms.holds(numbers)
        other = Analysis(made(body, **numbers).program)
        for figure in FIGURES:
            found = forms.at(figure, numbers).value
            for sizes in ({"B": 1, "T": 1}, {"B": 2, "T": 3}, {"B": 7, "T": 40}):
                assert found.at(sizes) == other.figure(figure).at(sizes), figure
                held += 1
        assert not forms.holds({"depth": depth + more + 1})
    assert held


def test_one_round_is_told_by_the_model_with_more_of_them():
    _, body = BODIES["an argument"]
    forms = made(body, depth=4).closed_forms("saved_bytes", "inference_peak")
    assert not forms.fixed
    assert not forms.kept
    for depth in (4, 7, 13):
        assert forms.holds({"depth": depth})
        other = Analysis(made(body, depth=depth).program)
        for figure in forms.figures:
            found = forms.at(figure, {**forms.constants, "depth": depth}).value
            sizes = {"B": 3, "T": 5}
            assert found.at(sizes) == other.figure(figure).at(sizes)
