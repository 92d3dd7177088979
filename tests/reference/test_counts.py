"""Parameters and FLOPs, counted anew on the references at full size (on PyTorch's meta device)."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.framework

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import nnspec  # noqa: E402
from tests.reference.libraries import LIBRARY  # noqa: E402
from tests.reference.programs import PROGRAMS, example  # noqa: E402
from tests.specs.figures import Figures, named  # noqa: E402

# What PyTorch's counter knows nothing of.
RECURRENT = (nn.RNNBase,)


def counted_flops(
    model: nn.Module, inputs: torch.Tensor, **options: torch.Tensor
) -> int:
    """Forward FLOPs as PyTorch's own counter sees them, attention as plain products."""
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        torch.backends.mha.set_fastpath_enabled(False)
        model(inputs, **options)
    return counter.get_total_flops()


def library_input(figures: Figures) -> torch.Tensor:
    if "T" in figures.symbols:
        return torch.zeros(1, figures.symbols["T"], dtype=torch.int64, device="meta")
    return torch.zeros(1, 3, 224, 224, device="meta")


@pytest.mark.parametrize("name", sorted({*PROGRAMS, *LIBRARY}))
def test_spec_counts_what_the_reference_counts(name: str) -> None:
    figures = named(name)
    with torch.device("meta"):
        model = (PROGRAMS.get(name) or LIBRARY[name])().eval()
    cost = nnspec.load(figures.path, name).cost(B=1, **figures.symbols)
    assert cost.parameters == sum(p.numel() for p in model.parameters())
    if any(isinstance(module, RECURRENT) for module in model.modules()):
        return  # FLOPs of these are checked by `recurrent_flops` below
    inputs = library_input(figures) if name in LIBRARY else example(name, 1, "meta")
    # Without a mask, transformers' decoders would look into the data for packed sequences.
    decodes = name.startswith(("GPT", "Llama"))
    options = {"attention_mask": torch.ones_like(inputs)} if decodes else {}
    assert cost.flops == counted_flops(model, inputs, **options)


def recurrent_flops(layer: nn.RNNBase, steps: int) -> int:
    """Two products a step, for every layer: with the input, and with the state."""
    weights = [w for key, w in layer.named_parameters() if key.startswith("weight")]
    return sum(2 * steps * weight.numel() for weight in weights)


@pytest.mark.parametrize(
    "name",
    [
        "TextLSTM",
        "SimpleForecast",
        "StackedLSTM",
        "TwoLayerGRU",
        "LSTMEncoder",
        "BiLSTMEncoder",
        "GRUEncoder",
    ],
)
def test_recurrent_flops(name: str) -> None:
    figures = named(name)
    model = PROGRAMS[name]()
    steps = figures.symbols["T"]
    recurrent = [m for m in model.modules() if isinstance(m, nn.RNNBase)]
    linear = [m for m in model.modules() if isinstance(m, nn.Linear)]
    total = sum(recurrent_flops(layer, steps) for layer in recurrent)
    total += sum(2 * layer.weight.numel() for layer in linear)
    assert nnspec.load(figures.path, name).cost(B=1, **figures.symbols).flops == total
