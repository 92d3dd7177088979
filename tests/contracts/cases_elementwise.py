"""Cases of activations and mathematical functions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Case, given, integers, normal, uniform

erf = np.vectorize(math.erf)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(x, 0)


def relu6(x: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(x, 0), 6)


def tanh_gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def elu(x: np.ndarray, alpha: float = 1.0) -> np.ndarray:
    return np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


def soft_shrink(x: np.ndarray, threshold: float) -> np.ndarray:
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def celu(x: np.ndarray, alpha: float) -> np.ndarray:
    return np.maximum(x, 0) + np.minimum(alpha * np.expm1(x / alpha), 0)


def glu(x: np.ndarray, axis: int) -> np.ndarray:
    left, right = np.split(x, 2, axis)
    return left * sigmoid(right)


def prelu(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    slopes = weight.reshape((1, -1) + (1,) * (x.ndim - 2))
    return np.where(x >= 0, x, slopes * x)


SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def plain(op: str, oracle: Callable[..., Any], **fields: Any) -> Case:
    """A function of each element, at numbers of both signs on both sides of its bends."""
    return Case(op, fields, [normal(4, 7, scale=3)], oracle)


def positive(op: str, oracle: Callable[..., Any]) -> Case:
    return Case(op, {}, [uniform(4, 7, low=0.1, high=5)], oracle)


CASES = [
    Case("relu", {}, [normal(3, 5, 4, 6, symbols="B _ H W")], lambda x: x * (x > 0)),
    plain("relu6", relu6),
    plain("gelu", lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2)))),
    plain("gelu", tanh_gelu, approximate="tanh"),
    plain("silu", lambda x: x * sigmoid(x)),
    plain("sigmoid", sigmoid),
    plain("hard_sigmoid", lambda x: relu6(x + 3) / 6),
    plain("hard_silu", lambda x: x * relu6(x + 3) / 6),
    plain("tanh", np.tanh),
    plain("softplus", softplus),
    plain("softplus", lambda x: softplus(1.5 * x) / 1.5, beta=1.5),
    plain("softsign", lambda x: x / (1 + np.abs(x))),
    plain("elu", elu),
    plain("elu", lambda x: elu(x, 0.3), alpha=0.3),
    plain("selu", lambda x: SELU_SCALE * elu(x, SELU_ALPHA)),
    plain("celu", lambda x: celu(x, 1.0)),
    plain("celu", lambda x: celu(x, 0.3), alpha=0.3),
    plain("leaky_relu", lambda x: np.where(x > 0, x, 0.01 * x)),
    plain("leaky_relu", lambda x: np.where(x > 0, x, 0.2 * x), slope=0.2),
    plain("mish", lambda x: x * np.tanh(softplus(x))),
    plain("hardtanh", lambda x: np.clip(x, -1, 1)),
    plain("hardtanh", lambda x: np.clip(x, -2, 3), low=-2, high=3),
    Case("glu", {}, [normal(3, 4, 6, symbols="B T _")], lambda x: glu(x, 2)),
    Case("glu", {"dim": 1}, [normal(3, 4, 5, 7)], lambda x: glu(x, 1)),
    plain("log_sigmoid", lambda x: -softplus(-x)),
    plain("tanh_shrink", lambda x: x - np.tanh(x)),
    plain("soft_shrink", lambda x: soft_shrink(x, 0.5)),
    plain("soft_shrink", lambda x: soft_shrink(x, 1.2), threshold=1.2),
    plain("hard_shrink", lambda x: x * (np.abs(x) > 0.5)),
    plain("hard_shrink", lambda x: x * (np.abs(x) > 1.2), threshold=1.2),
    Case("PReLU", {}, [normal(3, 5, 4, 6)], prelu),
    Case("PReLU", {"shared": False}, [normal(3, 5, 4, 6, symbols="B _ H W")], prelu),
    Case("PReLU", {"shared": False}, [normal(3, 5)], prelu, note="vectors"),
    Case("PReLU", {"shared": False}, [normal(3, 5, 4)], prelu, note="sequences"),
    plain("exp", np.exp),
    positive("log", np.log),
    positive("sqrt", np.sqrt),
    positive("rsqrt", lambda x: x**-0.5),
    plain("sin", np.sin),
    plain("cos", np.cos),
    plain("abs", np.abs),
    Case("abs", {}, [integers(4, 7, low=-9, high=9)], np.abs, note="integers"),
    plain("sign", np.sign),
    Case("sign", {}, [integers(4, 7, low=-2, high=3)], np.sign, note="integers"),
    plain("floor", np.floor),
    plain("ceil", np.ceil),
    plain("round", np.rint),
    Case(
        "round",
        {},
        [given([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])],
        lambda x: np.array([-2.0, -2, 0, 0, 2, 2]),
        note="halves",
        differentiable=False,
    ),
    plain("square", lambda x: x * x),
    Case("square", {}, [integers(4, low=-9, high=9)], lambda x: x * x, note="integers"),
    positive("reciprocal", lambda x: 1 / x),
    plain("erf", erf),
    positive("log1p", np.log1p),
    plain("expm1", np.expm1),
]
