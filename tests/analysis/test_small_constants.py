"""Formulas where constants are small, and what is known of constants beforehand: no needless condition, none too few."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.at_one import conditions, fewest
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.generic.closed import ClosedForms, closed_forms
from nnspec.analysis.generic.memory.ones import right_at_one
from nnspec.analysis.generic.names.certain import decided
from nnspec.compiler import load
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import dim, maximum, minimum, symbol
from nnspec.spec import Spec
from tests.ir.models import spec


def forms_of(found: Spec, *figures: str) -> ClosedForms:
    """The formulas of these figures, of all if none are given, in all constants."""
    names = figures or tuple(FIGURES)
    analysis = Analysis(found.program)
    return closed_forms(analysis, names, optional=names, made=found.program_with)


ODD = """
model Odd(width: int = 6, channels: int = 3, kernel: int = 5) {
  require kernel % 2 == 1
  input image: [B, channels, H, W]
  output y = image -> stem: Conv(width, kernel, padding=kernel // 2) -> tanh
}
"""


def test_of_an_odd_kernel_half_of_it_is_no_riddle() -> None:
    forms = forms_of(spec(ODD), "flops", "bytes_read", "intensity")
    assert str(forms.figures["flops"].value) == (
        "2 * B * H * W * channels * kernel^2 * width"
    )
    assert "//" not in str(forms.figures["bytes_read"].value)
    assert "max" not in str(forms.figures["intensity"].below)


def test_what_is_certainly_the_largest_is_all_there_is() -> None:
    kernel, height = symbol("kernel"), symbol("H")
    padded = maximum(0, height - maximum(-(kernel // 2), 0))
    assert decided(padded, Assumptions()) == height
    assert decided(minimum(0, kernel - 1) + 1, Assumptions()) == 1
    free = Assumptions({"kernel": (-9, None)})
    assert decided(maximum(0, kernel), free) == maximum(dim(0), kernel)


ALONE = """
use std.attention (SelfAttention)
model Alone(channels: int = 1, width: int = 6, heads: int = 1, depth: int = 3) {
  require width % heads == 0
  input x: [B, T, channels]
  x = x -> stem: Linear(width)
  for _ in range(depth) { x = x + (x -> LayerNorm -> attn: SelfAttention(heads)) }
  output y = x -> head: Linear(2)
}
"""


def test_constants_of_1_are_names_where_a_formula_is_right_there() -> None:
    forms = forms_of(spec(ALONE))
    assert not forms.fixed
    assert not forms.conditions
    for channels, width, heads in ((1, 6, 1), (1, 4, 4), (3, 1, 1), (2, 6, 3)):
        constants = {"channels": channels, "width": width, "heads": heads, "depth": 2}
        other = Analysis(spec(ALONE, **constants).program)
        sizes = {"B": 3, "T": 5}
        for name in forms.figures:
            if forms.holds(constants, name):
                known = other.at(name, sizes)
                assert forms.at(name, constants).at(sizes).value == known.value
    assert forms.holds({"channels": 1, "width": 1, "heads": 1}, "saved_bytes")


def test_what_memory_takes_for_granted_is_no_condition_of_sums() -> None:
    found = load("specs/language/bert.nns", "BERTBase")
    forms = forms_of(found, "flops", "saved_bytes", "inference_peak")
    assert not forms.conditions
    assert list(map(str, forms.conditions_of("saved_bytes"))) == [
        "width >= 2",
        "heads >= 2",
    ]
    assert [*forms.besides] == ["saved_bytes"]
    assert list(map(str, forms.apart["saved_bytes"])) == ["B"]


def test_what_only_two_sizes_of_1_together_change_is_said_of_their_product() -> None:
    batch, time, width = (symbol(name) for name in ("B", "T", "width"))
    together = frozenset(("B", "T"))
    sets = map(frozenset, (["B"], ["T"], ["B", "T"], ["B", "T", "width"]))
    assert fewest(sets, lambda names: not together <= names) == [together]
    assert conditions([batch * time]) == ["B * T >= 2"]
    shapes = [[batch, width], [time, symbol("heads")]]
    both = frozenset(("width", "heads"))
    found = right_at_one(both, shapes, lambda names: names != both)
    assert len(found) == 1


@pytest.mark.slow
def test_a_long_maximum_is_tried_where_the_spec_itself_has_an_axis_of_one() -> None:
    """Swin's last stage has one window, whatever the size of the image and of windows."""
    path = str(Path(__file__).parents[2] / "specs/vision/swin.nns")
    forms = load(path, "SwinT").closed_forms("backward_peak")
    assert not forms.fixed
    assert not forms.kept
    for numbers in ({"size": 256, "window": 8}, {"size": 128, "window": 4}):
        constants = {**forms.constants, **numbers}
        conditions = forms.conditions_of("backward_peak")
        assert all(each.holds(constants) for each in conditions)
        other = Analysis(load(path, "SwinT", **numbers).program)
        found = forms.at("backward_peak", constants).value.at({"B": 3})
        assert found == other.figure("backward_peak").at({"B": 3})


CEILING = """
model Ceiling(size: int = 32, width: int = 6) {
  input image: [B, 3, size, size]
  x = image -> stem: Conv(width, 3, stride=2) -> relu
  for _ in range(2) { x = x -> max_pool(3, stride=2, ceil=true) -> conv: Conv(width, 1) }
  output y = x -> avg_pool(2, ceil=true) -> head: Conv(4, 1)
}
"""


def test_a_size_that_is_a_constant_of_the_model_is_no_open_one() -> None:
    """Pools that round up are written otherwise, with cells added, where a size is known at run time only."""
    names = ("saved_bytes", "inference_peak", "train_peak")
    forms = forms_of(spec(CEILING), *names)
    assert not forms.unsaid
    for size, width in ((32, 6), (33, 4), (40, 5), (47, 9)):
        constants = {"size": size, "width": width}
        other = Analysis(spec(CEILING, **constants).program)
        for name in names:
            conditions = forms.conditions_of(name)
            assert all(each.holds({**constants, "B": 3}) for each in conditions)
            found = forms.at(name, constants).value.at({"B": 3})
            assert found == other.figure(name).at({"B": 3}), (name, constants)
