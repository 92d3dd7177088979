"""Operators that put tensors together, take them apart, and move or repeat slices of them."""

from __future__ import annotations

from typing import ClassVar

from nnspec.ir.dims import MINUS_ONE, ZERO, Dim, equal_if, total
from nnspec.ir.types import TensorType
from nnspec.ops.base import (
    Count,
    Integer,
    IntegerOrList,
    Io,
    Layout,
    NoFlops,
    OpError,
    join_dtypes,
    normal_axis,
)
from nnspec.ops.shaping import named_axes, single
from nnspec.pycode.expressions import Expr, Namespace

torch, ops = Namespace("torch"), Namespace("ops")


def _common(xs: tuple[TensorType, ...]) -> TensorType:
    """The first type with the element type that all share; checks that there is one."""
    if not xs:
        raise OpError(
            "needs at least one tensor, and the list is empty",
            input="xs",
            code="E0409",
            hint="give a list of tensors: `[x, y]`",
        )
    dtype = xs[0].dtype
    for x in xs[1:]:
        dtype = join_dtypes(dtype, x.dtype)
    return xs[0].with_dtype(dtype)


def _require_equal(
    first: TensorType, other: TensorType, place: int, joined: int | None
) -> None:
    if other.rank != first.rank:
        raise OpError(
            f"tensor {place} of the list is {other}, and the first is {first}: "
            "they must have as many axes",
            input="xs",
            code="E0403",
            hint="add axes of size 1 with `unsqueeze`, or merge axes with `flatten`",
        )
    for axis, (size, wanted) in enumerate(zip(other.shape, first.shape, strict=True)):
        if axis != joined and size != wanted:
            raise OpError(
                f"tensor {place} of the list is {other}, and the first is {first}: "
                f"axis {axis} must have the same size in both, not {size} and {wanted}",
                input="xs",
                code="E0406",
                hint=equal_if(size, wanted)
                or "make the sizes the same, or choose another axis",
            )


class Concat(NoFlops):
    """Lays tensors one after another along an axis: n x [*S, Ci, *R] -> [*S, sum of Ci, *R].

    All other sizes are equal.

    Example: `concat([skip, x], dim=1)`
    """

    spelling: ClassVar[str | None] = "concat"
    inputs: ClassVar[tuple[str, ...]] = ("xs",)
    listed: ClassVar[frozenset[str]] = frozenset({"xs"})
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 0

    dim: Integer

    def infer(self, xs: tuple[TensorType, ...]) -> TensorType:
        first = _common(xs)
        axis = normal_axis(self.dim, first.rank)
        for place, x in enumerate(xs):
            _require_equal(first, x, place, axis)
        joined = total(x.shape[axis] for x in xs)
        return first.with_shape(*first.shape[:axis], joined, *first.shape[axis + 1 :])

    def passes_gradient(self, kind: TensorType, *results: TensorType) -> bool:
        return True

    def torch(self, io: Io) -> Expr:
        axis = normal_axis(self.dim, io.types("xs")[0].rank)
        return torch.cat(list(io.list("xs")), dim=_written(self.dim, axis))

    def keras(self, io: Io) -> Expr:
        rank = io.types("xs")[0].rank
        axis = io.axis(normal_axis(self.dim, rank), "xs")
        return ops.concatenate(
            list(io.list("xs")), axis=-1 if axis == rank - 1 else axis
        )


def _written(given: Dim, axis: int) -> int:
    """The axis as the spec wrote it, counted from the end or not."""
    return int(given) if given < 0 else axis


class Stack(NoFlops):
    """Lays tensors of one shape along a new axis: n x [*S] -> [n, *S].

    `dim` is the place of the new axis in the result.

    Example: `stack([sine, cosine], dim=-1)`
    """

    spelling: ClassVar[str | None] = "stack"
    inputs: ClassVar[tuple[str, ...]] = ("xs",)
    listed: ClassVar[frozenset[str]] = frozenset({"xs"})
    per_result: ClassVar[int | None] = 0

    dim: Integer = ZERO

    def infer(self, xs: tuple[TensorType, ...]) -> TensorType:
        first = _common(xs)
        axis = normal_axis(self.dim, first.rank + 1)
        for place, x in enumerate(xs):
            _require_equal(first, x, place, None)
        return first.with_shape(*first.shape[:axis], len(xs), *first.shape[axis:])

    def passes_gradient(self, kind: TensorType, *results: TensorType) -> bool:
        return True

    def torch(self, io: Io) -> Expr:
        return torch.stack(list(io.list("xs")), dim=int(self.dim))

    def keras(self, io: Io) -> Expr:
        return ops.stack(list(io.list("xs")), axis=int(self.dim))


class Unstack(NoFlops):
    """Takes an axis of known size apart: [3, *S] -> three results [*S].

    Example: `q, k, v = x -> unstack(dim=0)`
    """

    spelling: ClassVar[str | None] = "unstack"
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    dim: Integer = ZERO

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        axis = normal_axis(self.dim, x.rank)
        if not x.shape[axis].is_constant:
            raise OpError(
                f"axis {axis} of {x} has the size {x.shape[axis]}, which is not known yet",
                param="dim",
                hint="take a slice (`x[:, 0]`), or make the size a constant",
                code="E0402",
            )
        part = x.with_shape(*x.shape[:axis], *x.shape[axis + 1 :])
        return (part,) * int(x.shape[axis])

    def torch(self, io: Io) -> Expr | tuple[Expr, ...]:
        if len(io.results) == 1:
            return (io["x"].method("squeeze", int(self.dim)),)
        return io["x"].method("unbind", int(self.dim))

    def keras(self, io: Io) -> Expr | tuple[Expr, ...]:
        if len(io.results) == 1:
            return (ops.squeeze(io["x"], axis=int(self.dim)),)
        return ops.unstack(io["x"], len(io.results), axis=int(self.dim))


class Split(NoFlops):
    """Cuts a tensor along an axis: into that many equal parts, or into parts of listed sizes.

    [*S, n * k] -> n results [*S, k]; with a list, the sizes must add up to that of the axis.

    Example: `gate, value = x -> split(2)`
    """

    spelling: ClassVar[str | None] = "split"
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    sizes: IntegerOrList
    dim: Integer = MINUS_ONE

    def infer(self, x: TensorType) -> tuple[TensorType, ...]:
        axis = normal_axis(self.dim, x.rank)
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        return tuple(
            x.with_shape(*before, size, *after) for size in self._parts(x, axis)
        )

    def _parts(self, x: TensorType, axis: int) -> tuple[Dim, ...]:
        size = x.shape[axis]
        if isinstance(self.sizes, Dim):
            return self._equal_parts(x, axis, self.sizes)
        small = [part for part in self.sizes if part.falls_below(1)]
        if small or not self.sizes:
            found = f"not {small[0]}" if small else "and none is given"
            raise OpError(
                f"each size must be at least 1, {found}",
                param="sizes",
                code="E0408",
                hint="list the size of each part",
            )
        if total(self.sizes) != size:
            raise OpError(
                f"the sizes add up to {total(self.sizes)}, and axis {axis} of {x} has {size}",
                param="sizes",
                code="E0406",
                hint="make the sizes add up to that of the axis",
            )
        return self.sizes

    def _equal_parts(self, x: TensorType, axis: int, count: Dim) -> tuple[Dim, ...]:
        size = x.shape[axis]
        if not count.is_constant or count.falls_below(1):
            raise OpError(
                f"the number of parts must be a constant of at least 1, not {count}",
                param="sizes",
                code="E0409",
                hint="give a plain number, or the sizes of the parts as a list",
            )
        if size % count != 0:
            raise OpError(
                f"axis {axis} of {x} has size {size}, which does not divide into {count} parts",
                param="sizes",
                hint="give the sizes of the parts as a list"
                if size.is_constant
                else f"say so if it does: `require {size} % {count} == 0`",
                code="E0407",
                sizes=(size, count),
            )
        return (size // count,) * int(count)

    def torch(self, io: Io) -> Expr | tuple[Expr, ...]:
        if len(io.results) == 1:
            return (io["x"],)
        if isinstance(self.sizes, Dim):
            return io["x"].method("chunk", self.sizes, dim=int(self.dim))
        return io["x"].method("split", list(self.sizes), dim=int(self.dim))

    def keras(self, io: Io) -> Expr | tuple[Expr, ...]:
        if len(io.results) == 1:
            return (io["x"],)
        rank = io.type("x").rank
        axis = io.axis(normal_axis(self.dim, rank))
        axis = -1 if axis == rank - 1 else axis
        if isinstance(self.sizes, Dim):
            return ops.split(io["x"], self.sizes, axis=axis)
        ends = [total(self.sizes[: place + 1]) for place in range(len(self.sizes) - 1)]
        return ops.split(io["x"], ends, axis=axis)


class Roll(NoFlops):
    """Moves elements along axes; what leaves at one end comes in at the other.

    `shift` places towards higher indices (lower if negative), one for each axis of `dim`.

    Example: `x -> roll([-3, -3], dim=[1, 2])`
    """

    spelling: ClassVar[str | None] = "roll"
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 0

    shift: IntegerOrList
    dim: IntegerOrList

    def infer(self, x: TensorType) -> TensorType:
        self._moves(x)
        return x

    def _moves(self, x: TensorType) -> tuple[tuple[Dim, ...], tuple[int, ...]]:
        shifts = self.shift if isinstance(self.shift, tuple) else (self.shift,)
        axes = self.dim if isinstance(self.dim, tuple) else (self.dim,)
        if len(shifts) != len(axes):
            raise OpError(
                f"there are {len(shifts)} shifts for {len(axes)} axes",
                param="shift",
                hint="give one shift for each axis of `dim`",
                code="E0409",
            )
        named_axes(axes, x.rank)
        return shifts, tuple(normal_axis(axis, x.rank) for axis in axes)

    def torch(self, io: Io) -> Expr:
        shifts, axes = self._moves(io.type("x"))
        if len(axes) == 1:
            return io["x"].method("roll", shifts[0], axes[0])
        return io["x"].method("roll", shifts, axes)

    def keras(self, io: Io) -> Expr:
        shifts, axes = self._moves(io.type("x"))
        if len(axes) == 1:
            return ops.roll(io["x"], shifts[0], axis=io.axis(axes[0]))
        return ops.roll(io["x"], shifts, axis=tuple(io.axis(axis) for axis in axes))


class Flip(NoFlops):
    """Reverses the order of the elements along axes.

    Example: `x -> flip(1)`
    """

    spelling: ClassVar[str | None] = "flip"
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 0

    dim: IntegerOrList

    def infer(self, x: TensorType) -> TensorType:
        named_axes(self.dim, x.rank)
        return x

    def torch(self, io: Io) -> Expr:
        return io["x"].method("flip", *named_axes(self.dim, io.type("x").rank))

    def keras(self, io: Io) -> Expr:
        axes = named_axes(self.dim, io.type("x").rank)
        return ops.flip(io["x"], axis=single(tuple(sorted(io.axis(a) for a in axes))))


class Repeat(NoFlops):
    """Repeats each slice along an axis `times` in a row: a, b -> a, a, b, b.

    To lay the whole tensor after itself (a, b, a, b), use `concat([x, x], dim=0)`.

    Example: `keys -> repeat(4, dim=1)`
    """

    spelling: ClassVar[str | None] = "repeat"
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 0

    times: Count
    dim: Integer

    def infer(self, x: TensorType) -> TensorType:
        axis = normal_axis(self.dim, x.rank)
        longer = x.shape[axis] * self.times
        return x.with_shape(*x.shape[:axis], longer, *x.shape[axis + 1 :])

    def torch(self, io: Io) -> Expr:
        return io["x"].method("repeat_interleave", self.times, dim=int(self.dim))

    def keras(self, io: Io) -> Expr:
        axis = normal_axis(self.dim, io.type("x").rank)
        return ops.repeat(io["x"], self.times, axis=io.axis(axis))
