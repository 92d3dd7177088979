"""Cases of normalisation, with running statistics that are not those of the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from harness import Case, normal


def spread(values: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """One number for each place of an axis, ready to be broadcast."""
    return values.reshape([-1 if i == axis else 1 for i in range(rank)])


def moments(x: np.ndarray, axes: tuple[int, ...], eps: float) -> np.ndarray:
    """x with mean 0 and variance 1 over some axes."""
    centred = x - x.mean(axis=axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=axes, keepdims=True) + eps)


def batch_norm(
    *shape: int, symbols: str = "", training: bool = False, **fields: Any
) -> Case:
    def oracle(x: np.ndarray, **weights: np.ndarray) -> np.ndarray:
        eps = fields.get("eps", 1e-5)
        parts = {name: spread(values, 1, x.ndim) for name, values in weights.items()}
        if training:
            y = moments(x, (0, *range(2, x.ndim)), eps)
        else:
            y = (x - parts["running_mean"]) / np.sqrt(parts["running_var"] + eps)
        return y * parts.get("weight", 1.0) + parts.get("bias", 0.0)

    note = "x".join(map(str, shape))
    return Case(
        "BatchNorm", fields, [normal(*shape, symbols=symbols)], oracle, note, training
    )


def group_norm(op: str, *shape: int, symbols: str = "", **fields: Any) -> Case:
    def oracle(x: np.ndarray, **weights: np.ndarray) -> np.ndarray:
        groups = fields.get("groups", x.shape[1])
        parts = x.reshape(x.shape[0], groups, -1)
        y = moments(parts, (2,), fields.get("eps", 1e-5)).reshape(x.shape)
        scales = {name: spread(values, 1, x.ndim) for name, values in weights.items()}
        return y * scales.get("weight", 1.0) + scales.get("bias", 0.0)

    note = "x".join(map(str, shape))
    return Case(op, fields, [normal(*shape, symbols=symbols)], oracle, note)


def layer_norm(*shape: int, symbols: str = "", **fields: Any) -> Case:
    def oracle(x: np.ndarray, **weights: np.ndarray) -> np.ndarray:
        named = fields.get("dim", -1)
        axes = sorted(
            a % x.ndim for a in ([named] if isinstance(named, int) else named)
        )
        wide = [n if i in axes else 1 for i, n in enumerate(x.shape)]
        parts = {name: values.reshape(wide) for name, values in weights.items()}
        y = moments(x, tuple(axes), fields.get("eps", 1e-5))
        return y * parts.get("weight", 1.0) + parts.get("bias", 0.0)

    note = "x".join(map(str, shape))
    return Case("LayerNorm", fields, [normal(*shape, symbols=symbols)], oracle, note)


def rms_norm(*shape: int, symbols: str = "", **fields: Any) -> Case:
    def oracle(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
        square = (x * x).mean(axis=-1, keepdims=True)
        return x / np.sqrt(square + fields.get("eps", 1e-6)) * weight

    note = "x".join(map(str, shape))
    return Case("RMSNorm", fields, [normal(*shape, symbols=symbols)], oracle, note)


IMAGE = "B _ H W"

CASES = [
    batch_norm(4, 3, symbols="B _"),
    batch_norm(4, 3, 5, symbols="B _ T", eps=1e-3),
    batch_norm(4, 3, 5, 6, symbols=IMAGE, momentum=0.01),
    batch_norm(4, 3, 5, 6, symbols=IMAGE, affine=False),
    batch_norm(2, 3, 4, 2, 5, symbols="B _ D H W"),
    batch_norm(5, 3, training=True),
    batch_norm(4, 3, 5, 6, training=True, eps=1e-3),
    batch_norm(4, 3, 5, training=True, affine=False),
    group_norm("GroupNorm", 3, 6, 5, 4, symbols=IMAGE, groups=2),
    group_norm("GroupNorm", 3, 6, 5, 4, groups=1, eps=1e-3),
    group_norm("GroupNorm", 3, 6, 5, symbols="B _ T", groups=3, affine=False),
    group_norm("GroupNorm", 3, 6, symbols="B _", groups=2),
    group_norm("GroupNorm", 2, 4, 3, 2, 5, groups=4),
    group_norm("InstanceNorm", 3, 4, 5, 6, symbols=IMAGE),
    group_norm("InstanceNorm", 3, 4, 5, 6, affine=True, eps=1e-3),
    group_norm("InstanceNorm", 3, 4, 7, symbols="B _ T", affine=True),
    group_norm("InstanceNorm", 2, 3, 4, 2, 5),
    layer_norm(4, 6, symbols="B _"),
    layer_norm(3, 5, 6, symbols="B T _", eps=1e-6),
    layer_norm(3, 5, 6, bias=False),
    layer_norm(3, 5, 6, affine=False),
    layer_norm(3, 4, 5, 6, symbols=IMAGE, dim=1),
    layer_norm(3, 4, 5, 6, symbols="B _ _ _", dim=[1, 2, 3]),
    layer_norm(3, 4, 5, 6, dim=[-2, -1], bias=False),
    layer_norm(3, 4, 5, 6, dim=[1, 3]),
    layer_norm(3, 4, 5, 6, dim=[1, 2], affine=False),
    rms_norm(3, 5, 6, symbols="B T _"),
    rms_norm(3, 4, 5, 6, eps=1e-5),
    rms_norm(4, 6),
]
