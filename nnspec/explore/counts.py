"""Constants that only say how often a loop runs: whatever they are, the model is as right as it is.

Such a constant (`depth` in `for _ in range(depth) { x = x -> blocks: Block(heads) }`) stands nowhere else,
its loop's variable is not read, and every turn does to values of the same types what the first one did.
So further turns do the same again, and a model that holds together for one count of at least 1 does so
for every other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nnspec.ir.graph import (
    Branch,
    Function,
    Item,
    Iteration,
    Loop,
    Program,
    nodes_in,
)
from nnspec.ir.names_read import (
    changing_constants,
    counted_by,
    names_of_function,
    names_of_turn,
)


def loop_counts(program: Program) -> frozenset[str]:
    """The constants of a model that are nothing but numbers of turns, of which there are some."""
    main = program.main
    counted: dict[str, bool] = {}
    for loop in _loops(main.structure):
        name = counted_by(loop)
        if name is not None:
            counted[name] = counted.get(name, True) and _turns_are_alike(main, loop)
    read = set(names_of_function(main))
    return frozenset(name for name, alike in counted.items() if alike) - read


def _loops(items: Iterable[Item]) -> Iterator[Loop]:
    """All loops, the inner ones at each turn of the outer."""
    for item in items:
        match item:
            case Branch(body=body):
                yield from _loops(body)
            case Loop(iterations=turns):
                yield item
                for turn in turns:
                    yield from _loops(turn.body)
            case _:
                pass


# ---- turns ------------------------------------------------------------------------------------------


def _turns_are_alike(function: Function, loop: Loop) -> bool:
    """Whether every turn does the same to values of the same types, and none reads which it is."""
    if not loop.iterations or loop.lists or changing_constants(function, loop):
        return False
    first = list(_done(function, loop.iterations[0]))
    read = set(names_of_turn(function, loop))
    if read & set(loop.variables):
        return False
    return all(list(_done(function, turn)) == first for turn in loop.iterations[1:])


def _done(function: Function, turn: Iteration) -> Iterator[tuple[Any, ...]]:
    """What a turn does: operators and calls, and the types that go in and come out."""
    for node in (function.nodes[number] for number in nodes_in(turn.body)):
        applied = node.callee if node.op is None else (type(node.op), node.op)
        yield (
            applied,
            node.weight,
            function.node_types(node),
            function.results(node),
            node.owns,
            node.marks,
        )
