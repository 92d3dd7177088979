"""Padding and resizing of images and sequences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.analysis.memory.layout import Sizes
from nnspec.analysis.memory.machine import (
    Backward,
    Gradients,
    Machine,
    Tensor,
    through,
)
from nnspec.analysis.memory.operations.pointwise import (
    filling_as,
    formatted,
    fresh,
)
from nnspec.analysis.memory.operations.views import listed
from nnspec.ir.dims import Dim, dim
from nnspec.ir.types import DType


def on_each_axis(value: Any, axes: int) -> list[Dim]:
    """An option of windows as one number for each axis."""
    given = listed(value)
    return [dim(each) for each in (given * axes if len(given) == 1 else given)]


def pad(
    machine: Machine,
    x: Tensor,
    pads: Sequence[Any],
    mode: str = "constant",
    value: Any = None,
) -> Tensor:
    """Cells around the last axes; reflection and replication keep the input."""
    shape = list(x.shape)
    for place in range(len(pads) // 2):
        axis = x.rank - 1 - place
        shape[axis] = shape[axis] + pads[2 * place] + pads[2 * place + 1]
    if tuple(shape) == x.shape and mode == "constant":
        return _copy(machine, x)
    result, source = formatted(x, tuple(shape)), x.shape
    if mode == "constant":
        cut = through(lambda grad: formatted(grad, source))
        machine.record((x,), (result,), (), cut)
    else:
        saved = (x,) if mode in ("reflect", "replicate") else ()
        machine.record((x,), (result,), saved, filling_as(x))
    return result


def _copy(machine: Machine, x: Tensor) -> Tensor:
    result = fresh(x)
    machine.record((x,), (result,), (), through(lambda grad: fresh(grad)))
    return result


def pad_same(
    machine: Machine,
    x: Tensor,
    kernel: Any,
    stride: Any,
    dilation: Any = 1,
    value: Any = 0.0,
) -> Tensor:
    """The helper of emitted files: pads for ceil(n / stride) windows."""
    axes = x.rank - 2
    sizes = [on_each_axis(each, axes) for each in (kernel, stride, dilation)]
    pads: list[Dim] = []
    for size, k, s, d in reversed(list(zip(x.shape[2:], *sizes, strict=True))):
        span = d * (k - 1)
        total = span - (size - 1) % s
        if total.constant is not None and total.constant < 0:
            total = dim(0)
        pads.extend((total // 2, total - total // 2))
    return pad(machine, x, pads)


def pad_axes(machine: Machine, x: Tensor, pads: Any, mode: str) -> Tensor:
    """The helper of emitted files: continues axes by taking elements; the places are kept."""
    for axis, (before, after) in enumerate(pads, x.rank - len(pads)):
        size = x.shape[axis] + before + after
        places = machine.empty((size,), DType.I64)
        x = _taken(machine, x, axis, places)
        del places
    return x


def _taken(machine: Machine, x: Tensor, axis: int, places: Tensor) -> Tensor:
    shape = (*x.shape[:axis], places.shape[0], *x.shape[axis + 1 :])
    result = machine.empty(shape, x.dtype)
    source = x.shape
    machine.record((x,), (result,), (places,), _laying(machine, source))
    return result


def _laying(machine: Machine, shape: Sizes) -> Backward:
    """The gradient is laid into zeros, and so into a second tensor."""

    def backward(grad: Tensor, *_: Tensor) -> Gradients:
        zeros = machine.empty(shape, grad.dtype)
        made = machine.empty(shape, grad.dtype)
        del zeros
        return (made,)

    return backward


def resized(machine: Machine, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """Interpolation and the shuffling of pixels: nothing is kept."""
    (result_type,) = machine.expected
    result, source = formatted(x, result_type.shape), x.shape
    machine.record((x,), (result,), (), through(lambda grad: formatted(grad, source)))
    return result
