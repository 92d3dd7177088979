"""Random draws that are the same in every framework, for programs that draw in their forward pass."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import numpy as np

from nnspec.verify.exchange import Array

SEED = 20151210


class Draws:
    """The draws of one run, told apart by their number in it."""

    def __init__(self) -> None:
        self._count = 0

    def normal(self, shape: tuple[int, ...]) -> Array:
        """The next draw from N(0, 1)."""
        return self._generator().standard_normal(shape)

    def uniform(self, shape: tuple[int, ...]) -> Array:
        """The next draw from U(0, 1)."""
        return self._generator().random(shape)

    def _generator(self) -> np.random.Generator:
        self._count += 1
        return np.random.default_rng([SEED, self._count])


@contextmanager
def replaced(owner: Any, **functions: Any) -> Generator[None]:
    """Inside, some attributes of a module or class are others."""
    before = {name: getattr(owner, name) for name in functions}
    for name, function in functions.items():
        setattr(owner, name, function)
    try:
        yield
    finally:
        for name, function in before.items():
            setattr(owner, name, function)
