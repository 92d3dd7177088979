"""Cases of the operators on shapes, of putting together and of taking apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from harness import Array, Case, Input, booleans, integers, normal

from nnspec.ir.dims import Dim, dim
from nnspec.ops.slicing import Range


def part(start: int | None = None, stop: int | None = None, step: int = 1) -> Range:
    """A range of plain integers."""
    first, last = (None if bound is None else dim(bound) for bound in (start, stop))
    return Range(first, last, dim(step))


def sliced(note: str, x: Input, *items: Range | int, places: Any) -> Case:
    """A case of slicing; `places` is the same as a NumPy subscript."""
    fields: tuple[Dim | Range, ...] = tuple(
        item if isinstance(item, Range) else dim(item) for item in items
    )
    return Case("slicing", {"items": fields}, [x], lambda a: a[places], note=note)


def laid_out(xs: list[Array], axis: int) -> Array:
    """Arrays one after another, by filling an empty one."""
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    result = np.zeros(shape, xs[0].dtype)
    start = 0
    for x in xs:
        place: list[Any] = [slice(None)] * result.ndim
        place[axis] = slice(start, start + x.shape[axis])
        result[tuple(place)] = x
        start += x.shape[axis]
    return result


def moved(x: Array, shift: int, axis: int) -> Array:
    """Element i goes to place i + shift."""
    result = np.zeros_like(x)
    size = x.shape[axis]
    for i in range(size):
        place: list[Any] = [slice(None)] * x.ndim
        source: list[Any] = [slice(None)] * x.ndim
        place[axis], source[axis] = (i + shift) % size, i
        result[tuple(place)] = x[tuple(source)]
    return result


IMAGE = normal(2, 3, 4, 5, symbols="B _ H W")

RESHAPING = [
    Case("reshape", {"shape": [4, 6]}, [normal(2, 3, 4)], lambda x: x.reshape(4, 6)),
    Case(
        "reshape",
        {"shape": [3, -1, 2]},
        [normal(2, 3, 4)],
        lambda x: x.reshape(3, 4, 2),
    ),
    Case(
        "reshape",
        {"shape": [-1, 2, 6]},
        [normal(3, 4, 12, symbols="B T _")],
        lambda x: x.reshape(12, 2, 6),
        note="open",
    ),
    Case(
        "flatten",
        {},
        [normal(3, 2, 4, 5, symbols="B _ _ _")],
        lambda x: x.reshape(3, 40),
    ),
    Case(
        "flatten",
        {"start": 1, "stop": 2},
        [normal(3, 2, 4, 5, symbols="B _ T _")],
        lambda x: x.reshape(3, 8, 5),
    ),
    Case(
        "flatten",
        {"start": 0, "stop": -2},
        [integers(3, 2, 5, high=9)],
        lambda x: x.reshape(6, 5),
    ),
    Case(
        "transpose",
        {},
        [normal(2, 3, 4, symbols="B T _")],
        lambda x: np.swapaxes(x, 1, 2),
    ),
    Case(
        "transpose",
        {"order": [1, 0, 2]},
        [normal(2, 3, 4)],
        lambda x: np.swapaxes(x, 0, 1),
    ),
    Case(
        "transpose",
        {"order": [2, 0, -2]},
        [normal(2, 3, 4)],
        lambda x: np.moveaxis(x, 2, 0),
    ),
    Case("transpose", {"order": [0, 1]}, [normal(2, 3)], lambda x: x),
    Case(
        "unsqueeze",
        {"dim": [1, 2]},
        [booleans(3, 5, symbols="B T")],
        lambda x: x[:, None, None],
    ),
    Case("unsqueeze", {"dim": -1}, [normal(3, 5)], lambda x: x.reshape(3, 5, 1)),
    Case(
        "unsqueeze", {"dim": [0, -1]}, [normal(3, 5)], lambda x: x.reshape(1, 3, 5, 1)
    ),
    Case(
        "squeeze",
        {"dim": 1},
        [normal(3, 1, 5, symbols="B _ T")],
        lambda x: x.reshape(3, 5),
    ),
    Case("squeeze", {"dim": [-1, 0]}, [normal(1, 3, 1)], lambda x: x.reshape(3)),
    Case(
        "broadcast",
        {"shape": [4, 3, 5]},
        [normal(3, 1)],
        lambda x: np.stack([np.concatenate([x] * 5, 1)] * 4),
    ),
    Case(
        "broadcast",
        {"shape": [2, 6, 3]},
        [normal(2, 1, 3)],
        lambda x: np.concatenate([x] * 6, 1),
    ),
]

SLICING = [
    sliced(
        "first", normal(3, 4, 5, symbols="B T _"), part(), 0, part(), places=np.s_[:, 0]
    ),
    sliced(
        "last",
        normal(3, 4, 5, symbols="B T _"),
        part(),
        -1,
        part(),
        places=np.s_[:, -1],
    ),
    sliced(
        "all_but_one", normal(3, 4, symbols="B T"), part(), part(1), places=np.s_[:, 1:]
    ),
    sliced(
        "last_two", normal(3, 4, symbols="B T"), part(), part(-2), places=np.s_[:, -2:]
    ),
    sliced(
        "but_last",
        normal(3, 4, symbols="B T"),
        part(),
        part(None, -1),
        places=np.s_[:, :-1],
    ),
    sliced(
        "half",
        normal(3, 4, 6, symbols="B T _"),
        part(),
        part(),
        part(3),
        places=np.s_[..., 3:],
    ),
    sliced(
        "strided",
        IMAGE,
        part(),
        part(),
        part(None, None, 2),
        part(1, None, 2),
        places=np.s_[:, :, ::2, 1::2],
    ),
    sliced("channels", IMAGE, part(), part(1, 3), part(), part(), places=np.s_[:, 1:3]),
    sliced("beyond", normal(3, 4), part(0, 9), part(-9, 3), places=np.s_[0:9, -9:3]),
    sliced("mixed", normal(3, 4, 5), 1, part(2), -2, places=np.s_[1, 2:, -2]),
    sliced("whole", normal(3, 4), part(), part(), places=np.s_[:]),
]

JOINING = [
    Case(
        "concat",
        {"dim": 1},
        [[normal(2, 3, 4, 5), normal(2, 1, 4, 5), normal(2, 2, 4, 5)]],
        lambda xs: laid_out(xs, 1),
    ),
    Case(
        "concat",
        {"dim": -1},
        [[normal(2, 3, symbols="B _"), normal(2, 4, symbols="B _")]],
        lambda xs: laid_out(xs, 1),
    ),
    Case(
        "concat",
        {"dim": 1},
        [[normal(2, 3, 4, symbols="B S _"), normal(2, 5, 4, symbols="B T _")]],
        lambda xs: laid_out(xs, 1),
        note="open",
    ),
    Case(
        "concat", {"dim": 0}, [[integers(2, 3, high=9)]], lambda xs: xs[0], note="one"
    ),
    Case(
        "stack",
        {},
        [[normal(2, 3), normal(2, 3), normal(2, 3)]],
        lambda xs: np.array(xs),
    ),
    Case(
        "stack",
        {"dim": -1},
        [[normal(2, 3, symbols="B T"), normal(2, 3, symbols="B T")]],
        lambda xs: np.moveaxis(np.array(xs), 0, -1),
    ),
    Case(
        "unstack", {}, [normal(3, 2, 4, symbols="_ B T")], lambda x: [x[0], x[1], x[2]]
    ),
    Case("unstack", {"dim": -1}, [normal(3, 2)], lambda x: [x[:, 0], x[:, 1]]),
    Case("unstack", {"dim": 1}, [normal(3, 1, 2)], lambda x: [x[:, 0]], note="one"),
    Case(
        "split",
        {"sizes": 3},
        [normal(2, 4, 6, symbols="B T _")],
        lambda x: [x[..., :2], x[..., 2:4], x[..., 4:]],
    ),
    Case(
        "split",
        {"sizes": [1, 4, 2], "dim": 1},
        [normal(2, 7, 3, 4, symbols="B _ H W")],
        lambda x: [x[:, :1], x[:, 1:5], x[:, 5:]],
    ),
    Case("split", {"sizes": 1, "dim": 0}, [normal(2, 3)], lambda x: [x]),
    Case("split", {"sizes": [3]}, [normal(2, 3)], lambda x: [x]),
]

MOVING = [
    Case(
        "roll",
        {"shift": 2, "dim": 1},
        [normal(2, 5, symbols="B T")],
        lambda x: moved(x, 2, 1),
    ),
    Case(
        "roll",
        {"shift": [-1, 3], "dim": [2, 3]},
        [IMAGE],
        lambda x: moved(moved(x, -1, 2), 3, 3),
    ),
    Case(
        "roll",
        {"shift": -7, "dim": 0},
        [integers(3, 2, high=9)],
        lambda x: moved(x, -7, 0),
    ),
    Case("flip", {"dim": 1}, [normal(2, 5, symbols="B T")], lambda x: x[:, ::-1]),
    Case("flip", {"dim": [-1, 1]}, [IMAGE], lambda x: x[:, ::-1, :, ::-1]),
    Case(
        "repeat",
        {"times": 3, "dim": 1},
        [normal(2, 3, 4, symbols="B _ T")],
        lambda x: np.stack([x[:, i // 3] for i in range(9)], 1),
    ),
    Case(
        "repeat",
        {"times": 2, "dim": -1},
        [normal(2, 3)],
        lambda x: np.stack([x[:, i // 2] for i in range(6)], 1),
    ),
]

CASES = [*RESHAPING, *SLICING, *JOINING, *MOVING]
