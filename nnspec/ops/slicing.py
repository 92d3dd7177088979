"""What `x[..., 1:, i]` means: parts of a tensor by their places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from nnspec.ir.dims import ZERO, Dim
from nnspec.ir.slices import Range
from nnspec.ir.types import TensorType
from nnspec.ops.base import Io, Layout, NoFlops, OpError
from nnspec.pycode.expressions import Expr


class Slicing(NoFlops):
    """Part of a tensor: `x[:, 0]`, `x[..., 1:]`, `x[:, -1]`, `x[:, ::2]`.

    One item for each axis: an index selects one place and drops the axis; a range keeps it. Negative
    places count from the end. Constant bounds beyond the end are cut to it; where a bound or the size
    holds a symbol, the bounds must lie within the axis. Steps are at least 1.

    Example: `x[:, 1:]`
    """

    spelling: ClassVar[str | None] = "slicing"
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    items: tuple[Dim | Range, ...]

    if not TYPE_CHECKING:

        @property
        def layout(self) -> Layout:
            """Ranges can be taken in any order of axes; dropping an axis fixes the order."""
            ranges = all(isinstance(item, Range) for item in self.items)
            return Layout.AXES if ranges else Layout.LOGICAL

    def infer(self, x: TensorType) -> TensorType:
        if len(self.items) != x.rank:
            raise OpError(
                f"{len(self.items)} places are given, and {x} has {x.rank} axes",
                code="E0403",
                hint="give a place or a range for each axis",
            )
        kept: list[Dim] = []
        for axis, (item, size) in enumerate(zip(self.items, x.shape, strict=True)):
            if isinstance(item, Range):
                kept.append(_length(item, size, axis, x))
            else:
                _require_inside(item, size, axis, x)
        return x.with_shape(*kept)

    def implied(self, x: TensorType) -> tuple[Dim, ...]:
        found: list[Dim] = []
        for item, size in zip(self.items, x.shape, strict=True):
            places = (item.start, item.stop) if isinstance(item, Range) else (item,)
            for place in places:
                if place is None or (place.is_constant and size.is_constant):
                    continue
                found += _on_its_side(place)
                if _counts_from_end(place):
                    found.append(size + place + 1)
                elif not isinstance(item, Range):
                    found.append(size - place)
                else:
                    found.append(size - place + 1)
        return tuple(found)

    def torch(self, io: Io) -> Expr:
        return _subscripted(io["x"], self.items)

    def keras(self, io: Io) -> Expr:
        if any(not isinstance(item, Range) for item in self.items):
            return _subscripted(io["x"], self.items)
        placed: list[Dim | Range] = list(self.items)
        for axis, item in enumerate(self.items):
            placed[io.axis(axis)] = item
        return _subscripted(io["x"], placed)


def _subscripted(x: Expr, items: Sequence[Dim | Range]) -> Expr:
    """`x[:, 1:]`: whole axes at the end are left out, at the front they become `...`."""
    places = [
        i
        for i, item in enumerate(items)
        if not isinstance(item, Range) or not item.is_full
    ]
    if not places:
        return x
    if len(places) == 1 and places[0] == len(items) - 1 and len(items) > 2:
        return x[..., _python(items[-1])]
    parts = [_python(item) for item in items[: places[-1] + 1]]
    return x[tuple(parts)] if len(parts) > 1 else x[parts[0]]


def _python(item: Dim | Range) -> Any:
    if isinstance(item, Dim):
        return item
    return slice(item.start, item.stop, None if item.step == 1 else item.step)


def _counts_from_end(place: Dim) -> bool:
    """Whether a place is negative; of `1 - T` that is so for sizes large enough, which `_on_its_side` asks for."""
    if place.is_constant:
        return place < 0
    return all(coefficient < 0 for product, coefficient in place.terms if product)


def _on_its_side(place: Dim) -> tuple[Dim, ...]:
    """What must be at least 1 for a place to be negative, or not, as it is taken to be."""
    if len({coefficient > 0 for _, coefficient in place.terms}) < 2:
        return ()
    return (-place,) if _counts_from_end(place) else (place + 1,)


def _require_inside(place: Dim, size: Dim, axis: int, x: TensorType) -> None:
    if not place.is_constant or not size.is_constant:
        return
    if (size + place).falls_below(0) or (size - place).falls_below(1):
        raise OpError(
            f"place {place} does not exist on axis {axis} of {x}, which has size {size}",
            hint=f"use a place from {-int(size)} to {int(size) - 1}",
            code="E0402",
        )


def _length(item: Range, size: Dim, axis: int, x: TensorType) -> Dim:
    if not item.step.is_constant or item.step.falls_below(1):
        raise OpError(
            f"the step must be a constant of at least 1, not {item.step}",
            hint="to go backwards, use `flip`",
            code="E0409",
        )
    start = ZERO if item.start is None else _place(item.start, size)
    stop = size if item.stop is None else _place(item.stop, size)
    length = (stop - start + item.step - 1) // item.step
    if length.falls_below(1):
        raise OpError(
            f"the range from {start} to {stop} of axis {axis} of {x} is empty",
            code="E0408",
            hint="move the bounds apart",
        )
    return length


def _place(bound: Dim, size: Dim) -> Dim:
    """A bound counted from the start and cut to the axis, as far as that can be told."""
    if _counts_from_end(bound):
        place = size + bound
        return ZERO if place.is_constant and place < 0 else place
    if not bound.is_constant:
        return bound
    return size if size.is_constant and size < bound else bound
