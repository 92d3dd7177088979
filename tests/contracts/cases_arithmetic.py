"""Cases of arithmetic, bounds, comparisons, logic, choices and conversions."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Case, booleans, given, integers, normal, uniform

from nnspec.ir.types import DType

IMAGES, CHANNELS = (2, 3, 4, 5), (3, 1, 1)


def small(*shape: int, dtype: str = "int32") -> Any:
    """Integers that are not 64 bits wide, of both signs, none of them 0."""
    values = np.resize([-7, -3, -1, 1, 2, 5, 9], shape)
    return given(values.astype(dtype))


def infix(
    op: str, oracle: Callable[..., Any], *, integer: bool = True, smooth: bool = True
) -> list[Case]:
    """Two tensors, a constant on either side, broadcasting; integers."""
    positive = uniform(4, 6, low=0.5, high=3)
    right = uniform(4, 6, low=0.6, high=2.5)
    floats = [
        Case(op, {}, [positive, right], oracle, differentiable=smooth),
        Case(
            op,
            {"y_value": 2.5},
            [positive, None],
            lambda x, _: oracle(x, 2.5),
            differentiable=smooth,
        ),
        Case(
            op,
            {"x_value": 2},
            [None, right],
            lambda _, y: oracle(2.0, y),
            differentiable=smooth,
        ),
        Case(
            op,
            {},
            [
                uniform(*IMAGES, low=0.5, high=3, symbols="B _ H W"),
                uniform(*CHANNELS, low=0.6, high=2.5),
            ],
            oracle,
            note="broadcast",
            differentiable=smooth,
        ),
    ]
    if not integer:
        return floats
    return [
        *floats,
        Case(op, {}, [integers(9, high=9), integers(9, low=1, high=5)], oracle),
        Case(op, {"y_value": 3}, [small(7), None], lambda x, _: oracle(x, np.int32(3))),
    ]


def relation(op: str, oracle: Callable[..., Any]) -> list[Case]:
    left = integers(3, 8, high=4)
    return [
        Case(op, {}, [left, integers(3, 8, high=4)], oracle),
        Case(op, {"y_value": 2}, [left, None], lambda x, _: oracle(x, 2)),
        Case(op, {"x_value": 0.5}, [None, normal(3, 8)], lambda _, y: oracle(0.5, y)),
        Case(
            op,
            {},
            [normal(2, 3, 4, symbols="B T _"), normal(4)],
            oracle,
            note="broadcast",
        ),
    ]


def bounded(op: str, oracle: Callable[..., Any]) -> list[Case]:
    return [
        Case(op, {}, [normal(3, 5), normal(3, 5)], oracle),
        Case(op, {"y_value": 0}, [normal(3, 5), None], lambda x, _: oracle(x, 0.0)),
        Case(op, {"x_value": 0.5}, [None, normal(3, 5)], lambda _, y: oracle(0.5, y)),
        Case(op, {"y_value": 2}, [small(7), None], lambda x, _: oracle(x, np.int32(2))),
        Case(op, {}, [small(7), small(7)], oracle, note="integers"),
    ]


def to_number(x: np.ndarray) -> np.ndarray:
    return np.where(x, 1.0, 0.0)


CONDITION = booleans(3, 5)

CASES = [
    *infix("add", operator.add),
    Case(
        "add",
        {},
        [normal(3, 4), given(np.float32([[0.5, -1.25, 2, 3]]))],
        operator.add,
        note="float32",
        differentiable=False,
    ),
    *infix("subtract", operator.sub),
    *infix("multiply", operator.mul),
    *infix("divide", operator.truediv, integer=False),
    *infix("floor_divide", np.floor_divide, smooth=False),
    Case(
        "floor_divide",
        {},
        [given([-7, -7, 7, 7, -6]), given([2, -2, 2, -2, 3])],
        lambda x, y: np.array([-4, 3, 3, -4, -2]),
        note="signs",
    ),
    *infix("remainder", np.mod, smooth=False),
    Case(
        "remainder",
        {},
        [given([-7, -7, 7, 7, -6]), given([2, -2, 2, -2, 3])],
        lambda x, y: np.array([1, -1, 1, -1, 0]),
        note="signs",
    ),
    Case(
        "remainder",
        {"y_value": -2.5},
        [normal(9, scale=4), None],
        lambda x, _: x - np.floor(x / -2.5) * -2.5,
        note="signs",
        differentiable=False,
    ),
    *infix("power", operator.pow),
    Case("negative", {}, [normal(3, 4)], operator.neg),
    Case("negative", {}, [small(7)], operator.neg, note="integers"),
    *bounded("minimum", np.minimum),
    *bounded("maximum", np.maximum),
    Case(
        "clip",
        {"low_value": -0.5, "high_value": 1},
        [normal(3, 4, 5, symbols="B _ T"), None, None],
        lambda x, *_: np.minimum(np.maximum(x, -0.5), 1),
    ),
    Case(
        "clip",
        {"low_value": 0},
        [normal(3, 4), None, None],
        lambda x, *_: np.maximum(x, 0),
    ),
    Case(
        "clip",
        {"high_value": 0.5},
        [normal(3, 4), None, None],
        lambda x, *_: np.minimum(x, 0.5),
    ),
    Case(
        "clip",
        {"low_value": -2, "high_value": 3},
        [small(7), None, None],
        lambda x, *_: np.clip(x, -2, 3),
    ),
    Case(
        "clip",
        {"low_value": 0},
        [normal(3, 4), None, uniform(4, low=0.1, high=1)],
        lambda x, _, high: np.minimum(np.maximum(x, 0), high),
    ),
    Case(
        "clip",
        {},
        [normal(3, 4), normal(3, 1), uniform(4, low=2, high=3)],
        lambda x, low, high: np.minimum(np.maximum(x, low), high),
    ),
    *relation("equal", operator.eq),
    *relation("not_equal", operator.ne),
    Case("equal", {"y_value": True}, [CONDITION, None], lambda x, _: x),
    Case("not_equal", {}, [CONDITION, booleans(3, 5)], lambda x, y: x ^ y, note="bool"),
    *relation("less", operator.lt),
    *relation("less_equal", operator.le),
    *relation("greater", operator.gt),
    *relation("greater_equal", operator.ge),
    Case("logical_and", {}, [CONDITION, booleans(5)], lambda x, y: x & y),
    Case("logical_or", {}, [CONDITION, booleans(3, 1)], lambda x, y: x | y),
    Case("logical_not", {}, [CONDITION], lambda x: ~x),
    Case(
        "where",
        {},
        [
            booleans(3, 1, 5, symbols="B _ _"),
            normal(3, 4, 5, symbols="B _ _"),
            normal(5),
        ],
        lambda c, x, y: np.where(c, x, y),
    ),
    Case(
        "where",
        {"y_value": 0},
        [CONDITION, normal(3, 5), None],
        lambda c, x, _: np.where(c, x, 0.0),
    ),
    Case(
        "where",
        {"x_value": -0.5},
        [CONDITION, None, normal(3, 5)],
        lambda c, _, y: np.where(c, -0.5, y),
    ),
    Case(
        "where",
        {"y_value": float("-inf")},
        [CONDITION, normal(3, 5), None],
        lambda c, x, _: np.where(c, x, -np.inf),
        differentiable=False,
    ),
    Case(
        "where",
        {"y_value": 3},
        [booleans(7), small(7), None],
        lambda c, x, _: np.where(c, x, np.int32(3)),
    ),
    Case(
        "cast",
        {"dtype": DType.I64},
        [normal(3, 5, scale=3)],
        lambda x: np.trunc(x).astype(int),
    ),
    Case(
        "cast", {"dtype": DType.I32}, [integers(9, high=9)], lambda x: x.astype("int32")
    ),
    Case("cast", {"dtype": DType.BOOL}, [integers(9, high=2)], lambda x: x != 0),
    Case("cast", {"dtype": DType.FLOAT}, [booleans(3, 5)], to_number),
    Case("cast", {"dtype": DType.FLOAT}, [small(7)], lambda x: x * 1.0),
    Case(
        "cast",
        {"dtype": DType.F32},
        [normal(3, 5)],
        lambda x: x.astype("float32"),
        differentiable=False,
    ),
    Case(
        "cast",
        {"dtype": DType.U8},
        [booleans(9)],
        lambda x: to_number(x).astype("uint8"),
    ),
]
