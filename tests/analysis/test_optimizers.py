"""What optimizers keep, against those of PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.memory.optimizing import steps
from nnspec.analysis.optimizers import OPTIMIZERS, Parameter
from nnspec.analysis.setting import Setting
from nnspec.ir.dims import dim
from tests.ir.models import program
from tests.ir.models import spec as of_text

SHAPES = [(64, 48), (100,), (8, 4, 3, 3)]


def made(name: str, weights: list[Any]) -> Any:
    import torch

    match name:
        case "sgd":
            return torch.optim.SGD(weights, foreach=False)
        case "momentum":
            return torch.optim.SGD(weights, momentum=0.9, foreach=False)
        case "muon":
            return Muon(weights)
        case _:
            kinds = {"adam": "Adam", "adamw": "AdamW", "adafactor": "Adafactor"}
            return getattr(torch.optim, kinds[name])(weights, foreach=False)


class Muon:
    """PyTorch's Muon, which takes matrices only, and Adam for the rest."""

    def __init__(self, weights: list[Any]) -> None:
        import torch

        matrices = [each for each in weights if each.ndim == 2]
        others = [each for each in weights if each.ndim != 2]
        self._both: list[Any] = []
        if matrices:
            self._both.append(torch.optim.Muon(matrices))
        if others:
            self._both.append(torch.optim.Adam(others, foreach=False))

    @property
    def state(self) -> dict[Any, Any]:
        return {w: kept for each in self._both for w, kept in each.state.items()}

    def zero_grad(self) -> None:
        for each in self._both:
            each.zero_grad()

    def step(self) -> None:
        for each in self._both:
            each.step()


@pytest.mark.framework
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (name, shape)
        for name in ("sgd", "momentum", "adam", "adamw", "adafactor", "muon")
        for shape in SHAPES
    ],
)
def test_states_are_those_of_pytorch(name: str, shape: tuple[int, ...]) -> None:
    import torch

    from tests.analysis.measured import storages

    weight = torch.nn.Parameter(torch.ones(shape))
    optimizer = made(name, [weight])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    kept = [value for state in optimizer.state.values() for value in state.values()]
    parameter = Parameter(tuple(map(dim, shape)))
    assert int(OPTIMIZERS[name].state(parameter, 4)) == sum(storages(kept).values())


STEPPED = {
    "equal layers": " for _ in range(3) { x = x -> layers: Linear(32, bias=false) }",
    "biases between": " for _ in range(3) { x = x -> layers: Linear(32) }",
    "lists together": """ for _ in range(2) {
      x = x -> wide: Linear(32, bias=false)
      x = x -> norm: RMSNorm
    }""",
    "own parameters first": """ x = x -> first: Linear(32, bias=false)
    x = x -> scaled: Linear(4, bias=false)
    x = einsum("b d, d e -> b e", x, Param([4, 90]))
    x = x -> last: Linear(32, bias=false)""",
    "kernels of three and four axes": """ y = x -> reshape([1, 4, 2, 4]) -> Conv(24, 2)
    y = y -> Conv(24, [1, 3]) -> flatten -> reshape([1, 24, 1])
    x = einsum("b c t, c t d -> b d", y, Param([24, 1, 32])) -> Linear(9)""",
    "blocks": """ for _ in range(2) { x = x -> blocks: Gated(20) }
    x = x -> Linear(32)""",
}
GATED = """
block Gated(x: [B, D], hidden: int) {
  y = (x -> up: Linear(hidden, bias=false)) * (x -> gate: Linear(hidden, bias=false))
  return y -> norm: LayerNorm -> down: Linear(D)
}
"""


@pytest.mark.framework
@pytest.mark.parametrize("name", ["adam", "adafactor", "muon"])
@pytest.mark.parametrize("body", STEPPED)
def test_what_a_step_has_alive(name: str, body: str) -> None:
    """What the step has made for one weight is there until the next one's takes its place."""
    from tests.analysis.counted import inputs_of
    from tests.analysis.measured import Live, built, total

    net = of_text(
        f"{GATED}model M {{ input x: [1, 32]\n{STEPPED[body]}\n output y = x }}"
    )
    model, inputs = built(net), inputs_of(net, {})
    optimizer = made(name, list(model.parameters()))
    for _ in range(2):
        optimizer.zero_grad()
        total(model(*inputs)).backward()
        live = Live()
        states = [each for state in optimizer.state.values() for each in state.values()]
        gradients = [each.grad for each in model.parameters()]
        live.watch([*model.parameters(), *gradients, *states])
        still = live.now
        with live:
            optimizer.step()
    analysis = Analysis(net.program, Setting.named(optimizer=name))
    made_by_it = max(map(int, steps(analysis)))
    # What Adafactor left of a weight before the one before, if that was of the other kind, is not counted.
    assert made_by_it == pytest.approx(
        live.peak - still, abs=200 if name == "adafactor" else 0
    )


def test_states_by_policy() -> None:
    net = program("model M { input x: [B, 64]\n output y = x -> Linear(128) }")
    weights = 64 * 128 + 128
    blocks = 64 * 128 // 256

    def state(**chosen: str) -> int:
        return int(Analysis(net, Setting.named(**chosen)).figure("optimizer_bytes"))

    assert state(optimizer="adamw", policy="bf16") == 2 * weights * 2 + 2 * 4
    # Beside the states, a float32 copy of the weights.
    assert state(optimizer="momentum", policy="mixed_bf16") == 2 * weights * 4
    # Small weights keep float32 states.
    large, small = 2 * (64 * 128 + 4 * blocks), 2 * 128 * 4
    assert state(optimizer="adam8bit") == large + small


@pytest.mark.framework
@pytest.mark.parametrize(
    "shape", [(4095,), (4096,), (4097,), (64, 48), (96, 100), (3, 5, 7, 41)]
)
def test_8_bit_states_are_laid_out_as_published(shape: tuple[int, ...]) -> None:
    import torch

    from tests.analysis.measured import storages

    # Block-wise states as in bitsandbytes: codes, and the largest magnitude of each block of 256. Weights of
    # less than 4096 elements have float32 states. The tables of codes are one for all weights, and not counted.
    weight = torch.empty(shape)
    kept: list[torch.Tensor] = []
    for _ in ("first mean", "second mean"):
        if weight.numel() < 4096:
            kept.append(torch.zeros_like(weight, dtype=torch.float32))
            continue
        kept.append(torch.zeros_like(weight, dtype=torch.uint8))
        blocks = weight.numel() // 256 + bool(weight.numel() % 256)
        kept.append(torch.zeros((blocks,), dtype=torch.float32))
    parameter = Parameter(tuple(map(dim, shape)))
    found = int(OPTIMIZERS["adam8bit"].state(parameter, 4))
    assert found == sum(storages(kept).values())


def test_decoding_keeps_keys_and_values() -> None:
    net = program(
        "model M { input q: [B, 8, T, 16]\n input k: [B, 2, T, 16]\n"
        " output y = attention(q, k, k, causal=true) }"
    )
    assert str(Analysis(net).figure("kv_cache")) == "256 * B * T"


WIDE = """
model M(width: int = 64) {
  input x: [B, 16]
  x = x -> first: Linear(width) -> relu
  output y = x -> last: Linear(width)
}
"""


@pytest.mark.parametrize("width", [17, 64])
def test_8_bit_states_are_a_formula_as_long_as_the_same_weights_are_small(
    width: int,
) -> None:
    """Small weights keep float32 states: that is a condition on the width, which has no need to stay as it is."""
    setting = Setting(optimizer="adam8bit")
    forms = of_text(WIDE, width=width).closed_forms(
        "optimizer_bytes", constants=["width"], setting=setting
    )
    assert forms.names() == ["width"]
    formula = forms.figures["optimizer_bytes"].value
    for other in (width, width + 1, width + 30):
        counted = Analysis(program(WIDE, width=other), setting)
        assert formula.at({"width": other}) == counted.figure("optimizer_bytes")
    assert any("4096" in str(each) for each in forms.conditions)
