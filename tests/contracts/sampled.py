"""Operators whose results are drawn anew in every pass, and what must hold of the draws.

Each check takes the inputs and a result; bounds are six standard deviations wide.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

import numpy as np
from harness import Array, Case, normal

RATE = 0.3


def near(value: float, expected: float, deviation: float) -> None:
    assert abs(value - expected) < 6 * deviation, f"{value}, expected {expected}"


def standard_normal(_: Sequence[Array], y: Array) -> None:
    count = y.size
    near(y.mean(), 0, 1 / sqrt(count))
    near((y**2).mean(), 1, sqrt(2 / count))
    near((y**4).mean(), 3, sqrt(96 / count))


def standard_uniform(_: Sequence[Array], y: Array) -> None:
    count = y.size
    assert y.min() >= 0
    assert y.max() < 1
    near(y.mean(), 1 / 2, sqrt(1 / 12 / count))
    near((y**2).mean(), 1 / 3, sqrt(4 / 45 / count))


def dropped(axes: tuple[int, ...]) -> Callable[[Sequence[Array], Array], None]:
    """Groups that span `axes` are zero or multiplied by 1 / (1 - rate), all alike."""

    def check(inputs: Sequence[Array], y: Array) -> None:
        factors = y / inputs[0]
        first = factors.max(axis=axes, keepdims=True) if axes else factors
        np.testing.assert_allclose(factors, np.broadcast_to(first, factors.shape))
        kept = first > 0
        np.testing.assert_allclose(first[kept], 1 / (1 - RATE))
        near(kept.mean(), 1 - RATE, sqrt(RATE * (1 - RATE) / kept.size))

    return check


def training(op: str, *shape: int) -> Case:
    return Case(op, {"rate": RATE}, [normal(*shape)], lambda x: x, training=True)


def drawn(op: str) -> Case:
    return Case(op, {"shape": [40, 50]}, [], lambda: None, training=True)


CASES = [
    drawn("RandomNormal"),
    drawn("RandomUniform"),
    training("Dropout", 40, 50),
    training("ChannelDropout", 20, 30, 4),
    training("ChannelDropout", 20, 30, 3, 4),
    training("DropPath", 600, 3, 2),
]
CHECKS = [
    standard_normal,
    standard_uniform,
    dropped(()),
    dropped((2,)),
    dropped((2, 3)),
    dropped((1, 2)),
]
