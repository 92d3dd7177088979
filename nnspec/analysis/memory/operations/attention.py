"""`F.scaled_dot_product_attention`: by a fused kernel, or as matrix products and a softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.analysis.memory.layout import Sizes, dense, like
from nnspec.analysis.memory.machine import Machine, Tensor, needs
from nnspec.analysis.memory.operations.layers import dropped
from nnspec.analysis.memory.operations.pointwise import (
    OUTPUT,
    add,
    convert,
    multiply,
)
from nnspec.analysis.memory.operations.products import matmul
from nnspec.analysis.memory.operations.views import repeat_interleave, transpose
from nnspec.ir.types import DType


def attention(
    machine: Machine,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: Any = 0.0,
    is_causal: bool = False,
    scale: Any = None,
    enable_gqa: bool = False,
) -> Tensor:
    """By the fused kernel where PyTorch has one for such inputs, and the setting allows it."""
    mask = attn_mask
    if mask is not None and mask.dtype is DType.BOOL:
        mask = machine.empty(mask.shape, q.dtype)
    if _fuses(machine, q, k, v, mask, dropout_p):
        return _fused(machine, q, k, v, mask)
    return _materialised(machine, q, k, v, mask, dropout_p, is_causal, enable_gqa)


def _fuses(
    machine: Machine, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, rate: Any
) -> bool:
    """The conditions of the fused kernel on a CPU: four axes, one width, no dropout, a fixed mask."""
    return (
        machine.fused
        and rate == 0
        and q.rank == k.rank == v.rank == 4
        and q.shape[-1] == v.shape[-1]
        and not needs(mask)
        and (mask is None or mask.rank in (2, 4))
        and all(each.strides[-1].constant == 1 for each in (q, k, v))
    )


def _fused(
    machine: Machine, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None
) -> Tensor:
    """Kept are queries, keys, values, the result, and the logarithm of each row's sum."""
    result = machine.empty((*q.shape[:-1], v.shape[-1]), q.dtype, like(*q.placed))
    sums = machine.empty(q.shape[:-1], machine.precise)
    shapes = [each.shape for each in (q, k, v)]

    def backward(grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(
            machine.empty(shape, grad.dtype, dense(shape, (3, 1, 2, 0)))
            for shape in shapes
        )

    saved = [q, k, v, result, sums, *([mask] if mask is not None else [])]
    machine.record((q, k, v), (result,), saved, backward)
    return result


def _materialised(
    machine: Machine,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | None,
    rate: Any,
    is_causal: bool,
    grouped: bool,
) -> Tensor:
    """Scores of every query with every key, and their softmax, stand in memory, in float32 at least."""
    given = q.dtype
    q, k, v = (convert(machine, each, machine.precise) for each in (q, k, v))
    scaled = multiply(machine, q, 0.5)
    if is_causal:
        mask = machine.empty(_square(q, k), q.dtype)
    if grouped:
        times = q.shape[-3] // k.shape[-3]
        k = repeat_interleave(machine, k, times, -3)
        v = repeat_interleave(machine, v, times, -3)
    # One name for all: what a step has read may go as soon as the next one stands.
    weights = matmul(
        machine, scaled, multiply(machine, transpose(machine, k, -2, -1), 0.5)
    )
    if mask is not None:
        weights = add(machine, weights, mask)
    weights = OUTPUT(machine, weights)
    if rate != 0:
        weights = dropped(machine, weights)
    # The kernel gives the weights back as well, in the type of its inputs.
    also = convert(machine, weights, given)
    result = convert(machine, matmul(machine, weights, v), given)
    del also
    return result


def _square(q: Tensor, k: Tensor) -> Sizes:
    return (q.shape[-2], k.shape[-2])


ATTENTION: dict[str, Callable[..., Any]] = {"F.scaled_dot_product_attention": attention}
