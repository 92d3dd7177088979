"""Pooling over windows."""

from __future__ import annotations

from typing import Any

from nnspec.analysis.memory.machine import Machine, Tensor, filling
from nnspec.analysis.memory.operations.padding import on_each_axis, pad, pad_same
from nnspec.analysis.memory.operations.pointwise import divide
from nnspec.analysis.memory.operations.reductions import mean
from nnspec.ir.dims import ONE, dim
from nnspec.ir.types import DType


def maximum_pool(machine: Machine, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """The input and the places of the maxima are kept."""
    (result_type,) = machine.expected
    result = machine.empty(result_type.shape, x.dtype)
    places = machine.empty(result_type.shape, DType.I64)
    source = x.shape
    machine.record(
        (x,),
        (result,),
        (x, places),
        filling(machine, source),
    )
    return result


def average_pool(machine: Machine, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """The input is kept."""
    (result_type,) = machine.expected
    result = machine.empty(result_type.shape, x.dtype)
    source = x.shape
    machine.record((x,), (result,), (x,), filling(machine, source))
    return result


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
