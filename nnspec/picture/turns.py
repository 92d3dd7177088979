"""Loops whose turns are alike are drawn once, with how often they run.

What a loop is comes from the structure of the function, so nothing is searched for: the turns of each
loop are compared with the one before, and successive ones that are alike become one `Repeat`. Alike are
turns that apply equal operators and call the same functions, give results of the same types, and are
wired alike: each input comes from the same place of the turn itself, from the same place of the turn
before, or from the same value outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import field
from functools import cached_property
from typing import TypeAlias

from nnspec.ir.graph import (
    Branch,
    Function,
    Item,
    Iteration,
    Loop,
    Node,
    Step,
    nodes_in,
)
from nnspec.records import dataclass


@dataclass(frozen=True)
class Repeat:
    """Successive turns of a loop that are alike: the parts of the first, and all nodes of each."""

    number: int
    parts: tuple[Part, ...]
    turns: tuple[tuple[int, ...], ...]

    @property
    def count(self) -> int:
        """How often the parts run."""
        return len(self.turns)

    @cached_property
    def _places(self) -> dict[int, int]:
        return {node: place for place, node in enumerate(self.turns[0])}

    def all_turns(self, nodes: Sequence[int]) -> Iterator[int]:
        """Nodes of the first turn, and the same ones of every other."""
        found = [self._places[node] for node in nodes]
        for turn in self.turns:
            yield from (turn[place] for place in found)


Part: TypeAlias = "int | Repeat"
"""A node by its place in the function, or a repetition."""


@dataclass
class Folding:
    """The parts of a function, and which value stands for which of a later turn."""

    function: Function
    parts: tuple[Part, ...] = ()
    same: dict[int, int] = field(default_factory=dict[int, int])
    nodes: dict[int, tuple[int, ...]] = field(
        default_factory=dict[int, tuple[int, ...]]
    )
    """By each node that is drawn, the nodes of all turns that it stands for."""

    def value(self, value: int) -> int:
        """The value that is drawn where this one is read."""
        while value in self.same:
            value = self.same[value]
        return value


def fold(function: Function) -> Folding:
    """The parts of a function with alike turns folded."""
    folder = _Folder(function)
    parts = tuple(folder.parts(function.structure))
    folder.folding.parts = parts
    for part in parts:
        folder.collect(part, ())
    return folder.folding


class _Folder:
    def __init__(self, function: Function) -> None:
        self.folding = Folding(function)
        self.places = {node.id: place for place, node in enumerate(function.nodes)}
        self.nodes = function.nodes
        self.repeats = 0

    # ---- what there is -----------------------------------------------------------------------

    def parts(self, items: Sequence[Item]) -> Iterator[Part]:
        for item in items:
            match item:
                case Step(node=node):
                    yield self.places[node]
                case Branch(body=body):
                    yield from self.parts(body)
                case Loop(iterations=iterations):
                    yield from self._loop(iterations)
                case _:
                    pass

    def _loop(self, iterations: Sequence[Iteration]) -> Iterator[Part]:
        turns = [
            tuple(self.places[node] for node in nodes_in(each.body))
            for each in iterations
        ]
        start = 0
        while start < len(turns):
            end = self._end(turns, start)
            if end == start + 1 or not turns[start]:
                yield from self.parts(iterations[start].body)
            else:
                yield self._repeat(iterations[start], turns[start:end])
            start = end

    def _repeat(self, first: Iteration, turns: list[tuple[int, ...]]) -> Repeat:
        self.repeats += 1
        number = self.repeats
        for turn in turns[1:]:
            for here, there in zip(turns[0], turn, strict=True):
                drawn, folded = self.nodes[here], self.nodes[there]
                self.folding.same.update(
                    zip(folded.outputs, drawn.outputs, strict=True)
                )
        return Repeat(number, tuple(self.parts(first.body)), tuple(turns))

    # ---- whether turns are alike --------------------------------------------------------------

    def _end(self, turns: list[tuple[int, ...]], start: int) -> int:
        """The turn after the last that is like the one at `start`."""
        second: list[_Source] | None = None
        end = start + 1
        while end < len(turns) and self._equal(turns[start], turns[end]):
            before = turns[end - 1]
            wiring = self._wiring(turns[end], before)
            if second is None:
                if not self._begins(self._wiring(turns[start], ()), wiring):
                    break
                second = wiring
            elif wiring != second:
                break
            end += 1
        return end

    def _equal(self, one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        if len(one) != len(other):
            return False
        return all(
            self._alike(self.nodes[a], self.nodes[b])
            for a, b in zip(one, other, strict=True)
        )

    def _alike(self, one: Node, other: Node) -> bool:
        types = self.folding.function.types
        return (
            one.callee == other.callee
            and one.weight == other.weight
            and one.owns == other.owns
            and one.marks == other.marks
            and one.op == other.op
            and _but_for_turns(one) == _but_for_turns(other)
            and len(one.outputs) == len(other.outputs)
            and all(
                types[a] == types[b]
                for a, b in zip(one.outputs, other.outputs, strict=True)
            )
        )

    def _wiring(self, turn: tuple[int, ...], before: tuple[int, ...]) -> list[_Source]:
        """Where each input of a turn comes from: (0 own, 1 the turn before, 2 elsewhere; which)."""
        known: dict[int, _Source] = {}
        for kind, nodes in ((1, before), (0, turn)):
            for place, node in enumerate(nodes):
                for result, value in enumerate(self.nodes[node].outputs):
                    known[value] = (kind, place, result)
        return [
            known.get(value, (2, value, 0))
            for node in turn
            for value in self.nodes[node].values()
        ]

    @staticmethod
    def _begins(first: list[_Source], second: list[_Source]) -> bool:
        """Whether a first turn is like the second, which may read what the first gave."""
        return len(first) == len(second) and all(
            a == b or (b[0] == 1 and a[0] == 2)
            for a, b in zip(first, second, strict=True)
        )

    # ---- what stands for what ------------------------------------------------------------------

    def collect(self, part: Part, around: tuple[Repeat, ...]) -> None:
        """Notes for each drawn node which nodes it stands for, those of outer repetitions too."""
        if isinstance(part, Repeat):
            for each in part.parts:
                self.collect(each, (*around, part))
            return
        nodes = (part,)
        for repeat in reversed(around):
            nodes = tuple(repeat.all_turns(nodes))
        self.folding.nodes[part] = nodes


_Source: TypeAlias = tuple[int, int, int]


def _but_for_turns(node: Node) -> tuple[str | None, ...]:
    return tuple(part if isinstance(part, str) else None for part in node.path)
