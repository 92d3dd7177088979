"""What rules ask of their inputs: axes that exist, ranks, element types. Each raises `OpError` with what to do."""

from __future__ import annotations

from nnspec.ir.dims import Dim
from nnspec.ir.types import DType, TensorType
from nnspec.ops.rules import OpError


def normal_axis(axis: Dim | int, rank: int, *, param: str = "dim") -> int:
    """An axis from 0, from one that may count from the end. Raises `OpError` if there is none such."""
    place = int(axis)
    if not -rank <= place < rank:
        raise OpError(
            f"axis {place} does not exist: the tensor has {rank} axes",
            param=param,
            hint=f"use an axis from {-rank} to {rank - 1}",
            code="E0402",
        )
    return place % rank


def normal_axes(
    axes: Dim | tuple[Dim, ...] | None, rank: int, *, param: str = "dim"
) -> tuple[int, ...]:
    """Distinct axes from 0, ascending; None means all."""
    if axes is None:
        return tuple(range(rank))
    given = axes if isinstance(axes, tuple) else (axes,)
    places = [normal_axis(axis, rank, param=param) for axis in given]
    if len(set(places)) < len(places):
        raise OpError(
            "an axis is named twice",
            param=param,
            hint="name each axis once",
            code="E0402",
        )
    return tuple(sorted(places))


def require_rank(x: TensorType, *ranks: int, input: str = "x") -> None:
    """Raises `OpError` unless the tensor has one of the ranks."""
    if x.rank not in ranks:
        wanted = " or ".join(str(rank) for rank in ranks)
        raise OpError(
            f"needs a tensor of {wanted} axes, and {x} has {x.rank}",
            input=input,
            code="E0403",
        )


def require_float(x: TensorType, *, input: str = "x") -> None:
    """Raises `OpError` unless the elements are floating-point numbers."""
    if not x.dtype.is_float:
        raise OpError(
            f"needs floating-point elements, and {x} holds {x.dtype.value}",
            input=input,
            hint="convert it first: `cast(x, float)`",
            code="E0404",
        )


def join_dtypes(left: DType, right: DType) -> DType:
    """The common element type of two operands; nothing is promoted in silence."""
    if left is right:
        return left
    if {left, right} == {DType.FLOAT, DType.F32}:
        return DType.FLOAT
    raise OpError(
        f"the operands hold {left.value} and {right.value}, and nothing is converted in silence",
        hint=f"convert one of them: `cast(x, {left.value})`",
        code="E0405",
    )
