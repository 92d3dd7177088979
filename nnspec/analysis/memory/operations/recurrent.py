"""PyTorch's recurrent layers, by the kernels that it has for them on a CPU.

An LSTM in float32 runs in oneDNN, which keeps a workspace for each layer and direction; everything
else is decomposed into one product and some element-wise operations for each step, and each step keeps
its gates and states. A sequence of any length is one formula: steps are not gone through one by one. Layers
are, unless they are a `Stack` of any number: they are alike from the second one on, as turns of a loop are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.machine import Machine, Storage, Tensor, living, needs
from nnspec.analysis.memory.operations.layer import Layer, Stack
from nnspec.analysis.memory.operations.layers import dropped
from nnspec.analysis.memory.operations.pointwise import fresh
from nnspec.analysis.memory.operations.recurrent_cells import CELLS as SINGLE
from nnspec.analysis.memory.operations.recurrent_fused import in_onednn
from nnspec.analysis.memory.operations.recurrent_states import Selected, Unbound
from nnspec.analysis.memory.operations.recurrent_steps import Cell, Steps
from nnspec.analysis.memory.operations.views import (
    concatenate,
    contiguous_copy,
    listed,
    stack,
    transpose,
)
from nnspec.analysis.memory.rolling import (
    Found,
    Rolling,
    Turns,
    layout_of,
    source_of,
)
from nnspec.ir.dims import ZERO, Dim, dim, total
from nnspec.ir.types import DType

CELLS = {
    "nn.LSTM": Cell("lstm", 4, 2, {"gates": 4, "bent": 1}, passing=7, onednn=True),
    "nn.GRU": Cell(
        "gru", 3, 1, {"gates": 3, "product": 1, "new": 1, "difference": 1}, passing=5
    ),
    "nn.RNN": Cell("rnn", 1, 1, {"hidden": 1}, passing=2),
}


def recurrent(machine: Machine, layer: Layer, x: Tensor, state: Any = None) -> Any:
    """The whole sequence, and the last states of every layer and direction."""
    cell = CELLS[layer.kind]
    hidden = dim(layer.option("hidden_size", place=1))
    layers = int(layer.option("num_layers", 1))
    directions = 2 if layer.option("bidirectional", False) else 1
    count = dim(layers) if layer.stack is None else layer.stack.count
    initial = _initial(machine, cell, x, state, count * directions, hidden)
    first = transpose(machine, x, 0, 1)
    fused = _is_fused(machine, cell, x)
    if fused:
        first = contiguous_copy(machine, first)
        initial = tuple(contiguous_copy(machine, each) for each in initial)
    apart = [
        Selected(machine, each) if fused else Unbound(machine, each, count * directions)
        for each in initial
    ]
    sequence = first
    # What each direction has made stays until that of the next layer stands.
    outputs: list[Any] = [None] * directions
    rate = layer.option("dropout", 0)
    drops = rate != 0 and machine.drops and layer.training
    finals: list[tuple[Tensor, ...]] = []
    alike = layer.stack and _Alike(machine, layer.stack, layers, initial)
    for place in range(layers):
        if alike is not None:
            alike.at(place, sequence, finals)
        if drops and place > 0:
            sequence = dropped(machine, sequence)
        left: list[Any] = []
        for reverse in range(directions):
            states = tuple(each.next() for each in apart)
            made = _direction(
                machine, layer, cell, sequence, states, place, reverse, hidden, left
            )
            outputs[reverse] = made[0]
            finals.append(made[1])
            del made, states
        sequence = outputs[0] if directions == 1 else concatenate(machine, outputs, -1)
        if not fused:
            outputs = [None] * directions
        del left
    if alike is not None:
        alike.at(layers, sequence, finals)
    output = transpose(machine, sequence, 0, 1)
    stacked = [
        stack(machine, [each[i] for each in finals], count=count * directions)
        for i in range(cell.states)
    ]
    return output, tuple(stacked) if cell.states > 1 else stacked[0]


def _initial(
    machine: Machine, cell: Cell, x: Tensor, state: Any, count: Dim, hidden: Dim
) -> tuple[Tensor, ...]:
    if state is not None:
        return tuple(listed(state))
    shape = (count, x.shape[0], hidden)
    return tuple(machine.empty(shape, x.dtype) for _ in range(cell.states))


class _Alike:
    """Layers of which those behind the first one stand for as many as a formula says.

    Each finds the sequence that the one below has made, and the initial states; it leaves its own sequence and
    final states. The final states of layers that are not run live, too, until all is done.
    """

    def __init__(
        self, machine: Machine, stack: Stack, ran: int, initial: tuple[Tensor, ...]
    ) -> None:
        self._machine = machine
        self._initial = initial
        self._ran = ran
        turns = Turns(first=1, last=0, count=stack.count)
        self._rolling = Rolling(turns, machine, ran, shared=False, note=stack.note)
        self._not_run: Storage | None = None

    def at(
        self, place: int, sequence: Tensor, finals: Sequence[tuple[Tensor, ...]]
    ) -> None:
        """Before a layer, and behind the last one."""
        held = total(
            each.storage.size
            for states in finals
            for each in states
            if not each.storage.kept
        )
        self._rolling.at(place, lambda: self._found(sequence), held)
        if place == self._ran:
            more = self._rolling.more * self._rolling.held_step
            self._not_run = living(self._machine, more)

    def _found(self, sequence: Tensor) -> Found:
        groups = Groups()
        tensors = (sequence, *self._initial)
        return Found(
            tuple((layout_of(each, groups), needs(each)) for each in tensors),
            {source_of(sequence): "sequence"},
            # What the first layer keeps, too, goes with that.
            [ref(each.storage) for each in self._initial if not each.storage.kept],
        )


def _direction(
    machine: Machine,
    layer: Layer,
    cell: Cell,
    x: Tensor,
    states: tuple[Tensor, ...],
    place: int,
    reverse: int,
    hidden: Dim,
    left: list[Any],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    suffix = f"l{place}" + "_reverse" * reverse
    weights = [
        tensor for name, tensor in layer.weights.items() if name.endswith(f"_{suffix}")
    ]
    if _is_fused(machine, cell, x):
        return in_onednn(machine, x, weights, states, hidden)
    return _by_steps(machine, cell, x, weights, states, hidden, left)


def _is_fused(machine: Machine, cell: Cell, x: Tensor) -> bool:
    """Whether oneDNN runs the layer."""
    single = x.dtype is DType.FLOAT and machine.element(DType.FLOAT) == 4
    return cell.onednn and machine.onednn and single


def _by_steps(
    machine: Machine,
    cell: Cell,
    x: Tensor,
    weights: Sequence[Tensor],
    states: tuple[Tensor, ...],
    hidden: Dim,
    left: list[Any],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One product with all inputs, then for each step one with the state, and the gates.

    Of the direction before there is `left` the product until this one's stands, and the steps to the end.
    """
    steps, batch = x.shape[0], x.shape[1]
    recorded = machine.recording and needs(x, *weights, *states)
    copied = contiguous_copy(machine, x)
    products = machine.empty((steps, batch, cell.gates * hidden), x.dtype)
    is_copied = copied is not x
    if not recorded:
        copied = x
    if is_copied and weights[2:]:
        products = fresh(products)  # the bias is added by itself then
    record(machine, (copied, *weights[::2]), [products], [copied])
    del x, copied
    left[:1] = [products]
    state = batch * hidden * machine.element(products.dtype)
    made = None
    if not recorded:
        made = Storage(machine, (steps - 1) * state)
        # The last step, and the cell before it, which is no result.
        before = (cell.states - 1) * (steps.constant != 1)
        Storage(machine, (cell.passing + before) * state)
        left.append(made)
    finals = tuple(
        machine.empty((batch, hidden), products.dtype) for _ in range(cell.states)
    )
    ran = recorded and Steps(machine, cell, steps, state, states, finals)
    output = machine.empty((steps, batch, hidden), products.dtype)
    if ran:
        ran.record(products, weights[1::2], states, (output, *finals))
    return output, finals


def lstm_with_states(
    machine: Machine, layer: Layer, x: Tensor, state: Any = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The helper of emitted files: the sequence, and both last states."""
    output, (hidden, cell) = recurrent(machine, layer, x, state)
    return output, hidden, cell


def record(
    machine: Machine,
    inputs: Sequence[Tensor],
    results: Sequence[Tensor],
    saved: Sequence[Tensor],
) -> None:
    """An operation that makes a gradient for each input that needs one."""
    shapes = [each.shape if each.source is not None else None for each in inputs]
    dtype = inputs[0].dtype

    def backward(*_: Any) -> tuple[Tensor | None, ...]:
        return tuple(
            None if shape is None else machine.empty(shape, dtype) for shape in shapes
        )

    machine.record(inputs, results, saved, backward)


RECURRENT: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(CELLS, recurrent),
    "lstm_with_states": lstm_with_states,
    **SINGLE,
}

__all__ = ["RECURRENT", "ZERO"]
