"""Convolutions, and how their results lie."""

from __future__ import annotations

from nnspec.analysis.memory.layout import Sizes, dense
from nnspec.analysis.memory.machine import Machine, Tensor, needs
from nnspec.analysis.memory.operations.layer import Layer
from nnspec.analysis.memory.operations.padding import on_each_axis, pad
from nnspec.ir.dims import dim


def axes_last(rank: int) -> list[int]:
    """The axes of images from the densest on, where channels lie densest."""
    return [1, *range(rank - 1, 1, -1), 0]


def _image_strides(x: Tensor, shape: Sizes) -> Sizes | None:
    """How a convolution lays its result: channels last where its input has them so."""
    if x.is_contiguous or x.rank not in (4, 5):
        return None
    order = axes_last(x.rank)
    return dense(shape, order) if x.strides == dense(x.shape, order) else None


def convolution(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """A convolution or its transpose: input and weight are kept."""
    x = _conv_padded(machine, layer, x)
    weight, bias = layer.weights["weight"], layer.weights.get("bias")
    (result_type,) = machine.expected
    result = machine.empty(
        result_type.shape, x.dtype, _image_strides(x, result_type.shape)
    )
    wants = [needs(each) for each in (x, weight, bias)]
    shapes = [None if each is None else each.shape for each in (x, weight, bias)]
    strides = [_image_strides(x, x.shape), None, None]
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
