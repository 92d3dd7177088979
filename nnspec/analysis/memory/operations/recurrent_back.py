"""The way back of one step of a recurrence: what PyTorch's operations make and give back, one after another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from nnspec.analysis.memory.layout import Sizes, contiguous
from nnspec.analysis.memory.machine import Machine, Storage, Tensor
from nnspec.ir.dims import ONE, ZERO, Dim
from nnspec.ir.types import DType
from nnspec.records import dataclass


class Step:
    """A step, and what it keeps until it has run backward: storages and tensors by name.

    All that it makes has its `share` as a factor.
    """

    __slots__ = ("_machine", "_parts", "_state", "kept", "share", "uses")

    def __init__(self, machine: Machine, state: Dim, share: Dim = ONE) -> None:
        self._machine = machine
        self._state = state * share
        self._parts: Sequence[Dim] = (self._state,)
        self.share = share
        self.kept: dict[str, Any] = {}
        # How many parts of the gradient of the whole sequence nobody behind it needs.
        self.uses = 0

    def new(self, widths: int = 1) -> Storage:
        """A storage of so many widths of the state."""
        return Storage(self._machine, widths * self._state)

    def keep(self, kept: Mapping[str, int]) -> None:
        """Makes what it keeps, in widths of the state."""
        self.kept.update({name: self.new(widths) for name, widths in kept.items()})

    def drop(self, name: str) -> None:
        """Gives back what it has kept."""
        self.kept.pop(name, None)

    def hands_to(self, shares: Sequence[Dim]) -> None:
        """Of the steps that run next, with these shares, the first that there is takes its gradient of a state."""
        before = (ZERO, *shares)
        pairs = zip(shares, before, strict=False)
        self._parts = [(share - less) * self._state for share, less in pairs]

    def handed(self) -> list[Storage]:
        """A gradient of a state for the next step: in parts, for each of those that may be the next."""
        return [Storage(self._machine, size) for size in self._parts]


@dataclass(eq=False)
class Grown:
    """The gradient of a weight, which grows from use to use: what was, what comes, and their sum."""

    machine: Machine
    shape: Sizes
    held: Storage | None = None

    def come(self, step: Step) -> Storage:
        """What comes of a step."""
        size = self.machine.bytes(self.shape, DType.FLOAT)
        return Storage(self.machine, size * step.share)

    def add(self, came: Storage) -> None:
        """Adds what came; the sum takes the place of what was."""
        if self.held is None:
            self.held = came
        else:
            Storage(self.machine, came.size)

    @property
    def tensor(self) -> Tensor | None:
        """All that came."""
        if self.held is None:
            return None
        return Tensor(self.held, self.shape, contiguous(self.shape), DType.FLOAT)


@dataclass(eq=False)
class Way:
    """The way back through steps: what gradients have grown to, which gates' are there, and which states' wait.

    `given` is the gradient of the whole sequence, of which each step has a view: in parts, which come to their end
    after one another. `has_inputs` tells whether gradients of gates are asked for, as they are the products with the
    inputs', too.
    """

    weight: Grown | None
    bias: Grown | None
    has_inputs: bool
    given: list[Any] = field(default_factory=list[Any])
    gates: list[Storage] = field(default_factory=list[Storage])
    hidden: list[Any] = field(default_factory=list[Any])
    cell: list[Any] = field(default_factory=list[Any])

    def product(
        self, step: Step, waiting: list[Storage], used: list[Storage], *, passes: bool
    ) -> None:
        """The product of what was `used` with the state: its gradients, then their sums with what was.

        `waiting` is what the state before has for a gradient besides that of the whole sequence, which is summed here
        unless it is in there. With `passes` the state before needs one.
        """
        is_sum = bool(waiting or self.given)
        moved = [] if not passes else [step.new()] if is_sum else step.handed()
        weight = self.weight.come(step) if self.weight else None
        bias = self.bias.come(step) if self.bias else None
        used.clear()
        step.drop("read")
        if self.bias and bias:
            self.bias.add(bias)
        self.hidden = step.handed() if passes and is_sum else moved
        self.uses(step)
        waiting.clear()
        del bias, moved
        if self.weight and weight:
            self.weight.add(weight)

    def uses(self, step: Step) -> None:
        """The step before has taken its part of the gradient of the whole sequence."""
        del self.given[: step.uses]
        step.uses = 0

    def gate(self, made: list[Storage], gradient: Storage) -> None:
        """The gradients of the gates as one, for the product with the inputs."""
        if self.has_inputs:
            self.gates.append(gradient)
        made.clear()


def back_gru(way: Way, step: Step, *, passes: bool) -> None:
    """A step of a GRU: `new + update * (old - new)`, where the new part is `tanh(inputs + reset * product)`."""
    part, update = [step.new()], step.new()
    step.drop("difference")
    negative = step.new()
    if not passes:
        part.clear()
    new = step.new()
    if passes and way.given:
        part = [step.new()]
        way.uses(step)
    way.hidden.clear()
    del negative
    bent = step.new()
    del new
    step.drop("new")
    reset, product = step.new(), step.new()
    step.drop("product")
    opened = [bent, step.new()]
    del bent, update
    opened.append(step.new())
    del reset
    step.drop("gates")
    joined = [step.new(3)]
    del product
    way.product(step, part, joined, passes=passes)
    way.gate(opened, step.new(3))


def back_lstm(way: Way, step: Step, *, passes: bool) -> None:
    """A step of an LSTM: the cell `forget * old + enter * candidate`, the state `leave * tanh(cell)`."""
    leave, bent = step.new(), step.new()
    way.hidden.clear()
    cell = step.new()
    del bent
    step.drop("bent")
    if way.cell:
        cell = step.new()
        way.cell.clear()
    made = [step.new() for _ in range(3)]
    if passes:
        way.cell = step.handed()
    del cell
    step.drop("read_cell")
    made.append(leave)
    del leave
    for place in range(4):
        made[place] = step.new()
    step.drop("gates")
    gates = step.new(4)
    way.gate(made, gates)
    used = [gates]
    del gates
    way.product(step, [], used, passes=passes)


def back_rnn(way: Way, step: Step, *, passes: bool) -> None:
    """A step of a plain recurrence: `tanh(inputs + product)`, or `relu`."""
    gate = step.new()
    way.hidden.clear()
    step.drop("hidden")
    way.gate([], gate)
    used = [gate]
    del gate
    way.product(step, [], used, passes=passes)


BACK: dict[str, Callable[..., None]] = {
    "gru": back_gru,
    "lstm": back_lstm,
    "rnn": back_rnn,
}
