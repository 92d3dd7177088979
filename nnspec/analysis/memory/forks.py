"""Which branches of a program are an `if` in emitted code.

Functions of one block become one class. A branch that goes the same way in all of them, and in all turns of
a loop, is no `if`: what is done there stands between the statements around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

from nnspec.ir.graph import (
    Binding,
    Branch,
    Function,
    Item,
    Loop,
    Program,
    Step,
    values_of,
    walk,
)

_Place: TypeAlias = tuple[int, ...]
_IsWrittenOut: TypeAlias = Callable[[Function, Loop], bool]


def forks_of(program: Program, is_written_out: _IsWrittenOut) -> set[Branch]:
    """The branches that go one way here and another way there, and do anything."""
    groups: dict[tuple[object, _Place], list[Branch]] = {}
    for function in program.functions.values():
        block = function.name, function.location.source.name, function.location.span
        found = _inside(function, function.structure, (), is_written_out)
        for place, branch in found:
            groups.setdefault((block, place), []).append(branch)
    return {
        branch
        for alike in groups.values()
        if len({each.taken for each in alike}) > 1
        and any(_does_anything(each.body) for each in alike)
        for branch in alike
    }


def _inside(
    function: Function,
    items: Sequence[Item],
    above: _Place,
    is_written_out: _IsWrittenOut,
) -> Iterator[tuple[_Place, Branch]]:
    """The branches among items and their places, which all turns of a loop share unless it is written out."""
    for number, item in enumerate(items):
        place = (*above, number)
        match item:
            case Branch(body=body, taken=taken):
                yield place, item
                yield from _inside(function, body, (*place, taken), is_written_out)
            case Loop(iterations=iterations):
                apart = is_written_out(function, item)
                for turn, iteration in enumerate(iterations):
                    inner = (*place, apart * turn)
                    yield from _inside(function, iteration.body, inner, is_written_out)
            case _:
                pass


def leaves_by_name(function: Function, loop: Loop) -> bool:
    """Whether what turns do apart from each other leaves their branches in names alone."""
    groups: dict[_Place, list[Branch]] = {}
    for turn in loop.iterations:
        for place, branch in _inside(function, turn.body, (), _rolls):
            groups.setdefault(place, []).append(branch)
    return not any(
        _leaves_unnamed(function, branch)
        for alike in groups.values()
        if len({each.taken for each in alike}) > 1
        for branch in alike
    )


def _rolls(function: Function, loop: Loop) -> bool:
    return False


def _leaves_unnamed(function: Function, branch: Branch) -> bool:
    """Whether a value that a branch makes is read behind it, and has no name."""
    items = list(walk(branch.body))
    inside = {item.node for item in items if isinstance(item, Step)}
    named = {item.value for item in items if isinstance(item, Binding)}
    made = {value for number in inside for value in function.nodes[number].outputs}
    read = {
        v for node in function.nodes if node.id not in inside for v in node.values()
    }
    return not (made - named).isdisjoint(read.union(values_of(function.outputs)))


def _does_anything(items: Sequence[Item]) -> bool:
    return any(isinstance(item, Step | Binding) for item in walk(items))
