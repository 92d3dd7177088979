"""Constants that only say how often a loop runs: whatever they are, the model is as right as it is.

Such a constant (`depth` in `for _ in range(depth) { x = x -> blocks: Block(heads) }`) stands nowhere else,
its loop's variable is not read, and every turn does to values of the same types what the first one did.
So further turns do the same again, and a model that holds together for one count of at least 1 does so
for every other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nnspec.ir.dims import Dim
from nnspec.ir.graph import (
    Branch,
    Function,
    Item,
    Iteration,
    Loop,
    Node,
    Program,
    Requirement,
    Step,
)
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType


def loop_counts(program: Program) -> frozenset[str]:
    """The constants of a model that are nothing but numbers of turns, of which there are some."""
    main = program.main
    counted: dict[str, bool] = {}
    for loop in _loops(main.structure):
        name = _counted_by(loop)
        if name is not None:
            counted[name] = counted.get(name, True) and _turns_are_alike(main, loop)
    read = set(_names_of_function(main))
    return frozenset(name for name, alike in counted.items() if alike) - read


def _counted_by(loop: Loop) -> str | None:
    """`depth` of `range(depth)`."""
    match loop.iterable:
        case Term(
            kind="call", arguments=("range", Term(kind="name", arguments=(name,)))
        ):
            return name
        case Term(
            kind="call", arguments=("range", Term(kind="dim", arguments=(size,)))
        ):
            return _lone_name(size)
        case _:
            return None


def _lone_name(size: Dim) -> str | None:
    names = {atom.symbol for atom in size.atoms()}
    return names.pop() if len(names) == 1 and str(size) in names else None


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


# ---- what is read -----------------------------------------------------------------------------------


def _names_of_function(function: Function) -> Iterator[str]:
    """Every name that anything but the range of a loop is computed from."""
    for kind in function.types.values():
        yield from _names_of_type(kind)
    for node in function.nodes:
        for term in node.terms.values():
            yield from _names(term)
        for value in node.arguments.values():
            yield from _names(value)
    for running in function.running.values():
        yield from _names(running.initial)
        yield from _names(running.update)
    yield from _names_of_items(function.structure)


def _names_of_items(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        match item:
            case Branch(condition=condition, body=body):
                yield from _names(condition)
                yield from _names_of_items(body)
            case Requirement(condition=condition):
                yield from _names(condition)
            case Loop(iterations=turns, iterable=iterable):
                if _counted_by(item) is None:
                    yield from _names(iterable)
                for turn in turns:
                    yield from _names_of_items(turn.body)
            case _:
                pass


def _names_of_type(kind: TensorType) -> Iterator[str]:
    for size in kind.shape:
        yield from _names(size)


def _names(value: Any) -> Iterator[str]:
    """The names in a term, or in the generic twin of an integer, wherever they hide."""
    match value:
        case Term():
            yield from value.names()
            yield from (atom.symbol for atom in value.atoms() if atom.kind == "symbol")
        case Dim():
            for atom in value.generic.atoms():
                if atom.kind == "symbol":
                    yield atom.symbol
                elif isinstance(atom.opaque, Term):
                    yield from _names(atom.opaque)
        case tuple() | list():
            for item in value:  # pyright: ignore[reportUnknownVariableType]
                yield from _names(item)
        case _:
            term = getattr(value, "term", None)
            if term is not None:
                yield from _names(term)


# ---- turns ------------------------------------------------------------------------------------------


def _turns_are_alike(function: Function, loop: Loop) -> bool:
    """Whether every turn does the same to values of the same types, and none reads which it is."""
    if not loop.iterations:
        return False
    first = list(_done(function, loop.iterations[0]))
    read = set(_names_of_turn(function, loop))
    if read & set(loop.variables):
        return False
    return all(list(_done(function, turn)) == first for turn in loop.iterations[1:])


def _names_of_turn(function: Function, loop: Loop) -> Iterator[str]:
    for turn in loop.iterations:
        yield from _names_of_items(turn.body)
        for node in _nodes(function, turn.body):
            for term in node.terms.values():
                yield from _names(term)
            for value in node.arguments.values():
                yield from _names(value)


def _nodes(function: Function, items: Iterable[Item]) -> Iterator[Node]:
    for item in items:
        match item:
            case Step(node=place):
                yield function.nodes[place]
            case Branch(body=body):
                yield from _nodes(function, body)
            case Loop(iterations=turns):
                for turn in turns:
                    yield from _nodes(function, turn.body)
            case _:
                pass


def _done(function: Function, turn: Iteration) -> Iterator[tuple[Any, ...]]:
    """What a turn does: operators and calls, and the types that go in and come out."""
    for node in _nodes(function, turn.body):
        applied = node.callee if node.op is None else (type(node.op), node.op)
        yield (
            applied,
            node.weight,
            function.node_types(node),
            function.results(node),
            node.owns,
            node.marks,
        )
