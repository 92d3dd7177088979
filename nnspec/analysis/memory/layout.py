"""Strides: where the elements of a tensor lie in its storage, as PyTorch decides it.

Whether a reshape is a view or a copy, and in which order an element-wise result lies, depends on
strides. They are exact expressions, like sizes; where one must be compared with another, both are taken
at one large value of each symbol, so that what is said holds for sizes in general and not for an axis
that happens to have a single element.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import ParamSpec, TypeAlias, TypeVar, cast

import nnspec.ir.dims.relations as relations
from nnspec.ir.dims import ONE, ZERO, Atom, Dim, dim, product

Sizes: TypeAlias = tuple[Dim, ...]
Placed: TypeAlias = tuple[Sizes, Sizes]
"""A shape, and the stride of each axis."""

_Given = ParamSpec("_Given")
_Found = TypeVar("_Found")


def _remembered(function: Callable[_Given, _Found]) -> Callable[_Given, _Found]:
    """Remembers what a function gives, for equal layers ask the same again and again; until other relations hold."""
    found = lru_cache(maxsize=4096)(function)
    relations.watchers.append(found.cache_clear)
    return cast("Callable[_Given, _Found]", found)


# Stands for a symbol where strides are compared; no size in a spec divides it.
LARGE = 10007


@_remembered
def contiguous(shape: Sizes) -> Sizes:
    """The strides of a tensor whose last axis lies densest."""
    strides: list[Dim] = []
    step = ONE
    for size in reversed(shape):
        strides.append(step)
        step = step * size
    return tuple(reversed(strides))


@_remembered
def is_contiguous(shape: Sizes, strides: Sizes) -> bool:
    """Whether the elements lie in order, without gaps."""
    step = ONE
    for size, stride in zip(reversed(shape), reversed(strides), strict=True):
        if size.constant == 1:
            continue
        if stride != step:
            return False
        step = step * size
    return True


@_remembered
def is_dense(shape: Sizes, strides: Sizes) -> bool:
    """Whether the elements fill their storage without gaps or overlaps, in some order of axes."""
    axes = [axis for axis, size in enumerate(shape) if size.constant != 1]
    axes.sort(key=lambda axis: magnitude(strides[axis]))
    step = ONE
    for axis in axes:
        if strides[axis] != step:
            return False
        step = step * shape[axis]
    return True


@_remembered
def are_alike(shape: Sizes, one: Sizes, other: Sizes) -> bool:
    """Whether tensors of a shape lie alike by their strides; those of axes of one element say nothing."""
    axes = zip(shape, one, other, strict=True)
    return all(size.constant == 1 or a == b for size, a, b in axes)


@_remembered
def has_channels_last(shape: Sizes, strides: Sizes) -> bool:
    """Whether PyTorch takes a tensor for images or volumes whose channels lie densest, with gaps or without.

    The rule of `is_channels_last_strides_2d` and `_3d`: each axis, from the channels on, spans those before it.
    """
    rank = len(shape)
    if rank not in (4, 5) or strides[1] == ZERO:
        return False
    least = 0
    for axis in (1, *range(rank - 1, 1, -1), 0):
        step = magnitude(strides[axis])
        if step < least or (axis == 0 and least == magnitude(strides[1])):
            return False
        least = step * magnitude(shape[axis])
    return True


def channels_last(rank: int) -> list[int]:
    """The axes of images or volumes from the densest on, where channels lie densest."""
    return [1, *range(rank - 1, 1, -1), 0]


@_remembered
def suggested(shape: Sizes, like: Placed) -> Sizes:
    """The strides of a new tensor in the memory format that PyTorch suggests for another one of its rank.

    The rule of `suggest_memory_format`: channels last where the other one has them so, with gaps or without, else contiguous.
    """
    if has_channels_last(*like):
        return dense(shape, channels_last(len(shape)))
    return contiguous(shape)


@_remembered
def magnitude(size: Dim) -> int:
    """A size at large values of its symbols, for comparisons."""
    if size.constant is not None:
        return size.constant
    return int(size.substitute(_large))


def _large(atom: Atom) -> Dim | None:
    if atom.kind != "symbol":
        return None
    return dim(relations.values.get(atom.symbol, LARGE))


@_remembered
def viewed(shape: Sizes, strides: Sizes, wanted: Sizes) -> Sizes | None:
    """The strides of the same elements in another shape; None where they must be copied for it.

    The rule of `at::detail::computeStride`: axes that lie one inside the other merge and split freely.
    """
    if not shape:
        return (ONE,) * len(wanted)
    found: list[Dim] = [ONE] * len(wanted)
    place = len(wanted) - 1
    step, count, seen = strides[-1], ONE, ONE
    for axis in range(len(shape) - 1, -1, -1):
        count = count * shape[axis]
        if axis and (
            shape[axis - 1].constant == 1 or strides[axis - 1] == count * step
        ):
            continue
        while place >= 0 and (seen != count or wanted[place].constant == 1):
            found[place] = seen * step
            seen = seen * wanted[place]
            place -= 1
        if seen != count:
            return None
        if axis:
            step, count, seen = strides[axis - 1], ONE, ONE
    return tuple(found) if place == -1 else None


@_remembered
def expanded(shape: Sizes, strides: Sizes, wanted: Sizes) -> Sizes:
    """The strides of a tensor that is stretched to a larger shape: 0 along what repeats."""
    missing = len(wanted) - len(shape)
    found: list[Dim] = [ZERO] * missing
    for size, stride, target in zip(shape, strides, wanted[missing:], strict=True):
        found.append(ZERO if size != target else stride)
    return tuple(found)


def elementwise(shape: Sizes, operands: Sequence[Placed]) -> Sizes:
    """The strides of a new element-wise result, see `_elementwise`."""
    return _elementwise(shape, tuple(operands))


@_remembered
def _elementwise(shape: Sizes, operands: tuple[Placed, ...]) -> Sizes:
    """The strides of a new element-wise result: the order of axes of its operands, the first one first.

    The rule of `TensorIterator`: operands that lie alike give their order to the result; otherwise
    axes are sorted by stride, and an axis that is stretched says nothing.
    """
    same = [placed for placed in operands if placed[0] == shape]
    if len(same) == len(operands):
        if all(is_contiguous(*placed) for placed in operands):
            return contiguous(shape)
        first = operands[0][1]
        if is_dense(shape, first) and all(strides == first for _, strides in operands):
            return first
    spread = [expanded(*placed, shape) for placed in operands]
    return dense(shape, _sorted_axes(shape, spread))


@_remembered
def volume(shape: Sizes) -> Dim:
    """The number of elements."""
    return product(shape).value


@_remembered
def volume_in_bytes(shape: Sizes, width: int) -> Dim:
    """The bytes of a tensor without gaps, of elements of a width."""
    return volume(shape) * width


def dense(shape: Sizes, order: Sequence[int]) -> Sizes:
    """Strides without gaps, for axes from the densest on."""
    strides = [ONE] * len(shape)
    step = ONE
    for axis in order:
        strides[axis] = step
        step = step * shape[axis]
    return tuple(strides)


def _sorted_axes(shape: Sizes, operands: Sequence[Sizes]) -> list[int]:
    sizes = [magnitude(size) for size in shape]
    steps = [[magnitude(stride) for stride in strides] for strides in operands]
    order = list(reversed(range(len(shape))))
    for last in range(1, len(order)):
        place = last
        for before in range(last - 1, -1, -1):
            swaps = _compared(sizes, steps, order[before], order[place])
            if swaps > 0:
                order[before], order[place] = order[place], order[before]
                place = before
            elif swaps < 0:
                break
    return order


def _compared(sizes: list[int], steps: list[list[int]], one: int, other: int) -> int:
    """Whether axis `one` lies denser than `other` (-1), less densely (1), or nothing tells (0)."""
    for strides in steps:
        if strides[one] == 0 or strides[other] == 0:
            continue
        if strides[one] != strides[other]:
            return -1 if strides[one] < strides[other] else 1
        if sizes[one] > sizes[other]:
            return 1
    return 0


def like(shape: Sizes, strides: Sizes) -> Sizes:
    """The strides of a new tensor made like another: its own where it is dense, else by order of axes."""
    return (
        strides if is_dense(shape, strides) else elementwise(shape, [(shape, strides)])
    )
