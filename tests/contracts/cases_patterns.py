"""Cases of patterns, and of products of tensors."""

from __future__ import annotations

import itertools

import numpy as np
from harness import Array, Case, Input, normal
from patterns_oracle import rearranged


def rearrange(pattern: str, x: Input, note: str = "", **sizes: int) -> Case:
    """A case whose oracle moves one element at a time."""
    return Case(
        "rearrange",
        {"pattern": pattern, "sizes": sizes},
        [x],
        lambda a: rearranged(a, pattern, sizes),
        note=note,
    )


def summed(pattern: str, *xs: Array) -> Array:
    """A sum of products, by going through all values of all indices."""
    before, after = pattern.split("->")
    operands = [part.split() for part in before.split(",")]
    sizes = {
        name: size
        for names, x in zip(operands, xs, strict=True)
        for name, size in zip(names, x.shape, strict=True)
    }
    result = np.zeros([sizes[name] for name in after.split()])
    for values in itertools.product(*(range(size) for size in sizes.values())):
        at = dict(zip(sizes, values, strict=True))
        term = 1.0
        for names, x in zip(operands, xs, strict=True):
            term *= x[tuple(at[name] for name in names)]
        result[tuple(at[name] for name in after.split())] += term
    return result


def einsum(pattern: str, *xs: Input) -> Case:
    """A case whose oracle sums term by term."""
    return Case(
        "einsum",
        {"pattern": pattern},
        [list(xs)],
        lambda arrays: summed(pattern, *arrays),
    )


def product(x: Array, y: Array) -> Array:
    """The product of two stacks of matrices whose leading axes broadcast, entry by entry."""
    leading = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    x = np.broadcast_to(x, (*leading, *x.shape[-2:]))
    y = np.broadcast_to(y, (*leading, *y.shape[-2:]))
    return (x[..., :, :, None] * y[..., None, :, :]).sum(-2)


CASES = [
    rearrange("b t (n h d) -> n b h t d", normal(2, 3, 24, symbols="B T _"), n=3, h=2),
    rearrange("b h t d -> b t (h d)", normal(2, 3, 4, 5, symbols="B _ T _")),
    rearrange("b t (h d) -> b h t d", normal(2, 3, 8, symbols="B T _"), h=2, d=4),
    rearrange("b c h w -> b (h w) c", normal(2, 3, 4, 5, symbols="B _ _ _")),
    rearrange("b c h w -> b (h w) c", normal(2, 3, 4, 5, symbols="B _ H W"), "open"),
    rearrange("b (h w) c -> b c h w", normal(2, 12, 3), h=4),
    rearrange("b (h p) (w q) c -> (b h w) p q c", normal(2, 4, 6, 3), p=2, q=3),
    rearrange("(b h w) p q c -> b (h p) (w q) c", normal(8, 2, 3, 5), h=2, w=2),
    rearrange(
        "b c (h p) (w q) -> b (c p q) h w",
        normal(2, 3, 4, 6, symbols="B _ _ _"),
        p=2,
        q=2,
    ),
    rearrange("t d two -> t (d two)", normal(3, 4, 2, symbols="T _ _")),
    rearrange("b 1 t -> b t", normal(2, 1, 3, symbols="B _ T")),
    rearrange("b t -> b 1 t 1", normal(2, 3, symbols="B T")),
    rearrange("b t -> t b", normal(2, 3, symbols="B T")),
    rearrange("a b c -> c a b", normal(2, 3, 4)),
    rearrange("... h w -> ... (w h)", normal(2, 3, 4, 5)),
    rearrange("b ... -> b (...)", normal(2, 3, 4, 5, symbols="B _ _ _")),
    rearrange("b ... c -> c ... b", normal(2, 3, 4, 5)),
    rearrange("b (h d) -> (b h) d", normal(2, 12, symbols="B _"), h=3),
    rearrange("(a b) 1 c -> a 1 (b c)", normal(6, 1, 4), a=2),
    rearrange("b (t s) c -> b t (s c)", normal(2, 6, 3), s=2),
    rearrange("a b -> a b", normal(2, 3)),
    einsum("i, j -> i j", normal(3), normal(4)),
    einsum("b t e c, b t d -> b e c d", normal(2, 3, 2, 2), normal(2, 3, 4)),
    einsum(
        "b time width, width out -> b time out",
        normal(2, 3, 4, symbols="B T _"),
        normal(4, 5),
    ),
    einsum("i j, j -> i", normal(3, 4), normal(4)),
    einsum("i, i ->", normal(5), normal(5)),
    einsum("i j -> j", normal(3, 4)),
    einsum("a b c -> c a b", normal(2, 3, 4)),
    einsum("i j, k j -> i", normal(3, 4), normal(5, 4)),
    einsum("i j, k l -> i l", normal(3, 4), normal(2, 5)),
    einsum("i j, i j -> i j", normal(3, 4), normal(3, 4)),
    einsum("a b, b c, c d -> a d", normal(2, 3), normal(3, 4), normal(4, 2)),
    Case("matmul", {}, [normal(3, 4, symbols="B _"), normal(4, 5)], product),
    Case(
        "matmul",
        {},
        [normal(2, 3, 4, 5, symbols="B _ T _"), normal(2, 3, 5, 6, symbols="B _ _ S")],
        product,
    ),
    Case(
        "matmul", {}, [normal(2, 1, 3, 4), normal(5, 4, 2)], product, note="broadcast"
    ),
    # PyTorch does not count products with a vector; the oracle's shape is the point here.
    Case(
        "matmul",
        {},
        [normal(4), normal(4)],
        lambda x, y: (x * y).sum(),
        note="dot",
        counted=False,
    ),
    Case(
        "matmul",
        {},
        [normal(2, 3, 4), normal(4)],
        lambda x, y: (x * y).sum(-1),
        note="column",
        counted=False,
    ),
    Case(
        "matmul",
        {},
        [normal(4), normal(2, 4, 3)],
        lambda x, y: (x[:, None] * y).sum(-2),
        note="row",
        counted=False,
    ),
]
