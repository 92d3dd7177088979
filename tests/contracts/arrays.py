"""The arrays that cases are tried on: drawn anew from a case's own seed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Input:
    """An array to be drawn. `symbols` names the axes whose size a dynamic run leaves open ("B _ H W")."""

    draw: Callable[[np.random.Generator], Array]
    symbols: str = ""


def normal(*shape: int, symbols: str = "", scale: float = 1.0) -> Input:
    """Normally distributed numbers of both signs."""
    return Input(lambda random: random.normal(size=shape) * scale, symbols)


def single(*shape: int, symbols: str = "") -> Input:
    """Normally distributed numbers of 32 bits, for what a backend cannot do at 64."""
    return Input(lambda random: random.normal(size=shape).astype("float32"), symbols)


def uniform(*shape: int, low: float, high: float, symbols: str = "") -> Input:
    """Numbers within bounds."""
    return Input(lambda random: random.uniform(low, high, size=shape), symbols)


def integers(*shape: int, high: int, low: int = 0, symbols: str = "") -> Input:
    """64-bit integers from `low` to `high` - 1."""
    return Input(lambda random: random.integers(low, high, size=shape), symbols)


def booleans(*shape: int, symbols: str = "") -> Input:
    """True and false, half and half."""
    return Input(lambda random: random.random(shape) < 0.5, symbols)


def given(values: Any, symbols: str = "") -> Input:
    """These very values."""
    return Input(lambda _: np.asarray(values), symbols)
