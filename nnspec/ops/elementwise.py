"""What operators that work element by element share: constants as operands, broadcasting."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, TypeAlias

from nnspec.ir.dims import Dim, dim, equal_if
from nnspec.ir.types import DType, TensorType
from nnspec.ops.base import (
    Io,
    Layout,
    NoFlops,
    Operator,
    OpError,
    join_dtypes,
    require_float,
)
from nnspec.ops.checked import Before
from nnspec.pycode.expressions import Expr, Namespace

ops = Namespace("ops")


def _as_scalar(value: Any) -> Any:
    return dim(value) if type(value) is int else value


Number: TypeAlias = float | Dim | bool
Scalar = Annotated[float | Dim | bool | None, Before(_as_scalar)]


class Pointwise(NoFlops, abc.ABC):
    """A function of each floating-point element, called by one name in each backend."""

    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    torch_function: ClassVar[Expr]
    keras_function: ClassVar[Expr]
    per_result: ClassVar[int | None] = 1

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        return x

    def torch(self, io: Io) -> Expr:
        return self.torch_function(io["x"])

    def keras(self, io: Io) -> Expr:
        return self.keras_function(io["x"])


class NumberPointwise(Pointwise, abc.ABC):
    """A function of each element that integers have as well."""

    def infer(self, x: TensorType) -> TensorType:
        require_number(x)
        return x


def require_number(x: TensorType, *, input: str = "x") -> None:
    """Raises `OpError` if the elements are truth values."""
    if x.dtype is DType.BOOL:
        raise OpError(
            f"needs numbers, and {x} holds truth values",
            input=input,
            hint="convert it first: `cast(x, float)`",
            code="E0404",
        )


def require_bool(x: TensorType, *, input: str = "x") -> None:
    """Raises `OpError` unless the elements are truth values."""
    if x.dtype is not DType.BOOL:
        raise OpError(
            f"needs truth values, and {x} holds {x.dtype.value}",
            input=input,
            hint="compare first: `x != 0`",
            code="E0404",
        )


# ---- broadcasting ------------------------------------------------------------------------


def same_size(left: Dim, right: Dim) -> Dim:
    """One of two equal sizes: the left one, unless only the right knows its own name."""
    return right if left.generic is left else left


def broadcast(left: TensorType, right: TensorType, *, input: str) -> tuple[Dim, ...]:
    """The common shape of two tensors, axes aligned from the right, 1 stretched.

    A symbol is never taken for 1. Raises `OpError`, blaming `input`.
    """
    rank = max(left.rank, right.rank)
    shapes = [(dim(1),) * (rank - t.rank) + t.shape for t in (left, right)]
    common: list[Dim] = []
    for axis, (one, other) in enumerate(zip(*shapes, strict=True)):
        if one == other:
            common.append(same_size(one, other))
        elif other == 1:
            common.append(one)
        elif one == 1:
            common.append(other)
        else:
            raise _cannot_broadcast(left, right, axis - rank, (one, other), input)
    return tuple(common)


def _cannot_broadcast(
    left: TensorType, right: TensorType, axis: int, sizes: tuple[Dim, Dim], input: str
) -> OpError:
    one, other = sizes
    known = one.is_constant and other.is_constant
    named = f"if {one} and {other} are always equal, give both one name in the inputs' types"
    return OpError(
        f"{left} and {right} do not fit together: axis {axis} has {one} and {other}",
        input=input,
        hint="make the sizes equal, or one of them 1"
        if known
        else equal_if(one, other) or named,
        code="E0411",
    )


# ---- operands that may be constants ------------------------------------------------------

_BITS = {DType.I8: 7, DType.I16: 15, DType.I32: 31, DType.I64: 63, DType.U8: 8}


def check_scalar(value: Number, dtype: DType, *, input: str) -> None:
    """Raises `OpError` unless the constant can stand beside such elements unconverted."""
    if isinstance(value, bool):
        if dtype is not DType.BOOL:
            raise _does_not_mix("a truth value", dtype, input, "write a number")
        return
    if dtype is DType.BOOL:
        hint = "convert the tensor first: `cast(x, float)`"
        raise _does_not_mix(f"the number {value}", dtype, input, hint)
    if isinstance(value, int | float):
        if not dtype.is_float:
            hint = "convert the tensor first: `cast(x, float)`"
            raise _does_not_mix(f"the float {value}", dtype, input, hint)
        return
    if dtype.is_float or not value.is_constant:
        return
    least = 0 if dtype is DType.U8 else -(2 ** _BITS[dtype])
    if value.falls_below(least) or not value.falls_below(2 ** _BITS[dtype]):
        hint = f"use a number from {least} to {2 ** _BITS[dtype] - 1}"
        raise _does_not_mix(f"the number {value}", dtype, input, hint)


def _does_not_mix(what: str, dtype: DType, input: str, hint: str) -> OpError:
    message = f"{what} cannot stand beside elements of type {dtype.value}"
    return OpError(message, input=input, hint=hint, code="E0405")


def combined(
    operator: Operator, operands: Sequence[tuple[str, TensorType | None]]
) -> TensorType:
    """The type that tensors and constants have in common. Raises `OpError`.

    A missing tensor is a constant, in the operator's field `<name>_value`; where that is
    None too, the operand was left out.
    """
    given = [(name, t) for name, t in operands if t is not None]
    if not given:
        raise OpError(
            f"{operator.op_name()} of constants alone makes no tensor",
            input=operands[0][0],
            hint="make one of them a tensor: `tensor(1.0)`",
            code="E0409",
        )
    _, result = given[0]
    for name, other in given[1:]:
        dtype = join_dtypes(result.dtype, other.dtype)
        result = TensorType(broadcast(result, other, input=name), dtype)
    for name, t in operands:
        value: Scalar = getattr(operator, f"{name}_value", None)
        if t is None and value is not None:
            check_scalar(value, result.dtype, input=name)
    return result


def require_operand(operator: Operator, name: str, operand: TensorType | None) -> None:
    """Raises `OpError` if neither a tensor nor a constant is given."""
    if operand is None and getattr(operator, f"{name}_value") is None:
        raise OpError(
            f"{operator.op_name()} needs `{name}`",
            input=name,
            hint="give a tensor or a number",
            code="E0409",
        )


def spelled(operator: Operator, io: Io, *names: str) -> list[Expr]:
    """The operands as expressions that can be combined in the target.

    PyTorch mixes a tensor with any number. TensorFlow refuses a run-time size (int32)
    beside other elements, and a float32 tensor beside one of the policy's float.
    """
    tensors = [name for name in names if io.has(name)]
    floats = [name for name in tensors if io.type(name).dtype is DType.FLOAT]
    leader = (floats or tensors)[0]
    return [_spelled(operator, io, name, leader) for name in names]


def _spelled(operator: Operator, io: Io, name: str, leader: str) -> Expr:
    if not io.has(name):
        return _spelled_scalar(operator, io, name, leader)
    if io.type(name).dtype is io.type(leader).dtype:
        return io[name]
    wanted = io[leader].attribute("dtype")
    if io.target == "torch":
        return io[name].method("to", wanted)
    return ops.cast(io[name], wanted)


def _spelled_scalar(operator: Operator, io: Io, name: str, leader: str) -> Expr:
    value = getattr(operator, f"{name}_value")
    constant = io.arg(f"{name}_value")
    if io.target == "torch" or not isinstance(value, Dim) or value.is_constant:
        return constant
    return ops.cast(constant, io[leader].attribute("dtype"))
