"""Mathematical functions of one tensor, element by element."""

from __future__ import annotations

from typing import ClassVar

from nnspec.ops.elementwise import NumberPointwise, Pointwise
from nnspec.pycode.expressions import Expr, Namespace

torch, ops = Namespace("torch"), Namespace("ops")


class Exp(Pointwise):
    """e^x: [*S] -> [*S].

    Example: `x -> exp`
    """

    spelling: ClassVar[str | None] = "exp"
    torch_function: ClassVar[Expr] = torch.exp
    keras_function: ClassVar[Expr] = ops.exp


class Log(Pointwise):
    """The natural logarithm: [*S] -> [*S].

    Example: `x -> log`
    """

    spelling: ClassVar[str | None] = "log"
    torch_function: ClassVar[Expr] = torch.log
    keras_function: ClassVar[Expr] = ops.log


class Sqrt(Pointwise):
    """The square root: [*S] -> [*S].

    Example: `x -> sqrt`
    """

    spelling: ClassVar[str | None] = "sqrt"
    torch_function: ClassVar[Expr] = torch.sqrt
    keras_function: ClassVar[Expr] = ops.sqrt


class Rsqrt(Pointwise):
    """1 / sqrt(x): [*S] -> [*S].

    Example: `x -> rsqrt`
    """

    spelling: ClassVar[str | None] = "rsqrt"
    torch_function: ClassVar[Expr] = torch.rsqrt
    keras_function: ClassVar[Expr] = ops.rsqrt


class Sin(Pointwise):
    """The sine of radians: [*S] -> [*S].

    Example: `x -> sin`
    """

    spelling: ClassVar[str | None] = "sin"
    torch_function: ClassVar[Expr] = torch.sin
    keras_function: ClassVar[Expr] = ops.sin


class Cos(Pointwise):
    """The cosine of radians: [*S] -> [*S].

    Example: `x -> cos`
    """

    spelling: ClassVar[str | None] = "cos"
    torch_function: ClassVar[Expr] = torch.cos
    keras_function: ClassVar[Expr] = ops.cos


class Abs(NumberPointwise):
    """The absolute value, of integers too: [*S] -> [*S].

    Example: `x -> abs`
    """

    spelling: ClassVar[str | None] = "abs"
    torch_function: ClassVar[Expr] = torch.abs
    keras_function: ClassVar[Expr] = ops.abs


class Sign(NumberPointwise):
    """-1, 0 or 1, of integers too: [*S] -> [*S].

    Example: `x -> sign`
    """

    spelling: ClassVar[str | None] = "sign"
    torch_function: ClassVar[Expr] = torch.sign
    keras_function: ClassVar[Expr] = ops.sign


class Floor(Pointwise):
    """The greatest integer that is no more than x, still a float: [*S] -> [*S].

    Example: `x -> floor`
    """

    spelling: ClassVar[str | None] = "floor"
    torch_function: ClassVar[Expr] = torch.floor
    keras_function: ClassVar[Expr] = ops.floor


class Ceil(Pointwise):
    """The least integer that is no less than x, still a float: [*S] -> [*S].

    Example: `x -> ceil`
    """

    spelling: ClassVar[str | None] = "ceil"
    torch_function: ClassVar[Expr] = torch.ceil
    keras_function: ClassVar[Expr] = ops.ceil


class Round(Pointwise):
    """The nearest integer, halves to the even one, still a float: [*S] -> [*S].

    Example: `x -> round`
    """

    spelling: ClassVar[str | None] = "round"
    torch_function: ClassVar[Expr] = torch.round
    keras_function: ClassVar[Expr] = ops.round


class Square(NumberPointwise):
    """x^2, of integers too: [*S] -> [*S].

    Example: `x -> square`
    """

    spelling: ClassVar[str | None] = "square"
    torch_function: ClassVar[Expr] = torch.square
    keras_function: ClassVar[Expr] = ops.square


class Reciprocal(Pointwise):
    """1 / x: [*S] -> [*S].

    Example: `x -> reciprocal`
    """

    spelling: ClassVar[str | None] = "reciprocal"
    torch_function: ClassVar[Expr] = torch.reciprocal
    keras_function: ClassVar[Expr] = ops.reciprocal


class Erf(Pointwise):
    """The error function, 2 / sqrt(pi) times the integral of exp(-t^2) from 0 to x.

    [*S] -> [*S].

    Example: `x -> erf`
    """

    spelling: ClassVar[str | None] = "erf"
    torch_function: ClassVar[Expr] = torch.erf
    keras_function: ClassVar[Expr] = ops.erf


class Log1p(Pointwise):
    """log(1 + x), exact for small x: [*S] -> [*S].

    Example: `x -> log1p`
    """

    spelling: ClassVar[str | None] = "log1p"
    torch_function: ClassVar[Expr] = torch.log1p
    keras_function: ClassVar[Expr] = ops.log1p


class Expm1(Pointwise):
    """e^x - 1, exact for small x: [*S] -> [*S].

    Example: `x -> expm1`
    """

    spelling: ClassVar[str | None] = "expm1"
    torch_function: ClassVar[Expr] = torch.expm1
    keras_function: ClassVar[Expr] = ops.expm1
