"""Functions along one axis that leave it in place: softmax, gates, running sums, orders."""

from __future__ import annotations

import abc
from typing import ClassVar

from nnspec.ir.dims import MINUS_ONE, Dim
from nnspec.ir.types import DType, TensorType
from nnspec.ops.axes import axis_of
from nnspec.ops.base import (
    Count,
    Integer,
    Io,
    Layout,
    NoFlops,
    OpError,
    normal_axis,
    require_float,
)
from nnspec.ops.elementwise import require_number
from nnspec.ops.reductions import integer_type, kept_integers
from nnspec.ops.rules import Caveat
from nnspec.pycode.expressions import Expr, Namespace, default

F, torch, ops = Namespace("F"), Namespace("torch"), Namespace("ops")


# For each element: the maximum, the difference from it, its exponential, the sum, the quotient.
SOFTMAX_OPERATIONS = 5


class AlongLast(NoFlops, abc.ABC):
    """A function along one axis, the last one by default, that keeps the shape."""

    layout: ClassVar[Layout] = Layout.AXES
    torch_function: ClassVar[Expr]
    keras_function: ClassVar[Expr]

    dim: Integer = MINUS_ONE

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        normal_axis(self.dim, x.rank)
        return x

    def torch(self, io: Io) -> Expr:
        return self.torch_function(io["x"], dim=axis_of(io, self.dim))

    def keras(self, io: Io) -> Expr:
        return self.keras_function(io["x"], axis=axis_of(io, self.dim))


class Softmax(AlongLast):
    """exp(x) / sum(exp(x)) along the axis `dim`: [*S] -> [*S].

    Example: `scores -> softmax(dim=-1)`
    """

    spelling: ClassVar[str | None] = "softmax"
    torch_function: ClassVar[Expr] = F.softmax
    keras_function: ClassVar[Expr] = ops.softmax
    per_result: ClassVar[int | None] = SOFTMAX_OPERATIONS


class LogSoftmax(AlongLast):
    """x - log(sum(exp(x))) along the axis `dim`: [*S] -> [*S].

    Example: `logits -> log_softmax(dim=-1)`
    """

    spelling: ClassVar[str | None] = "log_softmax"
    torch_function: ClassVar[Expr] = F.log_softmax
    keras_function: ClassVar[Expr] = ops.log_softmax
    per_result: ClassVar[int | None] = SOFTMAX_OPERATIONS


class L2Normalize(AlongLast):
    """x / max(length of x, 1e-12) along the axis `dim`: [*S] -> [*S].

    Example: `x -> l2_normalize(dim=-1)`
    """

    spelling: ClassVar[str | None] = "l2_normalize"
    per_result: ClassVar[int | None] = 4

    def torch(self, io: Io) -> Expr:
        return F.normalize(io["x"], dim=axis_of(io, self.dim))

    def keras(self, io: Io) -> Expr:
        return io.helper("l2_normalize")(io["x"], axis=axis_of(io, self.dim))


class Glu(NoFlops):
    """a sigmoid(b), the halves a and b of one axis (Dauphin et al., 2016).

    [*S, 2 n] -> [*S, n], for the axis `dim`.

    Example: `x -> Linear(2 * D) -> glu`
    """

    spelling: ClassVar[str | None] = "glu"
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 5

    dim: Integer = MINUS_ONE

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        place = normal_axis(self.dim, x.rank)
        size = x.shape[place]
        if size % 2 != 0:
            raise OpError(
                f"axis {place} of {x} has {size} elements, which do not divide by 2",
                input="x",
                hint="give it an even size"
                if size.is_constant
                else f"if it is always even, say so: `require {size} % 2 == 0`",
                code="E0407",
                sizes=(size,),
            )
        return x.with_shape(*x.shape[:place], size // 2, *x.shape[place + 1 :])

    def torch(self, io: Io) -> Expr:
        return F.glu(io["x"], dim=default(axis_of(io, self.dim), -1))

    def keras(self, io: Io) -> Expr:
        return ops.glu(io["x"], axis=default(axis_of(io, self.dim), -1))


class CumSum(NoFlops):
    """The running sum along the axis `dim`, of integers too: [*S] -> [*S].

    Example: `x -> cumsum(dim=1)`
    """

    spelling: ClassVar[str | None] = "cumsum"
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 1

    dim: Integer

    def infer(self, x: TensorType) -> TensorType:
        require_number(x)
        normal_axis(self.dim, x.rank)
        return x

    def torch(self, io: Io) -> Expr:
        return torch.cumsum(io["x"], dim=axis_of(io, self.dim), **integer_type(io))

    def keras(self, io: Io) -> Expr:
        result = ops.cumsum(io["x"], axis=axis_of(io, self.dim))
        return kept_integers(io, result)


class TopK(NoFlops):
    """The k greatest elements along the axis `dim`, in descending order.

    [*S, n] -> [*S, k] and their places, i64[*S, k]. The order of equal elements is not
    defined.

    Example: `values, indices = topk(x, 5)`
    """

    caveats: ClassVar[tuple[Caveat, ...]] = (
        Caveat(
            "elementwise",
            "at least",
            "one comparison for each element, whatever the order",
        ),
    )

    spelling: ClassVar[str | None] = "topk"
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 0
    per_input: ClassVar[int] = 1

    k: Count
    dim: Integer = MINUS_ONE

    def infer(self, x: TensorType) -> tuple[TensorType, TensorType]:
        require_number(x)
        place = normal_axis(self.dim, x.rank)
        left = x.shape[place] - self.k
        if left.falls_below(0):
            raise OpError(
                f"axis {place} of {x} has {x.shape[place]} elements, fewer than {self.k}",
                param="k",
                hint=f"use at most {x.shape[place]}",
                code="E0406",
            )
        values = x.with_shape(*x.shape[:place], self.k, *x.shape[place + 1 :])
        return values, values.with_dtype(DType.I64)

    def implied(self, x: TensorType) -> tuple[Dim, ...]:
        return (x.shape[normal_axis(self.dim, x.rank)] - self.k + 1,)

    def torch(self, io: Io) -> Expr:
        axis = default(axis_of(io, self.dim), -1)
        return torch.topk(io["x"], self.k, dim=axis)

    def keras(self, io: Io) -> Expr:
        axis = default(axis_of(io, self.dim), -1)
        return io.helper("top_k")(io["x"], self.k, axis=axis)


class Sort(NoFlops):
    """The elements along the axis `dim` in ascending order: [*S] -> [*S].

    Example: `x -> sort(descending=true)`
    """

    caveats: ClassVar[tuple[Caveat, ...]] = (
        Caveat(
            "elementwise",
            "at least",
            "one comparison for each element, whatever the order",
        ),
    )

    spelling: ClassVar[str | None] = "sort"
    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 0
    per_input: ClassVar[int] = 1

    dim: Integer = MINUS_ONE
    descending: bool = False

    def infer(self, x: TensorType) -> TensorType:
        require_number(x)
        normal_axis(self.dim, x.rank)
        return x

    def torch(self, io: Io) -> Expr:
        axis = default(axis_of(io, self.dim), -1)
        descending = default(io.arg("descending"), False)
        return torch.sort(io["x"], dim=axis, descending=descending).attribute("values")

    def keras(self, io: Io) -> Expr:
        axis = axis_of(io, self.dim)
        ascending = ops.sort(io["x"], axis=default(axis, -1))
        return ops.flip(ascending, axis=axis) if self.descending else ascending
