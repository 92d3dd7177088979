"""Axis arguments as the targets count them."""

from __future__ import annotations

from nnspec.ir.dims import Dim
from nnspec.ops.base import Io, normal_axis


def axis_of(io: Io, axis: Dim, name: str = "x") -> Dim | int:
    """An axis for use in the target: as the spec wrote it wherever it stays in place."""
    logical = normal_axis(axis, io.type(name).rank)
    physical = io.axis(logical, name)
    return axis if physical == logical else physical


def axes_of(
    io: Io, axes: Dim | tuple[Dim, ...], name: str = "x"
) -> Dim | int | tuple[Dim | int, ...]:
    """One axis, or several in the order of the target."""
    if isinstance(axes, Dim):
        return axis_of(io, axes, name)
    rank = io.type(name).rank
    places = [normal_axis(axis, rank) for axis in axes]
    if all(io.axis(place, name) == place for place in places):
        return axes
    return tuple(sorted(io.axis(place, name) for place in places))
