"""Distributions as the documentation states them, and how far drawn values are from one."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

# What fair draws exceed about once in ten million comparisons.
MOST_DEVIATIONS = 5.3
MOST_KOLMOGOROV = math.sqrt(math.log(2e7) / 2)
MOST_VALUES = 100_000
EDGE = 16.0  # no value among n in the outermost EDGE / n of a uniform law: e^-16


@dataclass(frozen=True)
class Distribution:
    """A law of numbers: `below` is the probability of a value of at most x."""

    name: str
    mean: float
    deviation: float
    low: float
    high: float
    below: Callable[[Any], Any]
    bounded: bool = False  # whether values come close to `low` and `high`
    redrawn: bool = False  # whether it is made by drawing again what lies outside


def constant(value: float) -> Distribution:
    return Distribution(f"{value}", value, 0.0, value, value, lambda x: x >= value)


def uniform(bound: float) -> Distribution:
    return Distribution(
        f"U(-{bound:.4g}, {bound:.4g})",
        0.0,
        bound / math.sqrt(3),
        -bound,
        bound,
        lambda x: np.clip((x + bound) / (2 * bound), 0, 1),
        bounded=True,
    )


def sum_of_uniforms(bound: float) -> Distribution:
    """Of two independent draws from U(-bound, bound)."""

    def below(x: Any) -> Any:
        tail = (np.clip(2 * bound - np.abs(x), 0, None) / (2 * bound)) ** 2 / 2
        return np.where(x < 0, tail, 1 - tail)

    deviation = bound * math.sqrt(2 / 3)
    name = f"the sum of two U(-{bound:.4g}, {bound:.4g})"
    return Distribution(name, 0.0, deviation, -2 * bound, 2 * bound, below)


def normal(deviation: float, mean: float = 0.0) -> Distribution:
    return Distribution(
        f"N({mean:.4g}, {deviation:.4g}^2)",
        mean,
        deviation,
        -math.inf,
        math.inf,
        lambda x: _phi((x - mean) / deviation),
    )


def truncated(deviation: float) -> Distribution:
    """N(0, deviation^2), without what lies beyond two deviations."""
    inside = math.erf(math.sqrt(2))
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    spread = deviation * math.sqrt(1 - 4 * density / inside)

    def below(x: Any) -> Any:
        return np.clip((_phi(x / deviation) - (1 - inside) / 2) / inside, 0, 1)

    name = f"N(0, {deviation:.4g}^2) within two deviations"
    low, high = -2 * deviation, 2 * deviation
    return Distribution(name, 0.0, spread, low, high, below, redrawn=True)


def fault(values: Any, wanted: Distribution, strays: float = 0.0) -> str:
    """What speaks against values being drawn from this; empty if nothing does.

    `strays` is the share of values that may lie outside of a law whose values are redrawn.
    """
    found = np.asarray(values, dtype=np.float64).ravel()
    if wanted.deviation == 0.0:
        same = np.array_equal(found, np.full_like(found, np.float32(wanted.mean)))
        return "" if same else f"{found[:3]} instead of {wanted.name}"
    if wanted.redrawn and strays:
        found = _without_strays(found, wanted, strays)
    faults = _outside(found, wanted) or _moments(found, wanted)
    return faults or _distance_fault(found[:MOST_VALUES], wanted)


def distance(values: Any, wanted: Distribution) -> float:
    """Kolmogorov and Smirnov's: the most by which the share of values up to x is wrong."""
    found = np.sort(np.asarray(values, dtype=np.float64).ravel())
    below = wanted.below(found)
    steps = np.arange(len(found) + 1) / len(found)
    return float(max(np.max(steps[1:] - below), np.max(below - steps[:-1])))


def _without_strays(found: Any, wanted: Distribution, share: float) -> Any:
    """The values, without those outside if they are as few as the share allows (or luck)."""
    inside = found[(found >= wanted.low) & (found <= wanted.high)]
    expected = share * len(found)
    allowed = expected + MOST_DEVIATIONS * math.sqrt(expected) + 1
    return inside if len(found) - len(inside) <= allowed else found


def _outside(found: Any, wanted: Distribution) -> str:
    rounding = 1e-6 * max(abs(wanted.low), abs(wanted.high)) if wanted.bounded else 1e-6
    low, high = found.min(), found.max()
    if low < wanted.low - rounding or high > wanted.high + rounding:
        return f"[{low:.6g}, {high:.6g}] leaves {wanted.name}"
    gap = (wanted.high - wanted.low) * EDGE / len(found) if wanted.bounded else math.inf
    if low - wanted.low > gap or wanted.high - high > gap:
        return f"[{low:.6g}, {high:.6g}] does not fill {wanted.name}"
    return ""


def _moments(found: Any, wanted: Distribution) -> str:
    error = wanted.deviation / math.sqrt(len(found))
    mean, deviation = found.mean(), found.std()
    if abs(mean - wanted.mean) > MOST_DEVIATIONS * error:
        return f"mean {mean:.6g}, and {wanted.name} has {wanted.mean:.6g}"
    # The deviation of n draws from any of these laws spreads by less than its mean does.
    if abs(deviation - wanted.deviation) > MOST_DEVIATIONS * error:
        return (
            f"deviation {deviation:.6g}, and {wanted.name} has {wanted.deviation:.6g}"
        )
    return ""


def _distance_fault(found: Any, wanted: Distribution) -> str:
    measured = distance(found, wanted)
    allowed = MOST_KOLMOGOROV / math.sqrt(len(found))
    return "" if measured <= allowed else f"{measured:.3f} away from {wanted.name}"


def _phi(x: Any) -> Any:
    """The probability of at most x under N(0, 1)."""
    return 0.5 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))
