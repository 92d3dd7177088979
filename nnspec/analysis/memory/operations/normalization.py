"""Normalisation by statistics of a batch, of a place, or of groups of channels."""

from __future__ import annotations

from nnspec.analysis.memory.layout import (
    Sizes,
    are_alike,
    has_channels_last,
    suggested,
)
from nnspec.analysis.memory.machine import Machine, Tensor, needs, through
from nnspec.analysis.memory.operations.layer import Layer
from nnspec.analysis.memory.operations.pointwise import (
    POINTWISE,
    convert,
    empty_like,
    formatted,
    multiply,
    power,
)
from nnspec.analysis.memory.operations.reductions import mean
from nnspec.analysis.memory.operations.views import contiguous_copy, listed, to_shape
from nnspec.ir.dims import ONE, Dim, dim


def normalized(
    machine: Machine,
    x: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    statistics: Sizes,
    result: Tensor,
    *,
    lays: bool = False,
) -> Tensor:
    """What norms share: input, weight and two statistics of each group are kept.

    With `lays` a gradient that lies otherwise than the result is copied first.
    """
    kept = [machine.empty(statistics, x.dtype) for _ in range(2)]
    wants = [needs(each) for each in (x, weight, bias)]
    placed = x.shape, result.strides
    lengths = [() if each is None else each.shape for each in (weight, bias)]

    def backward(grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        copied = (
            machine.empty(placed[0], grad.dtype, placed[1])
            if lays and not are_alike(placed[0], grad.strides, placed[1])
            else None
        )
        first = machine.empty(placed[0], grad.dtype, placed[1]) if wants[0] else None
        rest = [
            machine.empty(shape, grad.dtype) if wanted else None
            for wanted, shape in zip(wants[1:], lengths, strict=True)
        ]
        del copied
        return (first, *rest)

    saved = [x, *([weight] if weight is not None else []), *kept]
    machine.record((x, weight, bias), (result,), saved, backward)
    return result


def batch_norm(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """Statistics of the batch in training; running ones, which are state, otherwise."""
    uses_batch = layer.training
    count = x.shape[1] if uses_batch else dim(0)
    return normalized(
        machine,
        x,
        layer.weights.get("weight"),
        layer.weights.get("bias"),
        (count,),
        formatted(x, x.shape),
    )


def layer_norm(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """Statistics of each place."""
    sizes = layer.option("normalized_shape", place=0)
    inner = len(listed(sizes))
    shape = (*x.shape[: x.rank - inner], *(ONE for _ in range(inner)))
    return normalized(
        machine,
        x,
        layer.weights.get("weight"),
        layer.weights.get("bias"),
        shape,
        machine.empty(x.shape, x.dtype),
    )


def group_norm(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """Statistics of each group of channels of each sample."""
    groups = dim(layer.option("num_groups", place=0))
    given = _in_format(machine, x)
    return normalized(
        machine,
        given,
        layer.weights.get("weight"),
        layer.weights.get("bias"),
        (x.shape[0], groups),
        empty_like(given),
        lays=True,
    )


def _in_format(machine: Machine, x: Tensor) -> Tensor:
    """The very same tensor where it lies without gaps in its memory format, else a copy that does."""
    strides = suggested(x.shape, x.placed)
    if are_alike(x.shape, x.strides, strides):
        return x
    result = machine.empty(x.shape, x.dtype, strides)
    machine.record((x,), (result,), (), through(lambda grad: grad))
    return result


def instance_norm(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """A batch norm of one sample with a channel for each channel of each sample."""
    rows = x.shape[0] * x.shape[1]
    weight, bias = (
        _repeated(machine, layer.weights.get(name), x.shape[0])
        for name in ("weight", "bias")
    )
    given = contiguous_copy(machine, x)
    flat = to_shape(machine, given, (ONE, rows, *x.shape[2:]))
    del given
    made = normalized(machine, flat, weight, bias, (rows,), empty_like(flat))
    return to_shape(machine, made, x.shape)


def _repeated(machine: Machine, weight: Tensor | None, times: Dim) -> Tensor | None:
    if weight is None:
        return None
    result = machine.empty((weight.shape[0] * times,), weight.dtype)
    shape = weight.shape

    def backward(grad: Tensor) -> tuple[Tensor]:
        return (machine.empty(shape, grad.dtype),)

    machine.record((weight,), (result,), (), backward)
    return result


def rms_norm(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """`x * rsqrt(mean(x ** 2) + eps) * weight`, in so many operations.

    The result is contiguous, copied for it where need be, unless the input has its channels last.
    """
    sizes = layer.option("normalized_shape", place=0)
    inner = len(listed(sizes))
    axes = list(range(x.rank - inner, x.rank))
    wide = convert(machine, x, machine.precise)
    # One name for all: what a step has read may go as soon as the next one stands.
    factor = power(machine, wide, 2)
    factor = mean(machine, factor, dim=axes, keepdim=True)
    factor = POINTWISE["torch.rsqrt"](machine, factor)
    made = multiply(machine, wide, factor)
    weight = layer.weights.get("weight")
    if weight is not None:
        made = multiply(machine, made, weight)
    if not has_channels_last(*x.placed):
        made = contiguous_copy(machine, made)
    return convert(machine, made, x.dtype)
