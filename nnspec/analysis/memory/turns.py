"""Which turns of a loop do the same: of these a few are run, for however many there are.

Turns are alike if they run the same operations, in the same order, on what they are given and what they
carry, with weights of their own in each turn or the same ones in all, and if nothing reads what they
made besides the turn itself and, through what is carried, the next one.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from itertools import chain
from typing import Any

from nnspec.analysis.memory.rolling import Turns
from nnspec.ir.dims import dim
from nnspec.ir.graph import (
    Binding,
    Branch,
    Function,
    Item,
    Iteration,
    Loop,
    Node,
    Path,
    Requirement,
    Step,
    nodes_in,
    values_of,
)

RUN = 5
"""How many turns that are alike are run: two that differ at most from those behind, at either end."""
FEWEST = 2 * RUN
"""Loops of fewer turns that are alike are run as they are."""


def turns_alike(function: Function, loop: Loop, mattering: Set[int]) -> Turns | None:
    """The turns of a loop but the first and last ones, if they are many and alike.

    `mattering` are the values that gradients may come from.
    """
    count = len(loop.iterations)
    if count < FEWEST or any(len(v) <= count for v in loop.carried.values()):
        return None  # a name that is no tensor at first
    looks = [_Turn(function, loop, turn, mattering).look for turn in range(count)]
    usual = looks[count // 2]
    first = last = count // 2
    while first > 0 and looks[first - 1] == usual:
        first -= 1
    while last < count and looks[last] == usual:
        last += 1
    if last - first < FEWEST or not _is_closed(function, loop, first, last):
        return None
    return Turns(first, count - last, dim(count))


class _Turn:
    """One turn of a loop, its values told by what they are to the turn."""

    def __init__(
        self, function: Function, loop: Loop, turn: int, mattering: Set[int]
    ) -> None:
        self.function = function
        self.mattering = mattering
        self._made: dict[int, int] = {}
        self._instances: dict[Path, int] = {}
        self._carried: dict[int, tuple[str, ...]] = {}
        for name, values in loop.carried.items():
            known = self._carried.get(values[turn], ())
            self._carried[values[turn]] = (*known, name)
        body = self._items(loop.iterations[turn].body)
        left = tuple(self._value(values[turn + 1]) for values in loop.carried.values())
        self.look = body, left

    def _items(self, items: Sequence[Item]) -> tuple[Any, ...]:
        return tuple(self._item(item) for item in items)

    def _item(self, item: Item) -> Any:
        match item:
            case Step(node=node):
                return self._node(self.function.nodes[node])
            case Binding(name=name, value=value):
                return name, self._value(value)
            case Branch(taken=taken, body=body):
                return taken, self._items(body)
            case Loop(iterations=iterations):
                return tuple(self._items(turn.body) for turn in iterations)
            case Requirement():
                return None
            case _:
                return item

    def _node(self, node: Node) -> Any:
        given = tuple(
            tuple(self._value(each) for each in argument)
            if isinstance(argument, tuple)
            else None
            if argument is None
            else self._value(argument)
            for argument in node.inputs
        )
        for value in node.outputs:
            self._made[value] = len(self._made)
        return (
            node.op,
            node.callee,
            node.weight,
            node.marks,
            given,
            tuple((self.function.types[v], v in self.mattering) for v in node.outputs),
            self._instance(node.path) if has_weights(node) else None,
        )

    def _instance(self, path: Path) -> Any:
        """Which of the turn's instances it is, and how it is written."""
        return path[0], self._instances.setdefault(path, len(self._instances))

    def _value(self, value: int) -> Any:
        """What a value is to the turn: made in it, carried into it, or from before the loop."""
        made = self._made.get(value)
        return ("made", made) if made is not None else self._carried.get(value, value)


def _is_closed(function: Function, loop: Loop, first: int, last: int) -> bool:
    """Whether what turns make, and the instances that they use, are theirs alone, or those of all turns."""
    turns = [_nodes(function, turn) for turn in loop.iterations[first:last]]
    inside = {node.id for nodes in turns for node in nodes}
    others = [node for node in function.nodes if node.id not in inside]
    return _keeps_values(function, loop, last, turns, others) and _keeps_instances(
        turns, others
    )


def _keeps_values(
    function: Function,
    loop: Loop,
    last: int,
    turns: Sequence[Sequence[Node]],
    others: Sequence[Node],
) -> bool:
    made = {value for nodes in turns for node in nodes for value in node.outputs}
    given_on = {values[last] for values in loop.carried.values()}
    read = {value for node in others for value in node.values()}
    read.update(values_of(function.outputs))
    return made & read <= given_on


def _keeps_instances(turns: Sequence[Sequence[Node]], others: Sequence[Node]) -> bool:
    """Whether each instance is used by all turns, or by one turn and nobody else."""
    used = [[node.path for node in nodes if has_weights(node)] for nodes in turns]
    columns = set(zip(*used, strict=True))
    shared = {column[0] for column in columns if len(set(column)) == 1}
    own = [column for column in columns if column[0] not in shared]
    paths = set(chain.from_iterable(own))
    if len(paths) < sum(map(len, own)) or not paths.isdisjoint(shared):
        return False
    return not any(_overlaps(node.path, paths) for node in others if has_weights(node))


def _overlaps(path: Path, paths: Set[Path]) -> bool:
    """Whether an instance, or one that it lies in, is among others."""
    return any(path[:length] in paths for length in range(1, len(path) + 1))


def has_weights(node: Node) -> bool:
    """Whether a node uses weights, its own or those of an instance that it reads."""
    return node.owns or node.weight is not None


def _nodes(function: Function, turn: Iteration) -> list[Node]:
    return [function.nodes[number] for number in nodes_in(turn.body)]
