"""Activation functions, which work element by element."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from nnspec.ir.dims import ONE
from nnspec.ir.types import TensorType
from nnspec.ops.base import (
    Float,
    Io,
    KerasWeight,
    Layout,
    NoFlops,
    OpError,
    Weight,
    require_float,
)
from nnspec.ops.checked import After
from nnspec.ops.elementwise import Pointwise
from nnspec.ops.initializers import Filled, Initializer, number
from nnspec.ops.weight_steps import Reshape
from nnspec.pycode.expressions import Expr, Namespace, default

F, nn, torch = Namespace("F"), Namespace("nn"), Namespace("torch")
layers, ops = Namespace("layers"), Namespace("ops")


def _not_negative(value: float) -> float:
    if value < 0:
        raise ValueError(f"must be at least 0, not {value}")
    return value


def _positive(value: float) -> float:
    if value <= 0:
        raise ValueError(f"must be greater than 0, not {value}")
    return value


Threshold = Annotated[Float, After(_not_negative)]
Positive = Annotated[Float, After(_positive)]


class Relu(Pointwise):
    """max(x, 0) (Nair and Hinton, 2010): [*S] -> [*S].

    Example: `x -> relu`
    """

    spelling: ClassVar[str | None] = "relu"
    torch_function: ClassVar[Expr] = F.relu
    keras_function: ClassVar[Expr] = ops.relu


class Relu6(Pointwise):
    """min(max(x, 0), 6) (Krizhevsky, 2010): [*S] -> [*S].

    Example: `x -> relu6`
    """

    spelling: ClassVar[str | None] = "relu6"
    torch_function: ClassVar[Expr] = F.relu6
    keras_function: ClassVar[Expr] = ops.relu6
    per_result: ClassVar[int | None] = 2


class Gelu(Pointwise):
    """x P(N(0, 1) <= x) (Hendrycks and Gimpel, 2016): [*S] -> [*S].

    `approximate="tanh"` is x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2.

    Example: `x -> gelu(approximate="tanh")`
    """

    spelling: ClassVar[str | None] = "gelu"

    approximate: Literal["none", "tanh"] = "none"

    @property
    def per_result(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] -- known per use
        """Of the formula with erf, or with tanh."""
        return 5 if self.approximate == "none" else 9

    def torch(self, io: Io) -> Expr:
        return F.gelu(io["x"], approximate=default(io.arg("approximate"), "none"))

    def keras(self, io: Io) -> Expr:
        return ops.gelu(io["x"], approximate=self.approximate == "tanh")


class Silu(Pointwise):
    """x sigmoid(x), also called swish (Elfwing et al., 2017): [*S] -> [*S].

    Example: `x -> silu`
    """

    spelling: ClassVar[str | None] = "silu"
    torch_function: ClassVar[Expr] = F.silu
    keras_function: ClassVar[Expr] = ops.silu
    per_result: ClassVar[int | None] = 5


class Sigmoid(Pointwise):
    """1 / (1 + exp(-x)): [*S] -> [*S].

    Example: `x -> sigmoid`
    """

    spelling: ClassVar[str | None] = "sigmoid"
    torch_function: ClassVar[Expr] = torch.sigmoid
    keras_function: ClassVar[Expr] = ops.sigmoid
    per_result: ClassVar[int | None] = 4


class HardSigmoid(Pointwise):
    """relu6(x + 3) / 6 (Howard et al., 2019): [*S] -> [*S].

    Example: `x -> hard_sigmoid`
    """

    spelling: ClassVar[str | None] = "hard_sigmoid"
    torch_function: ClassVar[Expr] = F.hardsigmoid
    keras_function: ClassVar[Expr] = ops.hard_sigmoid
    per_result: ClassVar[int | None] = 4


class HardSilu(Pointwise):
    """x relu6(x + 3) / 6, also called hard swish (Howard et al., 2019): [*S] -> [*S].

    Example: `x -> hard_silu`
    """

    spelling: ClassVar[str | None] = "hard_silu"
    torch_function: ClassVar[Expr] = F.hardswish
    keras_function: ClassVar[Expr] = ops.hard_silu
    per_result: ClassVar[int | None] = 5


class Tanh(Pointwise):
    """The hyperbolic tangent: [*S] -> [*S].

    Example: `x -> tanh`
    """

    spelling: ClassVar[str | None] = "tanh"
    torch_function: ClassVar[Expr] = torch.tanh
    keras_function: ClassVar[Expr] = ops.tanh


class Softplus(Pointwise):
    """log(1 + exp(beta x)) / beta: [*S] -> [*S].

    PyTorch returns x itself where beta x > 20, which is less than 3e-9 away.

    Example: `x -> softplus`
    """

    spelling: ClassVar[str | None] = "softplus"
    per_result: ClassVar[int | None] = 3

    beta: Positive = 1.0

    def torch(self, io: Io) -> Expr:
        return F.softplus(io["x"], beta=default(io.arg("beta"), 1.0))

    def keras(self, io: Io) -> Expr:
        if self.beta == 1:
            return ops.softplus(io["x"])
        return ops.softplus(io.arg("beta") * io["x"]) / io.arg("beta")


class Softsign(Pointwise):
    """x / (1 + |x|): [*S] -> [*S].

    Example: `x -> softsign`
    """

    spelling: ClassVar[str | None] = "softsign"
    torch_function: ClassVar[Expr] = F.softsign
    keras_function: ClassVar[Expr] = ops.softsign
    per_result: ClassVar[int | None] = 3


class Elu(Pointwise):
    """x where x > 0, else alpha (exp(x) - 1) (Clevert et al., 2015): [*S] -> [*S].

    Example: `x -> elu(alpha=0.5)`
    """

    spelling: ClassVar[str | None] = "elu"
    per_result: ClassVar[int | None] = 3

    alpha: Float = 1.0

    def torch(self, io: Io) -> Expr:
        return F.elu(io["x"], alpha=default(io.arg("alpha"), 1.0))

    def keras(self, io: Io) -> Expr:
        return ops.elu(io["x"], alpha=default(io.arg("alpha"), 1.0))


class Selu(Pointwise):
    """1.0507 elu(x, alpha=1.6733) (Klambauer et al., 2017): [*S] -> [*S].

    Example: `x -> selu`
    """

    spelling: ClassVar[str | None] = "selu"
    torch_function: ClassVar[Expr] = F.selu
    keras_function: ClassVar[Expr] = ops.selu
    per_result: ClassVar[int | None] = 4


class Celu(Pointwise):
    """max(x, 0) + min(alpha (exp(x / alpha) - 1), 0) (Barron, 2017): [*S] -> [*S].

    Example: `x -> celu(alpha=0.5)`
    """

    spelling: ClassVar[str | None] = "celu"
    per_result: ClassVar[int | None] = 4

    alpha: Positive = 1.0

    def torch(self, io: Io) -> Expr:
        return F.celu(io["x"], alpha=default(io.arg("alpha"), 1.0))

    def keras(self, io: Io) -> Expr:
        return ops.celu(io["x"], alpha=default(io.arg("alpha"), 1.0))


class LeakyRelu(Pointwise):
    """x where x >= 0, else slope x (Maas et al., 2013): [*S] -> [*S].

    Example: `x -> leaky_relu(0.2)`
    """

    spelling: ClassVar[str | None] = "leaky_relu"
    per_result: ClassVar[int | None] = 2

    slope: Float = 0.01

    def torch(self, io: Io) -> Expr:
        return F.leaky_relu(io["x"], default(io.arg("slope"), 0.01))

    def keras(self, io: Io) -> Expr:
        return ops.leaky_relu(io["x"], negative_slope=io.arg("slope"))


class Mish(Pointwise):
    """x tanh(log(1 + exp(x))) (Misra, 2019): [*S] -> [*S].

    Example: `x -> mish`
    """

    spelling: ClassVar[str | None] = "mish"
    torch_function: ClassVar[Expr] = F.mish
    per_result: ClassVar[int | None] = 5

    def keras(self, io: Io) -> Expr:
        # `keras.activations.mish` cannot be applied to what stands for an input before there is one.
        return io["x"] * ops.tanh(ops.softplus(io["x"]))


class Hardtanh(Pointwise):
    """min(max(x, low), high): [*S] -> [*S].

    Example: `x -> hardtanh(-2, 2)`
    """

    spelling: ClassVar[str | None] = "hardtanh"
    per_result: ClassVar[int | None] = 2

    low: Float = -1.0
    high: Float = 1.0

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if self.low > self.high:
            message = f"low is {self.low}, more than high, which is {self.high}"
            raise OpError(message, param="low", hint="exchange them", code="E0409")
        return x

    def torch(self, io: Io) -> Expr:
        low, high = default(io.arg("low"), -1.0), default(io.arg("high"), 1.0)
        return F.hardtanh(io["x"], min_val=low, max_val=high)

    def keras(self, io: Io) -> Expr:
        return ops.clip(io["x"], io.arg("low"), io.arg("high"))


class LogSigmoid(Pointwise):
    """-log(1 + exp(-x)): [*S] -> [*S].

    Example: `x -> log_sigmoid`
    """

    spelling: ClassVar[str | None] = "log_sigmoid"
    torch_function: ClassVar[Expr] = F.logsigmoid
    keras_function: ClassVar[Expr] = ops.log_sigmoid
    per_result: ClassVar[int | None] = 4


class TanhShrink(Pointwise):
    """x - tanh(x): [*S] -> [*S].

    Example: `x -> tanh_shrink`
    """

    spelling: ClassVar[str | None] = "tanh_shrink"
    torch_function: ClassVar[Expr] = F.tanhshrink
    keras_function: ClassVar[Expr] = ops.tanh_shrink
    per_result: ClassVar[int | None] = 2


class SoftShrink(Pointwise):
    """x moved by `threshold` towards 0, which it does not pass: [*S] -> [*S].

    Example: `x -> soft_shrink(threshold=0.1)`
    """

    spelling: ClassVar[str | None] = "soft_shrink"
    per_result: ClassVar[int | None] = 3

    threshold: Threshold = 0.5

    def torch(self, io: Io) -> Expr:
        return F.softshrink(io["x"], lambd=default(io.arg("threshold"), 0.5))

    def keras(self, io: Io) -> Expr:
        return ops.soft_shrink(io["x"], threshold=default(io.arg("threshold"), 0.5))


class HardShrink(Pointwise):
    """x where |x| > threshold, else 0: [*S] -> [*S].

    Example: `x -> hard_shrink(threshold=0.1)`
    """

    spelling: ClassVar[str | None] = "hard_shrink"
    per_result: ClassVar[int | None] = 2

    threshold: Threshold = 0.5

    def torch(self, io: Io) -> Expr:
        return F.hardshrink(io["x"], lambd=default(io.arg("threshold"), 0.5))

    def keras(self, io: Io) -> Expr:
        return ops.hard_shrink(io["x"], threshold=default(io.arg("threshold"), 0.5))


class PReLU(NoFlops):
    """x where x >= 0, else a x, with a learned slope a (He et al., 2015): [*S] -> [*S].

    One slope for all elements, or with `shared=false` one for each channel (axis 1).
    Slopes start at 0.25.

    Example: `x -> Conv(64, 3) -> PReLU(shared=false)`
    """

    layout: ClassVar[Layout] = Layout.SPATIAL
    per_result: ClassVar[int | None] = 2

    shared: bool = True
    init: Initializer | None = None

    def infer(self, x: TensorType) -> TensorType:
        require_float(x)
        if x.rank < 2:
            raise OpError(
                f"needs a batch axis and one more, and {x} has {x.rank} axes",
                input="x",
                hint="give it a tensor of at least 2 axes",
                code="E0403",
            )
        return x

    def weights(self, x: TensorType) -> Mapping[str, Weight]:
        shape = (ONE if self.shared else x.shape[1],)
        return {"weight": Weight(shape, self._init(), chosen=self.init is not None)}

    def _init(self) -> Initializer:
        return self.init or Filled(number(0.25))

    def torch(self, io: Io) -> Expr:
        slopes = ONE if self.shared else io.type("x").shape[1]
        return io.module(nn.PReLU, default(slopes, 1))(io["x"])

    def keras(self, io: Io) -> Expr:
        rank = io.type("x").rank
        alike = list(range(1, rank if self.shared else rank - 1))
        module = io.module(
            layers.PReLU,
            alpha_initializer=self._init().keras(),
            shared_axes=default(alike or None, None),
        )
        return module(io["x"])

    def keras_weights(self, x: TensorType) -> tuple[KerasWeight, ...]:
        slopes = 1 if self.shared else int(x.shape[1])
        shape = (1,) * (x.rank - 2) + (slopes,)
        return (KerasWeight("alpha", ("weight",), (Reshape((slopes,), shape),)),)

    def keras_parameter(self, name: str, layer: Expr) -> Expr:
        return ops.reshape(layer.attribute("alpha"), (-1,))
