"""Which axes of an operator's inputs are divided over devices if one of its result is.

Each device runs the operator on its share. That is right if the result is its share of the whole result:
operators of single elements, changes of shape that leave the divided axis together, what works along other
axes, products of matrices of which each device has some, and attention, whose heads do not know of each
other. For all other operators there is no rule, and so no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from nnspec.analysis.sharding.shapes import (
    Divided,
    behind_broadcast,
    behind_rearrange,
    behind_reshape,
)
from nnspec.ir.slices import Range
from nnspec.ir.types import TensorType
from nnspec.ops.along_axis import AlongLast
from nnspec.ops.attention import Attention
from nnspec.ops.base import Layout, Operator, normal_axes, normal_axis
from nnspec.ops.indexing import Take
from nnspec.ops.joining import Concat, Split, Stack, Unstack
from nnspec.ops.patterns import Rearrange
from nnspec.ops.products import Einsum, Matmul
from nnspec.ops.random import Dropout, DropPath, RandomDrop
from nnspec.ops.reductions import Reduction
from nnspec.ops.shaping import (
    Broadcast,
    Flatten,
    Reshape,
    Squeeze,
    Transpose,
    Unsqueeze,
)
from nnspec.ops.slicing import Slicing

Axes: TypeAlias = "Sequence[Divided | None] | None"
"""For each input how it is divided, or None where it is whole; None if the operator cannot be divided."""


def axes_behind(
    op: Operator,
    kinds: Sequence[TensorType],
    results: Sequence[TensorType],
    place: int,
    divided: Divided,
) -> Axes:
    """How the inputs are divided if the result at `place` is."""
    rule = _RULES.get(type(op))
    if rule is not None:
        return rule(op, kinds, results[place], divided)
    if isinstance(op, AlongLast):
        return _along(op, kinds, results[place], divided)
    if isinstance(op, Reduction):
        return _reduction(op, kinds, results[place], divided)
    if op.layout is Layout.ELEMENTWISE:
        return _elementwise(kinds, results[place], divided)
    return None


def draws_apart(op: Operator, divided: Divided) -> bool | None:
    """Whether devices have to draw different numbers for their shares; None where an operator cannot.

    What drops single elements or weights of heads has to; what drops whole samples draws one number for all
    shares of a sample.
    """
    if not op.random or (isinstance(op, RandomDrop) and op.rate == 0):
        return False
    if isinstance(op, DropPath):
        return False if divided.axis else None
    return True if isinstance(op, Attention | Dropout) else None


def _elementwise(
    kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    found = [_broadcast(kind, result, divided) for kind in kinds]
    return found if any(each is not None for each in found) else None


def _broadcast(
    kind: TensorType, result: TensorType, divided: Divided
) -> Divided | None:
    """How an operand is divided that is stretched to the result's shape; None if it is as a whole."""
    axis = divided.axis - (result.rank - kind.rank)
    if axis < 0 or kind.shape[axis] != result.shape[divided.axis]:
        return None
    return Divided(axis, divided.stretches)


# ---- attention ----------------------------------------------------------------------------------------


def _attention(
    op: Attention, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    """By heads; masks and biases too, unless they are the same for all of them."""
    if divided != Divided(result.rank - 3):
        return None
    others = [_broadcast(kind, result, divided) for kind in kinds[3:]]
    return (*(divided,) * 3, *others)


# ---- along other axes ---------------------------------------------------------------------------------


def _along(
    op: AlongLast, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    along = normal_axis(op.dim, result.rank)
    return None if along == divided.axis else [divided]


def _reduction(
    op: Reduction, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    rank = kinds[0].rank
    reduced = normal_axes(op.dim, rank)
    kept = [axis for axis in range(rank) if op.keep or axis not in reduced]
    axis = kept[divided.axis]
    return None if axis in reduced else [Divided(axis, divided.stretches)]


def _take(
    op: Take, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    place, looked_up = normal_axis(op.dim, kinds[0].rank), kinds[1].rank
    axis, stretches = divided.axis, divided.stretches
    if axis < place:
        return [divided, None]
    if axis < place + looked_up:
        return [None, Divided(axis - place, stretches)]
    return [Divided(axis - looked_up + 1, stretches), None]


# ---- products -----------------------------------------------------------------------------------------


def _matmul(
    op: Matmul, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    """Of matrices each device has some, or some rows of the first, or some columns of the second."""
    if any(kind.rank < 2 for kind in kinds):
        return None
    found = [_broadcast(kind, result, divided) for kind in kinds]
    first, second = found
    if divided.axis == result.rank - 1:
        return [None, Divided(kinds[1].rank - 1, divided.stretches)]
    if divided.axis == result.rank - 2:
        return [Divided(kinds[0].rank - 2, divided.stretches), None]
    return [first, second]


def _einsum(
    op: Einsum, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    operands, names = op.sides(len(kinds))
    name = names[divided.axis]
    return [
        Divided(operand.index(name), divided.stretches) if name in operand else None
        for operand in operands
    ]


# ---- changes of shape ---------------------------------------------------------------------------------


def _transpose(
    op: Transpose, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    order = op.reorders(*kinds)
    return None if order is None else [Divided(order[divided.axis], divided.stretches)]


def _unstack(
    op: Unstack, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    taken = normal_axis(op.dim, kinds[0].rank)
    return [Divided(divided.axis + (divided.axis >= taken), divided.stretches)]


def _split(
    op: Split, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    if normal_axis(op.dim, result.rank) != divided.axis:
        return [divided]
    if isinstance(op.sizes, tuple):  # the sizes are those of the whole
        return None
    return [Divided(divided.axis, divided.stretches * int(op.sizes))]


def _concat(
    op: Concat, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    along = normal_axis(op.dim, result.rank)
    return None if along == divided.axis else [divided] * len(kinds)


def _stack(
    op: Stack, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    along = normal_axis(op.dim, result.rank)
    if along == divided.axis:
        return None
    axis = divided.axis - (divided.axis > along)
    return [Divided(axis, divided.stretches)] * len(kinds)


def _slicing(
    op: Slicing, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    kept = [axis for axis, each in enumerate(op.items) if isinstance(each, Range)]
    axis = kept[divided.axis]
    item = op.items[axis]
    assert isinstance(item, Range)
    return [Divided(axis, divided.stretches)] if item.is_full else None


_RULES: Mapping[type[Operator], Callable[[Any, Any, TensorType, Divided], Axes]] = {
    Attention: _attention,
    Broadcast: behind_broadcast,
    Concat: _concat,
    Einsum: _einsum,
    Flatten: behind_reshape,
    Matmul: _matmul,
    Rearrange: behind_rearrange,
    Reshape: behind_reshape,
    Slicing: _slicing,
    Split: _split,
    Squeeze: behind_reshape,
    Stack: _stack,
    Take: _take,
    Transpose: _transpose,
    Unsqueeze: behind_reshape,
    Unstack: _unstack,
}
