"""The initial states of a recurrent layer: one tensor, of which each layer and direction takes its element in turn."""

from __future__ import annotations

from nnspec.analysis.memory.layout import contiguous
from nnspec.analysis.memory.machine import Machine, Storage, Tensor, living
from nnspec.analysis.memory.operations.views import select
from nnspec.ir.dims import ZERO, Dim


class Selected:
    """`states[i]`: the gradient of each is laid into zeros."""

    def __init__(self, machine: Machine, states: Tensor) -> None:
        self._machine = machine
        self._states = states

    def next(self) -> Tensor:
        """The next element."""
        return select(self._machine, self._states, 0)


class Unbound:
    """`states.unbind(0)`: the gradients of all wait for each other, to be put together.

    Those that are taken may stand for more, a `count` of them.
    """

    def __init__(self, machine: Machine, states: Tensor, count: Dim) -> None:
        self._machine = machine
        self._shape, self._strides = states.shape[1:], states.strides[1:]
        self._waiting: list[Storage] = []
        self._whole = states.alias((ZERO,), contiguous((ZERO,)))
        whole, dtype, waiting = states.shape, states.dtype, self._waiting

        def backward(_: Tensor) -> tuple[Tensor]:
            one = machine.bytes(whole[1:], dtype)
            waiting.append(living(machine, (count - len(waiting)) * one))
            made = machine.empty(whole, dtype)
            waiting.clear()
            return (made,)

        machine.record((states,), (self._whole,), (), backward)

    def next(self) -> Tensor:
        """The next element, whose gradient stays for itself."""
        machine, waiting = self._machine, self._waiting
        found = self._whole.alias(self._shape, self._strides)

        def backward(grad: Tensor) -> tuple[Tensor]:
            waiting.append(grad.storage)
            return (machine.empty((ZERO,), grad.dtype),)

        machine.record((self._whole,), (found,), (), backward)
        return found
