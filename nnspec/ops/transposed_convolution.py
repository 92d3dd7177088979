"""Transposed convolutions over one to three spatial axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nnspec.ir.dims import ONE, ZERO, Dim, maximum, product
from nnspec.ir.types import TensorType
from nnspec.ops import spatial
from nnspec.ops.base import (
    Count,
    Io,
    KerasWeight,
    Layout,
    Operator,
    OpError,
    Product,
    Weight,
)
from nnspec.ops.initializers import FanUniform, Initializer
from nnspec.ops.spatial import Pairs, PerAxis, Sizes
from nnspec.ops.weight_steps import Transpose
from nnspec.pycode.expressions import Expr, Namespace, default

nn, layers = Namespace("nn"), Namespace("layers")


class ConvTranspose(Operator):
    """A transposed convolution over all spatial axes: [B, C, *S] -> [B, features, *S'].

    The gradient of a convolution with respect to its input: each cell adds a copy of the kernel, `stride`
    cells apart. W is [C, features / groups, *kernel]; there are one to three spatial axes. A result has
    (n - 1) stride - 2 padding + dilation (kernel - 1) + output_padding + 1 cells an axis: `padding` takes
    cells away on both sides, `output_padding` adds some at the end. Weights and bias start uniform within
    1 / sqrt(features / groups times the cells of the kernel).

    Example: `x -> ConvTranspose(64, 4, stride=2, padding=1)` doubles the size.
    """

    layout: ClassVar[Layout] = Layout.SPATIAL

    features: Count
    kernel: PerAxis
    stride: PerAxis = ONE
    padding: PerAxis = ZERO
    output_padding: PerAxis = ZERO
    groups: Count = ONE
    dilation: PerAxis = ONE
    bias: bool = True
    init: Initializer | None = None
    bias_init: Initializer | None = None

    def windows(self, axes: int) -> tuple[Sizes, Sizes, Sizes]:
        """Kernel, stride and dilation of each axis."""
        return (
            spatial.per_axis(self.kernel, axes, "kernel"),
            spatial.per_axis(self.stride, axes, "stride"),
            spatial.per_axis(self.dilation, axes, "dilation"),
        )

    def paddings(self, axes: int) -> tuple[Sizes, Sizes]:
        """The padding and the output padding of each axis."""
        return (
            spatial.per_axis(self.padding, axes, "padding", 0),
            spatial.per_axis(self.output_padding, axes, "output_padding", 0),
        )

    def infer(self, x: TensorType) -> TensorType:
        axes = spatial.spatial_axes(x)
        spatial.check_groups(x.shape[1], self.features, self.groups)
        kernel, stride, dilation = self.windows(axes)
        padding, output_padding = self.paddings(axes)
        for extra, s, d in zip(output_padding, stride, dilation, strict=True):
            if (maximum(s, d) - extra).falls_below(1):
                raise OpError(
                    f"must be less than the stride ({s}) or the dilation ({d}), and is {extra}",
                    param="output_padding",
                    code="E0409",
                )
        spans = spatial.reach(kernel, dilation)
        rows = zip(x.shape[2:], stride, spans, padding, output_padding, strict=True)
        sizes = [
            (n - 1) * s + span + 1 - 2 * p + extra for n, s, span, p, extra in rows
        ]
        for axis, (size, p) in enumerate(zip(sizes, padding, strict=True)):
            if size.falls_below(1):
                raise OpError(
                    f"a padding of {p} leaves {size} cells of spatial axis {axis}",
                    param="padding",
                    hint="use less padding",
                    code="E0408",
                )
        return x.with_shape(x.shape[0], self.features, *sizes)

    def fan(self, axes: int) -> Dim:
        """What PyTorch takes for the number of inputs: features / groups times the kernel's cells."""
        kernel, _, _ = self.windows(axes)
        return self.features // self.groups * product(kernel)

    def weights(self, x: TensorType) -> Mapping[str, Weight]:
        kernel, _, _ = self.windows(x.rank - 2)
        fan = FanUniform(self.fan(x.rank - 2))
        shape = (x.shape[1], self.features // self.groups, *kernel)
        found = {
            "weight": Weight(shape, self.init or fan, chosen=self.init is not None)
        }
        if self.bias:
            init = self.bias_init or fan
            found["bias"] = Weight(
                (self.features,), init, chosen=self.bias_init is not None
            )
        return found

    def products(self, x: TensorType) -> tuple[Product, ...]:
        flops = 2 * x.elements * self.fan(x.rank - 2)
        return (Product(("x",), ("weight",), flops),)

    @property
    def per_result(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] -- known per use
        """The bias is added."""
        return int(self.bias)

    def torch(self, io: Io) -> Expr:
        axes = io.type("x").rank - 2
        kernel, stride, dilation = self.windows(axes)
        padding, output_padding = self.paddings(axes)
        module = io.module(
            getattr(nn, f"ConvTranspose{axes}d"),
            io.type("x").shape[1],
            self.features,
            spatial.spelled(kernel),
            stride=spatial.option(stride, 1),
            padding=spatial.option(padding, 0),
            output_padding=spatial.option(output_padding, 0),
            groups=default(self.groups, 1),
            bias=default(io.arg("bias"), True),
            dilation=spatial.option(dilation, 1),
        )
        return module(io["x"])

    # ---- Keras -------------------------------------------------------------------------------

    def by_hand(self, axes: int) -> bool:
        """Whether Keras's layer cannot do it: groups, dilation, or more padding after than it made."""
        _, _, dilation = self.windows(axes)
        crops = self._crops(axes)
        short = any(int(after) < 0 for _, after in crops)
        return self.groups != 1 or any(d != 1 for d in dilation) or short

    def _crops(self, axes: int) -> Pairs:
        """What to take away from the n s + max(k - s, 0) cells that Keras makes."""
        kernel, stride, dilation = self.windows(axes)
        spans = spatial.reach(kernel, dilation)
        rows = zip(spans, stride, *self.paddings(axes), strict=True)
        return tuple(
            (p, p - extra + maximum(s - span - 1, ZERO)) for span, s, p, extra in rows
        )

    def keras(self, io: Io) -> Expr:
        axes = io.type("x").rank - 2
        if self.by_hand(axes):
            return self._keras_by_hand(io, axes)
        crops = self._crops(axes)
        if self._doubles(axes):
            return self._keras_module(io, axes, padding="same")(io["x"])
        y = self._keras_module(io, axes)(io["x"])
        if all(spatial.all_literal(pair, 0) for pair in crops):
            return y
        crop = getattr(layers, f"Cropping{axes}D")
        return io.module(crop, spatial.keras_pads(crops), suffix="_crop")(y)

    def _doubles(self, axes: int) -> bool:
        """Whether Keras's "same", which gives n s cells, is what the padding says."""
        kernel, stride, _ = self.windows(axes)
        padding, extra = self.paddings(axes)
        rows = list(zip(kernel, stride, padding, extra, strict=True))
        known = all(size.generic.is_constant for row in rows for size in row)
        return known and all(
            int(p) > 0 and int(k - s) // 2 == int(p) and k - 2 * p + e == s
            for k, s, p, e in rows
        )

    def _keras_module(self, io: Io, axes: int, padding: str = "valid") -> Expr:
        kernel, stride, _ = self.windows(axes)
        fan = FanUniform(self.fan(axes))
        options: dict[str, Any] = {"padding": default(padding, "valid")}
        if self.bias:
            options["bias_initializer"] = (self.bias_init or fan).keras()
        return io.module(
            getattr(layers, f"Conv{axes}DTranspose"),
            self.features,
            spatial.spelled(kernel),
            strides=spatial.option(stride, 1),
            use_bias=default(io.arg("bias"), True),
            kernel_initializer=(self.init or fan).keras(),
            **options,
        )

    def _keras_by_hand(self, io: Io, axes: int) -> Expr:
        _, stride, dilation = self.windows(axes)
        padding, extra = self.paddings(axes)
        y = io.helper("conv_transpose")(
            io["x"],
            io.parameter("weight"),
            stride,
            padding=default(padding, (0,) * axes),
            output_padding=default(extra, (0,) * axes),
            dilation=default(dilation, (1,) * axes),
            groups=default(self.groups, 1),
        )
        return y + io.parameter("bias") if self.bias else y

    def keras_weights(self, x: TensorType) -> tuple[KerasWeight, ...]:
        if self.by_hand(x.rank - 2):
            return super().keras_weights(x)
        kernel = KerasWeight(
            "kernel", ("weight",), (Transpose(spatial.kernel_order(x.rank)),)
        )
        return (kernel, KerasWeight("bias", ("bias",))) if self.bias else (kernel,)
