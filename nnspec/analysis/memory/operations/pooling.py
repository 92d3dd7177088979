"""Pooling over windows."""

from __future__ import annotations

from typing import Any

from nnspec.analysis.memory.layout import Sizes, suggested
from nnspec.analysis.memory.machine import (
    Backward,
    Gradients,
    Machine,
    Tensor,
    filling,
)
from nnspec.analysis.memory.operations.padding import on_each_axis, pad, pad_same
from nnspec.analysis.memory.operations.pointwise import divide
from nnspec.analysis.memory.operations.reductions import mean
from nnspec.ir.dims import ONE, dim
from nnspec.ir.types import DType


def maximum_pool(
    machine: Machine, x: Tensor, *_: Any, return_indices: bool = False, **__: Any
) -> Tensor | tuple[Tensor, Tensor]:
    """The input and the places of the maxima are kept; these are given back where they are asked for."""
    (result_type,) = machine.expected
    shape = result_type.shape
    strides = _pooled(x, shape)
    result = machine.empty(shape, x.dtype, strides)
    places = machine.empty(shape, DType.I64, strides)
    machine.record((x,), (result,), (x, places), _filling(x))
    return (result, places) if return_indices else result


def average_pool(machine: Machine, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """The input is kept. Volumes have their channels first behind it, in their gradient as well."""
    (result_type,) = machine.expected
    shape, source = result_type.shape, x.shape
    if x.rank == 5:
        result, backward = machine.empty(shape, x.dtype), filling(machine, source)
    else:
        result = machine.empty(shape, x.dtype, _pooled(x, shape))
        backward = _filling(x)
    machine.record((x,), (result,), (x,), backward)
    return result


def _pooled(x: Tensor, shape: Sizes) -> Sizes:
    """The strides of what windows over a tensor give, or of its gradient: those of its memory format.

    A sequence is an image of one row.
    """
    if x.rank != 3:
        return suggested(shape, x.placed)
    row = x.shape[2] * x.strides[2]
    image = (*x.shape[:2], ONE, x.shape[2]), (*x.strides[:2], row, x.strides[2])
    first, channels, _, last = suggested((*shape[:2], ONE, shape[2]), image)
    return first, channels, last


def _filling(x: Tensor) -> Backward:
    machine, shape, strides = x.machine, x.shape, _pooled(x, x.shape)

    def backward(grad: Tensor, *_: Tensor) -> Gradients:
        return (machine.empty(shape, grad.dtype, strides),)

    return backward


def adaptive_average(machine: Machine, x: Tensor, size: Any) -> Tensor:
    """A mean over all cells where one result is asked for."""
    axes = x.rank - 2
    if axes > 1 and all(each == 1 for each in on_each_axis(size, axes)):
        return mean(machine, x, dim=list(range(2, x.rank)), keepdim=True)
    return average_pool(machine, x)


def average_pool_helper(
    machine: Machine,
    x: Tensor,
    kernel: Any,
    stride: Any,
    pads: Any = None,
    counted: Any = None,
) -> Tensor:
    """The helper of emitted files: sums over windows divided by how many cells count."""
    (result_type,) = machine.expected
    cells = machine.empty((ONE, ONE, *x.shape[2:]), x.dtype)
    if pads is None:
        x = pad_same(machine, x, kernel, stride)
        cells = pad_same(machine, cells, kernel, stride)
    else:
        counted = counted or (dim(0),) * len(pads)
        rest = [dim(a) - b for a, b in zip(pads, counted, strict=True)]
        cells = pad(machine, pad(machine, cells, counted), rest)
        x = pad(machine, x, pads)
    pooled = average_pool(machine, x)
    counts = machine.empty((ONE, ONE, *result_type.shape[2:]), x.dtype)
    del cells
    return divide(machine, pooled, counts)
