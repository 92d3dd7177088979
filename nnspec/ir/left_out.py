"""What programs leave out, by rules: nodes that no result of their block hangs on, wherever the block is used.

Functions of one block become one class, and turns of a loop that stays a loop are one text. What stands at one
place there is computed everywhere if its result is needed anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import chain

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
            for name in self._carried(loop):
                self.needed.update(loop.carried[name])

    def _is_computed(self, node: Node, places: set[Place]) -> bool:
        needed = not self.needed.isdisjoint(node.outputs)
        return needed or self.places.get(node.id) in places

    def _carried(self, loop: Loop) -> Iterator[str]:
        """The names by which anything that is needed reads what a loop carries, in its turns or behind it.

        Of several names for the same values, what stands at one place reads the last.
        """
        turns = [list(nodes_in(turn.body)) for turn in loop.iterations]
        for values in self._read_in(turns).values():
            names = {
                tuple(history[turn] for turn in values): name
                for name, history in loop.carried.items()
                if all(history[turn] in read for turn, read in values.items())
            }
            yield from names.values()
        behind = self._read_behind(set(chain.from_iterable(turns)))
        lasts = {history[-1]: name for name, history in loop.carried.items()}
        yield from (name for last, name in lasts.items() if last in behind)

    def _read_in(
        self, turns: Sequence[Sequence[int]]
    ) -> dict[Place, dict[int, set[int]]]:
        """What is read at each place in turns of a loop, by the turn."""
        found: dict[Place, dict[int, set[int]]] = {}
        for turn, numbers in enumerate(turns):
            for node in self._computed(numbers):
                by_turn = found.setdefault(self.places[node.id], {})
                by_turn.setdefault(turn, set()).update(node.values())
        return found

    def _read_behind(self, inside: Set[int]) -> set[int]:
        """What some nodes make and others read."""
        others = (node.id for node in self.function.nodes if node.id not in inside)
        read = (node.values() for node in self._computed(others))
        made = (self.function.nodes[number].outputs for number in inside)
        outside = {*values_of(self.function.outputs), *chain.from_iterable(read)}
        return outside.intersection(chain.from_iterable(made))

    def _computed(self, numbers: Iterable[int]) -> Iterator[Node]:
        """Those of some nodes of which anything is needed."""
        for number in numbers:
            node = self.function.nodes[number]
            if not self.needed.isdisjoint(node.outputs):
                yield node


def _compute(functions: Sequence[_Function]) -> None:
    """Finds all that is needed in the functions of a block, starting from their results."""
    places: set[Place] = set()
    before, now = -1, 0
    while before != now:
        for each in functions:
            each.spread(places)
        before, now = now, len(places) + sum(len(each.needed) for each in functions)
