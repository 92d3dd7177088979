"""New recurrent layers draw their weights alike in both backends; maps of weights lose nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nnspec.ir.types import tensor
from nnspec.ops import OPS
from nnspec.ops.weight_steps import apply, undo

pytestmark = pytest.mark.framework

# Prints the greatest size and the deviation of each weight, in units of the bound.
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import keras
import numpy as np
from lowering import namespace

keras.utils.set_random_seed(0)
names = namespace("keras")
for kind in ("simple_rnn", "lstm", "gru", "lstm_cell", "gru_cell"):
    layer = names[kind](100, name="layer")
    layer.build((1, 50) if kind.endswith("cell") else (1, 3, 50))
    again = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(layer)
    )
    if not again.built:
        again.build((1, 50) if kind.endswith("cell") else (1, 3, 50))
    for weight in (*layer.weights, *again.weights):
        value = keras.ops.convert_to_numpy(weight) * 10
        print(kind, weight.name, np.abs(value).max(), value.std())
"""


def test_new_weights_have_the_same_distribution() -> None:
    here = Path(__file__).parent
    environment = os.environ | {"KERAS_BACKEND": "torch", "CUDA_VISIBLE_DEVICES": ""}
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(here)],
        env=environment | {"PYTHONPATH": str(here.parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in answer.stdout.splitlines()]
    assert len(lines) == 5 * 3 * 2
    for kind, name, greatest, deviation in lines:
        # Two of PyTorch's biases make one of Keras's, except where the reset gate parts them.
        terms = 2 if name == "bias" and "gru" not in kind else 1
        assert 0.8 * terms < float(greatest) <= terms, (kind, name)
        assert float(deviation) == pytest.approx((terms / 3) ** 0.5, rel=0.2), kind


@pytest.mark.parametrize("op", ["SimpleRNN", "LSTM", "GRU"])
def test_maps_of_weights_lose_nothing(op: str) -> None:
    made: Any = OPS[op]
    operator, x = made(hidden=3, layers=2, bidirectional=True), tensor(2, 4, 5)
    random = np.random.default_rng(0)
    shapes = {
        name: tuple(int(size) for size in weight.shape)
        for name, weight in operator.weights(x).items()
    }
    seen: list[str] = []
    for weight in operator.keras_weights(x):
        arrays = [random.normal(size=shapes[source]) for source in weight.sources]
        if len(arrays) == 2 and op != "GRU":  # the form in which a sum goes back
            arrays[1][:] = 0
        there = apply(weight.steps, arrays)
        assert len(there) == 1
        for before, after in zip(arrays, undo(weight.steps, there), strict=True):
            np.testing.assert_array_equal(before, after)
        seen += weight.sources
    assert sorted(seen) == sorted(shapes)
