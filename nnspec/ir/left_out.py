"""What programs leave out: nodes that no result of their block hangs on, wherever the block is used.

Functions of one block become one class, and turns of a loop that stays a loop are one text. What stands at one
place there is computed everywhere if its result is needed anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnspec.ir.forks import Place, block_of, placed, written_out
from nnspec.ir.graph import Function, Loop, Node, Program, Step, nodes_in, values_of
from nnspec.ir.unread import unread_nodes


def left_out(program: Program) -> Mapping[str, frozenset[int]]:
    """The nodes that are not computed, by the key of their function; layers among them have their weights all the same."""
    functions = program.functions.values()
    unread = {block_of(each) for each in functions if unread_nodes(each)}
    blocks: dict[object, list[_Function]] = {}
    for function in functions:
        if block_of(function) in unread:
            blocks.setdefault(block_of(function), []).append(_Function(function))
    for alike in blocks.values():
        _compute(alike)
    return {
        each.function.key: frozenset(each.left_out())
        for alike in blocks.values()
        for each in alike
    }


class _Function:
    """A function, and what of it has been found to be needed."""

    def __init__(self, function: Function) -> None:
        self.function = function
        self.needed = set(values_of(function.outputs))
        apart = written_out(function)
        items = list(placed(function.structure, apart))
        self.places = {i.node: place for place, i in items if isinstance(i, Step)}
        loops = (item for _, item in items if isinstance(item, Loop))
        self.loops = [each for each in loops if each not in apart]

    def left_out(self) -> Iterator[int]:
        """The nodes of which nothing is needed."""
        for node in self.function.nodes:
            if self.needed.isdisjoint(node.outputs):
                yield node.id

    def spread(self, places: set[Place]) -> None:
        """Notes what is needed for what is, and for what stands at `places`, to which those of this function are added."""
        for node in reversed(self.function.nodes):
            if self._is_computed(node, places):
                places.add(self.places[node.id])
                self.needed.update((*node.outputs, *node.values()))
        for loop in self.loops:
            for name, history in loop.carried.items():
                if self._is_carried(loop, name):
                    self.needed.update(history)

    def _is_computed(self, node: Node, places: set[Place]) -> bool:
        needed = not self.needed.isdisjoint(node.outputs)
        return needed or self.places.get(node.id) in places

    def _is_carried(self, loop: Loop, name: str) -> bool:
        """Whether anything that is needed reads what a loop carries, in any turn or behind it."""
        *befores, last = loop.carried[name]
        turns = [list(nodes_in(turn.body)) for turn in loop.iterations]
        made = any(
            last in self.function.nodes[n].outputs for turn in turns for n in turn
        )
        return (made and last in self.needed) or any(
            before in self._reads(turn)
            for before, turn in zip(befores, turns, strict=True)
        )

    def _reads(self, numbers: Sequence[int]) -> set[int]:
        nodes = (self.function.nodes[number] for number in numbers)
        return {
            value
            for node in nodes
            if not self.needed.isdisjoint(node.outputs)
            for value in node.values()
        }


def _compute(functions: Sequence[_Function]) -> None:
    """Finds all that is needed in the functions of a block, starting from their results."""
    places: set[Place] = set()
    before, now = -1, 0
    while before != now:
        for each in functions:
            each.spread(places)
        before, now = now, len(places) + sum(len(each.needed) for each in functions)
