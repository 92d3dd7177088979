"""FLOPs by formula equal those that PyTorch counts while the emitted program runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import nnspec

ROOT = Path(__file__).parents[2]

CASES: list[tuple[str, str, dict[str, Any]]] = [
    ("specs/vision/resnet.nns", "ResNet18", {"B": 1}),
    ("specs/vision/resnet.nns", "ResNet50", {"B": 1}),
    ("specs/vision/lenet.nns", "LeNet5", {"B": 3}),
    ("specs/vision/mobilenet.nns", "MobileNet", {"B": 2}),
    ("specs/language/gpt2.nns", "GPT2", {"B": 2, "T": 17, "depth": 2, "vocab": 50}),
    ("specs/language/transformer_block.nns", "TransformerBlock", {"B": 2, "T": 5}),
    ("specs/generative/autoencoder.nns", "Autoencoder", {"B": 2}),
]


@pytest.mark.framework
@pytest.mark.parametrize(
    ("path", "name", "settings"), CASES, ids=lambda case: str(case)
)
def test_the_counter_agrees(path, name, settings):
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    spec = nnspec.load(str(ROOT / path), name, **settings)
    main = spec.program.main
    inputs: list[Any] = []
    for port in main.inputs:
        assert isinstance(port.values, int)
        kind = main.types[port.values]
        shape = [int(size.at(spec.symbols)) for size in kind.shape]
        dtype = torch.float32 if kind.dtype.is_float else torch.int64
        inputs.append(torch.ones(shape, dtype=dtype))
    model = spec.torch().eval()
    counter = FlopCounterMode(display=False)
    # Fused attention kernels hide their products from the counter.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(*inputs)
    assert counter.get_total_flops() == spec.cost().flops
    assert (
        sum(weight.numel() for weight in model.parameters()) == spec.cost().parameters
    )
