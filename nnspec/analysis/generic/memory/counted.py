"""What a run takes for granted: how many turns loops have at least, and how many layers stacks, by their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Protocol

from nnspec.ir.dims import Dim
from nnspec.records import dataclass


class Counted(Protocol):
    """What was run, and the least numbers of turns (`least`) and of layers (`fewest`) for it."""

    @property
    def least(self) -> Mapping[Dim, int]: ...

    @property
    def fewest(self) -> Mapping[Dim, int]: ...


@dataclass(frozen=True)
class TwoTurns:
    """What takes two turns of loops for granted."""

    least: Mapping[Dim, int]
    fewest: Mapping[Dim, int] = field(default_factory=dict[Dim, int])
