"""How a lowering spells the shape that a tensor is brought to.

What is constant is written as the spec wrote it; what depends on a symbol is read from the input at run
time, where the input has an axis of that size, or left to the framework (`-1`, once).
"""

from __future__ import annotations

from nnspec.ir.dims import Dim
from nnspec.ops.base import Io
from nnspec.pycode.expressions import Expr, expression

REST = expression(-1)


def spelled_shape(io: Io, shape: tuple[Dim, ...], name: str) -> tuple[Expr, ...]:
    """The sizes of a result of reshaping the input `name`, at most one of them -1."""
    sources = _sources(io, shape, name)
    rest = _rest(shape, sources)
    return tuple(
        REST if place == rest else spelled_size(io, size, sources[place], name)
        for place, size in enumerate(shape)
    )


def spelled_size(io: Io, size: Dim, axis: int | None, name: str) -> Expr:
    """One size: of an axis of the input if it is read at run time, else as the spec wrote it."""
    if size.is_constant or axis is None:
        return expression(size)
    return io.size(axis, name)


def _sources(io: Io, shape: tuple[Dim, ...], name: str) -> list[int | None]:
    """For each symbolic size the axis of the input that has it, each axis used once, in order."""
    sizes = list(io.type(name).shape)
    found: list[int | None] = []
    start = 0
    for size in shape:
        axis = None
        if not size.is_constant and size in sizes[start:]:
            axis = sizes.index(size, start)
            start = axis + 1
        found.append(axis)
    return found


def _rest(shape: tuple[Dim, ...], sources: list[int | None]) -> int | None:
    """Which size is left to the framework: one that the input does not have, else the first."""
    symbolic = [place for place, size in enumerate(shape) if not size.is_constant]
    new = [place for place in symbolic if sources[place] is None]
    return next(iter([*new, *symbolic]), None)
