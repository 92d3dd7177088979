"""Which sizes and inputs a proof is tried on."""

from __future__ import annotations

import numpy as np
import pytest

from nnspec.diagnostics import SpecErrors
from nnspec.verify.indices import index_limits
from nnspec.verify.samples import draw_inputs
from nnspec.verify.sizes import choices, lowest
from tests.verify import specs
from tests.verify.specs import model, spec_of


def test_sizes_are_unlike_and_even_then_odd() -> None:
    spec = spec_of(model("x: [B, 3, H, W]", "output y = relu(x)"))
    even, odd = choices(spec.program, {})
    assert even == {"B": 2, "H": 4, "W": 6}
    assert odd == {"B": 3, "H": 5, "W": 7}


def test_bounds_and_multiples_are_kept() -> None:
    body = "require T <= 5 and H % 16 == 0 and W >= 9", "output y = relu(x)"
    spec = spec_of(model("x: [B, T, H, W]", *body))
    for sizes in choices(spec.program, {}):
        assert sizes["T"] <= 5
        assert sizes["H"] % 16 == 0
        assert sizes["W"] >= 9
        assert len(set(sizes.values())) == 4
    halves = [sizes["H"] // 16 % 2 for sizes in choices(spec.program, {})]
    assert halves == [0, 1]


def test_what_a_window_needs_is_met() -> None:
    spec = spec_of(model("x: [B, 2, H, W]", "output y = x -> Conv(3, 7) -> Conv(3, 5)"))
    for sizes in choices(spec.program, {}):
        assert sizes["H"] >= 11
        assert sizes["W"] >= 11
    assert lowest(spec.program, choices(spec.program, {})[0], "H") in (11, 12)


def test_sizes_that_are_given_stay() -> None:
    spec = spec_of(model("x: [B, T, 3]", "output y = relu(x)"), B="7")
    assert [sizes["B"] for sizes in choices(spec.program, spec.symbols)] == [7, 7]
    spec = spec_of(model("x: [B, T, 3]", "output y = relu(x)"), B="7", T="1")
    assert choices(spec.program, spec.symbols) == [{"B": 7, "T": 1}]


def test_sizes_that_cannot_be_are_an_error() -> None:
    spec = spec_of(
        model("x: [B, 2, H, 40]", "require H <= 4", "output y = x -> Conv(3, 3)")
    )
    assert choices(spec.program, {})[0]["H"] in (3, 4)
    spec = spec_of(model("x: [B, 2, H, 40]", "output y = x -> Conv(3, 3)"))
    with pytest.raises(SpecErrors, match="E0807"):
        choices(spec.program, {"H": 2})


def test_ids_stay_below_what_looks_them_up() -> None:
    spec = spec_of(specs.LANGUAGE, vocab="3")
    limits = index_limits(spec.program)
    assert [int(limit) for limit in limits[0]] == [3]
    (ids,) = draw_inputs(spec.program, {"B": 20, "T": 12}, seed=0)
    assert set(np.unique(ids)) == {0, 1, 2}


def test_ids_are_followed_through_blocks_and_arithmetic() -> None:
    text = "block Look(ids: i64[B, T]) {\n  return ids -> Embedding(7, 4)\n}\n" + model(
        "ids: i64[B, T]; other: i64[B]",
        "output y = flip(ids, dim=1) -> Look",
        "output z = one_hot(other, 4)",
    )
    limits = index_limits(spec_of(text).program)
    assert [[int(size) for size in limits[place]] for place in (0, 1)] == [[7], [4]]


def test_ids_stay_below_what_is_left_behind_offsets() -> None:
    look = "  return (ids + tensor([0, 2, 5])) -> Embedding(9, 4)\n"
    text = "block Look(ids: i64[B, 3]) {\n" + look + "}\n"
    text += model("ids: i64[B, 3]", "output y = (ids + 1) -> Look")
    limits = index_limits(spec_of(text).program)
    assert [int(size) for size in limits[0]] == [3]


def test_inputs_hold_what_their_types_say() -> None:
    spec = spec_of(
        model(
            "x: [B, 3]; mask: bool[B, 3]; count: i32[B]",
            "output y = where(mask, x, 0.0)",
            "output n = count + 1",
        )
    )
    arrays = draw_inputs(spec.program, {"B": 50}, seed=1)
    assert [array.dtype.name for array in arrays] == ["float64", "bool", "int32"]
    assert arrays[0].min() < 0
    positive = draw_inputs(spec.program, {"B": 50}, seed=1, positive=True)
    assert 0 < positive[0].min() < positive[0].max() < 1


NORMALISED = """
block Unit(x: [B, C, H, W]) {
  return x -> Conv(4, 3, stride=2, padding=1) -> BatchNorm
}
model M {
  input x: [B, 2, 8, 8]
  FROZEN
  x = x -> unit: Unit -> Unit -> Unit
  output y = x
}
"""


def test_batch_norms_see_more_than_two_values_in_training() -> None:
    spec = spec_of(NORMALISED.replace("FROZEN", ""))
    assert [sizes["B"] for sizes in choices(spec.program, {})] == [4, 5]
    assert choices(spec.program, {"B": 2}) == [{"B": 2}]


def test_frozen_batch_norms_need_no_values() -> None:
    spec = spec_of(NORMALISED.replace("FROZEN", "@frozen"))
    assert [sizes["B"] for sizes in choices(spec.program, {})] == [2, 3]


def test_sizes_that_nothing_holds_are_refused() -> None:
    spec = spec_of(model("x: [B, 3]", "output y = relu(x)"))
    with pytest.raises(SpecErrors) as caught:
        choices(spec.program, {"B": 10**30})
    assert [error.code for error in caught.value.diagnostics] == ["E0502"]
