"""Pooling over one to three spatial axes: by a sliding window, to a given size, over everything."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from nnspec.ir.dims import ONE, ZERO, Dim, minimum, product
from nnspec.ir.types import TensorType
from nnspec.ops import spatial
from nnspec.ops.base import Io, Layout, NoFlops, OpError
from nnspec.ops.rules import Caveat, Traffic
from nnspec.ops.spatial import Padding, Pairs, PerAxis, Sizes
from nnspec.ops.windows import UNKNOWN
from nnspec.pycode.expressions import Expr, Namespace, default

F, math, ops = Namespace("F"), Namespace("math"), Namespace("ops")


class WindowPool(NoFlops, abc.ABC):
    """What maximum and average over a sliding window share."""

    layout: ClassVar[Layout] = Layout.SPATIAL

    kernel: PerAxis
    stride: PerAxis | None = None
    padding: Padding = ZERO

    @property
    @abc.abstractmethod
    def rounds_up(self) -> bool:
        """Whether a last window may reach beyond the padding."""

    def windows(self, axes: int) -> tuple[Sizes, Sizes, Sizes]:
        """Kernel, stride and dilation of each axis."""
        kernel = spatial.per_axis(self.kernel, axes, "kernel")
        stride = kernel
        if self.stride is not None:
            stride = spatial.per_axis(self.stride, axes, "stride")
        return kernel, stride, (ONE,) * axes

    def leaves_open(self, x: TensorType) -> tuple[Caveat, ...]:
        return self.caveats if self._seen(x) is not None else (*self.caveats, UNKNOWN)

    def _seen(self, x: TensorType) -> TensorType | None:
        """The cells that windows cover."""
        axes = x.rank - 2
        padding = self.all_pairs(axes)
        return spatial.seen(x, self.infer(x), self.windows(axes), padding)

    def traffic(self, x: TensorType) -> Traffic:
        return Traffic((self._seen(x) or x,), (self.infer(x),))

    def pairs(self, axes: int) -> Pairs | None:
        """The padding of each axis as the spec says it; None where it depends on the size."""
        return None if self.padding == "same" else spatial.pairs(self.padding, axes)

    def all_pairs(self, axes: int) -> Pairs | None:
        """The padding of each axis, with the cells that rounding up adds.

        Windows start every `stride` cells; one more than fits is taken (after + stride - 1) unless it
        would start behind the input (span).
        """
        pairs = self.pairs(axes)
        if pairs is None or not self.rounds_up:
            return pairs
        kernel, stride, dilation = self.windows(axes)
        rows = zip(pairs, stride, spatial.reach(kernel, dilation), strict=True)
        return tuple(
            (before, minimum(after + s - 1, span)) for (before, after), s, span in rows
        )

    def infer(self, x: TensorType) -> TensorType:
        axes = spatial.spatial_axes(x)
        kernel, stride, dilation = self.windows(axes)
        pairs = self.all_pairs(axes)
        if pairs is None:
            self._check_same()
            sizes = [
                spatial.same_size(n, s)
                for n, s in zip(x.shape[2:], stride, strict=True)
            ]
            return x.with_shape(*x.shape[:2], *sizes)
        spans = spatial.reach(kernel, dilation)
        self._check_padding(axes, spans)
        sizes = [
            spatial.slid(n, s, span, *pair, axis)
            for axis, (n, s, span, pair) in enumerate(
                zip(x.shape[2:], stride, spans, pairs, strict=True)
            )
        ]
        return x.with_shape(*x.shape[:2], *sizes)

    def elementwise(self, x: TensorType) -> Dim:
        """One operation for each cell of a window."""
        kernel, _, _ = self.windows(x.rank - 2)
        return self.infer(x).elements * product(kernel)

    def _check_same(self) -> None:
        if self.rounds_up:
            raise OpError(
                'with "same" padding there is nothing to round up',
                param="ceil",
                hint="leave `ceil` out",
                code="E0409",
            )

    def _check_padding(self, axes: int, spans: Sizes) -> None:
        for pair, span in zip(self.pairs(axes) or (), spans, strict=True):
            if any((span + 1 - 2 * cells).falls_below(0) for cells in pair):
                raise OpError(
                    f"{max(int(cells) for cells in pair)} cells are more than half of a window "
                    f"of {span + 1}",
                    param="padding",
                    hint="use `pad` before, if a window may see padding only",
                    code="E0409",
                )

    def moves(self, axes: int) -> dict[str, Any]:
        """PyTorch's keyword of the stride, left out where it is the kernel."""
        kernel, stride, _ = self.windows(axes)
        if all(spatial.alike(k, s) for k, s in zip(kernel, stride, strict=True)):
            return {}
        return {"stride": spatial.spelled(stride)}


def is_open(io: Io) -> bool:
    """Whether a spatial size is only known at run time: PyTorch's tracer would fix it to round it up."""
    return any(map(io.is_open, io.type("x").shape[2:]))


class MaxPool(WindowPool):
    """The maximum over a sliding window: [B, C, *S] -> [B, C, *S'].

    `stride` is the kernel unless given. `padding` (a number, a list, a list of pairs, or "same") never
    wins. A result has floor((n + padding - dilation (kernel - 1) - 1) / stride) + 1 cells an axis; with
    `ceil` the quotient is rounded up, unless that window would start behind the input.

    Example: `x -> max_pool(3, stride=2, padding=1)`
    """

    spelling: ClassVar[str | None] = "max_pool"

    ceil: bool = False
    dilation: PerAxis = ONE

    @property
    def rounds_up(self) -> bool:
        return self.ceil

    def windows(self, axes: int) -> tuple[Sizes, Sizes, Sizes]:
        kernel, stride, _ = super().windows(axes)
        return kernel, stride, spatial.per_axis(self.dilation, axes, "dilation")

    def torch(self, io: Io) -> Expr:
        axes = io.type("x").rank - 2
        kernel, stride, dilation = self.windows(axes)
        x, pairs = io["x"], self.pairs(axes)
        sides = spatial.symmetric(pairs) if pairs is not None else None
        options: dict[str, Any] = {"dilation": spatial.option(dilation, 1)}
        if pairs is None:
            sizes = spatial.spelled(kernel), spatial.spelled(stride)
            x = io.helper("pad_same")(x, *sizes, **options, value=-math.inf)
        elif sides is None or (self.ceil and is_open(io)):
            padded = spatial.torch_pads(self.all_pairs(axes) or pairs)
            x = F.pad(x, padded, value=-math.inf)
        else:
            options = {"padding": spatial.option(sides, 0), **options}
            options["ceil_mode"] = default(io.arg("ceil"), False)
        arguments = (x, spatial.spelled(kernel))
        options = {**self.moves(axes), **options}
        if axes == 1 and is_open(io):
            # Without indices, PyTorch's tracer fixes the size.
            return F.max_pool1d(*arguments, **options, return_indices=True)[0]
        return getattr(F, f"max_pool{axes}d")(*arguments, **options)

    def keras(self, io: Io) -> Expr:
        axes = io.type("x").rank - 2
        kernel, stride, dilation = self.windows(axes)
        x, pairs = io["x"], self.all_pairs(axes)
        dilated = any(d != 1 for d in dilation)
        # Keras on JAX mistakes a stride that is left out.
        options: dict[str, Any] = {"strides": spatial.spelled(stride)}
        if pairs is not None and not all(
            spatial.all_literal(pair, 0) for pair in pairs
        ):
            x = ops.pad(x, spatial.around(pairs), constant_values=-math.inf)
        elif pairs is None and dilated:
            sizes = (
                spatial.spelled(kernel),
                spatial.spelled(stride),
                spatial.spelled(dilation),
            )
            x = io.helper("pad_same")(x, *sizes, value=-math.inf)
        elif pairs is None:
            options["padding"] = "same"
        if dilated:
            return io.helper("dilated_max_pool")(x, kernel, stride, dilation)
        return ops.max_pool(x, spatial.spelled(kernel), **options)


class AveragePool(WindowPool):
    """The mean over a sliding window: [B, C, *S] -> [B, C, *S'].

    `stride` is the kernel unless given. `padding` is a number, a list, a list of pairs, or "same", and
    holds zeros, which count as cells unless `count_padding=false`. With `ceil`, a last window may reach
    beyond the padding; what it sees there is never counted.

    Example: `x -> avg_pool(2)`
    """

    spelling: ClassVar[str | None] = "avg_pool"

    count_padding: bool = True
    ceil: bool = False

    @property
    def rounds_up(self) -> bool:
        return self.ceil

    def infer(self, x: TensorType) -> TensorType:
        result = super().infer(x)
        pairs = self.pairs(x.rank - 2)
        if self.ceil and pairs is not None and spatial.symmetric(pairs) is None:
            raise OpError(
                "an average with `ceil` needs the same padding on both sides",
                param="padding",
                hint="use `pad` before",
                code="E0409",
            )
        return result

    def torch(self, io: Io) -> Expr:
        axes = io.type("x").rank - 2
        sizes, strides, _ = self.windows(axes)
        kernel, stride = spatial.spelled(sizes), spatial.spelled(strides)
        x, pairs = io["x"], self.pairs(axes)
        sides = spatial.symmetric(pairs) if pairs is not None else None
        pool, moves = getattr(F, f"avg_pool{axes}d"), self.moves(axes)
        if self.ceil and is_open(io):
            counted = (
                {"counted": spatial.torch_pads(pairs or ())}
                if self.count_padding
                else {}
            )
            pads = spatial.torch_pads(self.all_pairs(axes) or ())
            return io.helper("average_pool")(x, kernel, stride, pads, **counted)
        if sides is not None:
            return pool(
                x,
                kernel,
                **moves,
                padding=spatial.option(sides, 0),
                ceil_mode=default(io.arg("ceil"), False),
                count_include_pad=default(io.arg("count_padding"), True),
            )
        if not self.count_padding:
            pads = {} if pairs is None else {"pads": spatial.torch_pads(pairs)}
            return io.helper("average_pool")(x, kernel, stride, **pads)
        if pairs is None:
            return pool(io.helper("pad_same")(x, kernel, stride), kernel, **moves)
        return pool(F.pad(x, spatial.torch_pads(pairs)), kernel, **moves)

    def keras(self, io: Io) -> Expr:
        axes = io.type("x").rank - 2
        sizes, strides, _ = self.windows(axes)
        kernel, stride = spatial.spelled(sizes), spatial.spelled(strides)
        x, pairs, moves = io["x"], self.pairs(axes), {"strides": stride}
        if pairs is None:
            if not self.count_padding:
                return io.helper("average_pool")(x, kernel, stride)
            return ops.average_pool(
                io.helper("pad_same")(x, kernel, stride), kernel, **moves
            )
        padded = not all(spatial.all_literal(pair, 0) for pair in pairs)
        if self.ceil or (padded and not self.count_padding):
            counted = {"counted": pairs} if padded and self.count_padding else {}
            return io.helper("average_pool")(
                x, kernel, stride, self.all_pairs(axes), **counted
            )
        if padded:
            x = ops.pad(x, spatial.around(pairs))
        return ops.average_pool(x, kernel, **moves)


class AdaptivePool(NoFlops, abc.ABC):
    """What pooling to a given size shares."""

    layout: ClassVar[Layout] = Layout.SPATIAL
    torch_name: ClassVar[str]
    keras_function: ClassVar[Expr]
    per_result: ClassVar[int | None] = 0
    per_input: ClassVar[int] = 1

    size: PerAxis

    def sizes(self, axes: int) -> Sizes:
        """The size of each axis of the result."""
        return spatial.per_axis(self.size, axes, "size")

    def infer(self, x: TensorType) -> TensorType:
        return x.with_shape(*x.shape[:2], *self.sizes(spatial.spatial_axes(x)))

    def torch(self, io: Io) -> Expr:
        axes = io.type("x").rank - 2
        pool = getattr(F, f"{self.torch_name}{axes}d")
        return pool(io["x"], spatial.spelled(self.sizes(axes)))

    def keras(self, io: Io) -> Expr:
        # Keras's own fails on TensorFlow where an axis gets the size 1.
        sizes = self.sizes(io.type("x").rank - 2)
        if all(size == 1 for size in sizes):
            axes = tuple(range(1, len(sizes) + 1))
            return self.keras_function(io["x"], axis=axes, keepdims=True)
        return io.helper("adaptive_pool")(io["x"], sizes, self.keras_function)


class AdaptiveAveragePool(AdaptivePool):
    """The mean over as many parts of each spatial axis as `size` says: [B, C, *S] -> [B, C, *size].

    Part i goes from floor(i n / size) to ceil((i + 1) n / size); parts overlap where `size` does not
    divide n.

    Example: `x -> adaptive_avg_pool(7)`
    """

    spelling: ClassVar[str | None] = "adaptive_avg_pool"
    torch_name: ClassVar[str] = "adaptive_avg_pool"
    keras_function: ClassVar[Expr] = ops.mean


class AdaptiveMaxPool(AdaptivePool):
    """The maximum over as many parts of each spatial axis as `size` says: [B, C, *S] -> [B, C, *size].

    Part i goes from floor(i n / size) to ceil((i + 1) n / size).

    Example: `x -> adaptive_max_pool([2, 3])`
    """

    spelling: ClassVar[str | None] = "adaptive_max_pool"
    torch_name: ClassVar[str] = "adaptive_max_pool"
    keras_function: ClassVar[Expr] = ops.max


class GlobalPool(NoFlops, abc.ABC):
    """What pooling over all spatial axes shares."""

    layout: ClassVar[Layout] = Layout.SPATIAL
    torch_method: ClassVar[str]
    keras_function: ClassVar[Expr]
    per_result: ClassVar[int | None] = 0
    per_input: ClassVar[int] = 1

    keep: bool = False

    def infer(self, x: TensorType) -> TensorType:
        axes = spatial.spatial_axes(x)
        return x.with_shape(*x.shape[:2], *(ONE,) * (axes if self.keep else 0))

    def torch(self, io: Io) -> Expr:
        axes = tuple(range(2, io.type("x").rank))
        keep = default(io.arg("keep"), False)
        return io["x"].method(self.torch_method, axes, keepdim=keep)

    def keras(self, io: Io) -> Expr:
        axes = tuple(range(1, io.type("x").rank - 1))
        keep = default(io.arg("keep"), False)
        return self.keras_function(io["x"], axis=axes, keepdims=keep)


class GlobalAveragePool(GlobalPool):
    """The mean over all spatial axes: [B, C, *S] -> [B, C], or [B, C, 1, ...] with `keep`.

    Example: `x -> global_avg_pool -> Linear(classes)`
    """

    spelling: ClassVar[str | None] = "global_avg_pool"
    torch_method: ClassVar[str] = "mean"
    keras_function: ClassVar[Expr] = ops.mean


class GlobalMaxPool(GlobalPool):
    """The maximum over all spatial axes: [B, C, *S] -> [B, C], or [B, C, 1, ...] with `keep`.

    Example: `x -> global_max_pool`
    """

    spelling: ClassVar[str | None] = "global_max_pool"
    torch_method: ClassVar[str] = "amax"
    keras_function: ClassVar[Expr] = ops.max
