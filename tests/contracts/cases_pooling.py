"""Cases of pooling; inputs have both signs, so that padding with zeros instead of nothing is noticed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Case, Input, normal, single
from windows import each, gathered, padded, patches, same_pads


def window(fields: dict[str, Any], axes: int) -> tuple[list[int], list[int], list[int]]:
    kernel = each(fields["kernel"], axes)
    return (
        kernel,
        each(fields.get("stride", kernel), axes),
        each(fields.get("dilation", 1), axes),
    )


def border(fields: dict[str, Any], shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """The cells around the input that the spec asks for."""
    axes = len(shape)
    padding = fields.get("padding", 0)
    if padding == "same":
        return same_pads(shape, *window(fields, axes))
    entries = [padding] * axes if isinstance(padding, int) else padding
    return [(p, p) if isinstance(p, int) else p for p in entries]


def overhang(fields: dict[str, Any], shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """The cells behind them that a last, incomplete window sees; PyTorch's documented rule."""
    found: list[tuple[int, int]] = []
    pads = border(fields, shape)
    for n, (before, after), k, s, d in zip(
        shape, pads, *window(fields, len(shape)), strict=True
    ):
        reach = (k - 1) * d + 1
        count = -(-(n + before + after - reach) // s) + 1
        if (count - 1) * s >= n + before:
            count -= 1
        last = (count - 1) * s + reach
        found.append(
            (0, max(last - n - before - after, 0) if fields.get("ceil") else 0)
        )
    return found


def drawn(*shape: int, symbols: str = "") -> Input:
    """An input; TensorFlow has no 64-bit kernels for pooling over three axes on a CPU."""
    return (single if len(shape) == 5 else normal)(*shape, symbols=symbols)


def max_pool(*shape: int, symbols: str = "", **fields: Any) -> Case:
    def oracle(x: np.ndarray) -> np.ndarray:
        space = x.shape[2:]
        filled = padded(x, border(fields, space), value=-np.inf)
        filled = padded(filled, overhang(fields, space), value=-np.inf)
        rows = patches(filled, *window(fields, len(space)))
        return gathered([(p, c.max(axis=tuple(range(2, c.ndim)))) for p, c in rows])

    note = "x".join(map(str, shape[1:]))
    return Case("max_pool", fields, [drawn(*shape, symbols=symbols)], oracle, note)


def avg_pool(*shape: int, symbols: str = "", **fields: Any) -> Case:
    def oracle(x: np.ndarray) -> np.ndarray:
        space = x.shape[2:]
        around, behind = border(fields, space), overhang(fields, space)
        counts = 1.0 if fields.get("count_padding", True) else 0.0
        cells = padded(padded(np.ones_like(x), around, value=counts), behind)
        filled = padded(padded(x, around), behind)
        options = window(fields, len(space))
        sums = zip(patches(filled, *options), patches(cells, *options), strict=True)
        axes = tuple(range(2, x.ndim))
        return gathered(
            [(p, a.sum(axis=axes) / b.sum(axis=axes)) for (p, a), (_, b) in sums]
        )

    note = "x".join(map(str, shape[1:]))
    return Case("avg_pool", fields, [drawn(*shape, symbols=symbols)], oracle, note)


def adaptive(op: str, reduce: Callable[..., Any], *shape: int, size: Any) -> Case:
    def oracle(x: np.ndarray) -> np.ndarray:
        for axis, parts in enumerate(each(size, x.ndim - 2), 2):
            n = x.shape[axis]
            bounds = [(i * n // parts, -(-(i + 1) * n // parts)) for i in range(parts)]
            # Means of parts of one axis after another are the means of the boxes.
            pieces = [reduce(x.take(range(*b), axis), axis=axis) for b in bounds]
            x = np.stack(pieces, axis=axis)
        return x

    note = "x".join(map(str, shape[1:]))
    return Case(
        op,
        {"size": size},
        [drawn(*shape, symbols="B" + " _" * (len(shape) - 1))],
        oracle,
        note,
    )


def overall(
    op: str, reduce: Callable[..., Any], *shape: int, symbols: str, **fields: Any
) -> Case:
    def oracle(x: np.ndarray) -> np.ndarray:
        return reduce(
            x, axis=tuple(range(2, x.ndim)), keepdims=fields.get("keep", False)
        )

    note = "x".join(map(str, shape[1:]))
    return Case(op, fields, [drawn(*shape, symbols=symbols)], oracle, note)


IMAGE = "B _ H W"

CASES = [
    max_pool(2, 3, 8, 7, symbols=IMAGE, kernel=2),
    max_pool(2, 3, 8, 7, symbols=IMAGE, kernel=3, stride=2, padding=1),
    max_pool(2, 3, 9, 6, kernel=[3, 2], stride=[1, 2], padding=[1, 0]),
    max_pool(2, 3, 7, 8, symbols=IMAGE, kernel=3, stride=2, ceil=True),
    max_pool(2, 3, 7, 8, kernel=3, stride=2, padding=1, ceil=True),
    max_pool(2, 3, 7, 9, kernel=2, stride=3, padding=1, ceil=True),
    max_pool(2, 3, 5, 6, kernel=1, stride=3, ceil=True),
    max_pool(2, 3, 8, 7, symbols=IMAGE, kernel=3, stride=2, padding="same"),
    max_pool(2, 3, 8, 7, kernel=2, stride=1, padding="same"),
    max_pool(2, 3, 8, 7, kernel=2, stride=3, padding="same"),
    max_pool(2, 3, 8, 7, symbols=IMAGE, kernel=3, stride=2, padding=[[0, 1], [1, 0]]),
    max_pool(2, 3, 8, 7, kernel=3, stride=2, padding=[[0, 1], [1, 0]], ceil=True),
    max_pool(2, 3, 9, 8, symbols=IMAGE, kernel=3, stride=2, dilation=2, padding=1),
    max_pool(2, 3, 9, 8, kernel=[2, 3], stride=1, dilation=[3, 1]),
    max_pool(2, 3, 9, 8, kernel=3, stride=2, dilation=2, padding="same"),
    max_pool(2, 3, 9, symbols="B _ T", kernel=3, stride=2, padding=1),
    max_pool(2, 3, 8, kernel=3, stride=2, ceil=True, dilation=2),
    max_pool(2, 3, 5, 4, 6, symbols="B _ D H W", kernel=2, stride=2, padding=1),
    avg_pool(2, 3, 8, 7, symbols=IMAGE, kernel=2),
    avg_pool(2, 3, 8, 7, symbols=IMAGE, kernel=3, stride=2, padding=1),
    avg_pool(
        2, 3, 8, 7, symbols=IMAGE, kernel=3, stride=1, padding=1, count_padding=False
    ),
    avg_pool(2, 3, 8, 7, kernel=3, stride=2, ceil=True),
    avg_pool(2, 3, 8, 7, symbols=IMAGE, kernel=3, stride=2, padding=1, ceil=True),
    avg_pool(2, 3, 8, 6, kernel=3, stride=2, padding=1, ceil=True, count_padding=False),
    avg_pool(2, 3, 8, 7, symbols=IMAGE, kernel=3, stride=2, padding="same"),
    avg_pool(
        2,
        3,
        8,
        7,
        symbols=IMAGE,
        kernel=3,
        stride=2,
        padding="same",
        count_padding=False,
    ),
    avg_pool(2, 3, 8, 7, kernel=2, stride=1, padding="same", count_padding=False),
    avg_pool(2, 3, 8, 7, kernel=3, stride=2, padding=[[0, 1], [1, 0]]),
    avg_pool(
        2, 3, 8, 7, kernel=3, stride=2, padding=[[0, 1], [1, 0]], count_padding=False
    ),
    avg_pool(2, 3, 9, 6, kernel=[3, 2], stride=[1, 2], padding=[1, 0]),
    avg_pool(2, 3, 9, symbols="B _ T", kernel=4, stride=3, padding=2),
    avg_pool(2, 3, 8, kernel=3, stride=2, padding=1, ceil=True),
    avg_pool(2, 3, 5, 4, 6, kernel=2, stride=2, padding=1, count_padding=False),
    adaptive("adaptive_avg_pool", np.mean, 2, 3, 8, 9, size=[3, 5]),
    adaptive("adaptive_avg_pool", np.mean, 2, 3, 8, 6, size=4),
    adaptive("adaptive_avg_pool", np.mean, 2, 3, 5, 4, size=7),
    adaptive("adaptive_avg_pool", np.mean, 2, 3, 10, size=4),
    adaptive("adaptive_avg_pool", np.mean, 2, 3, 5, 4, size=1),
    adaptive("adaptive_max_pool", np.max, 2, 3, 5, 4, size=[1, 2]),
    adaptive("adaptive_avg_pool", np.mean, 2, 2, 5, 4, 6, size=[2, 3, 1]),
    adaptive("adaptive_max_pool", np.max, 2, 3, 8, 9, size=[3, 5]),
    adaptive("adaptive_max_pool", np.max, 2, 3, 10, size=4),
    adaptive("adaptive_max_pool", np.max, 2, 2, 5, 4, 6, size=2),
    overall("global_avg_pool", np.mean, 2, 3, 5, 4, symbols=IMAGE),
    overall("global_avg_pool", np.mean, 2, 3, 7, symbols="B _ T", keep=True),
    overall("global_avg_pool", np.mean, 2, 3, 2, 5, 4, symbols="B _ D H W"),
    overall("global_max_pool", np.max, 2, 3, 5, 4, symbols=IMAGE, keep=True),
    overall("global_max_pool", np.max, 2, 3, 7, symbols="B _ T"),
]
