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
    body = f" input x: [B, T, {inputs}]\n output y = x -> {layers}"
    compare_model(body, *sizes)


def compare_model(body: str, *sizes: Mapping[str, int], blocks: str = "") -> None:
    """The figures of a model, from formulas in its sizes."""
    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    spec = of_text(f"{blocks} model M {{ {body} }}")
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


STEPS = """ input x: [B, {steps}, {inputs}]
  cell = {kind}({hidden}{bias})
  {before}
  every = []
  for t in range({steps}) {{
    {states} = cell(x[:, {place}], {states})
    every = every + [h]
  }}
  output y = {result}"""

ZEROS, TRAINED, GIVEN = (
    "zeros([B, {hidden}])",
    "broadcast(Param([1, {hidden}]), [B, {hidden}])",
    "x[:, 0] -> Linear({hidden})",
)


@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", ["", ", bias=false"])
@pytest.mark.parametrize("start", [ZEROS, TRAINED, GIVEN])
def test_cells_step_by_step(kind: str, bias: str, start: str) -> None:
    """The gradients of weights and states come step by step, and each is added to those that are there."""
    chance = random.Random(f"{kind}{bias}{start}")
    for steps in (1, 2, 5):
        hidden = chance.randint(1, 24)
        states = ("h", "c") if kind == "LSTMCell" else ("h",)
        before = [f"{name} = {start.format(hidden=hidden)}" for name in states]
        body = STEPS.format(
            steps=steps,
            inputs=chance.randint(1, 20),
            kind=kind,
            hidden=hidden,
            bias=bias,
            before="\n  ".join(before),
            states=", ".join(states),
            place=chance.choice(("t", f"{steps - 1} - t")),
            result=chance.choice(("h", "stack(every, dim=1) -> Linear(3)")),
        )
        compare_model(body, {"B": 1}, {"B": chance.randint(2, 9)})


@pytest.mark.parametrize(
    ("layer", "rows"),
    [
        ("LSTM(6, layers=2", 2),
        ("LSTM(5, bidirectional=true, bias=false", 2),
        ("GRU(11, bidirectional=true, bias=false", 2),
        ("GRU(7, layers=3", 3),
        ('SimpleRNN(9, layers=2, bidirectional=true, returns="last"', 4),
    ],
)
@pytest.mark.parametrize("start", ["input", "trained", "computed"])
def test_states_that_are_given(layer: str, rows: int, start: str) -> None:
    """Their gradients wait until all layers have theirs, or each is laid into zeros, as the kernel takes them."""
    hidden = int(layer.partition("(")[2].partition(",")[0])
    shape = f"[{rows}, B, {hidden}]"
    made = {
        "input": f"input s: {shape}",
        "trained": f"s = broadcast(Param([{rows}, 1, {hidden}]), {shape})",
        "computed": f"input e: [{rows}, B, 3]  s = e -> Linear({hidden})",
    }
    states = "s, s" if layer.startswith("LSTM") else "s"
    compare_model(
        f""" input x: [B, T, 5]
  {made[start]}
  output y = {layer})(x, {states}) -> relu""",
        {"B": 4, "T": 1},
        {"B": 1, "T": 3},
        {"B": 5, "T": 3},
        {"B": 3, "T": 12},
    )


SMALL = {
    "a factor that is stretched": """ input x: [B, 2]
  x = x -> first: Linear(2) -> tanh
  x = x * x[:, :1]
  output y = x -> last: Linear(1)""",
    "a mean taken away": """ input x: [B, T, 4]
  x = x -> Linear(4)
  output y = x - mean(x, dim=-1, keep=true)""",
    "a weight of one row": """ input x: [B, 3]
  x = x -> first: Linear(3)
  output y = x -> last: Linear(1)""",
    "several results": """ input x: [B, 2]
  output y = x -> a: Linear(1)
  output z = x -> b: Linear(1) -> relu""",
    "a result without a gradient": """ input x: [B, T, 4]
  output y = x -> sigmoid -> Linear(3)
  output z = x -> mean(dim=-1)""",
    "a weight that is shared": """ input x: [B, T, 2]
  fc = Linear(2)
  r = SimpleRNN(2)
  x = x -> fc -> gelu -> Linear(2, weight=fc.weight) -> r -> r
  output y = x * x[:, :1]""",
    "a choice": """ input x: [B, 4]
  x = x -> Linear(5)
  output y = where(x > 0, clip(x, -0.5, 1), 0.5)""",
}


@pytest.mark.parametrize("name", SMALL)
def test_small_models(name: str) -> None:
    """What is a few numbers elsewhere is much of these."""
    body = SMALL[name]
    sizes = [{"B": 1, "T": 2}, {"B": 4, "T": 3}, {"B": 2, "T": 1}]
    asked = [s if "T," in body else {"B": s["B"]} for s in sizes]
    compare_model(body, *asked)


AGAIN = """
@checkpoint
block Step(x: [B, D], h: [B, H]) {
  h = (x, h) -> GRUCell(H, bias=false)
  return h
}
"""


def test_a_step_that_is_computed_again() -> None:
    """What is changed in place is kept as a copy, which is made before PyTorch stops computing again."""
    body = """ input x: [B, 2, 1]
  step = Step()
  h = zeros([B, 1])
  for t in range(2) { h = step(x[:, t], h) }
  output y = h"""
    compare_model(body, {"B": 5}, {"B": 3}, blocks=AGAIN)
