"""Operators that change a tensor's shape, and leave every element as it is."""

from __future__ import annotations

from typing import Any, ClassVar

from nnspec.ir.dims import MINUS_ONE, ONE, Dim, product
from nnspec.ir.types import TensorType
from nnspec.ops.base import (
    Integer,
    IntegerOrList,
    Integers,
    Io,
    NoFlops,
    OpError,
    normal_axes,
    normal_axis,
)
from nnspec.ops.sizes import REST, spelled_shape, spelled_size
from nnspec.pycode.expressions import Expr, Namespace, expression

ops = Namespace("ops")


class Reshape(NoFlops):
    """The same elements, in order, in another shape of as many: [*S] -> [*shape].

    One size may be -1: it is what the others leave.

    Example: `x -> reshape([B, heads, -1])`
    """

    spelling: ClassVar[str | None] = "reshape"
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    shape: Integers

    def infer(self, x: TensorType) -> TensorType:
        open_places = [place for place, size in enumerate(self.shape) if size == -1]
        if len(open_places) > 1:
            raise OpError(
                "at most one size may be -1",
                param="shape",
                code="E0409",
                hint="give all sizes but one",
            )
        wrong = [s for s in self.shape if s.falls_below(1) and s != -1]
        if wrong:
            raise OpError(
                f"a size must be at least 1, not {wrong[0]}",
                param="shape",
                code="E0408",
                hint="use -1 for one size that follows from the others",
            )
        if not open_places:
            self._require_same_number(x, product(self.shape))
            return x.with_shape(*self.shape)
        known = product(size for size in self.shape if size != -1)
        rest = x.elements // known
        self._require_same_number(x, rest * known)
        return x.with_shape(*(rest if size == -1 else size for size in self.shape))

    def _require_same_number(self, x: TensorType, count: Dim) -> None:
        if count == x.elements:
            return
        wanted = ", ".join(str(size) for size in self.shape)
        raise OpError(
            f"{x} holds {x.elements} elements, which do not fill [{wanted}]",
            param="shape",
            hint="make the product of the sizes the same before and after; "
            "if it depends on a symbol, say so: `require T % 2 == 0`",
            code="E0406",
        )

    def _sizes(self, io: Io) -> tuple[Expr, ...]:
        shape = io.results[0].shape
        if all(size != -1 for size in self.shape):
            return spelled_shape(io, shape, "x")
        sizes = list(io.type("x").shape)
        return tuple(
            REST
            if given == -1
            else spelled_size(
                io, size, sizes.index(size) if size in sizes else None, "x"
            )
            for given, size in zip(self.shape, shape, strict=True)
        )

    def torch(self, io: Io) -> Expr:
        return io["x"].method("reshape", *self._sizes(io))

    def keras(self, io: Io) -> Expr:
        return ops.reshape(io["x"], self._sizes(io))


class Flatten(NoFlops):
    """Merges the axes from `start` to `stop` into one: [B, C, H, W] -> [B, C * H * W].

    Both are included, and may count from the end.

    Example: `x -> flatten -> Linear(10)`
    """

    spelling: ClassVar[str | None] = "flatten"
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    start: Integer = ONE
    stop: Integer = MINUS_ONE

    def infer(self, x: TensorType) -> TensorType:
        start, stop = self._ends(x)
        if start > stop:
            raise OpError(
                f"axis {start} lies after axis {stop}",
                param="start",
                code="E0402",
                hint="name the first axis to merge as `start`, and the last as `stop`",
            )
        merged = product(x.shape[start : stop + 1])
        return x.with_shape(*x.shape[:start], merged, *x.shape[stop + 1 :])

    def _ends(self, x: TensorType) -> tuple[int, int]:
        start = normal_axis(self.start, x.rank, param="start")
        return start, normal_axis(self.stop, x.rank, param="stop")

    def torch(self, io: Io) -> Expr:
        start, stop = self._ends(io.type("x"))
        last = stop == io.type("x").rank - 1
        return io["x"].method("flatten", *((start,) if last else (start, stop)))

    def keras(self, io: Io) -> Expr:
        return ops.reshape(io["x"], spelled_shape(io, io.results[0].shape, "x"))


class Transpose(NoFlops):
    """Reorders the axes: axis i of the result is axis `order[i]` of the input.

    Without an order, the last two axes change places (the transpose of a matrix).

    Example: `x -> transpose([0, 2, 1])`
    """

    spelling: ClassVar[str | None] = "transpose"
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    order: Integers | None = None

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*(x.shape[axis] for axis in self._order(x)))

    def _order(self, x: TensorType) -> tuple[int, ...]:
        if self.order is None:
            if x.rank < 2:
                raise OpError(
                    f"needs at least two axes to swap, and {x} has {x.rank}",
                    input="x",
                    code="E0403",
                    hint="add an axis first: `unsqueeze(0)`",
                )
            return (*range(x.rank - 2), x.rank - 1, x.rank - 2)
        order = tuple(normal_axis(axis, x.rank, param="order") for axis in self.order)
        if sorted(order) != list(range(x.rank)):
            raise OpError(
                f"the order {list(order)} does not name each of the {x.rank} axes once",
                param="order",
                hint=f"list the axes 0 to {x.rank - 1} in their new order",
                code="E0402",
            )
        return order

    def reorders(self, *inputs: Any) -> tuple[int, ...] | None:
        return self._order(inputs[0])

    def torch(self, io: Io) -> Expr:
        if self.order is None:
            return io["x"].method("transpose", -2, -1)
        return permuted_torch(io["x"], self._order(io.type("x")))

    def keras(self, io: Io) -> Expr:
        return permuted_keras(io["x"], self._order(io.type("x")))


class Unsqueeze(NoFlops):
    """Inserts axes of size 1: [B, T] -> [B, 1, 1, T] with `dim=[1, 2]`.

    `dim` gives their places in the result, and may count from the end.

    Example: `mask -> unsqueeze([1, 2])`
    """

    spelling: ClassVar[str | None] = "unsqueeze"
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    dim: IntegerOrList

    def infer(self, x: TensorType) -> TensorType:
        places = self._places(x)
        sizes = iter(x.shape)
        rank = x.rank + len(places)
        return x.with_shape(*(1 if p in places else next(sizes) for p in range(rank)))

    def _places(self, x: TensorType) -> tuple[int, ...]:
        count = len(self.dim) if isinstance(self.dim, tuple) else 1
        return named_axes(self.dim, x.rank + count)

    def torch(self, io: Io) -> Expr:
        result = io["x"]
        for place in self._places(io.type("x")):
            result = result.method("unsqueeze", place)
        return result

    def keras(self, io: Io) -> Expr:
        return expanded_keras(io["x"], self._places(io.type("x")))


class Squeeze(NoFlops):
    """Removes axes of size 1: [B, 1, T] -> [B, T] with `dim=1`.

    Example: `x -> squeeze(-1)`
    """

    spelling: ClassVar[str | None] = "squeeze"
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    dim: IntegerOrList

    def infer(self, x: TensorType) -> TensorType:
        places = named_axes(self.dim, x.rank)
        for place in places:
            if x.shape[place] != 1:
                raise OpError(
                    f"axis {place} of {x} has size {x.shape[place]}, not 1",
                    param="dim",
                    hint="only axes of size 1 can be left out; select one element "
                    "with `x[:, 0]`, or merge axes with `flatten`",
                    code="E0406",
                )
        return x.with_shape(*(s for i, s in enumerate(x.shape) if i not in places))

    def torch(self, io: Io) -> Expr:
        return io["x"].method(
            "squeeze", single(named_axes(self.dim, io.type("x").rank))
        )

    def keras(self, io: Io) -> Expr:
        places = named_axes(self.dim, io.type("x").rank)
        return ops.squeeze(io["x"], axis=single(places))


class Broadcast(NoFlops):
    """Repeats axes of size 1, and adds axes in front, to reach a shape: [1, 1, D] -> [B, 1, D].

    Example: `broadcast(token, [B, 1, D])`
    """

    spelling: ClassVar[str | None] = "broadcast"
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    shape: Integers

    def infer(self, x: TensorType) -> TensorType:
        wanted = ", ".join(str(size) for size in self.shape)
        small = [s for s in self.shape if s.falls_below(1)]
        if small:
            raise OpError(
                f"a size must be at least 1, not {small[0]}",
                param="shape",
                code="E0408",
                hint="give the whole shape of the result",
            )
        added = len(self.shape) - x.rank
        if added < 0:
            raise OpError(
                f"{x} has more axes than [{wanted}]",
                param="shape",
                code="E0411",
                hint="give a size for each axis of the tensor, and for those to be added in front",
            )
        for axis, size in enumerate(x.shape):
            if size != 1 and size != self.shape[added + axis]:
                raise OpError(
                    f"{x} cannot be repeated to [{wanted}]: axis {axis} has size {size}, "
                    f"and not 1 or {self.shape[added + axis]}",
                    param="shape",
                    code="E0411",
                    hint="only axes of size 1 are repeated; `repeat` makes copies of the slices of others",
                )
        return x.with_shape(*self.shape)

    def _kept(self, x: TensorType) -> list[int | None]:
        """For each axis of the result the axis of the input that it is, if that keeps its size."""
        added = len(self.shape) - x.rank
        kept: list[int | None] = [None] * added
        for axis, size in enumerate(x.shape):
            kept.append(axis if size == self.shape[added + axis] else None)
        return kept

    def torch(self, io: Io) -> Expr:
        kept = self._kept(io.type("x"))
        sizes = (
            expression(size) if axis is None else REST
            for size, axis in zip(self.shape, kept, strict=True)
        )
        return io["x"].method("expand", *sizes)

    def keras(self, io: Io) -> Expr:
        kept = self._kept(io.type("x"))
        sizes = tuple(
            spelled_size(io, size, axis, "x")
            for size, axis in zip(self.shape, kept, strict=True)
        )
        return ops.broadcast_to(io["x"], sizes)


# ---- expressions that several operators share -------------------------------------------------


def named_axes(axes: Dim | tuple[Dim, ...], rank: int) -> tuple[int, ...]:
    """Distinct axes from 0, ascending, and at least one."""
    if axes == ():
        raise OpError(
            "no axis is named", param="dim", hint="name at least one axis", code="E0402"
        )
    return normal_axes(axes, rank)


def single(items: tuple[int, ...]) -> int | tuple[int, ...]:
    """The only item, or all of them."""
    return items[0] if len(items) == 1 else items


def permuted_torch(x: Expr, order: tuple[int, ...]) -> Expr:
    """`x.transpose(1, 2)` where two axes change places, else `x.permute(...)`; x if none moves."""
    moved = [axis for axis, source in enumerate(order) if axis != source]
    if not moved:
        return x
    if len(moved) == 2:
        return x.method("transpose", *moved)
    return x.method("permute", *order)


def permuted_keras(x: Expr, order: tuple[int, ...]) -> Expr:
    """`ops.transpose(x, order)`; x if no axis moves."""
    if order == tuple(range(len(order))):
        return x
    return ops.transpose(x, order)


def expanded_keras(x: Expr, places: tuple[int, ...]) -> Expr:
    """`ops.expand_dims(x, places)`; the places are those in the result."""
    return ops.expand_dims(x, axis=single(places)) if places else x
