"""What a proof needs to know of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from nnspec.ir.graph import Program


class Subject(Protocol):
    """A checked model, as `nnspec.load` gives it."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def program(self) -> Program:
        """The typed program."""
        ...

    @property
    def symbols(self) -> Mapping[str, int]:
        """The sizes that were set, by name."""
        ...
