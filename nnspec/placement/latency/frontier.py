"""Operators in their turn, and which of them later ones still see."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.placement.graph import WeightedGraph
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One operator in its turn.

    The *frontier* are the operators before it that something later reads, or must share
    a device with. `known` gives their places in it; `kept` are the places that stay in
    it, `stays` says whether the operator itself does, and `mate` is the place of one
    that it must share its device with. `counts` says whether the next joint waits for
    it: an operator that is all that later ones see.
    """

    place: int
    known: dict[int, int]
    kept: tuple[int, ...]
    stays: bool
    mate: int | None
    counts: bool

    @property
    def is_joint(self) -> bool:
        """Whether later operators see nothing before this one."""
        return not self.kept


def steps_of(
    graph: WeightedGraph, unit_of: Sequence[int], order: Sequence[int]
) -> list[Step]:
    """The operators in an order, in which each stands behind what it reads."""
    last = _last_turns(graph, unit_of, order)
    counts = _counted(graph, order, last)
    frontier: list[int] = []
    steps: list[Step] = []
    for turn, place in enumerate(order):
        known = {each: number for number, each in enumerate(frontier)}
        mates = (known[each] for each in frontier if unit_of[each] == unit_of[place])
        kept = tuple(known[each] for each in frontier if last[each] > turn)
        stays = last[place] > turn
        mate = next(mates, None)
        steps.append(Step(place, known, kept, stays, mate, counts[place]))
        frontier = [frontier[number] for number in kept] + [place] * stays
    return steps


def _last_turns(
    graph: WeightedGraph, unit_of: Sequence[int], order: Sequence[int]
) -> list[int]:
    """For each operator the last turn of what reads it or shares its device."""
    of_unit = {unit_of[place]: turn for turn, place in enumerate(order)}
    at = {place: turn for turn, place in enumerate(order)}
    return [
        max((of_unit[unit_of[place]], *(at[each] for each in readers)))
        for place, readers in enumerate(graph.successors)
    ]


def _counted(
    graph: WeightedGraph, order: Sequence[int], last: Sequence[int]
) -> list[bool]:
    """Whether the next joint, or the operator's being one, follows from an operator."""
    joints = _joints(order, last)
    found = [False] * len(order)
    awaited: set[int] = set()
    for place in reversed(order):
        if place in joints:
            awaited = {place}
        elif any(each in awaited for each in graph.successors[place]):
            awaited.add(place)
        found[place] = place in awaited
    return found


def _joints(order: Sequence[int], last: Sequence[int]) -> set[int]:
    found: set[int] = set()
    seen = -1
    for turn, place in enumerate(order):
        if seen <= turn:
            found.add(place)
        seen = max(seen, last[place])
    return found
