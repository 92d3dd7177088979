"""PyTorch's layers: convolution, normalisation, look-up, dropping, padding, resizing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnspec.analysis.memory.layout import Sizes, dense, volume
from nnspec.analysis.memory.machine import (
    Backward,
    Gradients,
    Machine,
    Tensor,
    filling,
    needs,
    through,
)
from nnspec.analysis.memory.operations.pointwise import (
    POINTWISE,
    convert,
    divide,
    empty_like,
    fresh,
    multiply,
    power,
)
from nnspec.analysis.memory.operations.products import linear
from nnspec.analysis.memory.operations.reductions import mean
from nnspec.analysis.memory.operations.views import (
    contiguous_copy,
    listed,
    sum_to,
    to_shape,
)
from nnspec.ir.dims import ONE, Dim, dim
from nnspec.ir.types import DType


@dataclass(eq=False)
class Layer:
    """A module of the program that is run: its kind, the arguments it was made with, its weights.

    `frozen` is one whose statistics are kept, and whose weights are not trained.
    """

    kind: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    training: bool

    def option(self, name: str, default: Any = None, place: int | None = None) -> Any:
        """An argument by its name or place."""
        if name in self.keywords:
            return self.keywords[name]
        if place is not None and place < len(self.arguments):
            return self.arguments[place]
        return default


# ---- convolution ----------------------------------------------------------------------------------


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
        kernel = _each(layer.option("kernel_size", place=2), axes)
        dilation = _each(layer.option("dilation", 1), axes)
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        pairs = [(span // 2, span - span // 2) for span in spans]
        if mode == "zeros":
            # Only the odd cells are laid around the input; the rest is the convolution's own padding.
            pairs = [(dim(0), high - low) for low, high in pairs]
    else:
        pairs = [(each, each) for each in _each(padding, axes)]
        if mode == "zeros":
            return x
    if all(low == 0 and high == 0 for low, high in pairs):
        return x
    flat = [size for pair in reversed(pairs) for size in pair]
    return pad(machine, x, flat, mode="constant" if mode == "zeros" else mode)


def _each(value: Any, axes: int) -> list[Dim]:
    given = listed(value)
    return [dim(each) for each in (given * axes if len(given) == 1 else given)]


# ---- padding and resizing -------------------------------------------------------------------------


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
    result = machine.empty(tuple(shape), x.dtype)
    source = x.shape
    saved = (x,) if mode in ("reflect", "replicate") else ()
    machine.record((x,), (result,), saved, filling(machine, source))
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
    sizes = [_each(each, axes) for each in (kernel, stride, dilation)]
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
    result = machine.empty(result_type.shape, x.dtype)
    source = x.shape
    machine.record((x,), (result,), (), filling(machine, source))
    return result


# ---- pooling --------------------------------------------------------------------------------------


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
    if axes > 1 and all(each == 1 for each in _each(size, axes)):
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


# ---- normalisation --------------------------------------------------------------------------------


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
            if lays and grad.strides != placed[1]
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
        empty_like(x),
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
    last = x.strides == dense(x.shape, axes_last(x.rank)) if x.rank == 4 else False
    given = x if last else contiguous_copy(machine, x)
    return normalized(
        machine,
        given,
        layer.weights.get("weight"),
        layer.weights.get("bias"),
        (x.shape[0], groups),
        empty_like(given),
        lays=True,
    )


def instance_norm(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """A batch norm of one sample with a channel for each channel of each sample."""
    rows = x.shape[0] * x.shape[1]
    weight, bias = (
        _repeated(machine, layer.weights.get(name), x.shape[0])
        for name in ("weight", "bias")
    )
    flat = to_shape(machine, x, (ONE, rows, *x.shape[2:]))
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
    """`x * rsqrt(mean(x ** 2) + eps) * weight`, in so many operations."""
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
    return convert(machine, made, x.dtype)


# ---- the rest -------------------------------------------------------------------------------------


def linear_layer(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """`nn.Linear`"""
    return linear(machine, x, layer.weights["weight"], layer.weights.get("bias"))


def embedding(machine: Machine, layer: Layer, index: Tensor) -> Tensor:
    """Rows of a table: the indices are kept, and the table's gradient is as large as the table."""
    weight = layer.weights["weight"]
    result = machine.empty((*index.shape, weight.shape[1]), weight.dtype)
    shape = weight.shape
    machine.record(
        (weight,),
        (result,),
        (index,),
        filling(machine, shape),
    )
    return result


def is_dropping(machine: Machine, layer: Layer) -> bool:
    """Whether a layer drops anything: in training, at a rate above 0."""
    return machine.drops and layer.training and layer.option("p", place=0) != 0


def dropped(machine: Machine, x: Tensor) -> Tensor:
    """Dropout of each element: the mask is kept."""
    mask = empty_like(x, machine.mask)
    result = fresh(x, mask, dtype=x.dtype)
    machine.record((x,), (result,), (mask,), lambda grad, kept: (_masked(grad, kept),))
    return result


def _masked(grad: Tensor, mask: Tensor) -> Tensor:
    return fresh(grad, mask, dtype=grad.dtype)


def dropout(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """`nn.Dropout`"""
    return dropped(machine, x) if is_dropping(machine, layer) else x


def channel_dropout(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """Dropout of whole channels: a mask of one element for each is kept."""
    if not is_dropping(machine, layer):
        return x
    ones = (ONE,) * (x.rank - 2)
    return multiply(machine, x, machine.empty((*x.shape[:2], *ones), x.dtype))


def drop_path(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """The helper of emitted files: dropout of whole samples, `x * mask / keep`."""
    if not is_dropping(machine, layer):
        return x
    mask = machine.empty((x.shape[0], *(ONE,) * (x.rank - 1)), x.dtype)
    return divide(machine, multiply(machine, x, mask), 2)


def prelu(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """Input and slopes are kept; the slopes' gradient is as large as the input before it is summed."""
    weight = layer.weights["weight"]
    result = fresh(x)
    slopes = weight.shape
    wants = needs(weight)

    def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor, Tensor | None]:
        of_x, of_slopes = fresh(grad, kept[0]), fresh(grad, kept[0])
        return of_x, sum_to(_flat(of_slopes), slopes) if wants else None

    machine.record((x, weight), (result,), (x, weight), backward)
    return result


def _flat(x: Tensor) -> Tensor:
    """As one axis of channels, for the shape of the slopes."""
    channels = x.shape[1] if x.rank > 1 else ONE
    return x.alias((volume(x.shape) // channels, channels), (channels, ONE))


def modules(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """A layer that does nothing."""
    return x


LAYERS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(
        [f"nn.Conv{kind}{n}d" for kind in ("", "Transpose") for n in (1, 2, 3)],
        convolution,
    ),
    **dict.fromkeys([f"nn.BatchNorm{n}d" for n in (1, 2, 3)], batch_norm),
    **dict.fromkeys([f"nn.InstanceNorm{n}d" for n in (1, 2, 3)], instance_norm),
    **dict.fromkeys([f"nn.Dropout{n}d" for n in (1, 2, 3)], channel_dropout),
    "nn.LayerNorm": layer_norm,
    "nn.GroupNorm": group_norm,
    "nn.RMSNorm": rms_norm,
    "nn.Linear": linear_layer,
    "nn.Embedding": embedding,
    "nn.Dropout": dropout,
    "nn.Identity": modules,
    "nn.PReLU": prelu,
    "DropPath": drop_path,
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "F.pad": pad,
    "pad_same": pad_same,
    "pad_axes": pad_axes,
    "F.interpolate": resized,
    "F.pixel_shuffle": resized,
    "F.pixel_unshuffle": resized,
    **dict.fromkeys([f"F.max_pool{n}d" for n in (1, 2, 3)], maximum_pool),
    **dict.fromkeys([f"F.adaptive_max_pool{n}d" for n in (1, 2, 3)], maximum_pool),
    **dict.fromkeys([f"F.avg_pool{n}d" for n in (1, 2, 3)], average_pool),
    **dict.fromkeys([f"F.adaptive_avg_pool{n}d" for n in (1, 2, 3)], adaptive_average),
    "average_pool": average_pool_helper,
}
