"""What runs of one program share: what a function does in a situation is worked out once for all that are told the same.

A run where some sizes are 1 is told of them in the types and constants that it meets. Another run with other such
sizes does the same in a function that meets none of those in which the two differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from nnspec.analysis.memory.situations import (
    BackwardEffect,
    Behind,
    Context,
    Effect,
)
from nnspec.ir.dims import Dim
from nnspec.records import dataclass

Names: TypeAlias = frozenset[str]


@dataclass(frozen=True, eq=False)
class Done:
    """What was done in a situation, and what that takes for granted (see `Calls`).

    Of the names that were `met` those among `ones` were 1.
    """

    effect: Effect | BackwardEffect
    least: Mapping[Dim, int]
    fewest: Mapping[Dim, int]
    met: Names
    ones: Names


class Shared:
    """What was done in situations, by all runs in the same modes."""

    def __init__(self) -> None:
        # One object for equal contexts: tables then find it without comparing.
        self.contexts: dict[Context, Context] = {}
        self._done: dict[Context | Behind, list[Done]] = {}

    def find(self, situation: Context | Behind, ones: Names) -> Done | None:
        """What was done in a situation where the same of the names that matter were 1."""
        for each in self._done.get(situation, ()):
            if each.met & ones == each.ones:
                return each
        return None

    def add(self, situation: Context | Behind, done: Done) -> None:
        """Takes what was done."""
        self._done.setdefault(situation, []).append(done)
