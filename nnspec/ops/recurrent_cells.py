"""Single steps of recurrent layers."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from nnspec.ir.dims import Dim
from nnspec.ir.types import TensorType
from nnspec.ops.base import (
    Count,
    Inferred,
    Io,
    KerasWeight,
    Operator,
    OpError,
    Product,
    Weight,
    join_dtypes,
    require_float,
)
from nnspec.ops.initializers import FanUniform
from nnspec.ops.recurrent_weights import GATES, keras_variables, step_operations
from nnspec.pycode.expressions import Expr, Namespace, default

nn = Namespace("nn")


class Cell(Operator, abc.ABC):
    """What the cells have in common."""

    kind: ClassVar[str]

    if TYPE_CHECKING:
        hidden: Dim
        bias: bool

    def infer(self, x: TensorType, *states: TensorType) -> Inferred:
        require_float(x)
        if x.rank != 2:
            raise OpError(
                f"needs a tensor of 2 axes, and {x} has {x.rank}",
                input="x",
                hint="its axes are [batch, features]; a cell takes one step: `x[:, 0]`",
                code="E0403",
            )
        state = x.with_shape(x.shape[0], self.hidden)
        for name, given in zip(self.inputs[1:], states, strict=True):
            require_float(given, input=name)
            join_dtypes(x.dtype, given.dtype)
            if given.shape != state.shape:
                raise OpError(
                    f"the state is {given}, and this cell needs {state}",
                    input=name,
                    code="E0406",
                    hint="its axes are [batch, hidden]; start with `zeros([B, hidden])`",
                )
        return (state,) * len(states) if len(states) > 1 else state

    def weights(self, x: TensorType, *states: TensorType) -> Mapping[str, Weight]:
        rows = GATES[self.kind] * self.hidden
        uniform = FanUniform(self.hidden)
        found = {
            "weight_ih": Weight((rows, x.shape[-1]), uniform),
            "weight_hh": Weight((rows, self.hidden), uniform),
        }
        if self.bias:
            found |= {name: Weight((rows,), uniform) for name in ("bias_ih", "bias_hh")}
        return found

    def products(self, x: TensorType, *states: TensorType) -> tuple[Product, ...]:
        rows = 2 * x.shape[0] * GATES[self.kind] * self.hidden
        return (
            Product(("x",), ("weight_ih",), rows * x.shape[-1]),
            Product(("h",), ("weight_hh",), rows * self.hidden),
        )

    def elementwise(self, x: TensorType, *states: TensorType) -> Dim:
        return x.shape[0] * self.hidden * step_operations(self.kind, self.bias)

    def keras_weights(
        self, x: TensorType, *states: TensorType
    ) -> tuple[KerasWeight, ...]:
        return keras_variables(self.kind, "", "", bias=self.bias)

    def _torch_module(self, io: Io, module: Expr) -> Expr:
        bias = default(io.arg("bias"), True)
        return io.module(module, io.type("x").shape[-1], self.hidden, bias=bias)

    def _keras_module(self, io: Io) -> Expr:
        bias = default(io.arg("bias"), True)
        return io.module(io.helper(f"{self.kind}_cell"), self.hidden, use_bias=bias)


class LSTMCell(Cell):
    """One step of an LSTM: x [B, F], h [B, hidden], c [B, hidden] -> the next h and c.

    All weights start uniform within 1 / sqrt(hidden). FLOPs: 2 x the multiply-accumulates.

    Example: `h, c = (x, h, c) -> LSTMCell(64)`
    """

    inputs: ClassVar[tuple[str, ...]] = ("x", "h", "c")
    kind: ClassVar[str] = "lstm"

    hidden: Count
    bias: bool = True

    def torch(self, io: Io) -> Expr:
        return self._torch_module(io, nn.LSTMCell)(io["x"], (io["h"], io["c"]))

    def keras(self, io: Io) -> Expr:
        return self._keras_module(io)(io["x"], [io["h"], io["c"]])[1]


class GRUCell(Cell):
    """One step of gated recurrent units: x [B, F], h [B, hidden] -> the next h.

    All weights start uniform within 1 / sqrt(hidden). FLOPs: 2 x the multiply-accumulates.

    Example: `h = (x, h) -> GRUCell(64)`
    """

    inputs: ClassVar[tuple[str, ...]] = ("x", "h")
    kind: ClassVar[str] = "gru"

    hidden: Count
    bias: bool = True

    def torch(self, io: Io) -> Expr:
        return self._torch_module(io, nn.GRUCell)(io["x"], io["h"])

    def keras(self, io: Io) -> Expr:
        return self._keras_module(io)(io["x"], io["h"])[0]
