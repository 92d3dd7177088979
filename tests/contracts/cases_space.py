"""Cases of resampling, padding, and the exchange of channels for space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from harness import Case, integers, normal

IMAGE = "B _ H W"


def cubic(distance: float) -> float:
    """Keys' kernel with a = -3/4, as its two pieces."""
    a, d = -0.75, abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def sampling(before: int, after: int, method: str, align_corners: bool) -> np.ndarray:
    """The matrix [after, before] that samples one axis."""
    matrix = np.zeros((after, before))
    for i in range(after):
        if method == "nearest":
            matrix[i, i * before // after] = 1
            continue
        if method == "nearest-exact":
            matrix[i, (2 * i + 1) * before // (2 * after)] = 1
            continue
        point = (i + 0.5) * before / after - 0.5
        if align_corners:
            point = i * (before - 1) / (after - 1) if after > 1 else 0.0
        if method == "bilinear":
            point = max(point, 0.0)
            taps = [
                (t, 1 - abs(point - t))
                for t in range(-1, before + 1)
                if abs(point - t) < 1
            ]
        else:
            taps = [
                (t, cubic(point - t))
                for t in range(-2, before + 3)
                if abs(point - t) < 2
            ]
        for tap, share in taps:
            matrix[i, min(max(tap, 0), before - 1)] += share
    return matrix


def resize(*shape: int, size: Sequence[int], symbols: str = "", **fields: Any) -> Case:
    def oracle(x: np.ndarray) -> np.ndarray:
        for axis, after in enumerate(size, 2):
            options = (
                fields.get("method", "nearest"),
                fields.get("align_corners", False),
            )
            matrix = sampling(x.shape[axis], after, *options)
            x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
        return x

    note = "x".join(map(str, shape))
    options = {"size": list(size), **fields}
    return Case("resize", options, [normal(*shape, symbols=symbols)], oracle, note)


MODES = {"replicate": "edge", "circular": "wrap"}


def pad(
    *shape: int, padding: Any, symbols: str = "", whole: bool = False, **fields: Any
) -> Case:
    def oracle(x: np.ndarray) -> np.ndarray:
        pairs = padding if isinstance(padding[0], list) else [padding]
        mode: Any = fields.get("mode", "constant")
        options: Any = (
            {"constant_values": fields.get("value", 0.0)} if mode == "constant" else {}
        )
        numpy_mode: Any = MODES.get(mode, mode)
        around: Any = [(0, 0)] * (x.ndim - len(pairs)) + [tuple(pair) for pair in pairs]
        return np.pad(x, around, mode=numpy_mode, **options)

    note = "x".join(map(str, shape)) + (",integers" if whole else "")
    made = (
        integers(*shape, high=9, symbols=symbols)
        if whole
        else normal(*shape, symbols=symbols)
    )
    finite = np.isfinite(fields.get("value", 0.0))
    return Case(
        "pad",
        {"padding": padding, **fields},
        [made],
        oracle,
        note,
        differentiable=bool(finite),
    )


def pixel_shuffle(x: np.ndarray, r: int) -> np.ndarray:
    batch, channels, height, width = x.shape
    y = np.zeros((batch, channels // r**2, height * r, width * r))
    for c, i, j in np.ndindex(channels // r**2, r, r):
        y[:, c, i::r, j::r] = x[:, (c * r + i) * r + j]
    return y


def pixel_unshuffle(x: np.ndarray, r: int) -> np.ndarray:
    batch, channels, height, width = x.shape
    y = np.zeros((batch, channels * r**2, height // r, width // r))
    for c, i, j in np.ndindex(channels, r, r):
        y[:, (c * r + i) * r + j] = x[:, c, i::r, j::r]
    return y


def shuffle(op: str, *shape: int, factor: int, symbols: str) -> Case:
    function = pixel_shuffle if op == "pixel_shuffle" else pixel_unshuffle
    note = "x".join(map(str, shape))
    made = [normal(*shape, symbols=symbols)]
    return Case(op, {"factor": factor}, made, lambda x: function(x, factor), note)


CASES = [
    resize(2, 3, 6, 7, size=[12, 14], symbols=IMAGE),
    resize(2, 3, 7, 8, size=[5, 11]),
    resize(2, 3, 7, 8, size=[3, 13], method="nearest-exact"),
    resize(2, 3, 9, size=[4], symbols="B _ T"),
    resize(2, 3, 4, 3, 5, size=[3, 6, 7]),
    resize(2, 3, 6, 7, size=[12, 14], method="bilinear", symbols=IMAGE),
    resize(2, 3, 7, 8, size=[5, 11], method="bilinear"),
    resize(
        2, 3, 6, 7, size=[9, 4], method="bilinear", align_corners=True, symbols=IMAGE
    ),
    resize(2, 3, 6, 7, size=[1, 8], method="bilinear", align_corners=True),
    resize(2, 3, 9, size=[5], method="bilinear"),
    resize(2, 3, 4, 3, 5, size=[3, 6, 7], method="bilinear"),
    resize(2, 3, 6, 7, size=[12, 14], method="bicubic", symbols=IMAGE),
    resize(2, 3, 7, 8, size=[5, 11], method="bicubic"),
    resize(2, 3, 6, 7, size=[9, 4], method="bicubic", align_corners=True),
    pad(3, 6, padding=[1, 2], symbols="B _"),
    pad(3, 6, 5, padding=[2, 0], value=-1.5, symbols="B T _"),
    pad(2, 3, 7, 6, padding=[[1, 2], [0, 3]], symbols=IMAGE),
    pad(2, 3, 7, 6, padding=[[1, 0], [1, 2], [0, 3]], value=float("-inf")),
    pad(3, 6, padding=[1, 2], value=4.0, whole=True),
    pad(2, 3, 7, 6, padding=[[1, 2], [0, 3]], mode="reflect", symbols=IMAGE),
    pad(2, 3, 7, 6, padding=[[1, 2], [0, 3]], mode="replicate"),
    pad(2, 3, 7, 6, padding=[[1, 2], [0, 3]], mode="circular"),
    pad(2, 3, 7, 6, padding=[[1, 2], [0, 3]], mode="symmetric", symbols=IMAGE),
    pad(2, 3, 7, 6, padding=[3, 2], mode="reflect"),
    pad(2, 3, 7, 6, padding=[[1, 1], [2, 0], [3, 2]], mode="circular"),
    pad(2, 3, 7, padding=[3, 2], mode="reflect", symbols="B _ T"),
    pad(2, 3, 7, padding=[7, 5], mode="symmetric"),
    pad(4, 6, padding=[[1, 2], [2, 1]], mode="replicate"),
    pad(4, 6, padding=[1, 3], mode="circular", whole=True),
    shuffle("pixel_shuffle", 2, 12, 3, 5, factor=2, symbols=IMAGE),
    shuffle("pixel_shuffle", 2, 9, 4, 2, factor=3, symbols=IMAGE),
    shuffle("pixel_unshuffle", 2, 3, 6, 4, factor=2, symbols="B _ _ _"),
    shuffle("pixel_unshuffle", 2, 2, 3, 6, factor=3, symbols="B _ _ _"),
]
