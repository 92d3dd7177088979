"""Resampling of the spatial axes to given sizes."""

from __future__ import annotations

from typing import ClassVar, Literal

from nnspec.ir.dims import ZERO, Dim, minimum
from nnspec.ir.types import TensorType
from nnspec.ops import spatial
from nnspec.ops.base import Integers, Io, Layout, NoFlops, OpError
from nnspec.ops.rules import Caveat, Traffic
from nnspec.pycode.expressions import Expr, Namespace, default

F = Namespace("F")

SHRUNK = Caveat(
    "traffic",
    "at least",
    "where an axis shrinks, one cell of it counts as read for each point",
)
LINEAR = {1: "linear", 2: "bilinear", 3: "trilinear"}


class Resize(NoFlops):
    """Samples the spatial axes anew: [B, C, *S] -> [B, C, *size].

    With n cells before and m after, cell i is taken from: "nearest", cell floor(i n / m);
    "nearest-exact", cell floor((i + 1/2) n / m); "bilinear", the point (i + 1/2) n / m - 1/2 between two
    cells of each axis (of one to three axes), not before the first; "bicubic", the same point among four
    cells of each of two axes, with Keys' kernel (1981) and a = -3/4. `align_corners` takes the point
    i (n - 1) / (m - 1) instead.

    Example: `resize(x, [2 * H, 2 * W], method="bilinear")`
    """

    layout: ClassVar[Layout] = Layout.SPATIAL
    spelling: ClassVar[str | None] = "resize"

    size: Integers
    method: Literal["nearest", "nearest-exact", "bilinear", "bicubic"] = "nearest"
    align_corners: bool = False

    def infer(self, x: TensorType) -> TensorType:
        axes = spatial.spatial_axes(x)
        if len(self.size) != axes:
            raise OpError(
                f"gives {len(self.size)} sizes, and {x} has {axes} spatial axes",
                param="size",
                hint="give one size for each spatial axis",
                code="E0409",
            )
        for size in self.size:
            if size.falls_below(1):
                raise OpError(f"a size of {size} is empty", param="size", code="E0408")
        if self.method == "bicubic" and axes != 2:
            raise OpError(
                f"is for two spatial axes, and {x} has {axes}",
                param="method",
                hint='use "bilinear", which takes any number of axes',
                code="E0409",
            )
        if self.align_corners and self.method.startswith("nearest"):
            raise OpError(
                f'"{self.method}" has no corners to align',
                param="align_corners",
                hint="leave it out",
                code="E0409",
            )
        return x.with_shape(*x.shape[:2], *self.size)

    def leaves_open(self, x: TensorType) -> tuple[Caveat, ...]:
        """Where an axis shrinks, which cells lie around the points that are taken hangs on the sizes."""
        sizes = zip(self.size, x.shape[2:], strict=True)
        grows = all(_is_at_least(after, before) for after, before in sizes)
        if grows or self.method.startswith("nearest"):
            return self.caveats
        return (*self.caveats, SHRUNK)

    def traffic(self, x: TensorType) -> Traffic:
        """Where an axis shrinks, each point is taken from a cell of its own at least, and from no other if it is the nearest."""
        read = (
            before if _is_at_least(after, before) else minimum(before, after)
            for after, before in zip(self.size, x.shape[2:], strict=True)
        )
        return Traffic((x.with_shape(*x.shape[:2], *read),), (self.infer(x),))

    def elementwise(self, x: TensorType) -> Dim:
        """A mean of two points is a difference, a product and a sum, one of four 4 products and 3 sums."""
        axes = len(self.size)
        if self.method.startswith("nearest"):
            return ZERO
        means = 3 * (2**axes - 1) if self.method == "bilinear" else 7 * (4 + 1)
        return self.infer(x).elements * means

    def torch(self, io: Io) -> Expr:
        mode = LINEAR[len(self.size)] if self.method == "bilinear" else self.method
        return F.interpolate(
            io["x"],
            self.size,
            mode=default(mode, "nearest"),
            align_corners=default(io.arg("align_corners"), False),
        )

    def keras(self, io: Io) -> Expr:
        if self.method.startswith("nearest"):
            exact = default(self.method == "nearest-exact", False)
            return io.helper("resize_nearest")(io["x"], self.size, exact=exact)
        name = "resize_cubic" if self.method == "bicubic" else "resize_linear"
        corners = default(io.arg("align_corners"), False)
        return io.helper(name)(io["x"], self.size, align_corners=corners)


def _is_at_least(after: Dim, before: Dim) -> bool:
    """Whether a size is seen not to be less than another one: by a number of cells, or so many times."""
    more, times = after - before, after // before
    if more.is_constant:
        return not more.falls_below(0)
    return times.is_constant and not times.falls_below(1)
