"""Tensors that PyTorch programs make from nothing, and look-ups in tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from nnspec.analysis.memory.layout import Sizes
from nnspec.analysis.memory.machine import (
    Backward,
    Gradients,
    Machine,
    Tensor,
)
from nnspec.analysis.memory.operations.pointwise import fresh, plain, zeros_like
from nnspec.analysis.memory.operations.views import (
    axis_of,
    contiguous_copy,
    flatten,
    listed,
    part,
    reshaped,
    select,
    stretched,
    to_shape,
    unsqueeze,
)
from nnspec.ir.dims import ONE, Dim, dim
from nnspec.ir.types import DType


def _shape(sizes: Sequence[Any]) -> tuple[Dim, ...]:
    return tuple(dim(size) for size in listed(sizes))


def filled(machine: Machine, *sizes: Any, dtype: Any = None, **_: Any) -> Tensor:
    """`torch.zeros` and its like."""
    return machine.empty(_shape(sizes), dtype or DType.FLOAT)


def full(
    machine: Machine, shape: Any, value: Any, dtype: Any = None, **_: Any
) -> Tensor:
    """`torch.full`"""
    return machine.empty(_shape((shape,)), dtype or DType.FLOAT)


def full_like(machine: Machine, x: Tensor, value: Any, **options: Any) -> Tensor:
    """`torch.full_like`"""
    return zeros_like(machine, x, **options)


def arange(machine: Machine, *bounds: Any, dtype: Any = None, **_: Any) -> Tensor:
    """Whole numbers in equal steps."""
    start, stop = (0, bounds[0]) if len(bounds) == 1 else bounds[:2]
    step = bounds[2] if len(bounds) > 2 else 1
    count = -((dim(start) - stop) // step)
    return machine.empty((count,), dtype or DType.I64)


def eye(machine: Machine, size: Any, dtype: Any = None, **_: Any) -> Tensor:
    """The unit matrix."""
    return machine.empty((dim(size), dim(size)), dtype or DType.FLOAT)


def literal(machine: Machine, values: Any, dtype: Any = None, **_: Any) -> Tensor:
    """`torch.tensor`"""
    shape: list[Dim] = []
    inner: Any = values
    while isinstance(inner, list | tuple):
        several = cast("Sequence[Any]", inner)
        shape.append(dim(len(several)))
        inner = several[0]
    kind = (
        DType.BOOL
        if isinstance(inner, bool)
        else DType.FLOAT
        if isinstance(inner, float)
        else DType.I64
    )
    return machine.empty(tuple(shape), dtype or kind)


# ---- look-ups -------------------------------------------------------------------------------------


def subscript(machine: Machine, x: Any, places: Any) -> Any:
    """`x[...]`: views for numbers and slices, a copy for indices."""
    if not isinstance(x, Tensor):
        return x[places if isinstance(places, slice) else int(places)]
    if isinstance(places, slice):
        # By itself, one is a view for PyTorch even of the whole.
        return part(machine, x, 0, *_taken_alone(machine, x, places))
    items = list(cast("tuple[Any, ...]", places)) if type(places) is tuple else [places]
    used = sum(1 for item in items if item is not None and item is not Ellipsis)
    if Ellipsis in [item for item in items if not isinstance(item, Tensor)]:
        at = next(i for i, item in enumerate(items) if item is Ellipsis)
        items[at : at + 1] = [slice(None)] * (x.rank - used)
    axis = 0
    for item in items:
        x, axis = _item(machine, x, axis, item)
    return x


def _item(machine: Machine, x: Tensor, axis: int, item: Any) -> tuple[Tensor, int]:
    if item is None:
        return unsqueeze(machine, x, axis), axis + 1
    if isinstance(item, slice):
        return _sliced(machine, x, axis, item), axis + 1
    if isinstance(item, Tensor):
        return indexed(machine, x, axis, item), axis + item.rank
    return select(machine, x, axis), axis


def _sliced(machine: Machine, x: Tensor, axis: int, item: Any) -> Tensor:
    """A view of some elements along an axis; of one that is taken whole from its start, the tensor as it is."""
    count, step = _taken(machine, x, axis, item)
    from_start = item.start is None or dim(item.start).constant == 0
    if from_start and step.constant == 1 and count == x.shape[axis]:
        return x
    return part(machine, x, axis, count, step)


def _taken(machine: Machine, x: Tensor, axis: int, item: Any) -> tuple[Dim, Dim]:
    """How many elements a slice takes of an axis, and its step."""
    step = dim(1 if item.step is None else item.step)
    if item.start is None and item.stop is None:
        return x.shape[axis].ceil_divide(step), step
    # Which of its bounds lie within the axis, `slicing` knows, which alone has any in several axes.
    (kind,) = machine.expected
    return kind.shape[axis], step


def _taken_alone(machine: Machine, x: Tensor, item: Any) -> tuple[Dim, Dim]:
    """The same of a slice of the first axis alone, in which other operators are written, too: the first or the last ones."""
    (kind, *others) = machine.expected
    if not others and kind.shape[1:] == x.shape[1:]:
        return _taken(machine, x, 0, item)
    start, step = (dim(item.start or 0), dim(item.step or 1))
    count = -start if item.stop is None else dim(item.stop) - start
    return count.ceil_divide(step), step


def indexed(machine: Machine, x: Tensor, axis: int, index: Tensor) -> Tensor:
    """Elements along an axis by their places; the places are kept."""
    shape = (*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])
    result = machine.empty(shape, x.dtype)
    source = x.shape

    def backward(grad: Tensor, kept: Tensor) -> tuple[Tensor]:
        zeros = machine.empty(source, grad.dtype)
        made = machine.empty(source, grad.dtype)
        del zeros
        return (made,)

    machine.record((x,), (result,), (index,), backward)
    return result


def gather(machine: Machine, x: Tensor, dim: Any, index: Tensor) -> Tensor:
    """Elements by their places along an axis; places and input are kept."""
    result = machine.empty(index.shape, x.dtype)
    source = x.shape

    def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor]:
        zeros = machine.empty(source, grad.dtype)
        made = machine.empty(source, grad.dtype)
        del zeros
        return (made,)

    machine.record((x,), (result,), (index, x), backward)
    return result


def _passing(machine: Machine, shape: Sizes) -> Backward:
    """The gradient goes to the first input as it is, and is looked up for the second."""

    def backward(grad: Tensor, *_: Tensor) -> Gradients:
        return grad, machine.empty(shape, grad.dtype)

    return backward


def index_add(
    machine: Machine, x: Tensor, dim: Any, index: Tensor, updates: Tensor
) -> Tensor:
    """Adds to elements along an axis; places and updates are kept."""
    result = fresh(x)
    shape = updates.shape
    machine.record(
        (x, updates),
        (result,),
        (index, updates),
        _passing(machine, shape),
    )
    return result


def scatter_add(
    machine: Machine, x: Tensor, index: Tensor, updates: Tensor, dim: Any
) -> Tensor:
    """The helper of emitted files: adds to elements for each place of the axes before."""
    axis = axis_of(dim, x.rank)
    rest = x.shape[axis + 1 :]
    flat = (
        flatten(machine, index, axis)
        if index.rank > axis
        else unsqueeze(machine, index, axis)
    )
    laid = to_shape(machine, updates, (*flat.shape, *rest))
    wide = to_shape(machine, flat, (*flat.shape, *(ONE for _ in rest)))
    wide = stretched(machine, wide, laid.shape)
    if wide.dtype is not DType.I64:
        wide = machine.empty(wide.shape, DType.I64)
    result = fresh(x)
    shape = laid.shape
    machine.record(
        (x, laid),
        (result,),
        (wide,),
        _passing(machine, shape),
    )
    return result


CREATION: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("torch.zeros", "torch.ones", "torch.randn", "torch.rand"), filled),
    "torch.zeros_like": zeros_like,
    "torch.ones_like": zeros_like,
    "torch.full": full,
    "torch.full_like": full_like,
    "torch.arange": arange,
    "torch.eye": eye,
    "torch.tensor": literal,
    "Tensor.tril": plain,
    "[]": subscript,
    "torch.gather": gather,
    "Tensor.index_add": index_add,
    "scatter_add": scatter_add,
}

__all__ = ["CREATION", "contiguous_copy", "reshaped"]
