"""Cases of look-ups by integer tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from harness import Case, given, integers, normal


def looked_up(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    """y[a, k, ...] = x[a, index[a, k], ...], one place at a time."""
    result = np.zeros((*index.shape, *x.shape[axis + 1 :]))
    for place in np.ndindex(index.shape):
        result[place] = x[(*place[:axis], index[place])]
    return result


def added(
    x: np.ndarray, index: np.ndarray, updates: np.ndarray, axis: int
) -> np.ndarray:
    """x[a, index[a, k], ...] += updates[a, k, ...], one place at a time."""
    result = x.copy()
    for place in np.ndindex(index.shape):
        result[(*place[:axis], index[place])] += updates[place]
    return result


def gather(axis: int, x: Any, index: Any, note: str) -> Case:
    return Case(
        "gather",
        {"dim": axis},
        [x, index],
        lambda x, index: looked_up(x, index, axis % x.ndim),
        note=note,
    )


def scatter(axis: int, x: Any, index: Any, updates: Any, note: str) -> Case:
    return Case(
        "scatter_add",
        {"dim": axis},
        [x, index, updates],
        lambda x, index, updates: added(x, index, updates, axis % x.ndim),
        note=note,
    )


def taken(x: np.ndarray, index: np.ndarray, axis: int) -> np.ndarray:
    rows = [x.take(int(place), axis) for place in index.ravel()]
    stacked = np.stack(rows, axis)
    return stacked.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def one_hot(index: np.ndarray, classes: int) -> np.ndarray:
    result = np.zeros((*index.shape, classes))
    for place in np.ndindex(index.shape):
        if 0 <= index[place] < classes:
            result[(*place, index[place])] = 1
    return result


CASES = [
    gather(0, normal(5, 3), integers(2, 4, high=5), "rows"),
    gather(
        1,
        normal(3, 5, 4, symbols="B N _"),
        integers(3, 6, high=5, symbols="B K"),
        "batch",
    ),
    gather(
        1, normal(3, 5, symbols="B _"), integers(3, 2, high=5, symbols="B _"), "last"
    ),
    gather(1, normal(3, 5, 2), integers(3, 2, 4, high=5), "two axes"),
    gather(1, normal(3, 5, 2), integers(3, high=5), "one each"),
    gather(-2, normal(2, 3, 5, 4), integers(2, 3, 6, high=5), "two batch axes"),
    gather(1, normal(3, 5, 4), given(np.int32([[0, 4], [1, 1], [2, 0]])), "i32"),
    Case(
        "take",
        {},
        [normal(5, 3), integers(2, 4, high=5)],
        lambda x, index: taken(x, index, 0),
    ),
    Case(
        "take",
        {"dim": 1},
        [normal(3, 5, 4, symbols="B _ _"), integers(6, high=5)],
        lambda x, index: taken(x, index, 1),
    ),
    Case(
        "take",
        {"dim": -1},
        [normal(3, 4, 5), integers(2, 3, high=5)],
        lambda x, index: taken(x, index, 2),
    ),
    Case(
        "one_hot",
        {"classes": 4},
        [integers(3, 5, low=-2, high=7, symbols="B _")],
        lambda index: one_hot(index, 4),
    ),
    Case(
        "one_hot",
        {"classes": 3},
        [given(np.int32([2, 0, 3, -1]))],
        lambda index: one_hot(index, 3),
        note="i32",
    ),
    scatter(0, normal(5, 3), given([0, 2, 2, 4]), normal(4, 3), "rows"),
    scatter(0, normal(5), integers(2, 6, high=5), normal(2, 6), "two axes"),
    scatter(
        1,
        normal(3, 5, 4, symbols="B N _"),
        integers(3, 7, high=5, symbols="B K"),
        normal(3, 7, 4, symbols="B K _"),
        "batch",
    ),
    scatter(1, normal(3, 5), integers(3, 7, high=5), normal(3, 7), "last"),
    scatter(1, normal(3, 5, 2), integers(3, high=5), normal(3, 2), "one each"),
    scatter(
        -1,
        normal(2, 3, 5),
        integers(2, 3, 4, high=5),
        normal(2, 3, 4),
        "two batch axes",
    ),
    scatter(
        1,
        integers(3, 5, high=9),
        integers(3, 7, high=5),
        integers(3, 7, high=9),
        "integers",
    ),
]
