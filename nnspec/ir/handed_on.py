"""What the turns of a loop hand on: to be one loop in emitted code, nothing but what its names carry."""

from __future__ import annotations

from collections.abc import Iterable, Set

from nnspec.ir import graph
from nnspec.ir.graph import Function


def read_outside(function: Function, values: Iterable[int], inside: Set[int]) -> bool:
    """Whether any of these values is read by other nodes than those `inside`, or is a result."""
    readers = (number for v in values for number in function.readers.get(v, ()))
    return any(number not in inside for number in readers)


def hands_on_by_name(function: Function, loop: graph.Loop) -> bool:
    """Whether values leave a loop, or go from turn to turn, in carried names alone."""
    return _HandedOn(function, loop).is_carried()


class _HandedOn:
    """What the turns of a loop make, and who reads it."""

    def __init__(self, function: Function, loop: graph.Loop) -> None:
        self._function = function
        self._histories = tuple(loop.carried.values())
        self._turns = [
            [function.nodes[number] for number in graph.nodes_in(iteration.body)]
            for iteration in loop.iterations
        ]
        self._made = [
            {v for node in turn for v in node.outputs} for turn in self._turns
        ]
        self._all_made = set[int]().union(*self._made)

    def is_carried(self) -> bool:
        """Whether values leave the loop, or go from turn to turn, in carried names alone."""
        last = {history[-1] for history in self._histories}
        inside = {node.id for turn in self._turns for node in turn}
        if read_outside(self._function, self._all_made - last, inside):
            return False
        return all(
            self._reads_only(
                (value for node in turn for value in node.values()),
                self._made[place] | self._at_start(place),
            )
            for place, turn in enumerate(self._turns)
        )

    def _reads_only(self, values: Iterable[int], allowed: Set[int]) -> bool:
        """Whether of what the turns make none but the allowed values are read."""
        return all(v not in self._all_made or v in allowed for v in values)

    def _at_start(self, place: int) -> set[int]:
        """What the carried names hold when a turn starts."""
        return {history[place] for history in self._histories if place < len(history)}
