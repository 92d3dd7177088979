"""Convolutions over one to three spatial axes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from nnspec.ir.dims import ONE, ZERO, Dim, product
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
from nnspec.ops.rules import Caveat, Traffic
from nnspec.ops.spatial import CausalPadding, Pairs, PerAxis, Sizes
from nnspec.ops.weight_steps import Transpose
from nnspec.ops.windows import UNKNOWN
from nnspec.pycode.expressions import Expr, Namespace, default

F, nn = Namespace("F"), Namespace("nn")
layers, ops = Namespace("layers"), Namespace("ops")

PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]
TORCH_MODES = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "replicate",
    "circular": "circular",
}


class Conv(Operator):
    """A convolution over all spatial axes: [B, C, *S] -> [B, features, *S'].

    `y[b, o, i] = sum over c, k of x[b, c, s i + d k - p] W[o, c, k] + bias[o]`, with W: [features,
    C / groups, *kernel]. There are one to three spatial axes; `kernel`, `stride` and `dilation` are one
    number for all of them or a list. `padding` is a number, a list of numbers, a list of pairs
    (before, after), "same" (as many cells as it takes for ceil(n / stride) results, the odd one
    after), or "causal" (one axis; all of it before). The padding holds zeros, or what `padding_mode`
    says. A result has floor((n + padding - dilation (kernel - 1) - 1) / stride) + 1 cells an axis.

    With `groups`, each group of features sees its own group of channels; `groups=C` is a depthwise
    convolution. Weights and bias start uniform within 1 / sqrt(fan in), fan in being C / groups times the
    cells of the kernel.

    Example: `x -> Conv(64, 3, stride=2, padding=1, bias=false)`
    """

    layout: ClassVar[Layout] = Layout.SPATIAL

    features: Count
    kernel: PerAxis
    stride: PerAxis = ONE
    padding: CausalPadding = ZERO
    dilation: PerAxis = ONE
    groups: Count = ONE
    bias: bool = True
    init: Initializer | None = None
    bias_init: Initializer | None = None
    padding_mode: PaddingMode = "zeros"

    # ---- sizes -------------------------------------------------------------------------------

    def windows(self, axes: int) -> tuple[Sizes, Sizes, Sizes]:
        """Kernel, stride and dilation of each axis."""
        return (
            spatial.per_axis(self.kernel, axes, "kernel"),
            spatial.per_axis(self.stride, axes, "stride"),
            spatial.per_axis(self.dilation, axes, "dilation"),
        )

    def leaves_open(self, x: TensorType) -> tuple[Caveat, ...]:
        return self.caveats if self._seen(x) is not None else (*self.caveats, UNKNOWN)

    def _seen(self, x: TensorType) -> TensorType | None:
        """The cells that windows cover; where padding repeats cells, a kernel before this one reads all."""
        if self.padding_mode != "zeros":
            return x
        axes = x.rank - 2
        return spatial.seen(x, self.infer(x), self.windows(axes), self.pairs(axes))

    def traffic(self, x: TensorType) -> Traffic:
        found = super().traffic(x)
        return Traffic((self._seen(x) or x,), found.writes, found.weights)

    def pairs(self, axes: int) -> Pairs | None:
        """The padding of each axis; None where it depends on the size."""
        if self.padding == "same":
            return None
        if self.padding == "causal":
            kernel, _, dilation = self.windows(axes)
            (span,) = spatial.reach(kernel, dilation)
            return ((span, ZERO),)
        return spatial.pairs(self.padding, axes)

    def infer(self, x: TensorType) -> TensorType:
        axes = spatial.spatial_axes(x)
        spatial.check_groups(x.shape[1], self.features, self.groups)
        kernel, stride, dilation = self.windows(axes)
        if self.padding == "causal" and axes != 1:
            raise OpError(
                f"causal padding is for one spatial axis, and {x} has {axes}",
                param="padding",
                hint="give a pair (before, after) for each axis",
                code="E0409",
            )
        spans = spatial.reach(kernel, dilation)
        pairs = self.pairs(axes)
        if pairs is None:
            self._check_same(spans, stride)
            sizes = [
                spatial.same_size(n, s)
                for n, s in zip(x.shape[2:], stride, strict=True)
            ]
            return x.with_shape(x.shape[0], self.features, *sizes)
        check_filling(x.shape[2:], pairs, self.padding_mode)
        sizes = [
            spatial.slid(n, s, span, *pair, axis)
            for axis, (n, s, span, pair) in enumerate(
                zip(x.shape[2:], stride, spans, pairs, strict=True)
            )
        ]
        return x.with_shape(x.shape[0], self.features, *sizes)

    def _check_same(self, spans: Sizes, stride: Sizes) -> None:
        if self.padding_mode != "zeros" and any(s != 1 for s in stride):
            raise OpError(
                f'"same" padding with a stride depends on the size, and {self.padding_mode} padding '
                "must be known",
                param="padding_mode",
                hint="give the padding as numbers, or use `pad` before",
                code="E0409",
            )

    def weights(self, x: TensorType) -> Mapping[str, Weight]:
        kernel = spatial.per_axis(self.kernel, x.rank - 2, "kernel")
        shape = (self.features, x.shape[1] // self.groups, *kernel)
        fan = FanUniform(self.fan(x))
        found = {
            "weight": Weight(shape, self.init or fan, chosen=self.init is not None)
        }
        if self.bias:
            init = self.bias_init or fan
            found["bias"] = Weight(
                (self.features,), init, chosen=self.bias_init is not None
            )
        return found

    def fan(self, x: TensorType) -> Dim:
        """How many inputs each result sees."""
        kernel = spatial.per_axis(self.kernel, x.rank - 2, "kernel")
        return x.shape[1] // self.groups * product(kernel)

    def products(self, x: TensorType) -> tuple[Product, ...]:
        flops = 2 * self.infer(x).elements * self.fan(x)
        return (Product(("x",), ("weight",), flops),)

    @property
    def per_result(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] -- known per use
        """The bias is added."""
        return int(self.bias)

    # ---- PyTorch -----------------------------------------------------------------------------

    def torch(self, io: Io) -> Expr:
        channels, axes = io.type("x").shape[1], io.type("x").rank - 2
        kernel, stride, dilation = self.windows(axes)
        x, padding = self._torch_padding(io)
        mode: dict[str, Any] = {}
        if padding:
            mode["padding_mode"] = default(self.padding_mode, "zeros")
        module = io.module(
            getattr(nn, f"Conv{axes}d"),
            channels,
            self.features,
            spatial.spelled(kernel),
            stride=spatial.option(stride, 1),
            **padding,
            dilation=spatial.option(dilation, 1),
            groups=default(self.groups, 1),
            bias=default(io.arg("bias"), True),
            **mode,
        )
        return module(x)

    def _torch_padding(self, io: Io) -> tuple[Expr, dict[str, Any]]:
        """The input, and what its layer is told of padding: nothing where the input is padded already."""
        x, axes = io["x"], io.type("x").rank - 2
        kernel, stride, dilation = self.windows(axes)
        pairs = self.pairs(axes)
        if pairs is not None:
            sides = spatial.symmetric(pairs)
            if sides is not None:
                return x, {"padding": spatial.option(sides, 0)}
            mode = default(TORCH_MODES[self.padding_mode], "constant")
            return F.pad(x, spatial.torch_pads(pairs), mode=mode), {}
        if spatial.all_literal(stride, 1):
            return x, {"padding": "same"}
        dilated = {"dilation": spatial.option(dilation, 1)}
        padded = io.helper("pad_same")(
            x, spatial.spelled(kernel), spatial.spelled(stride), **dilated
        )
        return padded, {}

    # ---- Keras -------------------------------------------------------------------------------

    def keras(self, io: Io) -> Expr:
        axes = io.type("x").rank - 2
        kernel, stride, dilation = self.windows(axes)
        x, padding = self._keras_padded(io, axes)
        # Keras refuses both at once: take every s-th result of a convolution that moves by 1.
        thinned = any(s != 1 for s in stride) and any(d != 1 for d in dilation)
        options = {
            **({} if thinned else {"strides": spatial.option(stride, 1)}),
            "padding": default(padding, "valid"),
            "dilation_rate": spatial.option(dilation, 1),
            "groups": default(self.groups, 1),
        }
        y = self._keras_module(io, spatial.spelled(kernel), options)(x)
        if not thinned:
            return y
        steps = [slice(None, None, s) for s in stride]
        return y[(slice(None), *steps)]

    def _keras_module(
        self, io: Io, kernel: Dim | Sizes, options: Mapping[str, Any]
    ) -> Expr:
        axes = io.type("x").rank - 2
        if self.init is None and self.bias_init is None:
            if not self.bias:
                return io.module(
                    io.helper(f"conv{axes}d"), self.features, kernel, **options
                )
            helper = io.helper(f"biased_conv{axes}d")
            return io.module(
                helper, self.features, kernel, self.fan(io.type("x")), **options
            )
        fan = FanUniform(self.fan(io.type("x")))
        bias: dict[str, Any] = {}
        if self.bias:
            bias["bias_initializer"] = (self.bias_init or fan).keras()
        return io.module(
            getattr(layers, f"Conv{axes}D"),
            self.features,
            kernel,
            **options,
            use_bias=default(io.arg("bias"), True),
            kernel_initializer=(self.init or fan).keras(),
            **bias,
        )

    def _keras_padded(self, io: Io, axes: int) -> tuple[Expr, str]:
        """The padded input, and what the layer still has to pad."""
        x = io["x"]
        kernel, stride, dilation = self.windows(axes)
        pairs = self.pairs(axes)
        zeros = self.padding_mode == "zeros"
        if pairs is None and zeros:
            if all(s == 1 for s in stride) or all(d == 1 for d in dilation):
                return x, "same"
            dilated = {"dilation": spatial.option(dilation, 1)}
            sizes = spatial.spelled(kernel), spatial.spelled(stride)
            return io.helper("pad_same")(x, *sizes, **dilated), "valid"
        if pairs is None:
            pairs = tuple(
                (span // 2, span - span // 2)
                for span in spatial.reach(kernel, dilation)
            )
        if all(spatial.all_literal(pair, 0) for pair in pairs):
            return x, "valid"
        if not zeros:
            return io.helper("pad")(
                x, spatial.around(pairs), self.padding_mode
            ), "valid"
        if self.padding == "causal" and spatial.all_literal(dilation, 1):
            return x, "causal"
        if self._keeps_size(pairs, kernel, stride, dilation):
            return x, "same"
        pad = getattr(layers, f"ZeroPadding{axes}D")
        return io.module(pad, spatial.keras_pads(pairs), suffix="_pad")(x), "valid"

    def _keeps_size(
        self, pairs: Pairs, kernel: Sizes, stride: Sizes, dilation: Sizes
    ) -> bool:
        """Whether "same" is what the padding says wherever the block is used."""
        spans = spatial.reach(kernel, dilation)
        return spatial.all_literal(stride, 1) and all(
            spatial.alike(before, after) and spatial.alike(2 * before, span)
            for (before, after), span in zip(pairs, spans, strict=True)
        )

    def keras_weights(self, x: TensorType) -> tuple[KerasWeight, ...]:
        kernel = KerasWeight(
            "kernel", ("weight",), (Transpose(spatial.kernel_order(x.rank)),)
        )
        return (kernel, KerasWeight("bias", ("bias",))) if self.bias else (kernel,)


def check_filling(sizes: Sizes, pairs: Pairs, mode: str) -> None:
    """Raises `OpError` if the axes are too short to be continued by reflection or in a circle."""
    if mode not in ("reflect", "circular"):
        return
    for axis, (size, pair) in enumerate(zip(sizes, pairs, strict=True)):
        most = size - 1 if mode == "reflect" else size
        if any((most - cells).falls_below(0) for cells in pair):
            raise OpError(
                f"spatial axis {axis} has {size} cells, which {mode} padding can continue by {most} "
                f"on a side, not by {max(int(cells) for cells in pair)}",
                param="padding",
                code="E0409",
            )
