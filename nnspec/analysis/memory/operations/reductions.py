"""Reductions of PyTorch, and what works along one axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.analysis.memory.layout import Sizes, contiguous, elementwise, expanded, like
from nnspec.analysis.memory.machine import Gradients, Machine, Tensor
from nnspec.analysis.memory.operations.pointwise import (
    INPUT,
    chain,
    clamp,
    divide,
    fresh,
)
from nnspec.analysis.memory.operations.views import axes_of, axis_of, stretched
from nnspec.ir.dims import ONE
from nnspec.ir.types import DType


def reduced(x: Tensor, axes: list[int], keepdim: bool) -> Sizes:
    """The shape of a reduction."""
    return tuple(
        ONE if axis in axes else size
        for axis, size in enumerate(x.shape)
        if keepdim or axis not in axes
    )


def _axes(x: Tensor, dim: Any) -> list[int]:
    return list(range(x.rank)) if dim is None else axes_of(dim, x.rank)


def _spread(grad: Tensor, shape: Sizes, axes: list[int]) -> Tensor:
    """A gradient of a reduction, stretched to what was reduced: a view."""
    kept = grad
    if grad.rank < len(shape):
        sizes, strides = iter(grad.shape), iter(grad.strides)
        kept = grad.alias(
            tuple(ONE if axis in axes else next(sizes) for axis in range(len(shape))),
            tuple(ONE if axis in axes else next(strides) for axis in range(len(shape))),
        )
    return kept.alias(shape, expanded(kept.shape, kept.strides, shape))


def _kept(grad: Tensor, shape: Sizes, axes: list[int]) -> Tensor:
    """A gradient of a reduction with the axes that were reduced, of one element each."""
    ones = tuple(ONE if axis in axes else size for axis, size in enumerate(shape))
    return grad if grad.shape == ones else _spread(grad, ones, axes)


def reduction(
    backward: Callable[..., Tensor],
    keeps: str = "",
    result_type: DType | None = None,
) -> Callable[..., Tensor]:
    """A reduction whose derivative is `backward(grad, shape, axes, *kept)`."""

    def rule(
        machine: Machine,
        x: Tensor,
        dim: Any = None,
        keepdim: bool = False,
        dtype: DType | None = None,
        correction: Any = None,
    ) -> Tensor:
        axes = _axes(x, dim)
        shape = x.shape
        kind = dtype or result_type or x.dtype
        if kind.is_integer and kind is x.dtype and dtype is None:
            kind = DType.I64 if not keeps else kind
        result = machine.empty(reduced(x, axes, keepdim), kind)
        saved = [x] * ("input" in keeps) + [result] * ("output" in keeps)

        def behind(grad: Tensor, *kept: Tensor) -> Gradients:
            return (backward(grad, shape, axes, *kept),)

        machine.record((x,), (result,), saved, behind)
        return result

    return rule


def _of_sum(grad: Tensor, shape: Sizes, axes: list[int]) -> Tensor:
    return _spread(grad, shape, axes)


def _of_mean(grad: Tensor, shape: Sizes, axes: list[int]) -> Tensor:
    return fresh(_spread(grad, shape, axes))


def _of_extreme(
    grad: Tensor, shape: Sizes, axes: list[int], x: Tensor, result: Tensor
) -> Tensor:
    mask = fresh(x, dtype=DType.BOOL)
    ones = _kept(grad, shape, axes)
    counts, shared = fresh(ones, dtype=DType.I64), fresh(ones)
    made = fresh(shared, mask, dtype=grad.dtype)
    del counts
    return made


def _of_variance(grad: Tensor, shape: Sizes, axes: list[int], x: Tensor) -> Tensor:
    ones = _kept(grad, shape, axes)
    mean, apart, scaled = fresh(ones), fresh(x), fresh(ones)
    made = fresh(scaled, apart)
    del mean
    return made


def _of_deviation(
    grad: Tensor, shape: Sizes, axes: list[int], x: Tensor, result: Tensor
) -> Tensor:
    twice = fresh(grad)
    inner = fresh(twice, result)
    del twice
    return _of_variance(inner, shape, axes, x)


def _of_logsumexp(
    grad: Tensor, shape: Sizes, axes: list[int], x: Tensor, result: Tensor
) -> Tensor:
    return chain(_kept(grad, shape, axes), x, through=2)


def _of_norm(
    grad: Tensor, shape: Sizes, axes: list[int], x: Tensor, result: Tensor
) -> Tensor:
    ones = _kept(grad, shape, axes)
    mask, direction = fresh(ones, dtype=DType.BOOL), fresh(x)
    made = fresh(ones, direction)
    del mask
    return made


def _of_product(
    grad: Tensor, shape: Sizes, axes: list[int], x: Tensor, result: Tensor
) -> Tensor:
    return chain(_kept(grad, shape, axes), x, through=5)


def _of_nothing(grad: Tensor, shape: Sizes, axes: list[int]) -> Tensor:
    raise AssertionError("no gradient flows through truth values")


norm = reduction(_of_norm, "input output")
mean = reduction(_of_mean)


def normalize(machine: Machine, x: Tensor, dim: Any = 1, **_: Any) -> Tensor:
    """`x / max(|x|, eps)`, in so many operations."""
    length = clamp(machine, norm(machine, x, dim=dim, keepdim=True), min=0)
    return divide(machine, x, stretched(machine, length, x.shape))


def cumulated(
    machine: Machine, x: Tensor, dim: Any = None, dtype: Any = None
) -> Tensor:
    """A running sum; its gradient is one from the other end, between two reversals."""
    kind = dtype or (DType.I64 if x.dtype.is_integer else x.dtype)
    result = machine.empty(x.shape, kind)

    def backward(grad: Tensor) -> tuple[Tensor]:
        turned = fresh(grad)
        summed = machine.empty(grad.shape, grad.dtype)
        made = fresh(summed)
        del turned, summed  # all of one expression
        return (made,)

    machine.record((x,), (result,), (), backward)
    return result


def glu(machine: Machine, x: Tensor, dim: Any = -1) -> Tensor:
    """One half times the sigmoid of the other; the input is kept."""
    axis = axis_of(dim, x.rank)
    half = (*x.shape[:axis], x.shape[axis] // 2, *x.shape[axis + 1 :])
    result = machine.empty(half, x.dtype, elementwise(half, [(half, x.strides)]))
    machine.record(
        (x,),
        (result,),
        (x,),
        lambda grad, kept: (machine.empty(kept.shape, kept.dtype),),
    )
    return result


def ordered(
    machine: Machine, x: Tensor, *given: Any, dim: Any = -1, descending: bool = False
) -> tuple[Tensor, Tensor]:
    """Sorted (or the largest few) values and their places; the places are kept."""
    axis = axis_of(dim, x.rank)
    size = given[0] if given else x.shape[axis]
    shape = (*x.shape[:axis], x.shape[axis] * 0 + size, *x.shape[axis + 1 :])
    # All of them lie as the input does, a choice of them in order.
    strides = contiguous(shape) if given else like(*x.placed)
    values = machine.empty(shape, x.dtype, strides)
    places = machine.empty(shape, DType.I64, strides)
    source = x.shape

    def backward(grad: Tensor, *_: Tensor | None) -> tuple[Tensor]:
        zeros = machine.empty(source, grad.dtype)
        made = machine.empty(source, grad.dtype)
        del zeros
        return (made,)

    machine.record((x,), (values,), (places,), lambda grad, kept: backward(grad))
    return values, places


def softmax(machine: Machine, x: Tensor, **_: Any) -> Tensor:
    """Result and gradient lie in the order of their axes, however the input lies."""
    result = machine.empty(x.shape, x.dtype)

    def backward(grad: Tensor, kept: Tensor) -> tuple[Tensor]:
        return (machine.empty(kept.shape, grad.dtype),)

    machine.record((x,), (result,), (result,), backward)
    return result


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "Tensor.sum": reduction(_of_sum),
    "Tensor.mean": mean,
    "Tensor.amax": reduction(_of_extreme, "input output"),
    "Tensor.amin": reduction(_of_extreme, "input output"),
    "Tensor.prod": reduction(_of_product, "input output"),
    "Tensor.var": reduction(_of_variance, "input"),
    "Tensor.std": reduction(_of_deviation, "input output"),
    "Tensor.any": reduction(_of_nothing, result_type=DType.BOOL),
    "Tensor.all": reduction(_of_nothing, result_type=DType.BOOL),
    "Tensor.argmax": reduction(_of_nothing, result_type=DType.I64),
    "Tensor.argmin": reduction(_of_nothing, result_type=DType.I64),
    "torch.logsumexp": reduction(_of_logsumexp, "input output"),
    "torch.linalg.vector_norm": norm,
    "F.softmax": softmax,
    "F.log_softmax": softmax,
    "F.normalize": normalize,
    "torch.cumsum": cumulated,
    "F.glu": glu,
    "torch.topk": ordered,
    "torch.sort": ordered,
}

__all__ = ["INPUT", "REDUCTIONS"]
