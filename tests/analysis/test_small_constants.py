"""Formulas where constants are small, and what is known of constants beforehand: no needless condition, none too few."""

from __future__ import annotations

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
