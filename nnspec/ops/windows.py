"""Which cells sliding windows see: where strides are longer than windows, or end before an axis does, some are left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nnspec.ir.dims import Dim, maximum, minimum, total
from nnspec.ops.rules import Caveat
from nnspec.records import dataclass

UNKNOWN = Caveat(
    "traffic", "about", "all cells count as read, and some of them no window covers"
)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows along an axis of `size` cells: `count` of them, of `kernel` cells that lie `dilation` apart.

    They start every `stride` cells, the first one `padding[0]` cells before the axis. None as `padding` is "same".
    """

    size: Dim
    count: Dim
    kernel: Dim
    stride: Dim
    dilation: Dim
    padding: tuple[Dim, Dim] | None

    def seen(self) -> Dim | None:
        """How many cells of the axis a window covers, exactly; None where that cannot be said before sizes are known."""
        padding = self._known_padding()
        are_whole = self.dilation == 1 or self.kernel == 1
        if padding is not None:
            return self._whole(*padding) if are_whole else self._by_cells(*padding)
        return self._whole_same() if are_whole else None

    @property
    def _span(self) -> Dim:
        """How far the last cell of a window lies behind the first."""
        return self.dilation * (self.kernel - 1)

    def _known_padding(self) -> tuple[Dim, Dim] | None:
        """The cells before and after; "same" has the odd one after."""
        if self.padding is not None:
            return self.padding
        if self.stride == 1:
            missing = self._span
        elif self.size.is_constant:
            ends = (self.count - 1) * self.stride + self._span + 1
            missing = maximum(0, ends - self.size)
        else:
            return None
        return missing // 2, missing - missing // 2

    def _whole_same(self) -> Dim:
        """Of windows without holes, each cell of the padding in one of them at most unless they overlap."""
        if self.kernel >= self.stride:
            return self.size
        if self.kernel == 1:
            return self.count
        ends = (self.count - 1) * self.stride + self.kernel
        return self.count * self.kernel - maximum(0, ends - self.size)

    def _whole(self, before: Dim, after: Dim) -> Dim:
        """Of windows without holes."""
        if self.kernel < self.stride:
            apart = before == 0 and after == 0
            return self.count * self.kernel if apart else self._by_cells(before, after)
        room = self.size + before + after - self.kernel
        seen = self.size - maximum(0, room % self.stride - after)
        seen = _if_so(self.kernel - 1 - before, seen, maximum(0, seen))
        return _if_so(after - self.stride + 1, self.size, seen)

    # ---- window cell by window cell --------------------------------------------------------------

    def _by_cells(self, before: Dim, after: Dim) -> Dim:
        """Cells that have one rest by the stride are seen by the same cells of windows, one turn after another."""
        stride, dilation = int(self.stride), int(self.dilation)
        first, behind = int(before), int(after) - int(self._span)
        rests: dict[int, list[tuple[int, int]]] = {}
        for place in range(0, int(self.kernel) * dilation, dilation):
            turn, rest = divmod(place - first, stride)
            rests.setdefault(rest, []).append((turn, behind + place))
        return total(self._of_rest(rest, cells) for rest, cells in rests.items())

    def _of_rest(self, rest: int, cells: Sequence[tuple[int, int]]) -> Dim:
        """How many of the cells `rest`, `rest` + stride, ... are seen.

        Each cell of the windows sees a range of them: from its own first one on, up to the last that lies as far
        before the end of the axis as it says (behind it, if that is above 0).
        """
        room = self.size - 1 - rest
        if any(turn <= 0 and reach >= 0 for turn, reach in cells):
            return room // self.stride + 1
        return total(self._ranges(room, cells))

    def _ranges(self, room: Dim, cells: Sequence[tuple[int, int]]) -> Iterator[Dim]:
        seen_to: Dim | None = None
        for turn, reach in sorted(cells):
            start = maximum(turn, 0)
            if seen_to is not None:
                start = maximum(start, seen_to + 1)
            seen_to = (room + reach) // self.stride
            last = minimum(seen_to, room // self.stride)
            yield maximum(0, last - start + 1)


def _if_so(room: Dim, simple: Dim, general: Dim) -> Dim:
    """What is said simply where a size is 0 or more, and in general of any.

    It is not decided by what the size is called elsewhere: in other names the general one stays, which is right for all.
    """
    if room.constant is None or room.constant < 0:
        return general
    known = room.generic.constant is not None
    return simple if known else simple.value.named(general.generic)
