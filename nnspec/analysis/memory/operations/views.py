"""Operations of PyTorch that see the same storage in another shape, or copy where they must."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from nnspec.analysis.memory.layout import (
    Sizes,
    contiguous,
    expanded,
    has_channels_last,
    suggested,
    viewed,
    volume,
)
from nnspec.analysis.memory.machine import (
    Gradients,
    Machine,
    Tensor,
    through,
)
from nnspec.analysis.memory.operations.pointwise import formatted, fresh
from nnspec.ir.dims import ONE, Dim, dim, product


def axis_of(axis: Any, rank: int) -> int:
    """An axis from 0."""
    return int(axis) % rank


def listed(values: Any) -> list[Any]:
    """One value or several, or a call's arguments that are one tuple, as a list."""
    if not isinstance(values, tuple | list):
        return [values]
    several = cast("Sequence[Any]", values)
    if len(several) == 1 and isinstance(several[0], tuple | list):
        return list(cast("Sequence[Any]", several[0]))
    return list(several)


def axes_of(axes: Any, rank: int) -> list[int]:
    """Axes from 0, from one or several."""
    return [axis_of(axis, rank) for axis in listed(axes)]


def sizes_of(sizes: Sequence[Any], elements: Dim) -> Sizes:
    """A shape in which one size may be -1."""
    known = [dim(size) for size in sizes]
    open_places = [i for i, size in enumerate(known) if size.constant == -1]
    for place in open_places:
        rest = product(size for i, size in enumerate(known) if i != place)
        known[place] = elements // rest
    return tuple(known)


def _view(
    machine: Machine,
    x: Tensor,
    shape: Sizes,
    strides: Sizes,
    backward: Callable[[Tensor], Tensor],
) -> Tensor:
    result = x.alias(shape, strides)
    machine.record((x,), (result,), (), through(backward))
    return result


def reshaped(x: Tensor, shape: Sizes) -> Tensor:
    """The same elements in another shape, without a graph: a view where the strides allow."""
    strides = viewed(x.shape, x.strides, shape)
    if strides is None:
        return x.machine.empty(shape, x.dtype)
    return x.alias(shape, strides)


def reshape(machine: Machine, x: Tensor, *sizes: Any) -> Tensor:
    """A view where the strides allow, else a contiguous copy."""
    given = listed(sizes)
    return to_shape(machine, x, sizes_of(given, x.elements))


def to_shape(machine: Machine, x: Tensor, shape: Sizes) -> Tensor:
    """`reshape` to a shape that is known in full."""
    if shape == x.shape:
        return x
    source = x.shape
    result = reshaped(x, shape)
    machine.record((x,), (result,), (), through(lambda grad: reshaped(grad, source)))
    return result


def flatten(machine: Machine, x: Tensor, start: Any = 0, stop: Any = -1) -> Tensor:
    """Some successive axes as one."""
    if x.rank == 0:
        return to_shape(machine, x, (ONE,))
    first, last = axis_of(start, x.rank), axis_of(stop, x.rank)
    if first == last:
        return x
    inner = volume(x.shape[first : last + 1])
    return to_shape(machine, x, (*x.shape[:first], inner, *x.shape[last + 1 :]))


def unflatten(machine: Machine, x: Tensor, axis: Any, sizes: Any) -> Tensor:
    """One axis as several."""
    place = axis_of(axis, x.rank)
    inner = sizes_of(sizes, x.shape[place])
    return to_shape(machine, x, (*x.shape[:place], *inner, *x.shape[place + 1 :]))


def permuted(x: Tensor, order: Sequence[int]) -> Tensor:
    """Axes in another order, without a graph."""
    return x.alias(
        tuple(x.shape[axis] for axis in order), tuple(x.strides[axis] for axis in order)
    )


def permute(machine: Machine, x: Tensor, *order: Any) -> Tensor:
    """Axes in another order."""
    given = listed(order)
    places = axes_of(given, x.rank)
    back = [places.index(axis) for axis in range(x.rank)]
    found = permuted(x, places)
    return _view(
        machine, x, found.shape, found.strides, lambda grad: permuted(grad, back)
    )


def transpose(machine: Machine, x: Tensor, one: Any, other: Any) -> Tensor:
    """Two axes exchanged."""
    order = list(range(x.rank))
    a, b = axis_of(one, x.rank), axis_of(other, x.rank)
    order[a], order[b] = b, a
    return permute(machine, x, *order)


def movedim(machine: Machine, x: Tensor, source: Any, target: Any) -> Tensor:
    """Axes moved, the others in their order."""
    start, stop = axes_of(source, x.rank), axes_of(target, x.rank)
    order: list[int | None] = [None] * x.rank
    for a, b in zip(start, stop, strict=True):
        order[b] = a
    rest = iter(axis for axis in range(x.rank) if axis not in start)
    return permute(machine, x, *(next(rest) if a is None else a for a in order))


def expand(machine: Machine, x: Tensor, *sizes: Any) -> Tensor:
    """Stretched: an axis of one element is repeated without a copy."""
    given = listed(sizes)
    missing = len(given) - x.rank
    shape = tuple(
        x.shape[axis - missing] if dim(size).constant == -1 else dim(size)
        for axis, size in enumerate(given)
    )
    return stretched(machine, x, shape)


def stretched(machine: Machine, x: Tensor, shape: Sizes) -> Tensor:
    """`expand` to a shape that is known in full."""
    source = x.shape
    return _view(
        machine,
        x,
        shape,
        expanded(x.shape, x.strides, shape),
        lambda grad: sum_to(grad, source),
    )


def sum_to(grad: Tensor, shape: Sizes) -> Tensor:
    """A gradient summed over what was stretched."""
    if grad.shape == shape:
        return grad
    missing = grad.rank - len(shape)
    kept = tuple(
        ONE if axis < missing or shape[axis - missing] != size else size
        for axis, size in enumerate(grad.shape)
    )
    summed = grad if kept == grad.shape else grad.machine.empty(kept, grad.dtype)
    return reshaped(summed, shape)


def unsqueeze(machine: Machine, x: Tensor, axis: Any) -> Tensor:
    """A new axis of one element."""
    place = axis_of(axis, x.rank + 1)
    stride = x.shape[place] * x.strides[place] if place < x.rank else ONE
    return _view(
        machine,
        x,
        (*x.shape[:place], ONE, *x.shape[place:]),
        (*x.strides[:place], stride, *x.strides[place:]),
        lambda grad: _without(grad, (place,)),
    )


def _without(x: Tensor, axes: Sequence[int]) -> Tensor:
    kept = [axis for axis in range(x.rank) if axis not in axes]
    return x.alias(
        tuple(x.shape[axis] for axis in kept), tuple(x.strides[axis] for axis in kept)
    )


def squeeze(machine: Machine, x: Tensor, axes: Any) -> Tensor:
    """Axes of one element taken away."""
    source = x.shape
    found = _without(x, axes_of(axes, x.rank))
    return _view(
        machine, x, found.shape, found.strides, lambda grad: reshaped(grad, source)
    )


def contiguous_copy(machine: Machine, x: Tensor) -> Tensor:
    """`x.contiguous()`: the very same tensor where it is contiguous."""
    if x.is_contiguous:
        return x
    result = machine.empty(x.shape, x.dtype)
    machine.record((x,), (result,), (), through(lambda grad: grad))
    return result


# ---- parts ----------------------------------------------------------------------------------------


def part(machine: Machine, x: Tensor, axis: int, size: Dim, step: Dim = ONE) -> Tensor:
    """Some elements along an axis; the gradient is laid into zeros."""
    shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
    strides = (*x.strides[:axis], x.strides[axis] * step, *x.strides[axis + 1 :])
    source = x.shape
    return _view(
        machine, x, shape, strides, lambda grad: machine.empty(source, grad.dtype)
    )


def select(machine: Machine, x: Tensor, axis: int) -> Tensor:
    """One element along an axis, which goes."""
    source = x.shape
    found = _without(x, (axis,))
    return _view(
        machine,
        x,
        found.shape,
        found.strides,
        lambda grad: machine.empty(source, grad.dtype),
    )


def parts(
    machine: Machine, x: Tensor, axis: int, sizes: Sequence[Dim]
) -> tuple[Tensor, ...]:
    """All of a tensor, cut along an axis; the gradients are put together again."""
    results = tuple(
        x.alias((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.strides)
        for size in sizes
    )
    _joined_behind(machine, x, results)
    return results


def _joined_behind(machine: Machine, x: Tensor, results: Sequence[Tensor]) -> None:
    source, dtype = x.shape, x.dtype
    shapes = [each.shape for each in results]

    def backward(*grads: Tensor | None) -> tuple[Tensor]:
        filled = [
            machine.empty(shape, dtype) if grad is None else grad
            for grad, shape in zip(grads, shapes, strict=True)
        ]
        made = machine.empty(source, dtype)
        del filled
        return (made,)

    machine.record((x,), results, (), backward)


def unbind(machine: Machine, x: Tensor, axis: Any = 0) -> tuple[Tensor, ...]:
    """Every element along an axis."""
    place = axis_of(axis, x.rank)
    results = tuple(_without(x, (place,)) for _ in range(int(x.shape[place])))
    _joined_behind(machine, x, results)
    return results


def split(machine: Machine, x: Tensor, sizes: Any, dim: Any = 0) -> tuple[Tensor, ...]:
    """Cut into given sizes."""
    return parts(machine, x, axis_of(dim, x.rank), [_size(size) for size in sizes])


def chunk(machine: Machine, x: Tensor, count: Any, dim: Any = 0) -> tuple[Tensor, ...]:
    """Cut into equal sizes."""
    place = axis_of(dim, x.rank)
    return parts(machine, x, place, [x.shape[place] // count] * int(count))


def _size(size: Any) -> Dim:
    return dim(size)


# ---- new storages ---------------------------------------------------------------------------------


def flipped(machine: Machine, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """A copy with its elements in reversed order (`flip`): so is the gradient."""
    result = fresh(x)
    machine.record((x,), (result,), (), through(lambda grad: fresh(grad)))
    return result


def rolled(machine: Machine, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """Two parts put together the other way round (`roll`): so is the gradient."""
    result = formatted(x, x.shape)
    machine.record(
        (x,), (result,), (), through(lambda grad: formatted(grad, grad.shape))
    )
    return result


def concatenate(machine: Machine, given: Sequence[Tensor], dim: Any = 0) -> Tensor:
    """Put together along an axis; the gradients are views of the whole."""
    axis = axis_of(dim, given[0].rank)
    size = sum((each.shape[axis] for each in given[1:]), given[0].shape[axis])
    shape = (*given[0].shape[:axis], size, *given[0].shape[axis + 1 :])

    def cut(grad: Tensor, shape: Sizes) -> Tensor:
        part = (*grad.shape[:axis], shape[axis], *grad.shape[axis + 1 :])
        return grad.alias(part, grad.strides)

    return _put_together(
        machine, given, shape, cut, lambda shape: _joined_strides(given, shape)
    )


def _joined_strides(given: Sequence[Tensor], shape: Sizes) -> Sizes:
    """In the memory format of the tensors that are put together, if they have the same one."""
    ranks = {each.rank for each in given}
    last = len(ranks) == 1 and all(has_channels_last(*each.placed) for each in given)
    return suggested(shape, given[0].placed) if last else contiguous(shape)


def stack(
    machine: Machine,
    given: Sequence[Tensor],
    dim: Any = 0,
    *,
    count: Dim | None = None,
) -> Tensor:
    """Put together along a new axis; the gradients are views of the whole.

    What is given may stand for more, a `count` of them.
    """
    axis = axis_of(dim, given[0].rank + 1)
    first = given[0].shape
    size = _size(len(given)) if count is None else count
    shape = (*first[:axis], size, *first[axis:])
    return _put_together(
        machine,
        given,
        shape,
        lambda grad, _: _without(grad, (axis,)),
        lambda shape: _stacked_strides(given, shape, axis),
    )


def _stacked_strides(given: Sequence[Tensor], shape: Sizes, axis: int) -> Sizes:
    """Those of one tensor behind the other along the axis that follows the new one, which is then cut in two."""
    rank = given[0].rank
    if axis == rank:
        return contiguous(shape)
    joined = (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :])
    found = viewed(joined, _joined_strides(given, joined), shape)
    return contiguous(shape) if found is None else found


def _put_together(
    machine: Machine,
    given: Sequence[Tensor],
    shape: Sizes,
    cut: Callable[[Tensor, Sizes], Tensor],
    strides: Callable[[Sizes], Sizes],
) -> Tensor:
    """A new tensor that has others in it; the gradient of one of some shape is `cut` from that of the whole.

    Its strides are asked for once its shape is known.
    """
    many = [(each.source, machine.of_many(each)) for each in given if machine.joins]
    if machine.joins:
        # Some of them may stand for several: the type of the result counts these.
        (kind,) = machine.expected
        shape = kind.shape
    result = machine.empty(shape, given[0].dtype, strides(shape))
    shapes = [each.shape for each in given]

    def backward(grad: Tensor) -> Gradients:
        for source, found in many:
            if found is not None and isinstance(source, tuple):
                loop, laid = found
                loop.wait_for(source, cut(grad, laid.shape))
                machine.delivered[source[0].number, source[1]] = loop
        return [cut(grad, each) for each in shapes]

    machine.record(given, (result,), (), backward)
    return result


def repeat_interleave(machine: Machine, x: Tensor, times: Any, dim: Any) -> Tensor:
    """Each element several times: stretched along a new axis, copied, and merged."""
    axis = axis_of(dim, x.rank)
    wide = unsqueeze(machine, x, axis + 1)
    shape = (*wide.shape[: axis + 1], _size(times), *wide.shape[axis + 2 :])
    copied = contiguous_copy(machine, stretched(machine, wide, shape))
    return flatten(machine, copied, axis, axis + 1)


VIEWS: dict[str, Callable[..., Any]] = {
    "Tensor.reshape": reshape,
    "Tensor.flatten": flatten,
    "Tensor.unflatten": unflatten,
    "Tensor.permute": permute,
    "Tensor.transpose": transpose,
    "Tensor.movedim": movedim,
    "Tensor.expand": expand,
    "Tensor.unsqueeze": unsqueeze,
    "Tensor.squeeze": squeeze,
    "Tensor.unbind": unbind,
    "Tensor.split": split,
    "Tensor.chunk": chunk,
    "Tensor.roll": rolled,
    "Tensor.flip": flipped,
    "torch.cat": concatenate,
    "torch.stack": stack,
    "Tensor.repeat_interleave": repeat_interleave,
}

__all__ = ["VIEWS", "contiguous"]
