"""PyTorch's layers by name: look-up, dropping, and those of the modules beside this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.analysis.memory.layout import volume
from nnspec.analysis.memory.machine import Machine, Tensor, filling, needs
from nnspec.analysis.memory.operations.convolution import convolution
from nnspec.analysis.memory.operations.layer import Layer
from nnspec.analysis.memory.operations.normalization import (
    batch_norm,
    group_norm,
    instance_norm,
    layer_norm,
    rms_norm,
)
from nnspec.analysis.memory.operations.padding import pad, pad_axes, pad_same, resized
from nnspec.analysis.memory.operations.pointwise import (
    divide,
    empty_like,
    fresh,
    multiply,
)
from nnspec.analysis.memory.operations.pooling import (
    adaptive_average,
    average_pool,
    average_pool_helper,
    maximum_pool,
)
from nnspec.analysis.memory.operations.products import linear
from nnspec.analysis.memory.operations.views import sum_to
from nnspec.ir.dims import ONE
from nnspec.ir.types import DType


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
    """Dropout of each element: the mask is kept, of the type of what it masks unless it is one of truth values."""
    mask = empty_like(x, x.dtype if machine.mask is DType.FLOAT else machine.mask)
    needed = machine.amounts()
    result = fresh(x, mask, dtype=x.dtype)

    def backward(grad: Tensor, kept: Tensor) -> tuple[Tensor]:
        return (fresh(grad, kept, dtype=grad.dtype),)

    machine.record((x,), (result,), (mask,), backward, needed=needed)
    return result


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
    # No variable holds the mask: it goes before the division, unless it is kept.
    shape = (x.shape[0], *(ONE,) * (x.rank - 1))
    return divide(machine, multiply(machine, x, machine.empty(shape, x.dtype)), 2)


def prelu(machine: Machine, layer: Layer, x: Tensor) -> Tensor:
    """Input and slopes are kept; the slopes' gradient is as large as the input before it is summed."""
    weight = layer.weights["weight"]
    result = fresh(x)
    slopes = weight.shape
    wants_x, wants_slopes = needs(x), needs(weight)

    def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor | None, Tensor | None]:
        of_x: Tensor | None = fresh(grad, kept[0])
        of_slopes = fresh(grad, kept[0])
        if not wants_x:
            of_x = None  # both are made; what nobody wants goes before the sum
        return of_x, sum_to(_flat(of_slopes), slopes) if wants_slopes else None

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
