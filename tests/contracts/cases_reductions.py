"""Cases of reductions and of functions along one axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from harness import Case, booleans, given, integers, normal, uniform

SHAPE = (3, 4, 5, 6)


def logsumexp(x: np.ndarray, axis: Any, keepdims: bool = False) -> np.ndarray:
    return np.log(np.exp(x).sum(axis, keepdims=keepdims))


def length(x: np.ndarray, axis: Any, keepdims: bool = False) -> np.ndarray:
    return np.sqrt((x * x).sum(axis, keepdims=keepdims))


def spread(x: np.ndarray, axis: Any, correction: int) -> np.ndarray:
    count = np.prod([x.shape[a] for a in axis])
    center = x.sum(axis, keepdims=True) / count
    return ((x - center) ** 2).sum(axis) / (count - correction)


def reduction(op: str, oracle: Callable[..., Any], draw: Any = normal) -> list[Case]:
    """One axis, the axes of space, all of them; the axes that are left kept and not."""
    everything = tuple(range(4))
    return [
        Case(
            op,
            {"dim": [2, 3]},
            [draw(*SHAPE, symbols="B _ H W")],
            lambda x: oracle(x, (2, 3)),
            removed=(2, 3),
        ),
        Case(op, {"dim": -3}, [draw(*SHAPE)], lambda x: oracle(x, (1,)), removed=(1,)),
        Case(
            op,
            {"dim": [-1, 1], "keep": True},
            [draw(*SHAPE)],
            lambda x: oracle(x, (1, 3), keepdims=True),
        ),
        Case(
            op, {}, [draw(*SHAPE)], lambda x: oracle(x, everything), removed=everything
        ),
        Case(
            op,
            {"keep": True},
            [draw(2, 3, 4)],
            lambda x: oracle(x, (0, 1, 2), keepdims=True),
        ),
    ]


def on_integers(op: str, oracle: Callable[..., Any]) -> list[Case]:
    """64-bit integers, and smaller ones, which keep their type."""
    few = np.array([[1, -2, 3], [4, 1, -1]], dtype="int32")
    return [
        Case(op, {"dim": 1}, [integers(3, 5, low=-3, high=4)], lambda x: oracle(x, 1)),
        Case(
            op,
            {"dim": 1},
            [given(few)],
            lambda x: oracle(x, 1).astype("int32"),
            note="i32",
        ),
        Case(
            op,
            {"dim": 0},
            [given(np.uint8([[1, 2, 3], [4, 5, 6]]))],
            lambda x: oracle(x, 0).astype("uint8"),
            note="u8",
        ),
    ]


def place(op: str, oracle: Callable[..., Any]) -> list[Case]:
    shape = (3, 4, 5)
    return [
        Case(op, {"dim": -1}, [normal(3, 7, symbols="B _")], lambda x: oracle(x, 1)),
        Case(op, {"dim": 1}, [normal(*shape)], lambda x: oracle(x, 1), removed=(1,)),
        Case(
            op,
            {"dim": 2, "keep": True},
            [normal(*shape)],
            lambda x: oracle(x, 2)[:, :, None],
        ),
    ]


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    return np.exp(x) / np.exp(x).sum(axis, keepdims=True)


def greatest(x: np.ndarray, count: int, axis: int) -> tuple[np.ndarray, np.ndarray]:
    places = np.argsort(-x, axis=axis).take(range(count), axis)
    return np.take_along_axis(x, places, axis), places


def along(op: str, oracle: Callable[..., Any]) -> list[Case]:
    return [
        Case(op, {}, [normal(3, 7, symbols="B _")], lambda x: oracle(x, -1)),
        Case(op, {"dim": 1}, [normal(*SHAPE)], lambda x: oracle(x, 1)),
        Case(op, {"dim": -2}, [normal(2, 3, 4)], lambda x: oracle(x, 1)),
    ]


CASES = [
    *reduction(
        "mean", lambda x, a, **k: x.sum(a, **k) / np.prod([x.shape[i] for i in a])
    ),
    *reduction("sum", np.sum),
    *on_integers("sum", np.sum),
    *reduction("max", np.max),
    *on_integers("max", np.max),
    *reduction("min", np.min),
    *reduction("prod", np.prod),
    *on_integers("prod", np.prod),
    *reduction("var", lambda x, a, **k: np.var(x, axis=a, **k)),
    Case(
        "var",
        {"dim": [2, 3], "correction": 1},
        [normal(*SHAPE, symbols="B _ H W")],
        lambda x: spread(x, (2, 3), 1),
        removed=(2, 3),
    ),
    Case(
        "var", {"dim": 1, "correction": 2}, [normal(3, 5)], lambda x: spread(x, (1,), 2)
    ),
    *reduction("std", lambda x, a, **k: np.std(x, axis=a, **k)),
    Case(
        "std",
        {"dim": 1, "correction": 1},
        [normal(3, 5, 4, symbols="B T _")],
        lambda x: np.sqrt(spread(x, (1,), 1)),
        removed=(1,),
    ),
    *reduction("any", np.any, booleans),
    *reduction("all", np.all, booleans),
    *reduction("logsumexp", logsumexp),
    Case(
        "logsumexp",
        {"dim": 1},
        [given([[1000.0, 1000.0], [-1000.0, -1001.0]])],
        lambda x: np.array([1000 + np.log(2), -1000 + np.log(1 + np.exp(-1))]),
        note="large",
        differentiable=False,
    ),
    *reduction("norm", length),
    *place("argmax", np.argmax),
    *place("argmin", np.argmin),
    *along("softmax", softmax),
    *along("log_softmax", lambda x, axis: np.log(softmax(x, axis))),
    *along("l2_normalize", lambda x, axis: x / length(x, axis, keepdims=True)),
    Case(
        "l2_normalize",
        {},
        [given([[0.0, 0.0], [1e-7, 0.0], [3.0, -4.0]])],
        lambda x: np.array([[0.0, 0.0], [1.0, 0.0], [0.6, -0.8]]),
        note="small",
        differentiable=False,
    ),
    Case(
        "cumsum",
        {"dim": 1},
        [normal(3, 4, 5, symbols="B _ T")],
        lambda x: np.cumsum(x, 1),
    ),
    Case("cumsum", {"dim": -1}, [normal(3, 4, 5)], lambda x: np.cumsum(x, 2)),
    *on_integers("cumsum", np.cumsum),
    Case("topk", {"k": 2}, [normal(3, 6, symbols="B _")], lambda x: greatest(x, 2, 1)),
    Case("topk", {"k": 3, "dim": 1}, [normal(2, 4, 5)], lambda x: greatest(x, 3, 1)),
    Case("topk", {"k": 4, "dim": -2}, [normal(2, 4, 5)], lambda x: greatest(x, 4, 1)),
    Case("sort", {}, [normal(3, 6, symbols="B _")], lambda x: np.sort(x, 1)),
    Case(
        "sort",
        {"dim": 1, "descending": True},
        [normal(2, 4, 5)],
        lambda x: -np.sort(-x, 1),
    ),
    Case(
        "sort",
        {"dim": 0},
        [given(np.array([[5, -1], [2, 7], [2, 0]]))],
        lambda x: np.array([[2, -1], [2, 0], [5, 7]]),
        note="integers",
    ),
    Case(
        "max",
        {"dim": 0},
        [uniform(3, 4, low=-2, high=-1)],
        lambda x: x.max(0),
        note="negative",
    ),
]
