"""Sliding windows in plain NumPy, for the oracles of convolution and pooling."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Pairs = Sequence[tuple[int, int]]


def each(value: int | Sequence[int], axes: int) -> list[int]:
    """One number for each axis."""
    return [value] * axes if isinstance(value, int) else list(value)


def same_pads(
    shape: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> list[tuple[int, int]]:
    """TensorFlow's rule, in its classical form."""
    found: list[tuple[int, int]] = []
    for n, k, s, d in zip(shape, kernel, stride, dilation, strict=True):
        results = -(-n // s)
        total = max((results - 1) * s + (k - 1) * d + 1 - n, 0)
        found.append((total // 2, total - total // 2))
    return found


def padded(
    x: np.ndarray, pads: Pairs, mode: Any = "constant", value: float = 0.0
) -> np.ndarray:
    """[B, C, *S] with cells around the spatial axes."""
    options: Any = {"constant_values": value} if mode == "constant" else {}
    return np.pad(x, [(0, 0), (0, 0), *pads], mode=mode, **options)


def patches(
    x: np.ndarray, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
    """Each place of the result, and the [B, C, *kernel] cells that it sees."""
    sizes = [
        (n - (k - 1) * d - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], kernel, stride, dilation, strict=True)
    ]
    for place in np.ndindex(*sizes):
        starts = [i * s for i, s in zip(place, stride, strict=True)]
        window = tuple(
            slice(start, start + (k - 1) * d + 1, d)
            for start, k, d in zip(starts, kernel, dilation, strict=True)
        )
        yield place, x[(slice(None), slice(None), *window)]


def gathered(results: list[tuple[tuple[int, ...], np.ndarray]]) -> np.ndarray:
    """Results of [B, C] at each place, as one array [B, C, *S]."""
    sizes = [last + 1 for last in results[-1][0]]
    stacked = np.stack([result for _, result in results], axis=-1)
    return stacked.reshape(*stacked.shape[:2], *sizes)


def convolve(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> np.ndarray:
    """The convolution of an input that is padded already."""
    results: list[tuple[tuple[int, ...], np.ndarray]] = []
    for place, cells in patches(x, weight.shape[2:], stride, dilation):
        parts = zip(
            np.split(cells, groups, axis=1),
            np.split(weight, groups, axis=0),
            strict=True,
        )
        rows = [
            part.reshape(len(part), -1) @ filters.reshape(len(filters), -1).T
            for part, filters in parts
        ]
        results.append(
            (place, np.concatenate(rows, axis=1) + (0 if bias is None else bias))
        )
    return gathered(results)


def scatter(
    x: np.ndarray,
    weight: np.ndarray,
    stride: Sequence[int],
    padding: Sequence[int],
    output_padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """The transposed convolution: each cell adds a copy of the kernel."""
    kernel = weight.shape[2:]
    rows = list(
        zip(x.shape[2:], kernel, stride, padding, output_padding, dilation, strict=True)
    )
    full = [(n - 1) * s + (k - 1) * d + 1 + extra for n, k, s, _, extra, d in rows]
    per_group = weight.shape[1]
    y = np.zeros((x.shape[0], per_group * groups, *full))
    inputs = x.shape[1] // groups
    for place in np.ndindex(*x.shape[2:]):
        for tap in np.ndindex(*kernel):
            to = [
                p * s + t * d
                for p, s, t, d in zip(place, stride, tap, dilation, strict=True)
            ]
            for group in range(groups):
                come = slice(group * inputs, (group + 1) * inputs)
                go = slice(group * per_group, (group + 1) * per_group)
                value = (
                    x[(slice(None), come, *place)] @ weight[(come, slice(None), *tap)]
                )
                y[(slice(None), go, *to)] += value
    keep = [slice(p, size - p) for p, size in zip(padding, full, strict=True)]
    return y[(slice(None), slice(None), *keep)]
