"""Formulas in numbers of turns that are too few to tell what turns do: against models of such numbers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

import nnspec
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.generic.blocks.reals import Real
from nnspec.analysis.generic.closed import ClosedForms, closed_forms
from nnspec.analysis.generic.names.eligible import differs_only, with_numbers
from nnspec.analysis.generic.tracing.bodies import key_of
from nnspec.ir.dims import dim, symbol
from nnspec.spec import Spec
from tests.ir.models import program, spec

SWIN = f"{Path(__file__).parents[2]}/specs/vision/swin.nns"
FIGURES = ("saved_bytes", "inference_peak", "train_peak")

LAYER = """
block Layer(x: [B, T, C], drop: float, shift: int = 0) {
  y = x -> norm: LayerNorm -> roll([shift], dim=[1]) -> fc: Linear(4 * C) -> gelu
  return x + (y -> out: Linear(C) -> DropPath(drop))
}
"""

GROWING = LAYER + (
    """
    model M(depth: int = 2, width: int = 6) {
      input x: [B, T, 4]
      x = x -> enter: Linear(width)
      for i in range(depth) { x = x -> layers: Layer(0.1 * i / (depth + 1)) }
      output y = x
    }
    """
)

ALTERNATING = LAYER + (
    """
    model M(depth: int = 2) {
      input x: [B, T, 6]
      for i in range(depth) {
        x = x -> layers: Layer(0.01 * i, shift=2 if i % 2 == 1 else 0)
      }
      output y = x -> head: Linear(3)
    }
    """
)

STAGES = LAYER + (
    """
    model M(one: int = 2, two: int = 3) {
      input x: [B, T, 6]
      for i in range(one) { x = x -> first: Layer(0.01 * i) }
      x = x -> merge: Linear(8)
      for i in range(two) { x = x -> second: Layer(0.01 * (i + one)) }
      output y = x
    }
    """
)


def assert_exact(
    forms: ClosedForms, made: Spec, constants: Mapping[str, int], sizes: Sequence[str]
) -> bool:
    """Whether the formulas hold for some constants; they then give what the model made with these takes."""
    if not forms.holds(constants):
        return False
    known = Analysis(made.program)
    for figure in forms.figures:
        found = forms.at(figure, {**forms.constants, **constants}).value
        value = known.figure(figure)
        for number in (1, 3, 200):
            at = dict.fromkeys(sizes, number)
            assert found.at(at) == value.at(at), (figure, constants, number)
    return True


@pytest.mark.parametrize("text", [GROWING, ALTERNATING], ids=["growing", "alternating"])
def test_a_rate_that_is_0_in_the_first_turn(text):
    forms = spec(text).closed_forms(*FIGURES, constants=["depth"])
    assert not forms.fixed
    assert not forms.kept
    held = [
        depth
        for depth in range(1, 9)
        if assert_exact(forms, spec(text, depth=str(depth)), {"depth": depth}, "BT")
    ]
    assert held == ([2, 4, 6, 8] if text is ALTERNATING else [*range(2, 9)])


def test_without_other_numbers_it_stays_what_it_is():
    found = spec(ALTERNATING)
    forms = closed_forms(Analysis(found.program), ["saved_bytes"], ["depth"])
    assert not forms.holds({"depth": 4})
    assert found.closed_forms("saved_bytes", constants=["depth"]).holds({"depth": 4})
    found = spec(GROWING)
    forms = closed_forms(Analysis(found.program), ["train_peak"], ["depth"])
    assert set(forms.fixed) == {"depth"}


def test_two_loops():
    forms = spec(STAGES).closed_forms("saved_bytes", "train_peak")
    chance = random.Random("stages")
    held = 0
    for _ in range(12):
        constants = {"one": chance.randint(2, 6), "two": chance.randint(2, 6)}
        texts = {name: str(value) for name, value in constants.items()}
        held += assert_exact(forms, spec(STAGES, **texts), constants, "BT")
    assert held >= 3


CELLS = """
model M(steps: int = 2, width: int = 4, hidden: int = 4) {
  input x: [B, steps, width]
  input s: [B, hidden]
  cell = LSTMCell(hidden, bias=false)
  h = s
  c = s
  for t in range(steps) { h, c = cell(x[:, t], h, c) }
  output y = h -> relu
}
"""


def test_a_cell_of_a_few_steps():
    """Sizes of 1 are no exception: how an axis of one element lies tells nothing."""
    forms = spec(CELLS).closed_forms(*FIGURES)
    assert not forms.fixed
    assert not forms.kept
    assert not any(forms.apart.values())
    for steps, width, hidden in [(2, 4, 4), (3, 1, 5), (4, 6, 1), (9, 2, 3)]:
        constants = {"steps": steps, "width": width, "hidden": hidden}
        known = Analysis(spec(CELLS, **constants).program)
        assert forms.holds(constants)
        for figure in FIGURES:
            found = forms.at(figure, constants).value
            for sizes in ({"B": 1}, {"B": 7}):
                assert found.at(sizes) == known.at(figure, sizes).value, figure


def swin(depths: list[int]) -> Spec:
    return nnspec.load(SWIN, "Swin", depths=depths, heads=[2, 4], width=8)


@pytest.mark.slow
def test_every_stage_of_swin():
    forms = swin([2, 2]).closed_forms("saved_bytes", constants=["depths"])
    assert not forms.fixed
    for depths in ([2, 2], [4, 2], [6, 4]):
        made = swin(depths)
        constants = {f"depths[{i}]": depth for i, depth in enumerate(depths)}
        assert assert_exact(forms, made, constants, "B")
    assert not forms.holds({"depths[0]": 3})


def test_constants_that_would_change_with_others_are_not_taken_for_the_same():
    text = GROWING.replace("width: int = 6", "width: int = 3 * depth")
    whole = spec(text)
    assert with_numbers(whole.program, {"depth": 6}) == {"depth": 6}
    more = whole.program_with({"depth": 6})
    assert more is not None
    assert not differs_only(more, whole.program, {"depth": 6})
    assert differs_only(program(GROWING, depth="6"), program(GROWING), {"depth": 6})
    forms = whole.closed_forms("train_peak", constants=["depth"])
    assert set(forms.fixed) == {"depth"}


def test_numbers_that_a_spec_refuses_leave_formulas_as_they_are():
    text = GROWING.replace("input x", "require depth <= 3\n input x")
    found = spec(text)
    assert found.program_with({"depth": 6}) is None
    forms = found.closed_forms("train_peak", constants=["depth"])
    assert set(forms.fixed) == {"depth"}


def test_elements_of_lists_have_other_numbers():
    found = nnspec.load(SWIN, "SwinT")
    assert with_numbers(found.program, {"depths[2]": 8}) == {"depths": [2, 2, 8, 2]}


def test_numbers_that_are_0_elsewhere_are_not_the_same():
    names = frozenset({"depth"})
    turn = symbol("turn")
    one = Real(0.2, names, dim(2).named(2 * turn))
    assert key_of(one) == key_of(Real(0.4, names, dim(4).named(2 * turn)))
    assert key_of(one) != key_of(Real(0.2, names, dim(2).named(2 * turn + 2)))
    assert key_of(one) != key_of(Real(0.0, names, dim(0).named(2 * turn)))
    assert key_of(one) != key_of(Real(0.2, frozenset(), dim(2).named(2 * turn)))


def test_a_quotient_is_a_formula_in_numbers_of_few_turns() -> None:
    vgg = f"{Path(__file__).parents[2]}/specs/vision/vgg.nns"
    forms = nnspec.load(vgg, "VGG11").closed_forms("intensity", "flops")
    assert not forms.fixed
    assert not forms.kept
    for depths in ([1, 1, 2, 2, 2], [2, 2, 3, 3, 3], [3, 1, 2, 4, 2]):
        numbers = {f"depths[{i}]": depth for i, depth in enumerate(depths)}
        constants = {**forms.constants, **numbers}
        assert all(each.holds(constants) for each in forms.conditions)
        known = Analysis(nnspec.load(vgg, "VGG", depths=depths).program)
        found = forms.at("intensity", constants).at({"B": 3})
        assert found.exactly() == known.measured("intensity").at({"B": 3}).exactly()
