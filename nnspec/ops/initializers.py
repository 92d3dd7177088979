"""Initializers: part of what a spec means, and the same distribution in both backends.

Each is one class: its fields, how PyTorch fills a tensor with it, and the Keras initializer of the same
distribution. Spec spelling: `init.normal(std=0.02)`.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from nnspec.ir.dims import Dim
from nnspec.ir.terms import Traced
from nnspec.pycode.expressions import Expr, Helper, Namespace, expression
from nnspec.records import dataclass

_torch = Namespace("nn.init")
_keras = Namespace("initializers")


@dataclass(frozen=True, slots=True)
class Number:
    """A float of an initializer: a value, and the term that it came from if the spec computed it."""

    traced: Traced

    @property
    def value(self) -> float:
        return float(self.traced.value)

    @property
    def expr(self) -> Expr:
        return expression(self.traced)


def number(value: float) -> Number:
    """A literal number."""
    return Number(Traced(float(value)))


class Initializer(abc.ABC):
    """A distribution from which a weight is drawn. Fields are `Number`s and `Dim`s (fans)."""

    spelling: ClassVar[str]
    numbers: ClassVar[
        dict[str, float | None]
    ] = {}  # accepted arguments and their defaults

    positive: ClassVar[
        tuple[str, ...]
    ] = ()  # arguments that must be finite and above 0
    least_rank: ClassVar[int] = 0  # axes that a weight must have

    @abc.abstractmethod
    def torch(self, tensor: Expr) -> Expr:
        """The call that fills a PyTorch tensor."""

    @abc.abstractmethod
    def keras(self) -> Expr:
        """A new Keras initializer (one for each weight: a shared instance repeats its values)."""

    def keras_bare(self, rank: int) -> Expr:
        """The same for a weight of that rank which Keras holds in PyTorch's layout."""
        return self.keras()


@dataclass(frozen=True)
class Normal(Initializer):
    """N(mean, std^2)"""

    spelling: ClassVar[str] = "normal"
    numbers: ClassVar[dict[str, float | None]] = {"std": 1.0, "mean": 0.0}
    positive: ClassVar[tuple[str, ...]] = ("std",)
    std: Number = number(1.0)
    mean: Number = number(0.0)

    def torch(self, tensor: Expr) -> Expr:
        options: dict[str, Any] = (
            {} if self.mean.value == 0 else {"mean": self.mean.expr}
        )
        return _torch.normal_(tensor, **options, std=self.std.expr)

    def keras(self) -> Expr:
        options: dict[str, Any] = (
            {} if self.mean.value == 0 else {"mean": self.mean.expr}
        )
        return _keras.RandomNormal(**options, stddev=self.std.expr)


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """N(0, std^2) cut at two standard deviations on either side (as Keras cuts it)."""

    spelling: ClassVar[str] = "trunc_normal"
    numbers: ClassVar[dict[str, float | None]] = {"std": 1.0}
    positive: ClassVar[tuple[str, ...]] = ("std",)
    std: Number = number(1.0)

    def torch(self, tensor: Expr) -> Expr:
        std = self.std.expr
        return _torch.trunc_normal_(tensor, std=std, a=-2 * std, b=2 * std)

    def keras(self) -> Expr:
        return _keras.TruncatedNormal(stddev=self.std.expr)


@dataclass(frozen=True)
class Uniform(Initializer):
    """U(low, high); `init.uniform(bound)` is U(-bound, bound)."""

    spelling: ClassVar[str] = "uniform"
    numbers: ClassVar[dict[str, float | None]] = {"bound": None}
    positive: ClassVar[tuple[str, ...]] = ("bound",)
    bound: Number

    def torch(self, tensor: Expr) -> Expr:
        return _torch.uniform_(tensor, -self.bound.expr, self.bound.expr)

    def keras(self) -> Expr:
        return _keras.RandomUniform(-self.bound.expr, self.bound.expr)


@dataclass(frozen=True)
class FanUniform(Initializer):
    """U(-1 / sqrt(fan), 1 / sqrt(fan)): PyTorch's default for linear and convolutional layers."""

    spelling: ClassVar[str] = "kaiming_uniform"
    fan: Dim

    def bound(self) -> Expr:
        """1 / sqrt(fan), as an expression of the constructor."""
        return expression(self.fan) ** -0.5

    def torch(self, tensor: Expr) -> Expr:
        return _torch.uniform_(tensor, -self.bound(), self.bound())

    def keras(self) -> Expr:
        return _keras.RandomUniform(-self.bound(), self.bound())


@dataclass(frozen=True)
class FanNormal(Initializer):
    """N(0, gain^2 / fan), not truncated (He et al., 2015, with gain sqrt(2))."""

    spelling: ClassVar[str] = "kaiming_normal"
    numbers: ClassVar[dict[str, float | None]] = {"gain": 2**0.5}
    positive: ClassVar[tuple[str, ...]] = ("gain",)
    fan: Dim
    gain: Number = number(2**0.5)

    def deviation(self) -> Expr:
        """The standard deviation gain / sqrt(fan), as an expression of the constructor."""
        return self.gain.expr * expression(self.fan) ** -0.5

    def torch(self, tensor: Expr) -> Expr:
        return _torch.normal_(tensor, std=self.deviation())

    def keras(self) -> Expr:
        return _keras.RandomNormal(stddev=self.deviation())


@dataclass(frozen=True)
class XavierUniform(Initializer):
    """U(-b, b) with b = sqrt(6 / (fan in + fan out)) (Glorot and Bengio, 2010)."""

    spelling: ClassVar[str] = "xavier_uniform"
    fan_in: Dim
    fan_out: Dim

    def bound(self) -> Expr:
        """sqrt(6 / (fan in + fan out)), as an expression of the constructor."""
        return (6 / expression(self.fan_in + self.fan_out)) ** 0.5

    def torch(self, tensor: Expr) -> Expr:
        return _torch.uniform_(tensor, -self.bound(), self.bound())

    def keras(self) -> Expr:
        return _keras.RandomUniform(-self.bound(), self.bound())


@dataclass(frozen=True)
class Filled(Initializer):
    """Every element the same: `init.zeros`, `init.ones`, `init.constant(value)`."""

    spelling: ClassVar[str] = "constant"
    numbers: ClassVar[dict[str, float | None]] = {"value": None}
    value: Number

    def torch(self, tensor: Expr) -> Expr:
        if self.value.traced.term is None and self.value.value in (0.0, 1.0):
            return (_torch.zeros_ if self.value.value == 0 else _torch.ones_)(tensor)
        return _torch.constant_(tensor, self.value.expr)

    def keras(self) -> Expr:
        if self.value.traced.term is None and self.value.value in (0.0, 1.0):
            return (_keras.Zeros if self.value.value == 0 else _keras.Ones)()
        return _keras.Constant(self.value.expr)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A (semi-)orthogonal matrix times gain (Saxe et al., 2014): the first axis against all others."""

    spelling: ClassVar[str] = "orthogonal"
    least_rank: ClassVar[int] = 2
    numbers: ClassVar[dict[str, float | None]] = {"gain": 1.0}
    gain: Number = number(1.0)

    def torch(self, tensor: Expr) -> Expr:
        return _torch.orthogonal_(tensor, gain=self.gain.expr)

    def keras(self) -> Expr:
        return _keras.Orthogonal(gain=self.gain.expr)

    def keras_bare(self, rank: int) -> Expr:
        # Keras takes the last axis against all others, as its own layouts want it.
        if rank == 2:
            return self.keras()
        return Helper("OrthogonalRows")(gain=self.gain.expr)


ZEROS = Filled(number(0.0))
ONES = Filled(number(1.0))

INITIALIZERS: dict[str, type[Initializer]] = {
    kind.spelling: kind
    for kind in (
        Normal,
        TruncatedNormal,
        Uniform,
        FanUniform,
        FanNormal,
        XavierUniform,
        Filled,
        Orthogonal,
    )
}
