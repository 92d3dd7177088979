"""A mistake in any lowering or weight step must make `verify` fail; without it, the same model passes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from nnspec.ir.dims import dim
from nnspec.ops.weight_steps import SwapGates, Transpose
from nnspec.verify.proof import OPERATORS
from tests.verify.planting import Mistake, fields, keywords, ops, result, steps

pytestmark = pytest.mark.framework


def model(inputs: str, body: str) -> str:
    lines = "\n".join(f"  input {line.strip()}" for line in inputs.split(";"))
    return f"model M {{\n{lines}\n  {body}\n}}\n"


def layer(shape: str, call: str) -> str:
    return model(f"x: {shape}", f"output y = x -> {call}")


def without(kind: type) -> Any:
    return steps(
        lambda right: tuple(step for step in right if not isinstance(step, kind))
    )


TIED = model(
    "ids: i64[B, T]",
    "e = Embedding(6, 6)\n  output y = e(ids) -> Linear(6, bias=false, weight=e.weight)",
)
ATTENTION = (
    layer("[B, 2, T, 4]", "mixed: Mixed")
    + "block Mixed(x: [*S, T, D]) {\n  return attention(x, x, x, causal=true)\n}\n"
)
PAIR = "x: [B, 4]; y: [B, 4]"

MISTAKES = [
    Mistake(
        "padding",
        layer("[B, 2, 8, 6]", "Conv(3, 3, stride=2, padding=1)"),
        "Conv",
        "keras",
        fields(padding="same"),
    ),
    Mistake(
        "dilation",
        layer("[B, 2, 8, 7]", "Conv(3, 3, padding=1)"),
        "Conv",
        "torch",
        fields(dilation=dim(2), padding=dim(2)),
    ),
    Mistake(
        "kernel axes",
        layer("[B, 2, 8, 7]", "Conv(3, 3)"),
        "Conv",
        "weights",
        steps(
            lambda s: tuple(
                Transpose((3, 2, 1, 0)) if isinstance(x, Transpose) else x for x in s
            )
        ),
    ),
    Mistake(
        "no bias in PyTorch",
        layer("[B, 4]", "Linear(3)"),
        "Linear",
        "torch",
        keywords(bias=False),
    ),
    Mistake(
        "no bias in Keras",
        layer("[B, 2, 8]", "Conv(3, 3)"),
        "Conv",
        "keras",
        fields(bias=False),
    ),
    Mistake(
        "transposed weight",
        layer("[B, 4]", "Linear(4)"),
        "Linear",
        "weights",
        without(Transpose),
    ),
    Mistake(
        "eps of batch norm",
        layer("[B, 4, 5, 6]", "BatchNorm"),
        "BatchNorm",
        "keras",
        keywords(epsilon=1e-3),
    ),
    Mistake(
        "momentum of batch norm",
        layer("[B, 4, 5, 6]", "BatchNorm"),
        "BatchNorm",
        "keras",
        keywords(momentum=0.99),
    ),
    Mistake(
        "statistics stand still",
        layer("[B, 4, 5]", "BatchNorm"),
        "BatchNorm",
        "torch",
        keywords(momentum=0.0),
    ),
    Mistake(
        "eps of layer norm",
        layer("[B, T, 6]", "LayerNorm"),
        "LayerNorm",
        "keras",
        keywords(epsilon=1e-3),
    ),
    Mistake(
        "eps of RMS norm",
        layer("[B, T, 6]", "RMSNorm"),
        "RMSNorm",
        "torch",
        keywords(eps=1e-3),
    ),
    Mistake(
        "groups",
        layer("[B, 4, 5, 6]", "GroupNorm(2)"),
        "GroupNorm",
        "keras",
        fields(groups=dim(4)),
    ),
    Mistake(
        "kind of GELU",
        layer("[B, 4]", "gelu"),
        "gelu",
        "torch",
        fields(approximate="tanh"),
    ),
    Mistake(
        "slope",
        layer("[B, 4]", "leaky_relu(0.1)"),
        "leaky_relu",
        "keras",
        fields(slope=0.3),
    ),
    Mistake(
        "no ReLU",
        layer("[B, 4]", "relu"),
        "relu",
        "keras",
        result(lambda io, _: io["x"]),
    ),
    Mistake("no causal mask", ATTENTION, "attention", "keras", fields(causal=False)),
    Mistake("scale of attention", ATTENTION, "attention", "torch", fields(scale=1.0)),
    Mistake(
        "axis of softmax",
        layer("[B, 4, 4]", "softmax(dim=-1)"),
        "softmax",
        "keras",
        fields(dim=dim(1)),
    ),
    Mistake(
        "gates of GRU",
        layer("[B, T, 3]", "GRU(4)"),
        "GRU",
        "weights",
        without(SwapGates),
    ),
    Mistake(
        "gates of LSTM",
        layer("[B, T, 3]", "LSTM(4)"),
        "LSTM",
        "weights",
        steps(lambda right: (SwapGates(4), *right)),
    ),
    Mistake(
        "order of concat",
        model(PAIR, "output z = concat([x, y], dim=1)"),
        "concat",
        "torch",
        result(lambda io, right: right.method("flip", 1)),
    ),
    Mistake(
        "axis of concat",
        model(PAIR, "output z = concat([x, y], dim=1)"),
        "concat",
        "keras",
        fields(dim=dim(0)),
    ),
    Mistake(
        "mode of resize",
        layer("[B, 2, 4, 5]", "resize([8, 10])"),
        "resize",
        "keras",
        fields(method="bilinear"),
    ),
    Mistake(
        "divisor of avg_pool",
        layer("[B, 2, 7, 8]", "avg_pool(3, stride=2, padding=1)"),
        "avg_pool",
        "torch",
        fields(count_padding=False),
    ),
    Mistake(
        "zeros around max_pool",
        layer("[B, 2, 7, 8]", "max_pool(3, stride=2, padding=1)"),
        "max_pool",
        "keras",
        result(lambda io, right: ops.maximum(right, 0.0)),
    ),
    Mistake(
        "order of flatten",
        layer("[B, 3, 4, 5]", "flatten -> Linear(2)"),
        "flatten",
        "keras",
        result(
            lambda io, _: ops.reshape(ops.transpose(io["x"], (0, 2, 3, 1)), (-1, 60))
        ),
    ),
    Mistake(
        "swapped axes",
        layer("[B, 4, 4, 4]", "transpose([0, 2, 1, 3])"),
        "transpose",
        "torch",
        fields(order=(dim(0), dim(3), dim(2), dim(1))),
    ),
    Mistake(
        "swapped operands",
        model(PAIR, "output z = x - y"),
        "subtract",
        "keras",
        result(lambda io, right: -1 * right),
    ),
    Mistake(
        "variance of a sample",
        layer("[B, 6]", "var(dim=1)"),
        "var",
        "keras",
        fields(correction=1),
    ),
    Mistake(
        "rows of embedding",
        layer("i64[B, T]", "Embedding(5, 4)"),
        "Embedding",
        "torch",
        result(lambda io, right: right.method("flip", 0)),
    ),
    Mistake(
        "tied weight not transposed",
        TIED,
        "Linear",
        "keras",
        result(lambda io, _: ops.matmul(io["x"], io["weight"])),
    ),
    Mistake(
        "dropout that stays",
        layer("[B, 4]", "Dropout(0.5)"),
        "Dropout",
        "keras",
        result(lambda io, right: right * 0.5),
    ),
]


# What follows makes good what is wrong: no output and no gradient tells.
HIDDEN = [
    Mistake(
        "order under a sum",
        model(PAIR, "h = concat([x, y], dim=1)\n  output z = h -> sum(dim=1)"),
        "concat",
        "torch",
        result(lambda io, right: right.method("flip", 1)),
    ),
    Mistake(
        "sign of what is squared",
        model(PAIR, "h = x - y\n  output z = h * h"),
        "subtract",
        "keras",
        result(lambda io, right: -1 * right),
    ),
    Mistake(
        "direction of a roll under a mean",
        layer("[B, 2, 5, 6]", "h: roll(1, dim=3) -> mean(dim=[2, 3])"),
        "roll",
        "keras",
        fields(shift=dim(-1)),
    ),
    Mistake(
        "shift under a softmax",
        layer("[B, 4]", "h: log_softmax(dim=1) -> softmax(dim=1)"),
        "log_softmax",
        "keras",
        result(lambda io, _: io["x"]),
    ),
    Mistake(
        "shape under a mean",
        layer("[B, 4, 6]", "h: transpose([0, 2, 1]) -> mean(dim=[1, 2])"),
        "transpose",
        "torch",
        result(lambda io, _: io["x"]),
    ),
    Mistake(
        "activation of one turn in a block",
        layer("[B, 4]", "units: Unit") + "block Unit(x: [B, D]) {\n"
        "  for _ in range(2) { x = x -> fc: Linear(D) -> h: negative -> abs }\n"
        "  return x\n}\n",
        "negative",
        "keras",
        result(lambda io, _: io["x"]),
    ),
]


@pytest.mark.parametrize("mistake", HIDDEN, ids=lambda mistake: mistake.name)
def test_a_mistake_that_no_output_shows_is_found(mistake: Mistake) -> None:
    """Only the comparison of what labelled operators give can find it."""
    report = mistake.spec().verify(backends=("torch",))
    assert {check.name for check in report.failures} == {OPERATORS}, report.text()
    (name, *_) = {check.detail for check in report.failures}
    assert re.search(
        r"first in `(units\.)?h(\.0)?` |first in `concat|first in `subtr", name
    )
    assert mistake.spec(wrong=False).verify(backends=("torch",)).ok


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_a_planted_mistake_is_found(mistake: Mistake) -> None:
    report = mistake.spec().verify()
    assert not report.ok, report.text()
    assert any(check.detail for check in report.failures)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_without_the_mistake_the_model_passes(mistake: Mistake) -> None:
    report = mistake.spec(wrong=False).verify()
    assert report.ok, report.text()


def test_there_are_enough_kinds_of_mistakes() -> None:
    assert len({mistake.operator for mistake in MISTAKES}) >= 20
