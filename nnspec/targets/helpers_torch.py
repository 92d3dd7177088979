"""Helper functions that emitted PyTorch files define when they need them. Read as text, never imported."""

# ruff: noqa: N812 -- every helper may use the standard imports of an emitted file
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class DropPath(nn.Module):
    """Sets whole samples to zero in training, and divides the others by 1 - p."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        shape = (x.shape[0], *(1 for _ in range(x.ndim - 1)))
        return x * x.new_empty(shape).bernoulli_(keep) / keep

    def extra_repr(self) -> str:
        return f"p={self.p}"


def recomputed(module: nn.Module, *inputs: Tensor | None):
    """In training, nothing that a module computes is kept: the backward pass computes it again."""
    if not module.training:
        return module(*inputs)
    return checkpoint(module, *inputs, use_reentrant=False)


def scatter_add(x: Tensor, index: Tensor, updates: Tensor, dim: int) -> Tensor:
    """Adds to elements of one axis, for each place of the axes before it."""
    rest = x.shape[dim + 1 :]
    index = index.flatten(dim) if index.ndim > dim else index.unsqueeze(dim)
    updates = updates.reshape(*index.shape, *rest)
    index = index.reshape(*index.shape, *(1 for _ in rest)).expand_as(updates)
    return x.scatter_add(dim, index.long(), updates)


def pad_same(
    x: Tensor,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
    value: float = 0.0,
) -> Tensor:
    """Pads the spatial axes of [B, C, *S] for ceil(n / stride) windows, the odd cell last."""
    axes = x.dim() - 2
    sizes = [
        (n,) * axes if isinstance(n, int) else n for n in (kernel, stride, dilation)
    ]
    pads: list[int] = []
    for size, k, s, d in list(zip(x.shape[2:], *sizes, strict=True))[::-1]:
        span = d * (k - 1)
        total = span - (size - 1) % s
        if span < s - 1:  # then it may be less than 0
            total = max(total, 0)
        pads.extend((total // 2, total - total // 2))
    return F.pad(x, pads, value=value)


def lstm_with_states(
    lstm: nn.LSTM, x: Tensor, state: tuple[Tensor, Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The sequence, and the final states: hidden and cell."""
    y, (hidden, cell) = lstm(x, state)
    return y, hidden, cell


def average_pool(
    x: Tensor,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    pads: tuple[int, ...] | None = None,
    counted: tuple[int, ...] | None = None,
) -> Tensor:
    """Mean over the cells of each window that are no padding, or are `counted`.

    Without `pads`, pads as `pad_same` does.
    """
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[x.dim() - 3]
    cells = torch.ones_like(x[:1, :1])
    if pads is None:
        x, cells = (pad_same(part, kernel, stride) for part in (x, cells))
    else:
        counted = counted or (0,) * len(pads)
        rest = tuple(a - b for a, b in zip(pads, counted, strict=True))
        cells = F.pad(F.pad(cells, counted, value=1.0), rest)
        x = F.pad(x, pads)
    return pool(x, kernel, stride) / pool(cells, kernel, stride)


def pad_axes(x: Tensor, pads: tuple[tuple[int, int], ...], mode: str) -> Tensor:
    """Continues the last axes of x by reflect, symmetric, replicate or circular padding."""
    for axis, (before, after) in enumerate(pads, x.dim() - len(pads)):
        size = x.shape[axis]
        places = torch.arange(-before, size + after, device=x.device)
        if mode == "replicate":
            places = places.clamp(0, size - 1)
        elif mode == "circular":
            places = places % size
        elif mode == "reflect":
            places = (size - 1) - (size - 1 - places % (2 * size - 2)).abs()
        else:
            places = places % (2 * size)
            places = torch.minimum(places, 2 * size - 1 - places)
        x = x.index_select(axis, places)
    return x


def keep_statistics(module: nn.Module) -> None:
    """Has every batch normalisation inside use and keep its running statistics."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            part.eval()
