"""Ranges of places on an axis, as slices name them."""

from __future__ import annotations

from nnspec.ir.dims import ONE, Dim
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """`start:stop:step` on one axis; negative bounds count from the end."""

    start: Dim | None = None
    stop: Dim | None = None
    step: Dim = ONE

    @property
    def is_full(self) -> bool:
        """Whether it takes the whole axis as it is."""
        return self.start is None and self.stop is None and self.step == 1
