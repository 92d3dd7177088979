"""The steps of a recurrent layer that PyTorch takes one after another, and their way back.

A few steps stand for all: the first and the last one and, between them, one behind the first and one before the
last. The sizes of these two have a `share` as a factor, which is 0 where there are too few steps for them. All others
are like the one before the last, and nothing that they do on their way back takes more than that one does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import ref

from nnspec.analysis.memory.layout import contiguous
from nnspec.analysis.memory.machine import Machine, Record, Storage, Tensor
from nnspec.analysis.memory.operations.recurrent_back import BACK, Grown, Step, Way
from nnspec.ir.dims import ONE, Dim, minimum, total
from nnspec.ir.types import DType
from nnspec.records import dataclass

# The gradient of a sequence comes to its end behind the second step, or behind the last one where that is the second.
PARTS = 2
# What steps keep of the states that they read: of the state and the cell.
READ = ("read", "read_cell")


@dataclass(frozen=True)
class Cell:
    """A kind of recurrence: its gates and states, and what a step keeps, in widths of the state.

    A step keeps what is in `kept`, which is the state itself or else the states that it has read. Without a graph the
    last step has `passing` on its way, its new states included. `onednn` says whether oneDNN has a kernel for it.
    """

    name: str
    gates: int
    states: int
    kept: Mapping[str, int]
    passing: int
    onednn: bool = False

    @property
    def reads(self) -> Sequence[str]:
        """What a step keeps of the states that it has read."""
        return () if "hidden" in self.kept else READ[: self.states]

    @property
    def widths(self) -> int:
        """What a step keeps."""
        return sum(self.kept.values()) + len(self.reads)


def shares_of(steps: Dim) -> list[Dim]:
    """The shares of the steps that stand for so many, the first one first: 1, or 0 where there is no such step."""
    if steps.constant is not None:
        return [ONE] * min(steps.constant, 4)
    return [ONE, minimum(1, steps - 2), minimum(1, (steps - 2) // 2), ONE]


class Steps:
    """The steps of a layer and direction that are recorded, and what they keep for their way back.

    `initial` are the states that the first step reads, `finals` those that the last one makes; `state` is the bytes
    of one.
    """

    def __init__(
        self,
        machine: Machine,
        cell: Cell,
        steps: Dim,
        state: Dim,
        initial: Sequence[Tensor],
        finals: Sequence[Tensor],
    ) -> None:
        self._machine = machine
        self._cell = cell
        if machine.ledger is not None:
            steps = steps.at(machine.ledger.sizes)
        shares = shares_of(steps)
        self._steps = [Step(machine, state, share) for share in shares]
        self._steps[-1].uses = 1
        self._steps[:2][-1].uses = PARTS
        if len(shares) > 1:
            self._steps[-1].hands_to(shares[-2::-1])
        self._keep(initial, finals)
        more = (steps - total(shares)) * state
        self._rest = [Storage(machine, more * cell.widths)]
        self._gates_of_rest = more * cell.gates

    def _keep(self, initial: Sequence[Tensor], finals: Sequence[Tensor]) -> None:
        first, last = self._steps[0], self._steps[-1]
        for step in self._steps:
            if step is last and "hidden" in self._cell.kept:
                step.kept["hidden"] = finals[0]
            else:
                step.keep(self._cell.kept)
            if step is not first:
                step.keep(dict.fromkeys(self._cell.reads, 1))
        first.kept.update(zip(READ, initial, strict=False))

    def record(
        self,
        products: Tensor,
        weights: Sequence[Tensor],
        initial: Sequence[Tensor],
        results: Sequence[Tensor],
    ) -> None:
        """Enters them into the graph; `products` are those with the inputs, `weights` those of the state."""
        self._weights = len(weights)
        inputs = (products, *weights, *initial)
        self._shapes = [each.shape for each in inputs]
        self._wants = [each.source is not None for each in inputs]
        kept = [each for step in self._steps for each in step.kept.values()]
        saved = [
            Tensor(each, (), (), DType.FLOAT) if isinstance(each, Storage) else each
            for each in (*kept, *self._rest)
        ]
        self._machine.record(inputs, results, saved, None, call=self._back)

    def _back(
        self,
        record: Record,
        grads: list[Tensor | None],
        before: list[Tensor | None],
        _: list[bool],
    ) -> list[Tensor | None]:
        """The gradients of products, weights and first states, with what these had `before`."""
        record.saved, record.call = (), None
        if all(each is None for each in grads):
            return before
        way = self._way(grads, before)
        self._run(way)
        # The gradients of gates are put together.
        products = self._made(0) if way.has_inputs else None
        way.gates.clear()
        weights = [each.tensor if each else None for each in (way.weight, way.bias)]
        return [products, *weights[: self._weights], *self._of_states(way, before)]

    def _of_states(
        self, way: Way, before: Sequence[Tensor | None]
    ) -> Iterator[Tensor | None]:
        """The gradients of the first states."""
        waiting = [*way.hidden, *way.cell]
        way.hidden.clear()
        way.cell.clear()
        for place in range(self._weights + 1, len(self._shapes)):
            old, new = before[place], waiting.pop(0) if waiting else None
            if new is None or old is not None:
                yield old if new is None else self._made(place)
            else:
                shape = self._shapes[place]
                yield Tensor(new, shape, contiguous(shape), DType.FLOAT)

    def _way(self, grads: list[Tensor | None], before: list[Tensor | None]) -> Way:
        weights: list[Grown | None] = [None, None]
        for place in range(1, self._weights + 1):
            old, before[place] = before[place], None
            if self._wants[place]:
                held = None if old is None else old.storage
                weights[place - 1] = Grown(self._machine, self._shapes[place], held)
        way = Way(*weights, has_inputs=self._wants[0])
        sequence, *finals = grads
        grads.clear()
        way.hidden.extend(each for each in finals[:1] if each is not None)
        if sequence is not None:
            is_sum = bool(way.hidden)
            if len(self._steps) > 1:
                held = [sequence]
                del sequence
                way.given = self._parts(held)
            else:
                way.hidden.append(sequence)
            if is_sum:
                way.hidden = [self._steps[-1].new()]
        way.cell.extend(each for each in finals[1:] if each is not None)
        return way

    def _parts(self, held: list[Tensor]) -> list[Any]:
        """The gradient of the sequence, in parts for where it may end, if it is not there for others, too."""
        storage, second = held.pop().storage, self._steps[1].share
        if second.constant is not None:
            return [None, storage]
        size, others = storage.size, ref(storage)
        if storage.counted:
            del storage
        if others() is not None:
            return [None, None]
        parts = (size * (1 - second), size * second)
        return [Storage(self._machine, each) for each in parts]

    def _run(self, way: Way) -> None:
        """All steps, the last one first."""
        back, first = BACK[self._cell.name], self._steps[0]
        wanted = any(self._wants[self._weights + 1 :])
        parts: list[list[Any]] = []
        for number, step in enumerate(reversed(self._steps)):
            if parts:
                way.hidden.extend(parts[0][:1])
                way.cell.extend(parts[1][:1])
                parts = [each[1:] for each in parts]
            back(way, step, passes=step is not first or wanted)
            if number == 0 and step is not first:
                parts = [way.hidden, way.cell]
                way.hidden, way.cell = [], []
            if number == 1:
                self._rest.clear()
                way.gates.append(Storage(self._machine, self._gates_of_rest))

    def _made(self, place: int) -> Tensor:
        return self._machine.empty(self._shapes[place], DType.FLOAT)
