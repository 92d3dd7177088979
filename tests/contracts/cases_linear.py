"""Cases of the products with a weight matrix, and of look-ups in one."""

from __future__ import annotations

from harness import Case, integers, normal

CASES = [
    Case(
        "Linear",
        {"features": 5},
        [normal(4, 3, symbols="B _"), None],
        lambda x, _, weight, bias: x @ weight.T + bias,
    ),
    Case(
        "Linear",
        {"features": 2, "bias": False},
        [normal(3, 7, 6, symbols="B T _"), None],
        lambda x, _, weight: x @ weight.T,
    ),
    Case(
        "Linear",
        {"features": 5},
        [normal(4, 3), normal(5, 3)],
        lambda x, shared, bias: x @ shared.T + bias,
        note="shared",
    ),
    Case(
        "Embedding",
        {"entries": 11, "width": 4},
        [integers(3, 5, high=11, symbols="B T")],
        lambda ids, weight: weight[ids],
    ),
]
