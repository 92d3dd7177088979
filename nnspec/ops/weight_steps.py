"""How weights change their layout between the two backends.

A step turns arrays into arrays and can be undone; steps are data (they go into the JSON of a weight
map) and are applied to NumPy arrays, or anything with their methods, by whoever has some.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

from nnspec.records import dataclass


class Step(abc.ABC):
    """One reversible change of layout. `forward` leads from PyTorch to Keras."""

    @abc.abstractmethod
    def forward(self, arrays: Sequence[Any]) -> list[Any]:
        """PyTorch's arrays as Keras has them."""

    @abc.abstractmethod
    def backward(self, arrays: Sequence[Any]) -> list[Any]:
        """Keras's arrays as PyTorch has them."""

    def counts(self, elements: list[Any]) -> list[Any]:
        """The numbers of elements of Keras's arrays, from those of PyTorch's."""
        return elements


@dataclass(frozen=True)
class Transpose(Step):
    """Reorders the axes of one array."""

    axes: tuple[int, ...]

    def forward(self, arrays: Sequence[Any]) -> list[Any]:
        return [array.transpose(self.axes) for array in arrays]

    def backward(self, arrays: Sequence[Any]) -> list[Any]:
        inverse = tuple(self.axes.index(i) for i in range(len(self.axes)))
        return [array.transpose(inverse) for array in arrays]


@dataclass(frozen=True)
class Reshape(Step):
    """Gives one array another shape; `before` is PyTorch's."""

    before: tuple[int, ...]
    after: tuple[int, ...]

    def forward(self, arrays: Sequence[Any]) -> list[Any]:
        return [array.reshape(self.after) for array in arrays]

    def backward(self, arrays: Sequence[Any]) -> list[Any]:
        return [array.reshape(self.before) for array in arrays]


@dataclass(frozen=True)
class SumPair(Step):
    """Two biases that are only ever added become one; back, the second is zero (the canonical form)."""

    def forward(self, arrays: Sequence[Any]) -> list[Any]:
        first, second = arrays
        return [first + second]

    def backward(self, arrays: Sequence[Any]) -> list[Any]:
        (array,) = arrays
        return [array, array * 0]

    def counts(self, elements: list[Any]) -> list[Any]:
        return elements[:1]


@dataclass(frozen=True)
class StackPair(Step):
    """Two arrays become the rows of one."""

    def forward(self, arrays: Sequence[Any]) -> list[Any]:
        first, second = (array.reshape((1, *array.shape)) for array in arrays)
        return [_concatenate([first, second])]

    def backward(self, arrays: Sequence[Any]) -> list[Any]:
        (array,) = arrays
        return [array[0], array[1]]


@dataclass(frozen=True)
class SwapGates(Step):
    """Exchanges the first two of `gates` equal parts along an axis (GRU: reset and update)."""

    gates: int
    axis: int = 0

    def forward(self, arrays: Sequence[Any]) -> list[Any]:
        return [self._swapped(array) for array in arrays]

    def backward(self, arrays: Sequence[Any]) -> list[Any]:
        return self.forward(arrays)

    def _swapped(self, array: Any) -> Any:
        size = array.shape[self.axis] // self.gates
        order = [1, 0, *range(2, self.gates)]
        places = [
            place for gate in order for place in range(gate * size, (gate + 1) * size)
        ]
        return array.take(places, axis=self.axis)


def _concatenate(arrays: Sequence[Any]) -> Any:
    import numpy

    return numpy.concatenate(arrays)


def apply(steps: Sequence[Step], arrays: Sequence[Any]) -> list[Any]:
    """PyTorch's arrays taken to Keras through all steps."""
    result = list(arrays)
    for step in steps:
        result = step.forward(result)
    return result


def undo(steps: Sequence[Step], arrays: Sequence[Any]) -> list[Any]:
    """Keras's arrays taken back to PyTorch."""
    result = list(arrays)
    for step in reversed(steps):
        result = step.backward(result)
    return result
