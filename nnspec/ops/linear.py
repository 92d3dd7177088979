"""Products with a weight matrix, and look-ups in one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nnspec.ir.dims import product
from nnspec.ir.types import TensorType
from nnspec.ops.base import (
    Count,
    Io,
    KerasWeight,
    NoFlops,
    Operator,
    OpError,
    Product,
    Traffic,
    Weight,
    require_float,
)
from nnspec.ops.initializers import FanUniform, Initializer, Normal
from nnspec.ops.rules import Caveat
from nnspec.ops.weight_steps import Transpose
from nnspec.pycode.expressions import Expr, Namespace, default

F, nn = Namespace("F"), Namespace("nn")
layers, initializers, ops = (
    Namespace("layers"),
    Namespace("initializers"),
    Namespace("ops"),
)


class Linear(Operator):
    """A learned affine map of the last axis: [*S, inputs] -> [*S, features].

    `y = x W^T + b`, with W: [features, inputs]. Weights and bias start uniform within 1 / sqrt(inputs).
    With `weight=other.weight` it has no matrix of its own and shares that one.
    """

    inputs: ClassVar[tuple[str, ...]] = ("x", "weight")
    optional: ClassVar[frozenset[str]] = frozenset({"weight"})

    features: Count
    bias: bool = True
    init: Initializer | None = None
    bias_init: Initializer | None = None

    def infer(self, x: TensorType, weight: TensorType | None = None) -> TensorType:
        require_float(x)
        if x.rank < 1:
            raise OpError(
                "needs at least one axis, and got a scalar", input="x", code="E0403"
            )
        if weight is not None and weight.shape != (self.features, x.shape[-1]):
            raise OpError(
                f"the shared weight is {weight}, and this layer needs [{self.features}, {x.shape[-1]}]",
                input="weight",
                code="E0406",
            )
        return x.with_shape(*x.shape[:-1], self.features)

    def weights(
        self, x: TensorType, weight: TensorType | None = None
    ) -> Mapping[str, Weight]:
        fan = FanUniform(x.shape[-1])
        found: dict[str, Weight] = {}
        if weight is None:
            shape = (self.features, x.shape[-1])
            found["weight"] = Weight(
                shape, self.init or fan, chosen=self.init is not None
            )
        if self.bias:
            init = self.bias_init or fan
            found["bias"] = Weight(
                (self.features,), init, chosen=self.bias_init is not None
            )
        return found

    def products(
        self, x: TensorType, weight: TensorType | None = None
    ) -> tuple[Product, ...]:
        return (Product(("x",), ("weight",), 2 * product(x.shape) * self.features),)

    @property
    def per_result(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride] -- known per use
        """The bias is added."""
        return int(self.bias)

    def torch(self, io: Io) -> Expr:
        if io.has("weight"):
            bias = {"bias": io.parameter("bias")} if self.bias else {}
            return F.linear(io["x"], io["weight"], **bias)
        inputs = io.type("x").shape[-1]
        module = io.module(
            nn.Linear, inputs, self.features, bias=default(io.arg("bias"), True)
        )
        return module(io["x"])

    def keras(self, io: Io) -> Expr:
        if io.has("weight"):
            y = ops.matmul(io["x"], ops.transpose(io["weight"]))
            return y + io.parameter("bias") if self.bias else y
        if self.init is None and self.bias_init is None and self.bias:
            return io.module(io.helper("dense"), self.features, io.type("x").shape[-1])(
                io["x"]
            )
        fan = FanUniform(io.type("x").shape[-1])
        kernel = initializers.VarianceScaling(1 / 3, "fan_in", "uniform")
        options: dict[str, Any] = {}
        if self.bias:
            options["bias_initializer"] = (self.bias_init or fan).keras()
        module = io.module(
            layers.Dense,
            self.features,
            use_bias=default(io.arg("bias"), True),
            kernel_initializer=self.init.keras() if self.init else kernel,
            **options,
        )
        return module(io["x"])

    def keras_weights(
        self, x: TensorType, weight: TensorType | None = None
    ) -> tuple[KerasWeight, ...]:
        kernel = KerasWeight("kernel", ("weight",), (Transpose((1, 0)),))
        bias = KerasWeight("bias", ("bias",))
        return (*((kernel,) if weight is None else ()), *((bias,) if self.bias else ()))

    def keras_parameter(self, name: str, layer: Expr) -> Expr:
        if name == "weight":
            return ops.transpose(layer.attribute("kernel"))
        return layer.attribute(name)


class Embedding(NoFlops):
    """A learned row for each id: i64[*S] -> [*S, width]. Rows start as N(0, 1).

    Ids are 0 to entries - 1.
    """

    caveats: ClassVar[tuple[Caveat, ...]] = (
        Caveat(
            "traffic",
            "about",
            "a row counts each time it is looked up, whatever a cache holds",
        ),
    )

    inputs: ClassVar[tuple[str, ...]] = ("ids",)
    per_result: ClassVar[int | None] = 0

    entries: Count
    width: Count
    init: Initializer | None = None

    def infer(self, ids: TensorType) -> TensorType:
        if not ids.dtype.is_integer:
            raise OpError(
                f"looks up integers, and {ids} holds {ids.dtype.value}",
                input="ids",
                hint="declare the input as integers: `i64[B, T]`",
                code="E0404",
            )
        return TensorType((*ids.shape, self.width))

    def weights(self, ids: TensorType) -> Mapping[str, Weight]:
        init = self.init or Normal()
        return {
            "weight": Weight(
                (self.entries, self.width), init, chosen=self.init is not None
            )
        }

    def traffic(self, ids: TensorType) -> Traffic:
        rows = self.infer(ids)
        return Traffic((ids,), (rows,), (rows,))

    def torch(self, io: Io) -> Expr:
        return io.module(nn.Embedding, self.entries, self.width)(io["ids"])

    def keras(self, io: Io) -> Expr:
        if self.init is None:
            return io.module(io.helper("embedding"), self.entries, self.width)(
                io["ids"]
            )
        init = self.init.keras()
        return io.module(
            layers.Embedding, self.entries, self.width, embeddings_initializer=init
        )(io["ids"])

    def keras_weights(self, ids: TensorType) -> tuple[KerasWeight, ...]:
        return (KerasWeight("embeddings", ("weight",)),)

    def keras_parameter(self, name: str, layer: Expr) -> Expr:
        return layer.attribute("embeddings")
