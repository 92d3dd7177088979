"""The best division that a search has come upon, and the ways to come upon a better one nearby."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb, inf

from nnspec.placement.mesh.cost import Divided, MeshCost
from nnspec.placement.mesh.cuts import equal_shares, neighbours
from nnspec.placement.mesh.pipelines import HALVES

STEPS = 60_000
"""Cuts are moved until timetables with so many parts have been made."""

WORTH = 1.05
"""Cuts are moved where the first division is at most so much slower than the best."""

NEARLY = 0.25
"""Or where room is missing for at most so large a share of what there is."""


class Best:
    """The fastest division so far of all that have room in `usable` bytes on each rank."""

    def __init__(self, usable: float) -> None:
        self.usable = usable
        self.divided: Divided | None = None
        self.value = inf

    def keep(self, divided: Divided) -> None:
        """Takes a division, if it is better."""
        if self._excess(divided) or divided.least >= self.value:
            return
        if divided.value < self.value:
            self.divided, self.value = divided, divided.value

    def try_at(self, cost: MeshCost, starts: Sequence[int]) -> None:
        """Takes the division whose stages start there, if it is better."""
        self.keep(cost.divided(starts))

    def try_all(self, cost: MeshCost, most: float = inf) -> float:
        """Tries all divisions, or until timetables have `most` parts; how many are left, below 0 if too few."""
        count, parts = cost.chain.count, parts_of(cost)
        for inner in combinations(range(1, count), cost.stages - 1):
            divided = cost.divided((0, *inner, count))
            if divided.least < self.value:
                most -= parts
                if most < 0:
                    return most
                self.keep(divided)
        return most

    def move_cuts(self, divided: Divided) -> None:
        """Moves one cut at a time as long as that helps."""
        self.keep(divided)
        left, at = STEPS // parts_of(divided.cost), divided
        found = self._measure(divided)
        moved = found[1] < WORTH * self.value
        if found[0] > 0:
            moved = at.least < self.value and found[0] < NEARLY * self.usable
        while moved and left > 0:
            moved = False
            for starts in neighbours(at.starts):
                other = at.cost.divided(starts)
                if self._excess(other) > found[0] or other.least >= found[1]:
                    continue
                left -= 1
                measure = self._measure(other)
                if measure < found and left > 0:
                    found, at, moved = measure, other, True
        self.keep(at)

    def _measure(self, divided: Divided) -> tuple[float, float]:
        """What it has too little room for, in bytes, and if it has enough, the seconds of a step."""
        excess = self._excess(divided)
        return excess, inf if excess else divided.value

    def _excess(self, divided: Divided) -> float:
        return max(0.0, max(divided.peaks) - self.usable)


def parts_of(cost: MeshCost) -> int:
    """The parts of a timetable of a mesh."""
    halves = 3 if cost.mesh.schedule in HALVES else 2
    return cost.mesh.microbatches * cost.stages * halves


def divisions_of(cost: MeshCost) -> int:
    """In how many ways the model can be cut into the stages of a mesh."""
    return comb(cost.chain.count - 1, cost.stages - 1)


def balanced(cost: MeshCost) -> Divided:
    """Cut where the work in front is nearest to the share of the stages there."""
    chain = cost.chain
    work = [f + b for f, b in zip(chain.forward.upto, chain.backward.upto, strict=True)]
    return cost.divided(equal_shares(work, cost.stages))
