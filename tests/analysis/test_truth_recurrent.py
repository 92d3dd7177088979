"""Memory of recurrent layers against what PyTorch does with the emitted program: to the byte."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest

from nnspec.analysis.analysis import Analysis
from tests.ir.models import spec as of_text

pytestmark = pytest.mark.framework

PEAKS = ("inference_peak", "backward_peak", "train_peak")


def compare(layers: str, inputs: int, *sizes: Mapping[str, int]) -> None:
    """The figures of a model of such layers, from formulas in its sizes."""
    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    spec = of_text(
        f"model M {{ input x: [B, T, {inputs}]\n output y = x -> {layers} }}"
    )
    analysis = Analysis(spec.program)
    for each in sizes:
        model, given = measured.built(spec), inputs_of(spec, each)
        inference = measured.inference_peak(model, given)
        training = measured.training(model, given)
        truth = (inference, training.backward_peak, training.train_peak)
        for name, known in zip(PEAKS, truth, strict=True):
            assert int(analysis.at(name, each).value) == known, (name, each)
        assert int(analysis.at("saved_bytes", each).value) == training.saved, each


FEW = [{"B": batch, "T": steps} for batch in (1, 3) for steps in (1, 2, 3, 4)]
MORE = [{"B": 2, "T": 5}, {"B": 9, "T": 37}]


@pytest.mark.parametrize(
    "layers",
    [
        "GRU(64, bidirectional=true)",
        "GRU(48, layers=2, bidirectional=true, bias=false) -> gelu",
        "GRU(7) -> Linear(5)",
        "Linear(9) -> SimpleRNN(40, layers=2, bidirectional=true)",
        'SimpleRNN(10, returns="last") -> Linear(3)',
        'SimpleRNN(3, layers=3, activation="relu") -> LayerNorm',
        "LSTM(12) -> Linear(5)",
        'LSTM(33, layers=2, bidirectional=true, returns="last")',
        "LSTM(8, layers=3, bias=false) -> tanh -> GRU(9)",
    ],
)
def test_few_and_more_steps(layers: str) -> None:
    compare(layers, 16, *FEW, *MORE)


@pytest.mark.parametrize("width", [1, 15, 16, 61, 64, 128, 243, 256])
def test_rows_of_the_workspace(width: int) -> None:
    """They are whole cache lines, and never a multiple of 256 numbers: so are those of 243, or of 4 x 61."""
    compare(f"LSTM({width})", 7, {"B": 1, "T": 1}, {"B": 2, "T": 5})
    compare("LSTM(9)", width, {"B": 3, "T": 4})


@pytest.mark.parametrize("seed", range(12))
def test_any_layers(seed: int) -> None:
    chance = random.Random(seed)
    parts: list[str] = []
    for _ in range(chance.choice((1, 2))):
        kind = chance.choice(("LSTM", "GRU", "SimpleRNN"))
        options = [
            f", layers={chance.randint(2, 3)}" * chance.randint(0, 1),
            ", bidirectional=true" * chance.randint(0, 1),
            ", bias=false" * (chance.random() < 0.2),
        ]
        parts.append(f"{kind}({chance.randint(1, 80)}{''.join(options)})")
        parts.extend(chance.choice(([], ["LayerNorm"], ["tanh"], ["Linear(6)"])))
    steps = chance.choice((1, 2, 3, chance.randint(4, 40)))
    sizes = {"B": chance.randint(1, 9), "T": steps}
    compare(" -> ".join(parts), chance.randint(1, 80), sizes)
