"""What the probes of a running program see, by the layer that runs them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import field
from typing import Any

from nnspec.records import dataclass
from nnspec.verify.exchange import Array, Call, shown


@dataclass
class Recorder:
    """Writes down the values that probes show, as long as it is told which.

    `layers` are the paths of the layers that run, the innermost last; the model itself is not among
    them.
    """

    arrays: Callable[[Any], list[Array]]
    layers: list[str] = field(default_factory=list[str])
    seen: list[Call] = field(default_factory=list[Call])
    _wanted: Collection[str] = ()

    @contextmanager
    def writing(self, wanted: Collection[str]) -> Generator[list[Call]]:
        """Inside, values with these names are written down, in the list that this gives."""
        self.seen, self._wanted = [], wanted
        try:
            yield self.seen
        finally:
            self._wanted = ()

    def see(self, number: int, value: Any) -> None:
        """A probe shows a value."""
        if not self._wanted:
            return
        path = self.layers[-1] if self.layers else ""
        for place, array in enumerate(self.arrays(value)):
            name = shown(path, number, place)
            if name in self._wanted:
                self.seen.append(Call(name, (array,)))
