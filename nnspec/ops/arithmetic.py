"""Arithmetic of two tensors, or of a tensor and a constant, and the bounds of values.

Shapes broadcast: axes are aligned from the right, and 1 (never a symbol) is stretched.
"""

from __future__ import annotations

import abc
from typing import ClassVar

from nnspec.ir.dims import Dim
from nnspec.ir.types import DType, TensorType
from nnspec.ops.base import Io, Layout, NoFlops, OpError
from nnspec.ops.elementwise import Scalar, combined, require_number, spelled
from nnspec.ops.infix import Infix
from nnspec.pycode.expressions import Binary, Expr, Namespace

torch, ops = Namespace("torch"), Namespace("ops")


class Arithmetic(Infix, abc.ABC):
    """An infix operator on numbers."""

    def infer(
        self, x: TensorType | None = None, y: TensorType | None = None
    ) -> TensorType:
        return self.common_type(x, y)


class Add(Arithmetic):
    """x + y: [*S], [*S] -> [*S], broadcasting.

    Example: `x + 1`
    """

    spelling: ClassVar[str | None] = "add"
    symbol: ClassVar[str] = "+"

    def passes_gradient(self, kind: TensorType, *results: TensorType) -> bool:
        return kind.elements == results[0].elements


class Subtract(Arithmetic):
    """x - y: [*S], [*S] -> [*S], broadcasting.

    Example: `1 - x`
    """

    spelling: ClassVar[str | None] = "subtract"
    symbol: ClassVar[str] = "-"


class Multiply(Arithmetic):
    """x * y: [*S], [*S] -> [*S], broadcasting.

    Example: `2 * x`
    """

    spelling: ClassVar[str | None] = "multiply"
    symbol: ClassVar[str] = "*"


class Divide(Arithmetic):
    """x / y of floating-point numbers: [*S], [*S] -> [*S], broadcasting.

    Example: `x / sqrt(y)`
    """

    spelling: ClassVar[str | None] = "divide"
    symbol: ClassVar[str] = "/"

    def infer(
        self, x: TensorType | None = None, y: TensorType | None = None
    ) -> TensorType:
        for name, operand in (("x", x), ("y", y)):
            if operand is not None and operand.dtype.is_integer:
                raise OpError(
                    f"divides floats, and {operand} holds {operand.dtype.value}",
                    input=name,
                    hint="convert it first, `cast(x, float)`, or round down with `//`",
                    code="E0404",
                )
        return super().infer(x, y)


class RoundedDivision(Arithmetic, abc.ABC):
    """What quotients that are rounded down and their remainders refuse."""

    def infer(
        self, x: TensorType | None = None, y: TensorType | None = None
    ) -> TensorType:
        result = super().infer(x, y)
        if y is None and self.y_value == 0:
            raise OpError(
                "the divisor is 0",
                input="y",
                hint="divide by another number",
                code="E0409",
            )
        return result


class FloorDivide(RoundedDivision):
    """x / y rounded down, of integers and floats: [*S], [*S] -> [*S], broadcasting.

    Example: `x // 2`
    """

    spelling: ClassVar[str | None] = "floor_divide"
    symbol: ClassVar[str] = "//"

    # For floats the frameworks' `//` round differently, and PyTorch's has no gradient.

    def torch(self, io: Io) -> Expr:
        if not io.results[0].dtype.is_float:
            return super().torch(io)
        return torch.floor(Binary("/", *spelled(self, io, "x", "y")))

    def keras(self, io: Io) -> Expr:
        if not io.results[0].dtype.is_float:
            return super().keras(io)
        return ops.floor(Binary("/", *spelled(self, io, "x", "y")))


class Remainder(RoundedDivision):
    """x - y (x // y), with the sign of y: [*S], [*S] -> [*S], broadcasting.

    Example: `x % 2`
    """

    spelling: ClassVar[str | None] = "remainder"
    symbol: ClassVar[str] = "%"

    # A number as the dividend has no gradient in PyTorch, on its own or under Keras.

    def torch(self, io: Io) -> Expr:
        if io.has("x") or not io.results[0].dtype.is_float:
            return super().torch(io)
        x, y = spelled(self, io, "x", "y")
        return torch.full_like(y, x) % y

    def keras(self, io: Io) -> Expr:
        if io.has("x") or not io.results[0].dtype.is_float:
            return super().keras(io)
        x, y = spelled(self, io, "x", "y")
        return ops.full_like(y, x) % y


class Power(Arithmetic):
    """x to the power of y: [*S], [*S] -> [*S], broadcasting.

    Integers take no negative exponents.

    Example: `x ^ 2`
    """

    spelling: ClassVar[str | None] = "power"
    symbol: ClassVar[str] = "**"

    def infer(
        self, x: TensorType | None = None, y: TensorType | None = None
    ) -> TensorType:
        result = super().infer(x, y)
        exponent = self.y_value
        if not isinstance(exponent, Dim) or not exponent.is_constant:
            return result
        if result.dtype.is_integer and exponent.falls_below(0):
            raise OpError(
                f"an integer to the power of {exponent} is no integer",
                input="y",
                hint="convert it first: `cast(x, float)`",
                code="E0404",
            )
        return result


class Negative(NoFlops):
    """-x: [*S] -> [*S].

    Example: `-x`
    """

    spelling: ClassVar[str | None] = "negative"
    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    per_result: ClassVar[int | None] = 1

    def infer(self, x: TensorType) -> TensorType:
        require_number(x)
        if x.dtype is DType.U8:
            raise OpError(
                f"{x} holds integers without a sign",
                input="x",
                hint="convert it first: `cast(x, i64)`",
                code="E0404",
            )
        return x

    def torch(self, io: Io) -> Expr:
        return -io["x"]

    def keras(self, io: Io) -> Expr:
        return -io["x"]


# ---- bounds ------------------------------------------------------------------------------


class Extreme(Arithmetic, abc.ABC):
    """The lesser or the greater of two."""

    pairwise: ClassVar[Expr]
    bounded: ClassVar[str]
    keras_function: ClassVar[Expr]

    def torch(self, io: Io) -> Expr:
        x, y = spelled(self, io, "x", "y")
        if io.has("x") and io.has("y"):
            return self.pairwise(x, y)
        tensor, bound = (x, y) if io.has("x") else (y, x)
        return tensor.method("clamp", **{self.bounded: bound})

    def keras(self, io: Io) -> Expr:
        return self.keras_function(*spelled(self, io, "x", "y"))


class Minimum(Extreme):
    """The lesser of x and y at each place: [*S], [*S] -> [*S], broadcasting.

    Example: `minimum(x, 6)`
    """

    spelling: ClassVar[str | None] = "minimum"
    symbol: ClassVar[str] = "minimum"
    pairwise: ClassVar[Expr] = torch.minimum
    bounded: ClassVar[str] = "max"
    keras_function: ClassVar[Expr] = ops.minimum


class Maximum(Extreme):
    """The greater of x and y at each place: [*S], [*S] -> [*S], broadcasting.

    Example: `maximum(x, 0)`
    """

    spelling: ClassVar[str | None] = "maximum"
    symbol: ClassVar[str] = "maximum"
    pairwise: ClassVar[Expr] = torch.maximum
    bounded: ClassVar[str] = "min"
    keras_function: ClassVar[Expr] = ops.maximum


class Clip(NoFlops):
    """min(max(x, low), high), with either bound left out at will.

    [*S] -> [*S]; the bounds are constants or tensors, which broadcast.

    Example: `clip(x, 0, 1)`
    """

    spelling: ClassVar[str | None] = "clip"
    inputs: ClassVar[tuple[str, ...]] = ("x", "low", "high")
    optional: ClassVar[frozenset[str]] = frozenset({"low", "high"})
    scalars: ClassVar[frozenset[str]] = frozenset({"low", "high"})
    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    per_result: ClassVar[int | None] = 2

    low_value: Scalar = None
    high_value: Scalar = None

    def infer(
        self,
        x: TensorType,
        low: TensorType | None = None,
        high: TensorType | None = None,
    ) -> TensorType:
        require_number(x)
        if low is None and high is None:
            self._check_constants()
        return combined(self, (("x", x), ("low", low), ("high", high)))

    def _check_constants(self) -> None:
        low, high = self.low_value, self.high_value
        if low is None and high is None:
            message, hint = "no bound is given", "give `low`, `high` or both"
            raise OpError(message, param="low", hint=hint, code="E0409")
        if low is None or high is None or _holds_symbol(low) or _holds_symbol(high):
            return
        if float(low) > float(high):
            message = f"the lower bound is {low}, and the upper one is {high}"
            raise OpError(message, param="low", hint="exchange them", code="E0409")

    def _given(self, io: Io) -> list[str]:
        return [
            name
            for name in ("low", "high")
            if io.has(name) or getattr(self, f"{name}_value") is not None
        ]

    def torch(self, io: Io) -> Expr:
        given = self._given(io)
        x, *bounds = spelled(self, io, "x", *given)
        if not any(io.has(name) for name in given):
            keywords = {"low": "min", "high": "max"}
            if len(given) == 2:
                return x.method("clamp", *bounds)
            return x.method("clamp", **{keywords[given[0]]: bounds[0]})
        for name, bound in zip(given, bounds, strict=True):
            if not io.has(name):
                x = x.method("clamp", **{"min" if name == "low" else "max": bound})
            else:
                x = (torch.maximum if name == "low" else torch.minimum)(x, bound)
        return x

    def keras(self, io: Io) -> Expr:
        given = self._given(io)
        x, *bounds = spelled(self, io, "x", *given)
        if len(given) == 2 and not any(io.has(name) for name in given):
            return ops.clip(x, *bounds)
        for name, bound in zip(given, bounds, strict=True):
            x = (ops.maximum if name == "low" else ops.minimum)(x, bound)
        return x


def _holds_symbol(value: float | Dim | bool) -> bool:
    return isinstance(value, Dim) and not value.is_constant
