"""oneDNN's LSTM in float32: one operation for all steps of a layer and direction, with a workspace for its way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.analysis.memory.machine import Machine, Tensor
from nnspec.ir.dims import Dim, maximum, minimum

# The elements of a cache line in float32.
LINE = 16
# The elements after which rows would fall into the same places of a cache.
APART = 256
# The elements of a page of memory.
PAGE = 1024


def in_onednn(
    machine: Machine,
    x: Tensor,
    weights: Sequence[Tensor],
    states: Sequence[Tensor],
    hidden: Dim,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The sequence of states and the last ones; kept are input, output, states and a workspace of oneDNN.

    Where there are no biases, PyTorch makes zeros for them, as large as the weights. The way back makes a gradient
    for everything that was given, whether one is asked for or not, and two of biases.
    """
    steps, batch = x.shape[0], x.shape[1]
    biases = weights[2:] or [machine.empty(each.shape, x.dtype) for each in weights]
    output = machine.empty((steps, batch, hidden), x.dtype)
    finals = tuple(machine.empty((batch, hidden), x.dtype) for _ in states)
    saved = [x, output, *finals, *biases, *states]
    if machine.recording:
        size = workspace(steps, batch, x.shape[2], hidden)
        saved.append(machine.empty((size,), x.dtype))
    inputs = (x, *weights[:2], *biases, *states)
    bias = (weights[0].shape[0],)
    shapes = [
        bias if place in (3, 4) else each.shape for place, each in enumerate(inputs)
    ]
    wants = [each.source is not None for each in inputs]
    dtype = x.dtype

    def backward(*_: Any) -> list[Tensor | None]:
        made = [machine.empty(shape, dtype) for shape in shapes]
        pairs = zip(made, wants, strict=True)
        return [each if wanted else None for each, wanted in pairs]

    machine.record(inputs, (output, *finals), saved, backward)
    return output, finals


def workspace(steps: Dim, batch: Dim, inputs: Dim, hidden: Dim) -> Dim:
    """The elements of oneDNN's workspace for a layer and direction, as its `set_offsets` lays it out.

    For each step there are the gates and a state; for each step and the beginning, below and above the layer,
    3 rows as wide as inputs or states and 2 of cells. Each of the seven begins on a page of memory.
    """
    rows = steps * batch
    moments = 2 * (steps + 1) * batch
    return (
        _pages(rows * _row(4 * hidden))
        + _pages(rows * _row(hidden))
        + 3 * _pages(moments * _row(maximum(inputs, hidden)))
        + 2 * _pages(moments * hidden)
    )


def _pages(elements: Dim) -> Dim:
    return elements.ceil_divide(PAGE) * PAGE


def _row(width: Dim) -> Dim:
    """The elements of a row: whole cache lines, and one more where rows would fall into the same places of a cache."""
    lines = width.ceil_divide(LINE) * LINE
    return lines + LINE * (1 - minimum(1, lines % APART))
