"""Recurrent layers over whole sequences."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from nnspec.ir.dims import ONE, Dim
from nnspec.ir.types import TensorType
from nnspec.ops.base import (
    Count,
    Inferred,
    Io,
    KerasWeight,
    Operator,
    OpError,
    Product,
    Rate,
    Weight,
    join_dtypes,
    require_float,
)
from nnspec.ops.initializers import FanUniform
from nnspec.ops.recurrent_weights import GATES, keras_variables, step_operations
from nnspec.ops.rules import Caveat
from nnspec.pycode.expressions import Expr, Namespace, default, expression
from nnspec.pycode.expressions import Literal as LiteralExpr
from nnspec.records import dataclass

nn, layers = Namespace("nn"), Namespace("layers")

Returns = Literal["sequence", "last", "all"]


@dataclass(frozen=True, slots=True)
class _Run:
    """One layer in one direction."""

    layer: int
    suffix: str  # as PyTorch names its weights
    inputs: Dim


class Recurrent(Operator, abc.ABC):
    """What the recurrent layers have in common."""

    caveats: ClassVar[tuple[Caveat, ...]] = (
        Caveat(
            "memory",
            "about",
            "steps one after another, as on a CPU; other devices have kernels for whole sequences",
        ),
    )

    stacked: ClassVar[str | None] = "layers"

    kind: ClassVar[str]
    states: ClassVar[tuple[str, ...]] = ("h",)
    torch_module: ClassVar[Expr]

    if TYPE_CHECKING:
        hidden: Dim
        layers: Dim
        bidirectional: bool
        dropout: float
        bias: bool
        returns: Returns

    # ---- rules -------------------------------------------------------------------------------

    def for_more_results(self) -> str | None:
        if self.returns == "all":
            return None
        names = ", ".join(("y", *self.states))
        return f'`returns="all"` gives the states as well: `{names} = ...`'

    def infer(self, x: TensorType, *states: TensorType | None) -> Inferred:
        require_float(x)
        if x.rank != 3:
            raise OpError(
                f"needs a tensor of 3 axes, and {x} has {x.rank}",
                input="x",
                hint="its axes are [batch, time, features]",
                code="E0403",
            )
        self._check_layers()
        self._check_states(x, states)
        batch, time, _ = x.shape
        width = self.hidden * self.directions
        if self.returns == "last":
            return x.with_shape(batch, width)
        sequence = x.with_shape(batch, time, width)
        if self.returns == "sequence":
            return sequence
        return (sequence, *(self._state(x) for _ in self.states))

    def _check_layers(self) -> None:
        if not self.layers.is_constant:
            raise OpError(
                f"the number of layers must be a constant, not {self.layers}",
                param="layers",
                code="E0409",
                hint="give a plain number",
                sizes=(self.layers,),
            )

    @property
    def directions(self) -> int:
        """2 if the sequence is read from both ends, else 1."""
        return 2 if self.bidirectional else 1

    def _state(self, x: TensorType) -> TensorType:
        return x.with_shape(self.layers * self.directions, x.shape[0], self.hidden)

    def _check_states(self, x: TensorType, states: Sequence[TensorType | None]) -> None:
        given = [state for state in states if state is not None]
        if given and len(given) < len(self.states):
            raise OpError(
                f"an initial state consists of {' and '.join(self.states)}: give all or none",
                input=self.states[0] if states[0] is None else self.states[1],
                code="E0409",
                hint="give every part of the state, or none to start from zero",
            )
        for name, state in zip(self.states, states, strict=False):
            if state is None:
                continue
            require_float(state, input=name)
            join_dtypes(x.dtype, state.dtype)
            if state.shape != self._state(x).shape:
                raise OpError(
                    f"the initial state is {state}, and this layer needs {self._state(x)}",
                    input=name,
                    hint="its axes are [layers * directions, batch, hidden]",
                    code="E0406",
                )

    def _runs(self, x: TensorType) -> Iterator[_Run]:
        self._check_layers()
        inputs = x.shape[-1]
        for layer in range(int(self.layers)):
            for ending in ("", "_reverse")[: self.directions]:
                yield _Run(layer, f"_l{layer}{ending}", inputs)
            inputs = self.hidden * self.directions

    def weights(
        self, x: TensorType, *states: TensorType | None
    ) -> Mapping[str, Weight]:
        rows = GATES[self.kind] * self.hidden
        uniform = FanUniform(self.hidden)
        found: dict[str, Weight] = {}
        for run in self._runs(x):
            found[f"weight_ih{run.suffix}"] = Weight((rows, run.inputs), uniform)
            found[f"weight_hh{run.suffix}"] = Weight((rows, self.hidden), uniform)
            if self.bias:
                found[f"bias_ih{run.suffix}"] = Weight((rows,), uniform)
                found[f"bias_hh{run.suffix}"] = Weight((rows,), uniform)
        return found

    def products(
        self, x: TensorType, *states: TensorType | None
    ) -> tuple[Product, ...]:
        """For each layer and direction: of the input, of the initial state, of the states after it."""
        batch, time, _ = x.shape
        rows = 2 * batch * GATES[self.kind] * self.hidden
        initial = self.states if states and states[0] is not None else ()
        found: list[Product] = []
        below: tuple[str, ...] = ("x",)
        for _, runs in groupby(self._runs(x), key=lambda run: run.layer):
            above: tuple[str, ...] = below
            for run in runs:
                ih, hh = f"weight_ih{run.suffix}", f"weight_hh{run.suffix}"
                later = (*below, *initial, ih, hh)
                found += (
                    Product(below, (ih,), rows * time * run.inputs),
                    Product(initial, (hh,), rows * self.hidden),
                    Product(later, (hh,), rows * (time - 1) * self.hidden),
                )
                above += later
            below = tuple(dict.fromkeys(above))
        return tuple(found)

    def elementwise(self, x: TensorType, *states: TensorType | None) -> Dim:
        steps = x.shape[0] * x.shape[1] * self.layers * self.directions
        return steps * self.hidden * step_operations(self.kind, self.bias)

    # ---- PyTorch -----------------------------------------------------------------------------

    def torch(self, io: Io) -> Expr:
        self._check_layers()
        module = io.module(
            self.torch_module,
            io.type("x").shape[-1],
            self.hidden,
            num_layers=default(self.layers, 1),
            bias=default(io.arg("bias"), True),
            batch_first=True,
            bidirectional=default(io.arg("bidirectional"), False),
            **self._torch_options(io),
        )
        initial = [io[name] for name in self.states if io.has(name)]
        state = tuple(initial) if len(initial) > 1 else next(iter(initial), None)
        if self.returns == "all":
            return self._torch_all(io, module, io["x"], state)
        result = module(io["x"]) if state is None else module(io["x"], state)
        if self.returns == "sequence":
            return result[0]
        final = result[1][0] if len(self.states) > 1 else result[1]
        if not self.bidirectional:
            return final[-1]
        return final[-2:].method("transpose", 0, 1).method("flatten", 1)

    def _torch_options(self, io: Io) -> dict[str, Any]:
        # Between layers only; PyTorch warns where there is nothing between.
        return {"dropout": default(io.arg("dropout"), 0.0)} if self.layers > 1 else {}

    def _torch_all(self, io: Io, module: Expr, x: Expr, state: object) -> Expr:
        return module(x) if state is None else module(x, state)

    # ---- Keras -------------------------------------------------------------------------------

    def keras(self, io: Io) -> Expr:
        with_states = self.returns == "all" or io.has(self.states[0])
        stack = [self._keras_layer(io, i, with_states) for i in range(int(self.layers))]
        dropout = self._keras_dropout(io)
        if with_states:
            options = {} if dropout is None else {"dropout": dropout}
            if io.has(self.states[0]):
                options["state"] = expression([io[name] for name in self.states])
            result = io.helper("run_recurrent")(stack, io["x"], **options)
            return result if self.returns == "all" else result[0]
        result = io["x"]
        for place, layer in enumerate(stack):
            result = layer(dropout(result) if dropout is not None and place else result)
        return result

    def _keras_layer(self, io: Io, place: int, with_states: bool) -> Expr:
        is_last = place == int(self.layers) - 1
        return io.module(
            io.helper(self.kind),
            self.hidden,
            use_bias=default(io.arg("bias"), True),
            bidirectional=default(io.arg("bidirectional"), False),
            return_sequences=default(not (is_last and self.returns == "last"), True),
            return_state=default(with_states, False),
            **self._keras_options(io),
            suffix=self._suffix(place),
        )

    def _keras_options(self, io: Io) -> dict[str, Any]:
        return {}

    def _keras_dropout(self, io: Io) -> Expr | None:
        rate = io.arg("dropout")
        if self.layers == 1 or (isinstance(rate, LiteralExpr) and self.dropout == 0):
            return None
        return io.module(layers.Dropout, rate, suffix="_dropout")

    def _suffix(self, layer: int) -> str:
        return "" if self.layers == 1 else f"_l{layer}"

    def keras_weights(
        self, x: TensorType, *states: TensorType | None
    ) -> tuple[KerasWeight, ...]:
        found: list[KerasWeight] = []
        for run in self._runs(x):
            place = ""
            if self.bidirectional:
                side = "backward" if run.suffix.endswith("_reverse") else "forward"
                place = f"{side}_{self.kind}/"
            found += keras_variables(
                self.kind,
                f"{place}{self.kind}_cell/",
                run.suffix,
                bias=self.bias,
                owner=self._suffix(run.layer),
            )
        return tuple(found)


class SimpleRNN(Recurrent):
    """Elman's recurrent layers: h' = activation(W x + b + U h + c), over [B, T, F].

    `returns="sequence"` gives the outputs of all steps, [B, T, hidden * directions]; "last" those of the
    last step that was read in each direction, [B, hidden * directions]; "all" the sequence and the final
    states h: [layers * directions, B, hidden]. An initial state may be given (`h=`), else it is zero.
    `dropout` acts between layers in training. All weights start uniform within 1 / sqrt(hidden).
    FLOPs: 2 x the multiply-accumulates of both products. Elman, 1990.

    Example: `x -> SimpleRNN(64, "relu", returns="last") -> Linear(10)`
    """

    inputs: ClassVar[tuple[str, ...]] = ("x", "h")
    optional: ClassVar[frozenset[str]] = frozenset({"h"})
    kind: ClassVar[str] = "simple_rnn"
    torch_module: ClassVar[Expr] = nn.RNN

    hidden: Count
    activation: Literal["tanh", "relu"] = "tanh"
    layers: Count = ONE
    bidirectional: bool = False
    dropout: Rate = 0.0
    bias: bool = True
    returns: Returns = "sequence"

    def _torch_options(self, io: Io) -> dict[str, Any]:
        activation: dict[str, Any] = {
            "nonlinearity": default(io.arg("activation"), "tanh")
        }
        return activation | super()._torch_options(io)

    def _keras_options(self, io: Io) -> dict[str, Any]:
        return {"activation": default(io.arg("activation"), "tanh")}


class LSTM(Recurrent):
    """Long short-term memory over [B, T, F], with a forget gate and without peepholes.

    `returns="sequence"` gives the outputs of all steps, [B, T, hidden * directions]; "last" those of the
    last step that was read in each direction, [B, hidden * directions]; "all" the sequence and the final
    states h and c: [layers * directions, B, hidden]. Initial states may be given (`h=`, `c=`), else they
    are zero. `dropout` acts between layers in training. All weights start uniform within 1 / sqrt(hidden).
    FLOPs: 2 x the multiply-accumulates of both products. Hochreiter and Schmidhuber, 1997.

    Example: `x -> LSTM(128, layers=2, returns="last") -> Linear(10)`
    """

    caveats: ClassVar[tuple[Caveat, ...]] = (
        Caveat(
            "memory",
            "about",
            "the kernel is oneDNN's, with the workspace that it has on a CPU; other devices may take another",
        ),
    )

    inputs: ClassVar[tuple[str, ...]] = ("x", "h", "c")
    optional: ClassVar[frozenset[str]] = frozenset({"h", "c"})
    kind: ClassVar[str] = "lstm"
    states: ClassVar[tuple[str, ...]] = ("h", "c")
    torch_module: ClassVar[Expr] = nn.LSTM

    hidden: Count
    layers: Count = ONE
    bidirectional: bool = False
    dropout: Rate = 0.0
    bias: bool = True
    returns: Returns = "sequence"

    def _torch_all(self, io: Io, module: Expr, x: Expr, state: object) -> Expr:
        helper = io.helper("lstm_with_states")
        return helper(module, x) if state is None else helper(module, x, state)


class GRU(Recurrent):
    """Gated recurrent units over [B, T, F]; the reset gate acts after the product with the state.

    `returns="sequence"` gives the outputs of all steps, [B, T, hidden * directions]; "last" those of the
    last step that was read in each direction, [B, hidden * directions]; "all" the sequence and the final
    states h: [layers * directions, B, hidden]. An initial state may be given (`h=`), else it is zero.
    `dropout` acts between layers in training. All weights start uniform within 1 / sqrt(hidden).
    FLOPs: 2 x the multiply-accumulates of both products. Cho et al., 2014.

    Example: `x -> GRU(128, bidirectional=true)`
    """

    inputs: ClassVar[tuple[str, ...]] = ("x", "h")
    optional: ClassVar[frozenset[str]] = frozenset({"h"})
    kind: ClassVar[str] = "gru"
    torch_module: ClassVar[Expr] = nn.GRU

    hidden: Count
    layers: Count = ONE
    bidirectional: bool = False
    dropout: Rate = 0.0
    bias: bool = True
    returns: Returns = "sequence"
