"""Which loops can stay loops: those whose turns hand on nothing but what the loop carries.

Layers made in a loop must be appended in the order of its turns, or they could not be found again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

import nnspec.targets.merged as merged
from nnspec.ir import graph
from nnspec.ir.graph import Function
from nnspec.targets.contents import steps_of
from nnspec.targets.merging.traces import Track, Unlike


def rolls(track: Track, loop: graph.Loop) -> bool:
    """Whether a loop hands nothing on but by the names that it carries."""
    if loop.iterable is None and not loop.iterations:
        return True
    named = sum(not variable.startswith("_@") for variable in loop.variables)
    if any(len(iteration.values) < named for iteration in loop.iterations):
        return False
    return _HandedOn(track.function, loop).is_carried()


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
        return self._reads_only(self._outside(), last) and all(
            self._reads_only(
                (value for node in turn for value in node.values()),
                self._made[place] | self._at_start(place),
            )
            for place, turn in enumerate(self._turns)
        )

    def _reads_only(self, values: Iterable[int], allowed: Set[int]) -> bool:
        """Whether of what the turns make none but the allowed values are read."""
        return all(v not in self._all_made or v in allowed for v in values)

    def _outside(self) -> Iterator[int]:
        """What is read outside of the loop."""
        inside = {node.id for turn in self._turns for node in turn}
        for node in self._function.nodes:
            if node.id not in inside:
                yield from node.values()
        yield from graph.values_of(self._function.outputs)

    def _at_start(self, place: int) -> set[int]:
        """What the carried names hold when a turn starts."""
        return {history[place] for history in self._histories if place < len(history)}


def makes_layers(function: Function, loop: graph.Loop) -> bool:
    """Whether the turns of a loop have layers of their own."""
    return any(
        function.nodes[number].owns or function.nodes[number].callee is not None
        for iteration in loop.iterations
        for number in graph.nodes_in(iteration.body)
    )


def require_appended(body: Sequence[merged.Item], depth: int) -> None:
    """Layers of a loop are appended to lists: each turn makes all of them, in order of their numbers.

    Those that only some turns make lie in tables by the number of the turn, in loops that are in no other.
    """
    numbers: dict[str, list[int]] = {}
    for item in body:
        match item:
            case merged.Branch():
                made = [step for step in steps_of([item]) if step.constructs]
                if any(depth != 1 or len(step.turns) != 1 for step in made):
                    raise Unlike
            case merged.Step() if item.constructs:
                fixed = item.turns[depth:]
                if len(fixed) > 1 or any(turn.index is None for turn in fixed):
                    raise Unlike
                for turn in fixed:
                    assert turn.index is not None
                    numbers.setdefault(item.label, []).append(turn.index)
            case _:
                pass
    if any(found != list(range(len(found))) for found in numbers.values()):
        raise Unlike
