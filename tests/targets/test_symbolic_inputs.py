"""A Keras program that applies operators to `keras.Input` is built before there is anything to compute."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.framework

import keras  # noqa: E402

from tests.analysis.random_operators import SAME, UNARY  # noqa: E402
from tests.ir.models import spec  # noqa: E402

EXPRESSIONS = [*(f"x -> {each}" for each in UNARY), *(f.format(x="x") for f in SAME)]


@pytest.mark.parametrize("expression", EXPRESSIONS)
@pytest.mark.parametrize("sizes", ["4, 6", "4, 6, 5"])
def test_operators_are_applied_to_what_stands_for_an_input(
    expression: str, sizes: str
) -> None:
    made = spec(f"model M {{ input x: [B, {sizes}]\n output y = {expression} }}")
    model = made.keras()
    wanted = [int(size) for size in sizes.split(",")]
    # What needs a helper is a class, and is applied to an input here.
    is_built = hasattr(model, "outputs")
    output = model.outputs[0] if is_built else model(keras.Input(wanted))
    assert list(output.shape) in (
        [None, *wanted],
        [None, *wanted[1:], wanted[0]],  # an image has its channels last
    )
