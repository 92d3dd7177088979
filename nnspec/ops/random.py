"""Layers that are random in training and do nothing in inference, and the one that never does."""

from __future__ import annotations

import abc
from typing import ClassVar

from nnspec.ir.types import TensorType
from nnspec.ops.base import (
    Io,
    Layout,
    NoFlops,
    OpError,
    Rate,
    require_float,
)
from nnspec.ops.rules import Caveat
from nnspec.pycode.expressions import Expr, Namespace

nn, layers = Namespace("nn"), Namespace("layers")


class RandomDrop(NoFlops, abc.ABC):
    """Sets a share `rate` to zero in training, and divides the rest by 1 - rate."""

    caveats: ClassVar[tuple[Caveat, ...]] = (
        Caveat(
            "memory",
            "at most",
            "a mask is as wide as an activation, as on a CPU; a GPU keeps a byte an element",
            under=("dropout", "configured"),
        ),
    )

    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    random: ClassVar[bool] = True
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True  # in evaluation, where it does nothing

    rate: Rate

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        return x


class Dropout(RandomDrop):
    """Sets each element to zero with probability `rate` in training: [*S] -> [*S].

    The others are divided by 1 - rate (Srivastava et al., 2014). In inference it does
    nothing.

    Example: `x -> Dropout(0.1)`
    """

    def torch(self, io: Io) -> Expr:
        return io.module(nn.Dropout, io.arg("rate"))(io["x"])

    def keras(self, io: Io) -> Expr:
        return io.module(layers.Dropout, io.arg("rate"))(io["x"])


class ChannelDropout(RandomDrop):
    """Sets whole channels to zero with probability `rate` in training.

    [B, C, *S] -> [B, C, *S] with 1 to 3 spatial axes; the other channels are divided by
    1 - rate (Tompson et al., 2014). In inference it does nothing.

    Example: `x -> Conv(64, 3) -> ChannelDropout(0.1)`
    """

    layout: ClassVar[Layout] = Layout.SPATIAL

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if not 3 <= x.rank <= 5:
            raise OpError(
                f"needs channels and 1 to 3 axes of space, and {x} has {x.rank} axes",
                input="x",
                hint="use `Dropout` where there is no space",
                code="E0403",
            )
        return x

    def torch(self, io: Io) -> Expr:
        function = getattr(nn, f"Dropout{io.type('x').rank - 2}d")
        return io.module(function, io.arg("rate"))(io["x"])

    def keras(self, io: Io) -> Expr:
        function = getattr(layers, f"SpatialDropout{io.type('x').rank - 2}D")
        return io.module(function, io.arg("rate"))(io["x"])


class DropPath(RandomDrop):
    """Sets whole samples to zero with probability `rate` in training: [B, *S] -> [B, *S].

    The others are divided by 1 - rate: stochastic depth, on the branch of a residual
    connection (Huang et al., 2016). In inference it does nothing.

    Example: `x + (y -> DropPath(0.1))`
    """

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if x.rank < 1:
            raise OpError(
                "needs a batch axis, and got a scalar",
                input="x",
                hint="use `Dropout` for a scalar",
                code="E0403",
            )
        return x

    def torch(self, io: Io) -> Expr:
        return io.module(io.helper("DropPath"), io.arg("rate"))(io["x"])

    def keras(self, io: Io) -> Expr:
        # None stands for the size of the batch: one draw for each sample.
        noise_shape = (None,) + (1,) * (io.type("x").rank - 1)
        module = io.module(layers.Dropout, io.arg("rate"), noise_shape=noise_shape)
        return module(io["x"])


class Identity(NoFlops):
    """Its input, unchanged: [*S] -> [*S]. Useful where a block is asked for.

    Example: `x -> Identity`
    """

    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    per_result: ClassVar[int | None] = 0
    is_view: ClassVar[bool] = True

    def infer(self, x: TensorType) -> TensorType:
        return x

    def torch(self, io: Io) -> Expr:
        return io.module(nn.Identity)(io["x"])

    def keras(self, io: Io) -> Expr:
        return io.module(layers.Identity)(io["x"])
