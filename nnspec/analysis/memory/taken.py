"""The gradients that parameters have taken: where they lie, and which of them are views.

What is asked of them at each step of a backward pass is indexed: which lie in one storage, and which a call has brought.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from nnspec.ir.dims import ZERO, Dim, total
from nnspec.ir.graph import Path

if TYPE_CHECKING:
    from nnspec.analysis.memory.machine import Storage

Key: TypeAlias = "tuple[Any, ...]"
"""A parameter: the path of its layer and its name; all of a call: its path, and the path, "" and a number where they lie in storages handed in."""


class TakenGradients:
    """The storages of gradients by parameter, with the bytes of views: of those that lie in a part of a storage, or share one."""

    def __init__(self) -> None:
        self._storages: dict[Key, Storage] = {}
        self._lying: dict[int, dict[Key, None]] = {}
        self._of: dict[Key, dict[Key, None]] = {}
        self._views: dict[Key, dict[Key, Dim]] = {}
        # The bytes of the storages of all, of one in which several lie as often as they do.
        self.size: Dim = ZERO

    def __contains__(self, key: Key) -> bool:
        return key in self._storages

    def items(self) -> Iterable[tuple[Key, Storage]]:
        """Each parameter with the storage of its gradient."""
        return self._storages.items()

    def has_of(self, path: Path) -> bool:
        """Whether a call has brought any."""
        return path in self._of

    def put(self, key: Key, storage: Storage) -> bool:
        """A parameter takes its gradient; whether others lie in the same storage."""
        before = self._storages.get(key)
        shared = id(storage) in self._lying
        if before is not None:
            self._leave(key, before)
        self._storages[key] = storage
        self.size = self.size + storage.size
        self._lying.setdefault(id(storage), {})[key] = None
        self._of.setdefault(_call(key), {})[key] = None
        return shared

    def _leave(self, key: Key, storage: Storage) -> None:
        self.size = self.size - storage.size
        lying = self._lying[id(storage)]
        del lying[key]
        if not lying:
            del self._lying[id(storage)]

    def see(self, key: Key, size: Dim) -> None:
        """The gradient of a parameter is a view of so many bytes; another one that has the storage to itself is one, too."""
        storage = self._storages[key]
        self._views.setdefault(_call(key), {})[key] = size
        lying = self._lying[id(storage)]
        if len(lying) == 2:  # of more, all are views already
            for other in lying:
                views = self._views.setdefault(_call(other), {})
                views.setdefault(other, storage.size)

    def views_of(self, path: Path) -> list[Key]:
        """The views that a call has brought."""
        return list(self._views.get(path, ()))

    def unsee(self, key: Key) -> Dim:
        """A gradient is a view no more; the bytes that it was one of."""
        call = _call(key)
        views = self._views[call]
        size = views.pop(key)
        if not views:
            del self._views[call]
        return size

    def remove(self, key: Key) -> None:
        """A gradient is counted elsewhere."""
        self._leave(key, self._storages[key])
        call = _call(key)
        del self._of[call][key]
        if not self._of[call]:
            del self._of[call]
        del self._storages[key]

    def resized(self, storage: Storage, size: Dim) -> None:
        """The bytes of a storage are to be said otherwise."""
        lying = self._lying.get(id(storage))
        if lying:
            self.size = self.size + (size - storage.size) * len(lying)

    def storages(self) -> Iterable[Storage]:
        """The storages that they lie in, each once."""
        return {id(each): each for each in self._storages.values()}.values()

    def beside_views(self) -> Dim:
        """What storages have besides the views in them."""
        found = ZERO
        seen: dict[int, Storage] = {}
        for views in self._views.values():
            seen.update((id(self._storages[k]), self._storages[k]) for k in views)
            found = found + total(views.values())
        return total(each.size for each in seen.values()) - found


def _call(key: Key) -> Key:
    """The call that has brought a gradient; a parameter itself where none has."""
    return key[:-2] if len(key) > 1 and key[-2] == "" else key
