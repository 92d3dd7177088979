"""Convolutions, and how their results lie."""

from __future__ import annotations

from nnspec.analysis.memory.layout import suggested
from nnspec.analysis.memory.machine import Machine, Tensor, needs
from nnspec.analysis.memory.operations.layer import Layer
from nnspec.analysis.memory.operations.padding import on_each_axis, pad
from nnspec.analysis.memory.operations.pointwise import formatted
from nnspec.ir.dims import dim


def convolution(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """A convolution or its transpose: input and weight are kept; channels lie last behind it where they do before it."""
    x = _conv_padded(machine, layer, x)
    weight, bias = layer.weights["weight"], layer.weights.get("bias")
    (result_type,) = machine.expected
    result = formatted(x, result_type.shape)
    wants = [needs(each) for each in (x, weight, bias)]
    shapes = [None if each is None else each.shape for each in (x, weight, bias)]
    # The gradient of the weight lies as its input does: one with its channels last is copied for the weight.
    strides = [*(suggested(each.shape, x.placed) for each in (x, weight)), None]
    dtype = x.dtype

    def backward(grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(
            machine.empty(shape, dtype, laid) if wanted and shape else None
            for wanted, shape, laid in zip(wants, shapes, strides, strict=True)
        )

    machine.record((x, weight, bias), (result,), (x, weight), backward)
    return result


def _conv_padded(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """What PyTorch pads before the convolution proper."""
    padding, mode = layer.option("padding", 0), layer.option("padding_mode", "zeros")
    axes = x.rank - 2
    if padding == "same":
        kernel = on_each_axis(layer.option("kernel_size", place=2), axes)
        dilation = on_each_axis(layer.option("dilation", 1), axes)
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        pairs = [(span // 2, span - span // 2) for span in spans]
        if mode == "zeros":
            # Only the odd cells are laid around the input; the rest is the convolution's own padding.
            pairs = [(dim(0), high - low) for low, high in pairs]
    else:
        pairs = [(each, each) for each in on_each_axis(padding, axes)]
        if mode == "zeros":
            return x
    if all(low == 0 and high == 0 for low, high in pairs):
        return x
    flat = [size for pair in reversed(pairs) for size in pair]
    return pad(machine, x, flat, mode="constant" if mode == "zeros" else mode)
