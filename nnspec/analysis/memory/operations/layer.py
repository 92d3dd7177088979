"""A layer of PyTorch with its arguments and weights, as rules are given it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nnspec.analysis.memory.machine import Tensor
from nnspec.ir.dims import Dim
from nnspec.records import dataclass


@dataclass(frozen=True)
class Stack:
    """Layers on each other that stand for `count` of them; `note` is told how many these must be at least."""

    count: Dim
    note: Callable[[Dim, int], None]


@dataclass(eq=False)
class Layer:
    """A module of the program that is run: its kind, the arguments it was made with, its weights.

    With a `stack` the layers that it is made of stand for more of them.
    """

    kind: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    training: bool
    stack: Stack | None = None

    def option(self, name: str, default: Any = None, place: int | None = None) -> Any:
        """An argument by its name or place."""
        if name in self.keywords:
            return self.keywords[name]
        if place is not None and place < len(self.arguments):
            return self.arguments[place]
        return default
