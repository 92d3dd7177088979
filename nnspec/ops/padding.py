"""Padding of any axes, and the exchange of channels for space."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from nnspec.ir.dims import Dim
from nnspec.ir.types import DType, TensorType
from nnspec.ops import spatial
from nnspec.ops.base import (
    Count,
    Float,
    Io,
    Layout,
    NoFlops,
    OpError,
    require_float,
    require_rank,
)
from nnspec.ops.spatial import PadPairs, Pairs
from nnspec.pycode.expressions import Expr, Namespace, default

F, ops = Namespace("F"), Namespace("ops")

Mode = Literal["constant", "reflect", "replicate", "circular", "symmetric"]


class Pad(NoFlops):
    """Adds cells around the last axes: [*S, n] -> [*S, before + n + after].

    `padding` is [before, after] for the last axis, or a list of such pairs for as many of the last axes, in
    their order. "constant" fills with `value`; "reflect" mirrors at the last cell, "symmetric"
    behind it; "replicate" repeats the last cell; "circular" goes on at the other end.

    Example: `pad(x, [[1, 1], [0, 2]], mode="reflect")`
    """

    layout: ClassVar[Layout] = Layout.AXES
    spelling: ClassVar[str | None] = "pad"
    per_result: ClassVar[int | None] = 0

    padding: PadPairs
    mode: Mode = "constant"
    value: Float = 0.0

    def pairs(self, x: TensorType) -> Pairs:
        """A pair for each of the last axes."""
        match self.padding:
            case (Dim() as before, Dim() as after):
                return ((before, after),)
            case entries:
                pairs = tuple(entry for entry in entries if isinstance(entry, tuple))
        if not pairs or len(pairs) < len(entries):
            raise OpError(
                "is neither one pair [before, after] nor a list of such pairs",
                param="padding",
                code="E0409",
            )
        return pairs

    def infer(self, x: TensorType) -> TensorType:
        pairs = self.pairs(x)
        if len(pairs) > x.rank:
            raise OpError(
                f"pads {len(pairs)} axes, and {x} has {x.rank}",
                param="padding",
                code="E0403",
            )
        self._check_kind(x)
        kept = x.rank - len(pairs)
        for axis, (size, pair) in enumerate(
            zip(x.shape[kept:], pairs, strict=True), kept
        ):
            self._check_axis(size, pair, axis)
        sizes = [
            before + n + after
            for n, (before, after) in zip(x.shape[kept:], pairs, strict=True)
        ]
        return x.with_shape(*x.shape[:kept], *sizes)

    def _check_kind(self, x: TensorType) -> None:
        if x.dtype is DType.BOOL:
            raise OpError(
                f"pads numbers, and {x} holds truth values",
                input="x",
                hint="convert it first: `cast(x, i64)`",
                code="E0404",
            )
        if self.mode != "constant" and self.value != 0:
            raise OpError(
                f"is used by constant padding only, not by {self.mode}",
                param="value",
                hint="leave it out",
                code="E0409",
            )
        if x.dtype.is_integer and not self.value.is_integer():
            raise OpError(
                f"{self.value} does not fit into {x}", param="value", code="E0404"
            )

    def _check_axis(self, size: Dim, pair: tuple[Dim, Dim], axis: int) -> None:
        most = size - 1 if self.mode == "reflect" else size
        for cells in pair:
            if not cells.is_constant:
                continue
            if cells.falls_below(0):
                raise OpError(
                    f"axis {axis} cannot be padded by {cells} cells",
                    param="padding",
                    hint="to take cells away, use a slice",
                    code="E0408",
                )
            bounded = self.mode in ("reflect", "circular", "symmetric")
            if bounded and (most - cells).falls_below(0):
                raise OpError(
                    f"axis {axis} has {size} cells, which {self.mode} padding can continue by "
                    f"{most} on a side, not by {cells}",
                    param="padding",
                    code="E0409",
                )

    def torch(self, io: Io) -> Expr:
        kind = io.type("x")
        pairs = self.pairs(kind)
        if self.mode == "constant":
            value = default(self._value(io), 0)
            return F.pad(io["x"], spatial.torch_pads(pairs), value=value)
        # PyTorch's own modes want floats, and just as many axes before the padded ones.
        native = self.mode != "symmetric" and kind.dtype.is_float
        if native and kind.rank - len(pairs) in (1, 2) and len(pairs) <= 3:
            return F.pad(io["x"], spatial.torch_pads(pairs), mode=self.mode)
        return io.helper("pad_axes")(io["x"], pairs, self.mode)

    def keras(self, io: Io) -> Expr:
        kind = io.type("x")
        pairs = self.pairs(kind)
        pads: list[Any] = [(0, 0)] * kind.rank
        for axis, pair in enumerate(pairs, kind.rank - len(pairs)):
            pads[io.axis(axis)] = pair
        if self.mode != "constant":
            return io.helper("pad")(io["x"], tuple(pads), self.mode)
        value = default(self._value(io), 0)
        return ops.pad(io["x"], tuple(pads), constant_values=value)

    def _value(self, io: Io) -> Any:
        return int(self.value) if io.type("x").dtype.is_integer else io.arg("value")


class Shuffle(NoFlops):
    """What the exchanges of channels for space share."""

    layout: ClassVar[Layout] = Layout.SPATIAL
    per_result: ClassVar[int | None] = 0

    factor: Count

    def check(self, x: TensorType) -> None:
        """Raises `OpError` unless x is [B, C, H, W] and the factor is known."""
        require_rank(x, 4)
        require_float(x)
        spatial.check_known(self.factor, "factor", 1)

    def divided(self, size: Dim, by: Dim, name: str) -> Dim:
        """Size / by. Raises `OpError` unless it divides."""
        rest = size % by
        if rest.is_constant and rest != 0:
            raise OpError(
                f"{by} does not divide the {size} {name}", param="factor", code="E0407"
            )
        return size // by

    def torch(self, io: Io) -> Expr:
        return getattr(F, self.op_name())(io["x"], self.factor)

    def keras(self, io: Io) -> Expr:
        return io.helper(self.op_name())(io["x"], self.factor)


class PixelShuffle(Shuffle):
    """Turns channels into space: [B, C r^2, H, W] -> [B, C, H r, W r], with r the factor.

    `y[b, c, h r + i, w r + j] = x[b, (c r + i) r + j, h, w]`. From Shi et al., 2016.

    Example: `x -> Conv(4 * C, 3, padding=1) -> pixel_shuffle(2)`
    """

    spelling: ClassVar[str | None] = "pixel_shuffle"

    def infer(self, x: TensorType) -> TensorType:
        self.check(x)
        batch, channels, height, width = x.shape
        r = self.factor
        channels = self.divided(channels, r * r, "channels")
        return x.with_shape(batch, channels, height * r, width * r)


class PixelUnshuffle(Shuffle):
    """Turns space into channels: [B, C, H r, W r] -> [B, C r^2, H, W], with r the factor.

    `y[b, (c r + i) r + j, h, w] = x[b, c, h r + i, w r + j]`: the inverse of `pixel_shuffle`.

    Example: `x -> pixel_unshuffle(2)`
    """

    spelling: ClassVar[str | None] = "pixel_unshuffle"

    def infer(self, x: TensorType) -> TensorType:
        self.check(x)
        batch, channels, height, width = x.shape
        r = self.factor
        height = self.divided(height, r, "rows")
        width = self.divided(width, r, "columns")
        return x.with_shape(batch, channels * r * r, height, width)
