"""The names of constants and sizes that the parts of a function are computed from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nnspec.ir.dims import Dim
from nnspec.ir.graph import (
    Branch,
    Function,
    Item,
    Loop,
    Requirement,
    nodes_in,
)
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType


def names_of_function(function: Function) -> Iterator[str]:
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
                if counted_by(item) is None or item.lists:
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


def names_of_turn(function: Function, loop: Loop) -> Iterator[str]:
    """Every name that any turn of a loop is computed from."""
    for turn in loop.iterations:
        yield from _names_of_items(turn.body)
        for node in (function.nodes[number] for number in nodes_in(turn.body)):
            for term in node.terms.values():
                yield from _names(term)
            for value in node.arguments.values():
                yield from _names(value)


def changing_constants(function: Function, loop: Loop) -> set[str]:
    """The integers that a loop carries and that change from turn to turn, by their names in it."""
    names = map(loop.key_of, loop.constants)
    return {name for name in names if not function.running[name].constant}


def counted_by(loop: Loop) -> str | None:
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
