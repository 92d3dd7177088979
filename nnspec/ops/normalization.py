"""Normalisation: over the batch, over axes of a layer, over groups of channels, by the mean square."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, ClassVar

from nnspec.ir.dims import Dim, dim
from nnspec.ir.types import TensorType
from nnspec.ops.base import (
    Count,
    Float,
    IntegerOrList,
    Io,
    KerasWeight,
    Layout,
    NoFlops,
    OpError,
    Weight,
    normal_axes,
    require_float,
)
from nnspec.ops.checked import After
from nnspec.ops.initializers import ONES, ZEROS
from nnspec.pycode.expressions import Default, Expr, Literal, Namespace, default

nn, layers, ops = Namespace("nn"), Namespace("layers"), Namespace("ops")


def _small(value: float) -> float:
    if not 0 < value < 1:
        raise ValueError(f"must be between 0 and 1, not {value:g}")
    return value


def _share(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"must be from 0 to 1, not {value}")
    return value


Epsilon = Annotated[Float, After(_small)]
Share = Annotated[Float, After(_share)]


def _keras_axis(io: Io, axis: int) -> Default:
    """The keyword for a logical axis, left out where it is the last one in Keras."""
    place = io.axis(axis)
    return default(-1 if place == io.type("x").rank - 1 else place, -1)


def _keras_on_last(io: Io, axis: int, module: Expr) -> Expr:
    """A layer along one axis, moved to the end: Keras's own axis argument fails on some backends."""
    x, place = io["x"], io.axis(axis)
    if place == io.type("x").rank - 1:
        return module(x)
    return ops.moveaxis(module(ops.moveaxis(x, place, -1)), -1, place)


# Operations for each element: the sum of the mean; difference, square and sum of the variance.
STATISTICS = 4


class ChannelNorm(NoFlops, abc.ABC):
    """What the norms with a scale and a shift for each channel share; channels lie at axis 1."""

    layout: ClassVar[Layout] = Layout.AXES
    ranks: ClassVar[tuple[int, int]] = (2, 5)

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        least, most = self.ranks
        if not least <= x.rank <= most:
            raise OpError(
                f"needs a tensor of {least} to {most} axes, the channels at axis 1, and got {x}",
                input="x",
                hint="reshape it before, for example with `flatten`",
                code="E0403",
            )
        return x

    @property
    @abc.abstractmethod
    def scales(self) -> bool:
        """Whether it has a scale and a shift."""

    @property
    def per_result(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] -- known per use
        """Mean, squared distance from it and its mean, normalisation; scale and shift."""
        return STATISTICS + 2 + 2 * self.scales

    def weights(self, x: TensorType) -> Mapping[str, Weight]:
        if not self.scales:
            return {}
        return {
            "weight": Weight((x.shape[1],), ONES),
            "bias": Weight((x.shape[1],), ZEROS),
        }

    def keras_weights(self, x: TensorType) -> tuple[KerasWeight, ...]:
        if not self.scales:
            return ()
        return (KerasWeight("gamma", ("weight",)), KerasWeight("beta", ("bias",)))

    def keras_options(self, io: Io) -> dict[str, Any]:
        """The keywords that all these layers take in Keras."""
        return {
            "axis": _keras_axis(io, 1),
            "center": default(self.scales, True),
            "scale": default(self.scales, True),
        }


class BatchNorm(ChannelNorm):
    """Normalises each channel over the batch and space: [B, C, *S] -> [B, C, *S].

    `y = (x - mean) / sqrt(var + eps) * weight + bias`. In training, mean and (biased) variance are those
    of the batch, and the running ones move towards them by `momentum`; in evaluation they are the running
    ones. PyTorch's running variance follows the unbiased variance, Keras's the biased one. `affine=false`
    leaves weight and bias out. From Ioffe and Szegedy, 2015.

    Example: `x -> Conv(64, 3, bias=false) -> BatchNorm -> relu`
    """

    eps: Epsilon = 1e-5
    momentum: Share = 0.1
    affine: bool = True

    @property
    def scales(self) -> bool:
        return self.affine

    @property
    def per_result(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] -- known per use
        """In evaluation the statistics are known."""
        return 2 + 2 * self.affine

    def weights(self, x: TensorType) -> Mapping[str, Weight]:
        shape = (x.shape[1],)
        state = {
            "running_mean": Weight(shape, ZEROS, trainable=False),
            "running_var": Weight(shape, ONES, trainable=False),
        }
        return {**super().weights(x), **state}

    def torch(self, io: Io) -> Expr:
        x = io.type("x")
        module = io.module(
            getattr(nn, f"BatchNorm{max(x.rank - 2, 1)}d"),
            x.shape[1],
            eps=default(io.arg("eps"), 1e-5),
            momentum=default(io.arg("momentum"), 0.1),
            affine=default(io.arg("affine"), True),
        )
        return module(io["x"])

    def keras(self, io: Io) -> Expr:
        module = io.module(
            io.helper("batch_norm"),
            momentum=default(self._kept(io), 0.9),
            epsilon=default(io.arg("eps"), 1e-5),
            **self.keras_options(io),
        )
        return module(io["x"])

    def _kept(self, io: Io) -> Expr:
        """Keras's momentum: the share of the running statistics that is kept."""
        momentum = io.arg("momentum")
        if isinstance(momentum, Literal):
            return Literal(float(1 - Decimal(repr(self.momentum))))
        return 1 - momentum

    def keras_weights(self, x: TensorType) -> tuple[KerasWeight, ...]:
        return (
            *super().keras_weights(x),
            KerasWeight("moving_mean", ("running_mean",)),
            KerasWeight("moving_variance", ("running_var",)),
        )


class GroupNorm(ChannelNorm):
    """Normalises each example over groups of channels and space: [B, C, *S] -> [B, C, *S].

    `y = (x - mean) / sqrt(var + eps) * weight + bias`, mean and (biased) variance being those of C /
    groups neighbouring channels, weight and bias one number for each channel. From Wu and He, 2018.

    Example: `x -> GroupNorm(32)`
    """

    groups: Count
    eps: Epsilon = 1e-5
    affine: bool = True

    @property
    def scales(self) -> bool:
        return self.affine

    def infer(self, x: TensorType) -> TensorType:
        result = super().infer(x)
        rest = x.shape[1] % self.groups
        if rest.is_constant and rest != 0:
            raise OpError(
                f"{self.groups} groups do not divide {x.shape[1]} channels",
                param="groups",
                hint=f"use a number that divides {x.shape[1]}",
                code="E0407",
            )
        return result

    def torch(self, io: Io) -> Expr:
        module = io.module(
            nn.GroupNorm,
            self.groups,
            io.type("x").shape[1],
            eps=default(io.arg("eps"), 1e-5),
            affine=default(io.arg("affine"), True),
        )
        return module(io["x"])

    def keras(self, io: Io) -> Expr:
        module = io.module(
            layers.GroupNormalization,
            self.groups,
            epsilon=default(io.arg("eps"), 1e-3),
            **self.keras_options(io),
        )
        return module(io["x"])


class InstanceNorm(ChannelNorm):
    """Normalises each channel of each example over space: [B, C, *S] -> [B, C, *S].

    `y = (x - mean) / sqrt(var + eps)`, with the (biased) variance, in training and evaluation alike;
    `affine=true` adds a scale and a shift for each channel. From Ulyanov et al., 2016.

    Example: `x -> InstanceNorm(affine=true)`
    """

    ranks: ClassVar[tuple[int, int]] = (3, 5)

    eps: Epsilon = 1e-5
    affine: bool = False

    @property
    def scales(self) -> bool:
        return self.affine

    def torch(self, io: Io) -> Expr:
        x = io.type("x")
        module = io.module(
            getattr(nn, f"InstanceNorm{x.rank - 2}d"),
            x.shape[1],
            eps=default(io.arg("eps"), 1e-5),
            affine=default(io.arg("affine"), False),
        )
        return module(io["x"])

    def keras(self, io: Io) -> Expr:
        module = io.module(
            layers.GroupNormalization,
            -1,
            epsilon=default(io.arg("eps"), 1e-3),
            **self.keras_options(io),
        )
        return module(io["x"])


class LayerNorm(NoFlops):
    """Normalises over the last axis, or those of `dim`: [*S, D] -> [*S, D].

    `y = (x - mean) / sqrt(var + eps) * weight + bias`, with the (biased) variance; weight and bias have
    the sizes of the axes of `dim`. `dim=1` normalises the channels of [B, C, *S]. `bias=false` leaves
    the shift out, `affine=false` both. From Ba et al., 2016.

    Example: `x -> LayerNorm(eps=1e-6)`
    """

    layout: ClassVar[Layout] = Layout.AXES

    eps: Epsilon = 1e-5
    affine: bool = True
    bias: bool = True
    dim: IntegerOrList = dim(-1)

    def axes(self, x: TensorType) -> tuple[int, ...]:
        """The axes that are normalised together, ascending from 0."""
        return normal_axes(self.dim, x.rank)

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if not self.axes(x):
            raise OpError(
                "needs an axis to normalise over",
                param="dim",
                hint="name at least one axis",
                code="E0402",
            )
        return x

    @property
    def per_result(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] -- known per use
        """As in the norms of channels, with the shift only where there is one."""
        return STATISTICS + 2 + self.affine * (1 + self.bias)

    def weights(self, x: TensorType) -> Mapping[str, Weight]:
        if not self.affine:
            return {}
        shape = tuple(x.shape[axis] for axis in self.axes(x))
        found = {"weight": Weight(shape, ONES)}
        return found | ({"bias": Weight(shape, ZEROS)} if self.bias else {})

    def torch(self, io: Io) -> Expr:
        x, kind = io["x"], io.type("x")
        axes = self.axes(kind)
        sizes = tuple(kind.shape[axis] for axis in axes)
        bias: dict[str, Any] = {}
        if self.affine:
            bias["bias"] = default(io.arg("bias"), True)
        module = io.module(
            nn.LayerNorm,
            sizes[0] if len(sizes) == 1 else sizes,
            eps=default(io.arg("eps"), 1e-5),
            elementwise_affine=default(io.arg("affine"), True),
            **bias,
        )
        last = tuple(range(kind.rank - len(axes), kind.rank))
        if axes == last:
            return module(x)
        ends = tuple(axis - kind.rank for axis in last)
        here, end = (axes[0], -1) if len(axes) == 1 else (axes, ends)
        return module(x.method("movedim", here, end)).method("movedim", end, here)

    def keras(self, io: Io) -> Expr:
        axes = self.axes(io.type("x"))
        if len(axes) > 1:
            return self._keras_over(io, axes)
        module = io.module(
            layers.LayerNormalization,
            epsilon=default(io.arg("eps"), 1e-3),
            center=default(self.affine and self.bias, True),
            scale=default(self.affine, True),
        )
        return _keras_on_last(io, min(axes), module)

    def _keras_over(self, io: Io, axes: tuple[int, ...]) -> Expr:
        """Over several axes: the weights keep PyTorch's order, whatever that of the tensor is."""
        places = [io.axis(axis) for axis in axes]
        y = io.helper("standardize")(io["x"], tuple(sorted(places)), io.arg("eps"))
        if not self.affine:
            return y
        y = y * self._spread(io, "weight", places)
        return y + self._spread(io, "bias", places) if self.bias else y

    def _spread(self, io: Io, name: str, places: list[int]) -> Expr:
        """A weight with its axes where they lie in the tensor."""
        weight = io.parameter(name)
        order = tuple(places.index(place) for place in sorted(places))
        if order != tuple(range(len(places))):
            weight = ops.transpose(weight, order)
        behind = range(min(places), io.type("x").rank)
        if all(place in places for place in behind):
            return weight
        picks: list[Any] = [
            slice(None) if place in places else None for place in behind
        ]
        return weight[tuple(picks)]

    def keras_weights(self, x: TensorType) -> tuple[KerasWeight, ...]:
        names = {"weight": "gamma", "bias": "beta"}
        if len(self.axes(x)) > 1:
            return super().keras_weights(x)
        return tuple(KerasWeight(names[name], (name,)) for name in self.weights(x))


class RMSNorm(NoFlops):
    """Divides the last axis by the root of its mean square: [*S, D] -> [*S, D].

    `y = x / sqrt(mean(x^2) + eps) * weight`, with one weight for each place of the last axis. From Zhang
    and Sennrich, 2019.

    Example: `x -> RMSNorm(eps=1e-5)`
    """

    layout: ClassVar[Layout] = Layout.AXES
    per_result: ClassVar[int | None] = 4

    eps: Epsilon = 1e-6

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if x.rank < 1:
            raise OpError(
                "needs at least one axis, and got a scalar", input="x", code="E0403"
            )
        return x

    def weights(self, x: TensorType) -> Mapping[str, Weight]:
        return {"weight": Weight((x.shape[-1],), ONES)}

    def torch(self, io: Io) -> Expr:
        width: Dim = io.type("x").shape[-1]
        # PyTorch's own default depends on the element type.
        return io.module(nn.RMSNorm, width, eps=io.arg("eps"))(io["x"])

    def keras(self, io: Io) -> Expr:
        epsilon = default(io.arg("eps"), 1e-6)
        module = io.module(layers.RMSNormalization, epsilon=epsilon)
        return _keras_on_last(io, io.type("x").rank - 1, module)

    def keras_weights(self, x: TensorType) -> tuple[KerasWeight, ...]:
        return (KerasWeight("scale", ("weight",)),)
