"""Look-ups, their opposites and resizing: what they keep and hold, against what PyTorch does."""

from __future__ import annotations

import pytest

from nnspec.analysis.analysis import Analysis
from tests.ir.models import spec as of_text

SIZES = {"B": 3, "T": 7, "H": 10, "W": 12, "K": 5, "J": 2}
LOSS = 8
"""Bytes of the sum of the outputs and of its gradient, of which one or both live at the peak."""

RESIZED = {
    f"{method} {name}": f'x = resize(x, {size}, method="{method}")'
    for method in ("nearest", "nearest-exact", "bilinear", "bicubic")
    for name, size in (
        ("to more", "[2 * H, 2 * W]"),
        ("to less", "[H // 2, W // 3]"),
        ("to any", "[2 * H + 1, W - 3]"),
    )
}
LOOKED_UP = {
    "gather": ("B, K", "x = gather(x, at, dim=1)"),
    "gather from the first axis": ("K", "x = gather(x, at, dim=0)"),
    "gather several": ("B, K, J", "x = gather(x, at, dim=1)"),
    "take": ("K", "x = take(x, at, dim=1)"),
    "scatter": ("B, T", "x = scatter_add(zeros([B, 9, 16]), at, x, dim=1)"),
    "scatter along the first axis": (
        "B",
        "x = scatter_add(zeros([9, T, 16]), at, x, dim=0)",
    ),
    "scatter several": ("B, T", "x = scatter_add(zeros([9, 16]), at, x, dim=0)"),
    "scatter onto what is trained": (
        "B, T",
        "x = scatter_add(x -> other: Linear(16), at, x -> relu, dim=1) -> relu",
    ),
    "scatter along the last axis": (
        "B, T, 16",
        "x = scatter_add(zeros([B, T, 20]), at, x, dim=2)",
    ),
}


def compare(text: str) -> None:
    """Saved bytes and the peak of inference are equal, the peaks of training but for the loss."""
    from torch._subclasses import FakeTensorMode

    from tests.analysis import measured
    from tests.analysis.counted import inputs_of

    spec = of_text(text)
    sizes = {name: SIZES[name] for name in spec.program.symbols}
    with FakeTensorMode():
        model, inputs = measured.built(spec), inputs_of(spec, sizes)
        inference = measured.inference_peak(model, inputs)
        training = measured.training(model, inputs)
    analysis = Analysis(spec.program)

    def ours(name: str) -> int:
        return int(analysis.figure(name).at(sizes))

    assert ours("saved_bytes") == training.saved
    assert ours("inference_peak") == inference
    for name in ("backward_peak", "train_peak"):
        assert ours(name) == pytest.approx(getattr(training, name), abs=LOSS)


@pytest.mark.framework
@pytest.mark.parametrize("name", RESIZED)
def test_resizing(name: str) -> None:
    compare(
        "model M { input x: [B, 4, H, W]\n x = x -> Conv(8, 3, padding=1)\n"
        f" {RESIZED[name]}\n output y = x -> Conv(4, 1) }}"
    )


@pytest.mark.framework
@pytest.mark.parametrize("name", LOOKED_UP)
def test_look_ups(name: str) -> None:
    at, body = LOOKED_UP[name]
    compare(
        f"model M {{ input x: [B, T, 16]\n input at: i64[{at}]\n x = x -> Linear(16)\n"
        f" {body}\n output y = x -> Linear(4) }}"
    )


@pytest.mark.framework
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_what_shrinks_leaves_cells_unread(method: str) -> None:
    """So its traffic is not exact, and says so."""
    import torch

    x = torch.rand(1, 1, 24, 24, requires_grad=True)
    torch.nn.functional.interpolate(x, (3, 4), mode=method).sum().backward()
    assert x.grad is not None
    assert 0 < int((x.grad != 0).sum()) < x.numel()
