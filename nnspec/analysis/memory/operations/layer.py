"""A layer of PyTorch with its arguments and weights, as rules are given it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.analysis.memory.machine import Tensor
from nnspec.records import dataclass


@dataclass(eq=False)
class Layer:
    """A module of the program that is run: its kind, the arguments it was made with, its weights.

    `frozen` is one whose statistics are kept, and whose weights are not trained.
    """

    kind: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    training: bool

    def option(self, name: str, default: Any = None, place: int | None = None) -> Any:
        """An argument by its name or place."""
        if name in self.keywords:
            return self.keywords[name]
        if place is not None and place < len(self.arguments):
            return self.arguments[place]
        return default
