"""Cases of tensors that are made, and of layers that are random in training."""

from __future__ import annotations

from typing import Any

import numpy as np
from harness import Case, integers, normal

from nnspec.ir.types import DType
from nnspec.ops.initializers import Normal

KERNEL = [[1, 2, 1], [2, 4, 2]]

CASES = [
    Case("arange", {"start": 5}, [], lambda: np.array([0, 1, 2, 3, 4])),
    Case("arange", {"start": 2, "stop": 5}, [], lambda: np.array([2, 3, 4])),
    Case(
        "arange",
        {"start": 7, "stop": -2, "step": -3},
        [],
        lambda: np.array([7, 4, 1]),
    ),
    Case("arange", {"stop": 9, "step": 4}, [], lambda: np.array([0, 4, 8])),
    Case("zeros", {"shape": [2, 3]}, [], lambda: np.zeros((2, 3))),
    Case(
        "zeros",
        {"shape": [2, 3], "dtype": DType.I64},
        [],
        lambda: np.zeros((2, 3), dtype="int64"),
    ),
    Case("ones", {"shape": [4]}, [], lambda: np.ones(4)),
    Case(
        "ones", {"shape": [4], "dtype": DType.BOOL}, [], lambda: np.ones(4, dtype=bool)
    ),
    Case("full", {"shape": [2, 3], "value": 2.5}, [], lambda: np.full((2, 3), 2.5)),
    Case("full", {"shape": [2, 3], "value": 2}, [], lambda: np.full((2, 3), 2.0)),
    Case(
        "full",
        {"shape": [3], "value": -7, "dtype": DType.I32},
        [],
        lambda: np.full(3, -7, dtype="int32"),
    ),
    Case("zeros_like", {}, [normal(2, 3, 4, symbols="B _ _")], np.zeros_like),
    Case("zeros_like", {}, [integers(5, high=9)], np.zeros_like, note="integers"),
    Case("ones_like", {}, [normal(2, 3, 4)], np.ones_like),
    Case("tensor", {"values": KERNEL}, [], lambda: np.array(KERNEL)),
    Case("tensor", {"values": [0.1, -2, 3]}, [], lambda: np.array([0.1, -2.0, 3.0])),
    Case(
        "tensor",
        {"values": KERNEL, "dtype": DType.FLOAT},
        [],
        lambda: np.array(KERNEL) * 1.0,
    ),
    Case("tensor", {"values": [True, False]}, [], lambda: np.array([True, False])),
    Case("tensor", {"values": 0.1}, [], lambda: np.array(0.1)),
    Case("eye", {"size": 3}, [], lambda: np.eye(3)),
    Case("eye", {"size": 2, "dtype": DType.I64}, [], lambda: np.eye(2).astype("int64")),
    Case("Param", {"shape": [2, 3]}, [], lambda **weights: weights[""]),
    Case(
        "Param", {"shape": [1, 4], "init": Normal()}, [], lambda **weights: weights[""]
    ),
]


def kept(op: str, fields: dict[str, Any], *shape: int, symbols: str) -> Case:
    """A layer that does nothing in inference."""
    return Case(op, fields, [normal(*shape, symbols=symbols)], lambda x: x)


def untouched(op: str, *shape: int) -> Case:
    """A layer of rate 0 does nothing in training."""
    return Case(op, {"rate": 0}, [normal(*shape)], lambda x: x, training=True)


CASES += [
    kept("Dropout", {"rate": 0.3}, 3, 4, 5, symbols="B T _"),
    kept("ChannelDropout", {"rate": 0.3}, 3, 4, 5, symbols="B _ T"),
    kept("ChannelDropout", {"rate": 0.3}, 3, 4, 5, 6, symbols="B _ H W"),
    kept("ChannelDropout", {"rate": 0.3}, 2, 3, 4, 5, 2, symbols="B _ H W D"),
    kept("DropPath", {"rate": 0.3}, 3, 4, 5, symbols="B T _"),
    kept("Identity", {}, 3, 4, 5, symbols="B T _"),
    untouched("Dropout", 3, 4),
    untouched("ChannelDropout", 3, 4, 5),
    untouched("DropPath", 3, 4),
]
