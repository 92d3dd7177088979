"""Sizes that are known to be 1, in types and in the constants of operators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from nnspec.ir.dims import Dim, Substitution
from nnspec.ir.types import TensorType


class Ones:
    """Puts a 1 in the place of some names, in each type and size once.

    `met` are the names that it met of late, whether they are among those or not.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.names = frozenset(names)
        self.met: set[str] = set()
        self._put_in = Substitution.by_name(dict.fromkeys(self.names, 1)).of
        # By identity, for types are compared size by size; those that were asked for stay, so no other takes the place.
        self._types: dict[int, tuple[TensorType, TensorType, set[str]]] = {}
        self._sizes: dict[int, tuple[Dim, Dim, set[str]]] = {}

    def type(self, kind: TensorType) -> TensorType:
        """A type with what is known put in."""
        known = self._types.get(id(kind))
        if known is None:
            shape = tuple(map(self._put_in, kind.shape))
            met = {name for size in kind.shape for name in size.symbols()}
            known = self._types[id(kind)] = kind, TensorType(shape, kind.dtype), met
        self.met |= known[2]
        return known[1]

    def value(self, value: Any) -> Any:
        """A constant with what is known put in."""
        match value:
            case Dim():
                return self._size(value)
            case list():
                return [self.value(each) for each in cast("list[Any]", value)]
            case tuple():
                items = cast("tuple[Any, ...]", value)
                return tuple(self.value(each) for each in items)
            case _:
                return value

    def _size(self, size: Dim) -> Dim:
        if size.is_constant:
            return size
        known = self._sizes.get(id(size))
        if known is None:
            known = self._sizes[id(size)] = size, self._put_in(size), size.symbols()
        self.met |= known[2]
        return known[1]
