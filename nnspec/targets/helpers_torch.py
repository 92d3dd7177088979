"""Helper functions that emitted PyTorch files define when they need them. Read as text, never imported."""

# ruff: noqa: F401, N812 -- every helper may use the standard imports of an emitted file
from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


def scatter_add(x: Tensor, index: Tensor, updates: Tensor, dim: int) -> Tensor:
    """Adds to elements of one axis, for each place of the axes before it."""
    rest = x.shape[dim + 1 :]
    index = index.flatten(dim) if index.ndim > dim else index.unsqueeze(dim)
    updates = updates.reshape(*index.shape, *rest)
    index = index.reshape(*index.shape, *(1 for _ in rest)).expand_as(updates)
    return x.scatter_add(dim, index.long(), updates)
