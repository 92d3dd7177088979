"""The way back through the steps of a recurrent layer that PyTorch takes one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nnspec.analysis.memory.layout import Sizes
from nnspec.analysis.memory.machine import Machine, Storage, Tensor
from nnspec.ir.dims import Dim
from nnspec.ir.types import DType
from nnspec.records import dataclass


@dataclass(frozen=True)
class Cell:
    """A kind of recurrence: its gates, its states, and what a step keeps, in widths of the state.

    `each` is kept at every step, `between` at every step but the last (the states that the next one
    reads). `onednn` says whether oneDNN has a kernel for it.
    """

    gates: int
    states: int
    each: int
    between: int
    onednn: bool = False


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


class Steps:
    """The steps of a layer and direction, which keep a `lump` for their way back, each its share.

    The gradient of the state's weights grows from step to step (what was, what comes, and their sum), and that of
    its bias after the weights. It is most at the second of these steps: what both have kept is gone, the gradients of
    their gates stay, and those of the states go to the next.
    """

    def __init__(self, cell: Cell, steps: Dim, state: Dim, lump: Storage) -> None:
        self._cell = cell
        self._steps = steps
        self._state = state
        self._held = [lump]

    def record(
        self,
        machine: Machine,
        products: Tensor,
        weights: Sequence[Tensor],
        initial: Sequence[Tensor],
        results: Sequence[Tensor],
    ) -> None:
        """Enters them into the graph, and that gradients of gates are put together for the products with the inputs."""
        apart = Tensor(
            products.storage, products.shape, products.strides, products.dtype
        )
        record(machine, [products], [apart], [])
        shapes = [each.shape for each in (apart, *weights, *initial)]
        wants = [each.source is not None for each in (apart, *weights, *initial)]
        dtype = products.dtype

        def backward(*_: Any) -> tuple[Tensor | None, ...]:
            trained = [each.shape for each in weights if each.source is not None]
            self._run(machine, trained)
            return tuple(
                machine.empty(shape, dtype) if wanted else None
                for shape, wanted in zip(shapes, wants, strict=True)
            )

        inputs = (apart, *weights, *initial)
        saved = initial if self._cell.between else [*initial, *results[1:]]
        machine.record(inputs, results, saved, backward, self._held[0])
        if not machine.recording:
            self._held.clear()

    def _run(self, machine: Machine, grown: Sequence[Sizes]) -> None:
        """All of them; `grown` are the shapes of weights and biases of the state that are trained."""
        cell, state = self._cell, self._state
        again = self._steps.constant is None or self._steps.constant > 1
        if self._steps.constant is None or self._steps.constant > 2:
            self._held[0].shrink(2 * (cell.each + cell.between) * state)
        else:
            self._held.clear()
        gates = [Storage(machine, (1 + again) * cell.gates * state)]
        gates.append(Storage(machine, cell.states * state))
        growing = [
            machine.empty(each, DType.FLOAT)
            for each in grown
            for _ in range(1 + 2 * again if len(each) > 1 else 1)
        ]
        del growing, gates
        self._held.clear()
