"""What optimizers keep, against those of PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.analysis.figures import Analysis
from nnspec.analysis.optimizers import OPTIMIZERS, Parameter
from nnspec.analysis.setting import Setting
from nnspec.ir.dims import dim
from tests.ir.models import program

SHAPES = [(64, 48), (100,), (8, 4, 3, 3)]


def made(name: str, weights: list[Any]) -> Any:
    import torch

    match name:
        case "sgd":
            return torch.optim.SGD(weights, foreach=False)
        case "momentum":
            return torch.optim.SGD(weights, momentum=0.9, foreach=False)
        case "muon":
            return torch.optim.Muon(weights)
        case _:
            kinds = {"adam": "Adam", "adamw": "AdamW", "adafactor": "Adafactor"}
            return getattr(torch.optim, kinds[name])(weights, foreach=False)


@pytest.mark.framework
@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (name, shape)
        for name in ("sgd", "momentum", "adam", "adamw", "adafactor", "muon")
        for shape in SHAPES
        if name != "muon" or len(shape) == 2  # PyTorch's Muon takes matrices only
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


def test_decoding_keeps_keys_and_values() -> None:
    net = program(
        "model M { input q: [B, 8, T, 16]\n input k: [B, 2, T, 16]\n"
        " output y = attention(q, k, k, causal=true) }"
    )
    assert str(Analysis(net).figure("kv_cache")) == "256 * B * T"
