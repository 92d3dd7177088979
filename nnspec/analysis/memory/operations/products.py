"""Matrix products of PyTorch, and what is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from nnspec.analysis.memory.layout import Sizes, is_contiguous, volume
from nnspec.analysis.memory.machine import Machine, Tensor, filling, needs
from nnspec.analysis.memory.operations.pointwise import add, broadcast, multiply
from nnspec.analysis.memory.operations.views import (
    permute,
    permuted,
    squeeze,
    stretched,
    to_shape,
    transpose,
    unsqueeze,
)
from nnspec.ir.dims import ONE, Dim, product


def product_of(
    machine: Machine, x: Tensor, y: Tensor, bias: Tensor | None = None
) -> Tensor:
    """`mm`, `bmm` or `addmm`: each factor is kept for the gradient of the other."""
    result = machine.empty((*x.shape[:-1], y.shape[-1]), x.dtype)
    wants_x, wants_y = needs(x), needs(y)
    # Only what these look like is needed behind, not what is in them.
    of_x, of_y = _Shape(x), _Shape(y)
    width = (y.shape[-1],)
    dtype = x.dtype

    def backward(grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        first = of_x.gradient(machine) if wants_x else None
        second = of_y.gradient(machine) if wants_y else None
        third = None if bias_source is None else machine.empty(width, dtype)
        return first, second, third

    bias_source = None if bias is None else bias.source
    saved = [*([y] if wants_x else []), *([x] if wants_y else [])]
    machine.record((x, y, bias), (result,), saved, backward)
    return result


class _Shape:
    """What a factor looks like, without its storage."""

    def __init__(self, x: Tensor) -> None:
        self.shape, self.dtype = x.shape, x.dtype
        order = [*range(x.rank - 2), x.rank - 1, x.rank - 2]
        turned = permuted(x, order)
        self.order = order
        self.turned = turned.shape
        self.by_columns = (
            x.rank == 2 and not x.is_contiguous and is_contiguous(*turned.placed)
        )

    def gradient(self, machine: Machine) -> Tensor:
        """A gradient for the factor: columns lie densest where they do in the factor itself."""
        if self.by_columns:
            return permuted(machine.empty(self.turned, self.dtype), self.order)
        return machine.empty(self.shape, self.dtype)


def linear(
    machine: Machine, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    """`x @ weight.T + bias`: one product over all leading axes, with the bias where x is contiguous."""
    turned = transpose(machine, weight, 0, 1)
    if x.rank == 1:
        rows = unsqueeze(machine, x, 0)
        made = product_of(machine, rows, turned, bias)
        return to_shape(machine, made, (weight.shape[0],))
    if x.rank == 2:
        return product_of(machine, x, turned, bias)
    shape = (*x.shape[:-1], weight.shape[0])
    if bias is not None and not x.is_contiguous:
        # The product gives back its copy of `x` before the bias is added.
        return add(machine, _matrices(machine, x, turned), bias)
    rows = to_shape(machine, x, (volume(x.shape[:-1]), x.shape[-1]))
    return to_shape(machine, product_of(machine, rows, turned, bias), shape)


def matmul(machine: Machine, x: Tensor, y: Tensor) -> Tensor:
    """The product of matrices or vectors, leading axes broadcast."""
    if x.rank == 1 and y.rank == 1:
        return _dot(machine, x, y)
    if x.rank == 1 and y.rank > 2:
        return _times_vector(machine, transpose(machine, y, -2, -1), x)
    if y.rank == 1 and x.rank > 1:
        return _times_vector(machine, x, y)
    left = unsqueeze(machine, x, 0) if x.rank == 1 else x
    made = _matrices(machine, left, y)
    if x.rank == 1:
        made = to_shape(machine, made, (*made.shape[:-2], made.shape[-1]))
    return made


def _times_vector(machine: Machine, x: Tensor, vector: Tensor) -> Tensor:
    """Matrices times one vector: all their rows at once."""
    rows = to_shape(machine, x, (volume(x.shape[:-1]), x.shape[-1]))
    result = machine.empty((rows.shape[0],), x.dtype)
    shapes = (rows.shape, vector.shape)
    machine.record((rows, vector), (result,), (rows, vector), filling(machine, *shapes))
    return to_shape(machine, result, x.shape[:-1])


def _dot(machine: Machine, x: Tensor, y: Tensor) -> Tensor:
    result = machine.empty((), x.dtype)
    shapes = (x.shape, y.shape)
    machine.record(
        (x, y),
        (result,),
        (x, y),
        filling(machine, *shapes),
    )
    return result


def _matrices(machine: Machine, x: Tensor, y: Tensor) -> Tensor:
    if x.rank == 2 and y.rank == 2:
        return product_of(machine, x, y)
    if y.rank == 2 and x.rank > 2:
        rows = to_shape(machine, x, (volume(x.shape[:-1]), x.shape[-1]))
        made = product_of(machine, rows, y)
        return to_shape(machine, made, (*x.shape[:-1], y.shape[-1]))
    leading = broadcast([x.shape[:-2] or (ONE,), y.shape[:-2] or (ONE,)])
    left = _batched(machine, x, leading)
    right = _batched(machine, y, leading)
    made = product_of(machine, left, right)
    return to_shape(machine, made, (*leading, x.shape[-2], y.shape[-1]))


def _batched(machine: Machine, x: Tensor, leading: Sizes) -> Tensor:
    wide = stretched(machine, x, (*leading, *x.shape[-2:]))
    return to_shape(machine, wide, (volume(leading), *x.shape[-2:]))


def einsum(machine: Machine, equation: str, *given: Tensor) -> Tensor:
    """A sum over named indices: of one tensor, or of the product of two."""
    left, _, result = equation.partition("->")
    names = left.split(",")
    if len(given) == 1:
        return _one(machine, given[0], names[0], result)
    return _two(machine, given, names, result)


def _one(machine: Machine, x: Tensor, names: str, result: str) -> Tensor:
    from nnspec.analysis.memory.operations.reductions import REDUCTIONS

    summed = [i for i, name in enumerate(names) if name not in result]
    kept = [name for name in names if name in result]
    if summed:
        x = REDUCTIONS["Tensor.sum"](machine, x, dim=summed)
    return permute(machine, x, *(kept.index(name) for name in result))


def _two(
    machine: Machine, given: Sequence[Tensor], names: Sequence[str], result: str
) -> Tensor:
    from nnspec.analysis.memory.operations.reductions import REDUCTIONS

    both = set(names[0]) & set(names[1])
    operands: list[Tensor] = []
    spelled: list[str] = []
    for x, own in zip(given, names, strict=True):
        alone = [i for i, n in enumerate(own) if n not in both and n not in result]
        operands.append(REDUCTIONS["Tensor.sum"](machine, x, dim=alone) if alone else x)
        spelled.append("".join(n for i, n in enumerate(own) if i not in alone))
    inner = [n for n in spelled[0] if n in both and n not in result]
    aligned = [
        _aligned(machine, x, own, (*result, *inner))
        for x, own in zip(operands, spelled, strict=True)
    ]
    places = range(len(result), len(result) + len(inner))
    if all(_size(aligned, place).constant == 1 for place in places):
        # Nothing is added up, so nothing is a product of matrices.
        made = multiply(machine, *aligned)
        return squeeze(machine, made, list(places)) if inner else made
    return _contracted(machine, aligned, spelled, result, inner)


def _aligned(machine: Machine, x: Tensor, own: str, order: Sequence[str]) -> Tensor:
    missing = [name for name in order if name not in own]
    for _ in missing:
        x = unsqueeze(machine, x, x.rank)
    known = [*own, *missing]
    return permute(machine, x, *(known.index(name) for name in order))


def _contracted(
    machine: Machine,
    given: Sequence[Tensor],
    names: Sequence[str],
    result: str,
    inner: Sequence[str],
) -> Tensor:
    """The product as batches of matrices: what both have, what one has, what is summed."""
    order = [*result, *inner]
    shared = [n for n in result if n in names[0] and n in names[1]]
    rows = [n for n in result if n not in names[1]]
    columns = [n for n in result if n not in names[0]]
    sizes = {name: _size(given, place) for place, name in enumerate(order)}
    left = permute(
        machine, given[0], *(order.index(n) for n in (*shared, *rows, *inner, *columns))
    )
    right = permute(
        machine, given[1], *(order.index(n) for n in (*shared, *inner, *columns, *rows))
    )
    counts = [
        product(sizes[n] for n in each) for each in (shared, rows, inner, columns)
    ]
    made = product_of(
        machine,
        to_shape(machine, left, (counts[0], counts[1], counts[2])),
        to_shape(machine, right, (counts[0], counts[2], counts[3])),
    )
    known = [*shared, *rows, *columns]
    apart = to_shape(machine, made, tuple(sizes[n] for n in known))
    return permute(machine, apart, *(known.index(n) for n in result))


def _size(given: Sequence[Tensor], place: int) -> Dim:
    one, other = (each.shape[place] for each in given)
    return other if one.constant == 1 else one


PRODUCTS: dict[str, Callable[..., Any]] = {
    "F.linear": linear,
    "torch.matmul": matmul,
    "torch.einsum": einsum,
}
