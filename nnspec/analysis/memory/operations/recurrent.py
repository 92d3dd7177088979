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
from nnspec.analysis.memory.layout import Sizes
from nnspec.analysis.memory.machine import Machine, Storage, Tensor, living, needs
from nnspec.analysis.memory.operations.layer import Layer, Stack
from nnspec.analysis.memory.operations.layers import dropped
from nnspec.analysis.memory.operations.pointwise import fresh
from nnspec.analysis.memory.operations.recurrent_steps import Cell, Steps, record
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
from nnspec.ir.dims import ZERO, Dim, dim, maximum, minimum, total
from nnspec.ir.types import DType

# The elements of a cache line in float32.
LINE = 16
# The elements after which rows would fall into the same places of a cache.
APART = 256
# Half of the elements of a page of memory.
HALF_PAGE = 512

CELLS = {
    "nn.LSTM": Cell(gates=4, states=2, each=5, between=2, onednn=True),
    "nn.GRU": Cell(gates=3, states=1, each=6, between=1),
    "nn.RNN": Cell(gates=1, states=1, each=1, between=0),
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
    if _is_fused(machine, cell, x):
        first = contiguous_copy(machine, first)
    sequence = first
    rate = layer.option("dropout", 0)
    drops = rate != 0 and machine.drops and layer.training
    finals: list[tuple[Tensor, ...]] = []
    stood_for = layer.stack
    alike = stood_for and _Alike(machine, stood_for, layers, initial)
    for place in range(layers):
        if alike is not None:
            alike.at(place, sequence, finals)
        if drops and place > 0:
            sequence = dropped(machine, sequence)
        left: list[Any] = []
        made = [
            _direction(
                machine, layer, cell, sequence, initial, place, reverse, hidden, left
            )
            for reverse in range(directions)
        ]
        finals.extend(states for _, states in made)
        parts = [output for output, _ in made]
        del made
        sequence = parts[0] if directions == 1 else concatenate(machine, parts, -1)
        del parts, left
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
    initial: tuple[Tensor, ...],
    place: int,
    reverse: int,
    hidden: Dim,
    left: list[Any],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    suffix = f"l{place}" + "_reverse" * reverse
    weights = [
        tensor for name, tensor in layer.weights.items() if name.endswith(f"_{suffix}")
    ]
    run = _in_onednn if _is_fused(machine, cell, x) else _by_steps
    return run(machine, cell, x, weights, initial, hidden, left)


def _is_fused(machine: Machine, cell: Cell, x: Tensor) -> bool:
    """Whether oneDNN runs the layer."""
    single = x.dtype is DType.FLOAT and machine.element(DType.FLOAT) == 4
    return cell.onednn and machine.onednn and single


def _in_onednn(
    machine: Machine,
    cell: Cell,
    x: Tensor,
    weights: Sequence[Tensor],
    initial: tuple[Tensor, ...],
    hidden: Dim,
    left: list[Any],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Kept are input, output, states and a workspace of oneDNN."""
    steps, batch = x.shape[0], x.shape[1]
    output = machine.empty((steps, batch, hidden), x.dtype)
    finals = tuple(machine.empty((batch, hidden), x.dtype) for _ in initial)
    saved = [x, output, *finals]
    if machine.recording:
        size = _workspace(steps, batch, x.shape[2], hidden)
        saved.append(machine.empty((size,), x.dtype))
    inputs = (x, *weights, *initial)
    record(machine, inputs, (output, *finals), [*saved, *initial])
    return output, finals


def _workspace(steps: Dim, batch: Dim, inputs: Dim, hidden: Dim) -> Dim:
    """The elements of oneDNN's workspace for a layer and direction, as it lays them out.

    For each step there are the gates and a state; for each step and the beginning, below and above the layer,
    3 rows as wide as inputs or states and 2 of cells. Rows are as long as whole cache lines, and longer by one
    where they would lie a multiple of a page apart. Each of the seven begins on a page of memory: half a page is
    lost for each on average, so that formulas stay ones that a person can read, and 14 KiB is the most they miss.
    """
    each_step = _row(4 * hidden) + _row(hidden)
    each_moment = 2 * (3 * _row(maximum(inputs, hidden)) + 2 * hidden)
    elements = batch * (steps * each_step + (steps + 1) * each_moment)
    return elements + 7 * HALF_PAGE


def _row(width: Dim) -> Dim:
    return _lines(width) + LINE * (1 - minimum(1, width % APART))


def _lines(width: Dim) -> Dim:
    return width.ceil_divide(LINE) * LINE


def _by_steps(
    machine: Machine,
    cell: Cell,
    x: Tensor,
    weights: Sequence[Tensor],
    initial: tuple[Tensor, ...],
    hidden: Dim,
    left: list[Any],
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One product with all inputs, then for each step one with the state, and the gates.

    Of the direction before there is `left` the product until this one's stands, and the steps to the end.
    """
    steps, batch = x.shape[0], x.shape[1]
    copied = contiguous_copy(machine, x)
    products = machine.empty((steps, batch, cell.gates * hidden), x.dtype)
    is_copied = copied is not x
    if not machine.recording:
        copied = x
    if is_copied:
        products = fresh(products)  # the bias is added by itself then
    record(machine, (copied, *weights[::2]), [products], [copied])
    del x, copied
    left[:1] = [products]
    state = batch * hidden * machine.element(products.dtype)
    # The last of the states is a result, which a cell keeps that keeps its states alone.
    kept = (
        (steps - (not cell.between)) * cell.each + (steps - 1) * cell.between
    ) * state
    lump = Storage(machine, kept if machine.recording else (steps - 1) * state)
    finals = tuple(
        machine.empty((batch, hidden), products.dtype) for _ in range(cell.states)
    )
    output = machine.empty((steps, batch, hidden), products.dtype)
    ran = Steps(cell, steps, state, lump)
    if not machine.recording:
        left.append(lump)
    del lump
    ran.record(machine, products, weights[1::2], initial, (output, *finals))
    return output, finals


def lstm_with_states(
    machine: Machine, layer: Layer, x: Tensor, state: Any = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The helper of emitted files: the sequence, and both last states."""
    output, (hidden, cell) = recurrent(machine, layer, x, state)
    return output, hidden, cell


# ---- cells ----------------------------------------------------------------------------------------


def _stepped(
    machine: Machine, gates: Sizes, states: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The next states, made from the products with the input and with the state, of which nothing is kept."""
    dtype, hidden = states[0].dtype, states[0].shape
    products = [machine.empty(gates, dtype) for _ in range(2)]
    if len(states) > 1:
        del products[0]  # one is added to the other
    elementwise = [machine.empty(hidden, dtype) for _ in states]
    results = tuple(machine.empty(hidden, dtype) for _ in states)
    del products, elementwise
    return results


def _cell(machine: Machine, layer: Layer, x: Tensor, state: Any) -> Any:
    """One step: gates and states are kept."""
    lstm = layer.kind == "nn.LSTMCell"
    states: list[Tensor] = listed(state)
    hidden = states[0].shape
    weights = list(layer.weights.values())
    gates = 4 if lstm else 3
    size = machine.bytes(hidden, x.dtype)
    both = (x.shape[0], gates * hidden[1])
    widths = gates + 1 if lstm else 2 * gates + 3 - gates
    lump = None
    if machine.recording:
        products = [machine.empty(both, x.dtype) for _ in range(2 if lstm else 1)]
        if lstm:
            products.clear()  # one is added to the other, which is kept
        lump = Storage(machine, size * widths)
        results = tuple(machine.empty(hidden, x.dtype) for _ in states)
        del products
    else:
        results = _stepped(machine, both, states)
    inputs = [x, *weights, *states]
    shapes = [each.shape for each in inputs]
    wants = [each.source is not None for each in inputs]
    dtype = x.dtype

    held = [] if lump is None else [lump]
    del lump
    count = len(results)

    def backward(*grads: Any) -> tuple[Tensor | None, ...]:
        # The gradients of the gates, for which those of the results are used up: of each gate while the gates are
        # there, then in one.
        given = grads[:count]
        owned = sum(g is not None and g.storage.size == size for g in given)
        gates_shape = (both[0], both[1] - owned * hidden[1])
        parts = machine.empty(gates_shape, dtype)
        held.clear()
        between = machine.empty(gates_shape, dtype)
        del parts
        made = tuple(
            machine.empty(shape, dtype) if wanted else None
            for shape, wanted in zip(shapes, wants, strict=True)
        )
        del between
        return made

    machine.record(inputs, results, (x, *states), backward, next(iter(held), None))
    return results if lstm else results[0]


RECURRENT: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(CELLS, recurrent),
    "lstm_with_states": lstm_with_states,
    "nn.LSTMCell": _cell,
    "nn.GRUCell": _cell,
}

__all__ = ["RECURRENT", "ZERO"]
