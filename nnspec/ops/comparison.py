"""Comparisons, logic, choices by truth values, and conversions of element types."""

from __future__ import annotations

import abc
from typing import ClassVar

from nnspec.ir.types import DType, TensorType
from nnspec.ops.base import Io, Layout, NoFlops, OpError
from nnspec.ops.element_types import converted
from nnspec.ops.elementwise import (
    Scalar,
    broadcast,
    combined,
    require_bool,
    require_operand,
    spelled,
)
from nnspec.ops.infix import BOTH, Infix
from nnspec.pycode.expressions import Binary, Expr, Namespace

torch, ops = Namespace("torch"), Namespace("ops")


class Comparison(Infix, abc.ABC):
    """A relation between two tensors, or a tensor and a constant, at each place."""

    def infer(
        self, x: TensorType | None = None, y: TensorType | None = None
    ) -> TensorType:
        return self.common_type(x, y).with_dtype(DType.BOOL)


class Equality(Comparison, abc.ABC):
    """Relations that truth values have as well.

    A symbolic tensor of Keras does not overload `==`, so that backend calls a function.
    """

    keras_function: ClassVar[Expr]

    def check(self, operand: TensorType, name: str) -> None:
        """Elements of every type can be equal."""

    def keras(self, io: Io) -> Expr:
        return self.keras_function(*spelled(self, io, "x", "y"))


class Equal(Equality):
    """x == y: [*S], [*S] -> bool[*S], broadcasting.

    Example: `tokens == 0`
    """

    spelling: ClassVar[str | None] = "equal"
    symbol: ClassVar[str] = "=="
    keras_function: ClassVar[Expr] = ops.equal


class NotEqual(Equality):
    """x != y: [*S], [*S] -> bool[*S], broadcasting.

    Example: `tokens != 0`
    """

    spelling: ClassVar[str | None] = "not_equal"
    symbol: ClassVar[str] = "!="
    keras_function: ClassVar[Expr] = ops.not_equal


class Less(Comparison):
    """x < y: [*S], [*S] -> bool[*S], broadcasting.

    Example: `x < 0`
    """

    spelling: ClassVar[str | None] = "less"
    symbol: ClassVar[str] = "<"


class LessEqual(Comparison):
    """x <= y: [*S], [*S] -> bool[*S], broadcasting.

    Example: `x <= 0`
    """

    spelling: ClassVar[str | None] = "less_equal"
    symbol: ClassVar[str] = "<="


class Greater(Comparison):
    """x > y: [*S], [*S] -> bool[*S], broadcasting.

    Example: `x > 0`
    """

    spelling: ClassVar[str | None] = "greater"
    symbol: ClassVar[str] = ">"


class GreaterEqual(Comparison):
    """x >= y: [*S], [*S] -> bool[*S], broadcasting.

    Example: `x >= 0`
    """

    spelling: ClassVar[str | None] = "greater_equal"
    symbol: ClassVar[str] = ">="


# ---- logic -------------------------------------------------------------------------------


class Logic(NoFlops, abc.ABC):
    """A function of two truth values at each place."""

    inputs: ClassVar[tuple[str, ...]] = ("x", "y")
    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    symbol: ClassVar[str]
    keras_function: ClassVar[Expr]
    per_result: ClassVar[int | None] = 1

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        require_bool(x, input="x")
        require_bool(y, input="y")
        return TensorType(broadcast(x, y, input="y"), DType.BOOL)

    def torch(self, io: Io) -> Expr:
        return Binary(self.symbol, io["x"], io["y"])

    def keras(self, io: Io) -> Expr:
        return self.keras_function(io["x"], io["y"])


class LogicalAnd(Logic):
    """Whether both are true: bool[*S], bool[*S] -> bool[*S], broadcasting.

    Example: `logical_and(x > 0, x < 1)`
    """

    spelling: ClassVar[str | None] = "logical_and"
    symbol: ClassVar[str] = "&"
    keras_function: ClassVar[Expr] = ops.logical_and


class LogicalOr(Logic):
    """Whether one or both are true: bool[*S], bool[*S] -> bool[*S], broadcasting.

    Example: `logical_or(x < 0, x > 1)`
    """

    spelling: ClassVar[str | None] = "logical_or"
    symbol: ClassVar[str] = "|"
    keras_function: ClassVar[Expr] = ops.logical_or


class LogicalNot(NoFlops):
    """Whether it is false: bool[*S] -> bool[*S].

    Example: `logical_not(mask)`
    """

    spelling: ClassVar[str | None] = "logical_not"
    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    per_result: ClassVar[int | None] = 1

    def infer(self, x: TensorType) -> TensorType:
        require_bool(x)
        return x

    def torch(self, io: Io) -> Expr:
        return ~io["x"]

    def keras(self, io: Io) -> Expr:
        return ops.logical_not(io["x"])


class Where(NoFlops):
    """x where the condition is true, else y, broadcasting; x or y may be a constant.

    bool[*S], [*S], [*S] -> [*S].

    Example: `where(mask, x, 0)`
    """

    spelling: ClassVar[str | None] = "where"
    inputs: ClassVar[tuple[str, ...]] = ("condition", "x", "y")
    optional: ClassVar[frozenset[str]] = BOTH
    scalars: ClassVar[frozenset[str]] = BOTH
    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    per_result: ClassVar[int | None] = 1

    x_value: Scalar = None
    y_value: Scalar = None

    def infer(
        self,
        condition: TensorType,
        x: TensorType | None = None,
        y: TensorType | None = None,
    ) -> TensorType:
        require_bool(condition, input="condition")
        require_operand(self, "x", x)
        require_operand(self, "y", y)
        if x is None and y is None:
            raise OpError(
                "both choices are constants, which leaves the element type open",
                input="x",
                hint="convert the condition instead: `cast(condition, float)`",
                code="E0409",
            )
        chosen = combined(self, (("x", x), ("y", y)))
        shape = broadcast(condition, chosen, input="condition")
        return TensorType(shape, chosen.dtype)

    def torch(self, io: Io) -> Expr:
        return torch.where(io["condition"], *spelled(self, io, "x", "y"))

    def keras(self, io: Io) -> Expr:
        return ops.where(io["condition"], *spelled(self, io, "x", "y"))


class Cast(NoFlops):
    """The elements converted to another type: [*S] -> dtype[*S].

    Floats become integers by cutting off the fraction; numbers other than 0 become true.
    What the other type cannot hold is undefined.

    Example: `cast(tokens, float)`
    """

    spelling: ClassVar[str | None] = "cast"
    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    per_result: ClassVar[int | None] = 0

    dtype: DType

    def infer(self, x: TensorType) -> TensorType:
        return x.with_dtype(self.dtype)

    def torch(self, io: Io) -> Expr:
        return converted(io, io["x"], self.dtype)

    def keras(self, io: Io) -> Expr:
        return converted(io, io["x"], self.dtype)
