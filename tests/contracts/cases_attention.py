"""Cases of attention."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from harness import Array, Case, booleans, given, normal


def attended(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    bias: Array | None,
    *,
    causal: bool = False,
    scale: float | None = None,
) -> Array:
    """Attention of one query at a time."""
    heads, width = q.shape[-3], q.shape[-1]
    shared = heads // k.shape[-3]
    keys = k.shape[-2]
    full = (*q.shape[:-1], keys)
    seen = np.ones(full, bool) if mask is None else np.broadcast_to(mask, full)
    added = np.zeros(full) if bias is None else np.broadcast_to(bias, full)
    result = np.zeros((*q.shape[:-1], v.shape[-1]))
    for place in itertools.product(*(range(size) for size in q.shape[:-1])):
        *batch, head, row = place
        source = (*batch, head // shared)
        open_keys = [
            s for s in range(keys) if seen[(*place, s)] and (not causal or s <= row)
        ]
        if not open_keys:
            continue
        factor = width**-0.5 if scale is None else scale
        scores = np.array(
            [q[place] @ k[source][s] * factor + added[(*place, s)] for s in open_keys]
        )
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        result[place] = sum(
            w * v[source][s] for w, s in zip(weights, open_keys, strict=True)
        )
    return result


def blocked() -> Array:
    """A mask of [2, 1, 5, 4] with one row that may look at nothing."""
    mask = np.random.default_rng(7).random((2, 1, 5, 4)) < 0.6
    mask[:, :, 2] = False
    mask[:, :, 3, 1] = True
    return mask


def case(note: str, *inputs: Any, counted: bool = False, **fields: Any) -> Case:
    """One case; PyTorch counts the products of its plain kernel alone."""
    padded = [*inputs, *[None] * (5 - len(inputs))]
    options = {key: value for key, value in fields.items() if key != "dropout"}
    return Case(
        "attention",
        fields,
        padded,
        lambda q, k, v, mask, bias: attended(q, k, v, mask, bias, **options),
        note=note,
        counted=counted,
    )


Q, K, V = normal(2, 4, 5, 3), normal(2, 4, 4, 3), normal(2, 4, 4, 6)
OPEN = [
    normal(2, 4, 5, 3, symbols="B _ T _"),
    normal(2, 4, 5, 3, symbols="B _ T _"),
    normal(2, 4, 5, 3, symbols="B _ T _"),
]

CASES = [
    case("plain", Q, K, V),
    case("open", *OPEN),
    case("causal", *OPEN, causal=True),
    case("causal_more_queries", Q, K, V, causal=True),
    case(
        "causal_more_keys",
        normal(2, 4, 3, 5),
        normal(2, 4, 6, 5),
        normal(2, 4, 6, 2),
        causal=True,
    ),
    case("scale", Q, K, V, scale=0.3),
    case("mask", Q, K, V, booleans(2, 1, 1, 4)),
    case("mask_open", *OPEN, booleans(2, 1, 1, 5, symbols="B _ _ T")),
    case("mask_rank_2", Q, K, V, booleans(5, 4)),
    case("empty_row", Q, K, V, given(blocked())),
    case("mask_causal", Q, K, V, given(blocked()), causal=True),
    case(
        "mask_causal_open", *OPEN, booleans(2, 1, 1, 5, symbols="B _ _ T"), causal=True
    ),
    case("bias", Q, K, V, None, normal(4, 5, 4)),
    case("bias_causal", Q, K, V, None, normal(1, 4, 5, 4), causal=True),
    case("bias_mask", Q, K, V, given(blocked()), normal(4, 5, 4)),
    case(
        "bias_mask_causal",
        Q,
        K,
        V,
        booleans(2, 1, 1, 4),
        normal(4, 1, 4),
        causal=True,
        scale=2.0,
    ),
    case("grouped", Q, normal(2, 2, 4, 3), normal(2, 2, 4, 6)),
    case("one_key_head", Q, normal(2, 1, 4, 3), normal(2, 1, 4, 6), causal=True),
    case("grouped_mask", Q, normal(2, 2, 4, 3), normal(2, 2, 4, 6), given(blocked())),
    case("rank_3", normal(4, 5, 3), normal(2, 6, 3), normal(2, 6, 2)),
    case(
        "rank_5",
        normal(2, 3, 2, 4, 3),
        normal(2, 3, 2, 5, 3),
        normal(2, 3, 2, 5, 3),
        booleans(3, 1, 4, 5),
    ),
    case("rank_6", *[normal(2, 1, 2, 2, 3, 4)] * 3, causal=True),
    case("dropout", Q, K, V, dropout=0.5),
]
