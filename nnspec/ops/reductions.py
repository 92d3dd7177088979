"""Reductions: axes that are summed up, averaged or searched, and disappear or become 1."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from nnspec.ir.dims import ZERO, Dim, product
from nnspec.ir.types import DType, TensorType
from nnspec.ops.axes import axes_of, axis_of
from nnspec.ops.base import (
    Integer,
    IntegerOrList,
    Io,
    Layout,
    Natural,
    NoFlops,
    OpError,
    normal_axes,
    normal_axis,
    require_float,
)
from nnspec.ops.element_types import FRAMEWORK_NAMES
from nnspec.ops.elementwise import require_bool, require_number
from nnspec.pycode.expressions import Expr, Namespace, default, expression

torch, ops = Namespace("torch"), Namespace("ops")


class Reduction(NoFlops, abc.ABC):
    """Takes one axis, several or (by default) all together; `keep` leaves them as 1."""

    layout: ClassVar[Layout] = Layout.AXES
    method: ClassVar[str]
    keras_function: ClassVar[Expr]
    per_result: ClassVar[int | None] = 0
    per_input: ClassVar[int] = 1

    dim: IntegerOrList | None = None
    keep: bool = False

    def infer(self, x: TensorType) -> TensorType:
        self._check(x)
        reduced = self._places(x)
        shape = [
            1 if axis in reduced else size
            for axis, size in enumerate(x.shape)
            if self.keep or axis not in reduced
        ]
        return x.with_shape(*shape)

    def _check(self, x: TensorType) -> None:
        require_float(x)

    def _places(self, x: TensorType) -> tuple[int, ...]:
        if self.dim == ():
            message, hint = "no axis is named", "leave `dim` out to take all of them"
            raise OpError(message, param="dim", hint=hint, code="E0402")
        return normal_axes(self.dim, x.rank)

    def _count(self, x: TensorType) -> Dim:
        return product(x.shape[place] for place in self._places(x))

    def _keywords(self, io: Io, dim: str, keep: str) -> dict[str, Any]:
        keywords: dict[str, Any] = {keep: default(io.arg("keep"), False)}
        if self.dim is not None:
            return {dim: axes_of(io, self.dim), **keywords}
        if self.keep and io.type("x").rank:
            return {dim: tuple(range(io.type("x").rank)), **keywords}
        return {}

    def torch(self, io: Io) -> Expr:
        return io["x"].method(self.method, **self._keywords(io, "dim", "keepdim"))

    def keras(self, io: Io) -> Expr:
        return self.keras_function(io["x"], **self._keywords(io, "axis", "keepdims"))


class Mean(Reduction):
    """The mean over the axes `dim` (all by default): [*S] -> [*R].

    Example: `x -> mean(dim=[2, 3])`
    """

    spelling: ClassVar[str | None] = "mean"
    method: ClassVar[str] = "mean"
    keras_function: ClassVar[Expr] = ops.mean
    per_result: ClassVar[int | None] = 1


class Max(Reduction):
    """The greatest element over the axes `dim` (all by default): [*S] -> [*R].

    Example: `x -> max(dim=-1)`
    """

    spelling: ClassVar[str | None] = "max"
    method: ClassVar[str] = "amax"
    keras_function: ClassVar[Expr] = ops.max

    def _check(self, x: TensorType) -> None:
        require_number(x)


class Min(Reduction):
    """The least element over the axes `dim` (all by default): [*S] -> [*R].

    Example: `x -> min(dim=-1)`
    """

    spelling: ClassVar[str | None] = "min"
    method: ClassVar[str] = "amin"
    keras_function: ClassVar[Expr] = ops.min

    def _check(self, x: TensorType) -> None:
        require_number(x)


class Accumulation(Reduction, abc.ABC):
    """Sums and products keep the element type, of integers too (which may overflow)."""

    def _check(self, x: TensorType) -> None:
        require_number(x)

    def keras(self, io: Io) -> Expr:
        return kept_integers(io, super().keras(io))


def kept_integers(io: Io, result: Expr) -> Expr:
    """A result whose integers Keras may have widened, in the element type of `x`."""
    dtype = io.type("x").dtype
    if dtype.is_float or dtype is DType.I64:
        return result
    return ops.cast(result, FRAMEWORK_NAMES[dtype])


def integer_type(io: Io) -> dict[str, Expr]:
    """The keyword that stops PyTorch from widening small integers."""
    dtype = io.type("x").dtype
    if dtype.is_float or dtype is DType.I64:
        return {}
    return {"dtype": getattr(torch, FRAMEWORK_NAMES[dtype])}


class Sum(Accumulation):
    """The sum over the axes `dim` (all by default): [*S] -> [*R].

    Example: `x -> sum(dim=1, keep=true)`
    """

    spelling: ClassVar[str | None] = "sum"
    method: ClassVar[str] = "sum"
    keras_function: ClassVar[Expr] = ops.sum

    def torch(self, io: Io) -> Expr:
        keywords = self._keywords(io, "dim", "keepdim")
        return io["x"].method("sum", **keywords, **integer_type(io))


class Prod(Accumulation):
    """The product over the axes `dim` (all by default): [*S] -> [*R].

    Example: `x -> prod(dim=1)`
    """

    spelling: ClassVar[str | None] = "prod"
    method: ClassVar[str] = "prod"
    keras_function: ClassVar[Expr] = ops.prod

    def torch(self, io: Io) -> Expr:
        if self.dim is None and not self.keep:
            return io["x"].method("prod", **integer_type(io))
        # PyTorch multiplies along one axis at a time; the last first, so that none moves.
        keep = default(io.arg("keep"), False)
        result = io["x"]
        for place in reversed(self._places(io.type("x"))):
            keywords = {"dim": place, "keepdim": keep, **integer_type(io)}
            result = result.method("prod", **keywords)
        return result


class Spread(Reduction, abc.ABC):
    """Variance and what derives from it, with `correction` taken off the count."""

    per_result: ClassVar[int | None] = 1
    per_input: ClassVar[int] = 4

    correction: Natural = ZERO

    def infer(self, x: TensorType) -> TensorType:
        result = super().infer(x)
        left = self._count(x) - self.correction
        if left.falls_below(1):
            raise OpError(
                f"a correction of {self.correction} leaves none of the "
                f"{self._count(x)} elements to divide by",
                param="correction",
                hint="use a smaller correction, or more axes",
                code="E0408",
            )
        return result

    def implied(self, x: TensorType) -> tuple[Dim, ...]:
        return (self._count(x) - self.correction,)

    def torch(self, io: Io) -> Expr:
        keywords = self._keywords(io, "dim", "keepdim")
        return io["x"].method(self.method, correction=self.correction, **keywords)

    def keras(self, io: Io) -> Expr:
        result = super().keras(io)
        if self.correction == 0:
            return result
        size = self._size(io)
        return result * self._scale(size / (size - self.correction))

    def _size(self, io: Io) -> Expr:
        """The count of elements; read at run time, it is a number like the elements."""
        x = io.type("x")
        count = self._count(x)
        if count.is_constant:
            return expression(count)
        first, *others = [
            expression(x.shape[place]) if x.shape[place].is_constant else io.size(place)
            for place in self._places(x)
        ]
        size = first
        for other in others:
            size = size * other
        return ops.cast(size, io["x"].attribute("dtype"))

    @abc.abstractmethod
    def _scale(self, ratio: Expr) -> Expr:
        """What turns the uncorrected result into the corrected one."""


class Var(Spread):
    """The variance over the axes `dim` (all by default): [*S] -> [*R].

    The sum of squared deviations over (count - correction).

    Example: `x -> var(dim=1, correction=1)`
    """

    spelling: ClassVar[str | None] = "var"
    method: ClassVar[str] = "var"
    keras_function: ClassVar[Expr] = ops.var

    def _scale(self, ratio: Expr) -> Expr:
        return ratio


class Std(Spread):
    """The standard deviation over the axes `dim` (all by default): [*S] -> [*R].

    The square root of `var`.

    Example: `x -> std(dim=1)`
    """

    spelling: ClassVar[str | None] = "std"
    method: ClassVar[str] = "std"
    keras_function: ClassVar[Expr] = ops.std

    def _scale(self, ratio: Expr) -> Expr:
        return ratio**0.5


class Truth(Reduction, abc.ABC):
    """Reductions of truth values."""

    def _check(self, x: TensorType) -> None:
        require_bool(x)


class AnyTrue(Truth):
    """Whether one element or more is true over the axes `dim`: bool[*S] -> bool[*R].

    Example: `mask -> any(dim=1)`
    """

    spelling: ClassVar[str | None] = "any"
    method: ClassVar[str] = "any"
    keras_function: ClassVar[Expr] = ops.any


class AllTrue(Truth):
    """Whether every element is true over the axes `dim`: bool[*S] -> bool[*R].

    Example: `mask -> all(dim=1)`
    """

    spelling: ClassVar[str | None] = "all"
    method: ClassVar[str] = "all"
    keras_function: ClassVar[Expr] = ops.all


class LogSumExp(Reduction):
    """log(sum(exp(x))) over the axes `dim` (all by default), without overflow.

    [*S] -> [*R].

    Example: `x -> logsumexp(dim=-1)`
    """

    spelling: ClassVar[str | None] = "logsumexp"
    keras_function: ClassVar[Expr] = ops.logsumexp
    per_result: ClassVar[int | None] = 2
    per_input: ClassVar[int] = 4

    def torch(self, io: Io) -> Expr:
        keywords = self._keywords(io, "dim", "keepdim")
        if self.dim is None:
            keywords["dim"] = tuple(range(io.type("x").rank))
        return torch.logsumexp(io["x"], **keywords)


class Norm(Reduction):
    """The Euclidean length over the axes `dim` (all by default): [*S] -> [*R].

    Example: `x -> norm(dim=-1)`
    """

    spelling: ClassVar[str | None] = "norm"
    per_result: ClassVar[int | None] = 1
    per_input: ClassVar[int] = 2

    def torch(self, io: Io) -> Expr:
        function = Namespace("torch.linalg").vector_norm
        return function(io["x"], **self._keywords(io, "dim", "keepdim"))

    def keras(self, io: Io) -> Expr:
        keywords = self._keywords(io, "axis", "keepdims")
        return ops.sqrt(ops.sum(ops.square(io["x"]), **keywords))


# ---- places ------------------------------------------------------------------------------


class Place(NoFlops, abc.ABC):
    """The index along one axis of an extreme element."""

    layout: ClassVar[Layout] = Layout.AXES
    method: ClassVar[str]
    keras_function: ClassVar[Expr]
    per_result: ClassVar[int | None] = 0
    per_input: ClassVar[int] = 1

    dim: Integer
    keep: bool = False

    def infer(self, x: TensorType) -> TensorType:
        require_number(x)
        place = normal_axis(self.dim, x.rank)
        kept = (1,) if self.keep else ()
        shape = (*x.shape[:place], *kept, *x.shape[place + 1 :])
        return x.with_shape(*shape).with_dtype(DType.I64)

    def torch(self, io: Io) -> Expr:
        keep = default(io.arg("keep"), False)
        return io["x"].method(self.method, dim=axis_of(io, self.dim), keepdim=keep)

    def keras(self, io: Io) -> Expr:
        keep = default(io.arg("keep"), False)
        axis = axis_of(io, self.dim)
        return ops.cast(self.keras_function(io["x"], axis=axis, keepdims=keep), "int64")


class ArgMax(Place):
    """The index of the greatest element along the axis `dim`: [*S] -> i64[*R].

    Which one of several equal elements is not defined.

    Example: `logits -> argmax(dim=-1)`
    """

    spelling: ClassVar[str | None] = "argmax"
    method: ClassVar[str] = "argmax"
    keras_function: ClassVar[Expr] = ops.argmax


class ArgMin(Place):
    """The index of the least element along the axis `dim`: [*S] -> i64[*R].

    Which one of several equal elements is not defined.

    Example: `distances -> argmin(dim=-1)`
    """

    spelling: ClassVar[str | None] = "argmin"
    method: ClassVar[str] = "argmin"
    keras_function: ClassVar[Expr] = ops.argmin
