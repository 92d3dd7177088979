"""Which tensors share a storage: storages by numbers, so that situations on different machines can be compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnspec.analysis.memory.machine import Storage


class Groups:
    """Storages, numbered in the order in which they are first met; it keeps them alive."""

    def __init__(self) -> None:
        self.storages: list[Storage] = []

    def number(self, storage: Storage) -> int:
        """The number of a storage: the next one, if it has none yet."""
        for number, known in enumerate(self.storages):
            if known is storage:
                return number
        self.storages.append(storage)
        return len(self.storages) - 1
