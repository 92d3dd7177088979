"""Look-ups by integer tensors, and their opposites.

Indices count from 0. One outside the axis is undefined, except in `one_hot`.
"""

from __future__ import annotations

from typing import ClassVar

from nnspec.ir.dims import ZERO, Dim
from nnspec.ir.types import DType, TensorType
from nnspec.ops.base import (
    Count,
    Integer,
    Io,
    NoFlops,
    OpError,
    normal_axis,
)
from nnspec.ops.element_types import FRAMEWORK_NAMES, converted
from nnspec.ops.elementwise import require_number
from nnspec.ops.rules import Caveat
from nnspec.ops.sizes import spelled_size
from nnspec.pycode.expressions import Expr, Namespace

torch, ops = Namespace("torch"), Namespace("ops")

LOOKED_UP = Caveat(
    "traffic",
    "about",
    "an element counts each time it is looked up, whatever a cache holds",
)


def require_index(index: TensorType) -> None:
    """Raises `OpError` unless the elements can be used as indices in both backends."""
    if index.dtype not in (DType.I32, DType.I64):
        raise OpError(
            f"looks up by i32 or i64, and {index} holds {index.dtype.value}",
            input="index",
            hint="convert it first: `cast(index, i64)`",
            code="E0404",
        )


def _looked_up(x: TensorType, index: TensorType, place: int) -> tuple[Dim, ...]:
    """The shape of a batched look-up: the axes before `place` belong to both."""
    if index.shape[:place] != x.shape[:place]:
        raise OpError(
            f"the index is {index}, and its first {place} sizes must be those of {x}",
            input="index",
            hint="let it have every axis of x before `dim`, or use `take`",
            code="E0406",
        )
    return (*x.shape[:place], *index.shape[place:], *x.shape[place + 1 :])


class Gather(NoFlops):
    """Elements of one axis, looked up for each place of the axes before it.

    x: [*A, n, *R], index: i64[*A, *K] -> [*A, *K, *R], where `dim` is the place of n:
    y[a, k, r] = x[a, index[a, k], r].

    Example: `gather(x, index, dim=1)`
    """

    caveats: ClassVar[tuple[Caveat, ...]] = (LOOKED_UP,)

    inputs: ClassVar[tuple[str, ...]] = ("x", "index")
    spelling: ClassVar[str | None] = "gather"
    per_result: ClassVar[int | None] = 0

    dim: Integer

    def infer(self, x: TensorType, index: TensorType) -> TensorType:
        require_index(index)
        place = normal_axis(self.dim, x.rank)
        return x.with_shape(*_looked_up(x, index, place))

    def torch(self, io: Io) -> Expr:
        place = normal_axis(self.dim, io.type("x").rank)
        if place == 0:
            return io["x"][io["index"]]
        index = self._flat_index(io, place)
        if io.type("index").dtype is not DType.I64:
            index = index.method("long")
        return self._unflattened(io, torch.gather(io["x"], place, index), place)

    def _flat_index(self, io: Io, place: int) -> Expr:
        """The index with exactly one axis of places, the same along each axis after it."""
        index = io.type("index")
        flat = io["index"]
        if index.rank == place:
            flat = flat.method("unsqueeze", place)
        if index.rank > place + 1:
            flat = flat.method("flatten", place)
        rest = [
            spelled_size(io, size, axis, "x")
            for axis, size in enumerate(io.type("x").shape)
            if axis > place
        ]
        if not rest:
            return flat
        stretched = flat[(..., *(None,) * len(rest))]
        return stretched.method("expand", *(-1,) * (place + 1), *rest)

    def _unflattened(self, io: Io, result: Expr, place: int) -> Expr:
        index = io.type("index")
        if index.rank == place:
            return result.method("squeeze", place)
        if index.rank == place + 1:
            return result
        sizes = tuple(
            spelled_size(io, size, axis, "index")
            for axis, size in enumerate(index.shape)
        )
        return result.method("unflatten", place, sizes[place:])

    def keras(self, io: Io) -> Expr:
        place = normal_axis(self.dim, io.type("x").rank)
        if place == 0:
            return ops.take(io["x"], io["index"], axis=0)
        return io.helper("gather")(io["x"], io["index"], axis=place)


class Take(NoFlops):
    """Elements of one axis, looked up alike everywhere.

    x: [*A, n, *R], index: i64[*K] -> [*A, *K, *R], where `dim` is the place of n:
    y[a, k, r] = x[a, index[k], r].

    Example: `take(bias, positions, dim=0)`
    """

    caveats: ClassVar[tuple[Caveat, ...]] = (LOOKED_UP,)

    inputs: ClassVar[tuple[str, ...]] = ("x", "index")
    spelling: ClassVar[str | None] = "take"
    per_result: ClassVar[int | None] = 0

    dim: Integer = ZERO

    def infer(self, x: TensorType, index: TensorType) -> TensorType:
        require_index(index)
        place = normal_axis(self.dim, x.rank)
        return x.with_shape(*x.shape[:place], *index.shape, *x.shape[place + 1 :])

    def torch(self, io: Io) -> Expr:
        place = normal_axis(self.dim, io.type("x").rank)
        if place == 0:
            return io["x"][io["index"]]
        return io["x"][(*(slice(None),) * place, io["index"])]

    def keras(self, io: Io) -> Expr:
        place = normal_axis(self.dim, io.type("x").rank)
        return ops.take(io["x"], io["index"], axis=place)


class OneHot(NoFlops):
    """1.0 at the place of each index, 0.0 elsewhere: i64[*S] -> [*S, classes].

    An index outside 0 to classes - 1 gives zeros.

    Example: `one_hot(tokens, 10)`
    """

    inputs: ClassVar[tuple[str, ...]] = ("index",)
    spelling: ClassVar[str | None] = "one_hot"
    per_result: ClassVar[int | None] = 1

    classes: Count

    def infer(self, index: TensorType) -> TensorType:
        require_index(index)
        return TensorType((*index.shape, self.classes))

    def torch(self, io: Io) -> Expr:
        index = io["index"]
        classes = torch.arange(self.classes, device=index.attribute("device"))
        hit = index[..., None].compared("==", classes)
        return converted(io, hit, DType.FLOAT)

    def keras(self, io: Io) -> Expr:
        dtype = FRAMEWORK_NAMES[io.type("index").dtype]
        classes = ops.arange(self.classes, dtype=dtype)
        hit = ops.equal(ops.expand_dims(io["index"], -1), classes)
        return converted(io, hit, DType.FLOAT)


class ScatterAdd(NoFlops):
    """x with updates added to the elements that an index names: the opposite of `gather`.

    x: [*A, n, *R], index: i64[*A, *K], updates: [*A, *K, *R] -> [*A, n, *R], where `dim`
    is the place of n: y[a, index[a, k], r] += updates[a, k, r]. What is named twice is
    added twice.

    Example: `scatter_add(zeros([B, N, D]), index, updates, dim=1)`
    """

    caveats: ClassVar[tuple[Caveat, ...]] = (
        Caveat(
            "traffic",
            "about",
            "an element counts as written once, however often it is added to",
        ),
    )

    inputs: ClassVar[tuple[str, ...]] = ("x", "index", "updates")
    spelling: ClassVar[str | None] = "scatter_add"
    per_result: ClassVar[int | None] = 1

    dim: Integer

    def infer(
        self, x: TensorType, index: TensorType, updates: TensorType
    ) -> TensorType:
        require_number(x)
        require_index(index)
        place = normal_axis(self.dim, x.rank)
        wanted = _looked_up(x, index, place)
        if updates.shape != wanted:
            raise OpError(
                f"the updates are {updates}, and x and the index ask for "
                f"{x.with_shape(*wanted)}",
                input="updates",
                hint="give what `gather(x, index)` would return the shape of",
                code="E0406",
            )
        if x.dtype is not updates.dtype:
            raise OpError(
                f"x holds {x.dtype.value}, and the updates {updates.dtype.value}",
                input="updates",
                hint=f"convert them first: `cast(updates, {x.dtype.value})`",
                code="E0405",
            )
        return x

    def torch(self, io: Io) -> Expr:
        place = normal_axis(self.dim, io.type("x").rank)
        if place == 0 and io.type("index").rank == 1:
            return io["x"].method("index_add", 0, io["index"], io["updates"])
        return io.helper("scatter_add")(io["x"], io["index"], io["updates"], dim=place)

    def keras(self, io: Io) -> Expr:
        place = normal_axis(self.dim, io.type("x").rank)
        return io.helper("scatter_add")(io["x"], io["index"], io["updates"], axis=place)
