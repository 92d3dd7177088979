"""How tensors lie in the turn of a loop that stands for many, and outside of it."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable
from itertools import permutations
from typing import TypeAlias

from nnspec.analysis.generic.names.powers import canonical, expanded
from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.layout import contiguous, dense
from nnspec.analysis.memory.machine import Leaf, Storage, Tensor
from nnspec.analysis.memory.rolling import UNSTEADY, Unlike
from nnspec.ir.dims import ONE, Dim
from nnspec.ir.types import TensorType
from nnspec.records import dataclass

Source: TypeAlias = tuple[int, int]
"""Where a gradient goes: the number of an operation, and which of its results it is of."""


@dataclass(frozen=True)
class Laid:
    """How a tensor lies: its shape, its strides, and the size of its storage."""

    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]
    size: Dim

    @staticmethod
    def of(tensor: Tensor) -> Laid:
        """How a tensor lies now."""
        return Laid(tensor.shape, tensor.strides, tensor.storage.size)

    def at(self, turn: str, number: Dim) -> Laid:
        """The same in another turn."""
        known = {turn: number}
        shape = tuple(canonical(size.at(known)) for size in self.shape)
        strides = tuple(canonical(size.at(known)) for size in self.strides)
        return Laid(shape, strides, canonical(self.size.at(known)))

    @property
    def key(self) -> Hashable:
        """Equal for tensors that lie alike; how an axis of one element lies tells nothing."""
        sizes = [canonical(size) for size in self.shape]
        strides = [
            ONE if size == ONE else canonical(stride)
            for size, stride in zip(sizes, self.strides, strict=True)
        ]
        return tuple(s.key for s in (*sizes, *strides)), expanded(self.size).key

    def lay(self, tensor: Tensor) -> None:
        """Has a tensor lie so, in its storage as that is."""
        tensor.shape, tensor.strides = self.shape, self.strides

    def move(self, tensor: Tensor) -> None:
        """Has a tensor lie so, in a storage of this size."""
        self.lay(tensor)
        tensor.storage.resize(self.size)


@dataclass(eq=False)
class Moved:
    """A value that crosses the border of a turn, as it lies inside of the turn and outside of it; `source` is where its gradient goes."""

    value: int
    storage: Callable[[], Storage | None]
    inside: Laid
    outside: Laid
    source: Source | None

    @staticmethod
    def of(value: int, tensor: Tensor, inside: Laid, outside: Laid) -> Moved:
        """A value that is a tensor. Raises `Unlike` where its gradient goes to an argument, which has one shape."""
        if isinstance(tensor.source, Leaf) and inside.key != outside.key:
            raise Unlike(UNSTEADY)
        storage = weakref.ref(tensor.storage)
        return Moved(value, storage, inside, outside, source_in(tensor))

    def enter(self) -> None:
        """Its storage is seen from the turn."""
        self._set(self.inside.size)

    def leave(self) -> None:
        """Its storage is seen from outside."""
        self._set(self.outside.size)

    def _set(self, size: Dim) -> None:
        storage = self.storage()
        if storage is not None:
            storage.resize(size)


Look: TypeAlias = tuple[Laid, Hashable]
"""How a tensor lies, and what else an operation may tell of it."""


def look(tensor: Tensor, groups: Groups, name: str = "") -> Look:
    """How a tensor lies, in a variable of some `name`, among others whose storages have numbers."""
    storage = tensor.storage
    return Laid.of(tensor), (
        tensor.dtype,
        groups.number(storage),
        storage.state,
        storage.kept,
        storage.counted,
        tensor.source is not None,
        name,
    )


def source_in(tensor: Tensor) -> Source | None:
    """Where the gradient of a tensor goes, if to an operation."""
    source = tensor.source
    return (source[0].number, source[1]) if isinstance(source, tuple) else None


Pair: TypeAlias = tuple[TensorType, TensorType]
"""The type of a value outside of the turn, and inside of it."""


def reshaped(
    tensor: Tensor, shape: tuple[Dim, ...], pairs: Iterable[Pair] = ()
) -> Laid | None:
    """How a tensor lies when its shape is another one; None if nobody can say.

    It fills its storage in some order of axes, or is a single element stretched, or a part of a value of one of these types.
    """
    own, size = Laid.of(tensor), tensor.machine.bytes
    if all(stride == 0 for stride in own.strides) and own.size.is_constant:
        return Laid(shape, own.strides, own.size)
    if expanded(size(own.shape, tensor.dtype) - own.size) == 0:
        for order in permutations(reversed(range(len(shape)))):
            if alike(dense(own.shape, order), own.strides):
                return Laid(shape, dense(shape, order), size(shape, tensor.dtype))
    for outside, inside in pairs:
        whole = Laid(
            own.shape, contiguous(outside.shape), size(outside.shape, tensor.dtype)
        )
        if outside.rank == len(shape) and whole.key == own.key:
            there = size(inside.shape, tensor.dtype)
            return Laid(shape, contiguous(inside.shape), there)
    return None


def alike(ones: Iterable[Dim], others: Iterable[Dim]) -> bool:
    """Whether sizes are equal, one by one."""
    pairs = zip(ones, others, strict=True)
    return all(canonical(one) == canonical(other) for one, other in pairs)
