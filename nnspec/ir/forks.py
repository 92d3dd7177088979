"""Which loops stay loops in emitted code, and which branches are an `if`, as far as that does not hang on sizes.

Functions of one block become one class. A branch that goes the same way in all of them, and in all turns of
a loop, is no `if`: what is done there stands between the statements around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import TypeAlias

from nnspec.ir.graph import (
    Binding,
    Branch,
    Function,
    Item,
    Loop,
    Program,
    Step,
    nodes_in,
    values_of,
    walk,
)
from nnspec.ir.handed_on import hands_on_by_name, read_outside

Place: TypeAlias = tuple[int, ...]
"""A place in the text of a block: what stands there in all functions of it, and in all turns of loops that stay loops."""


def written_out(function: Function) -> frozenset[Loop]:
    """The loops of which the emitted program has the turns one after another."""
    return frozenset(_written_out(function, function.structure, ()))


def _written_out(
    function: Function, items: Sequence[Item], above: tuple[bool, ...]
) -> Iterator[Loop]:
    """The same of items in loops of which it is known whether they are written out."""
    for item in items:
        match item:
            case Branch(body=body):
                yield from _written_out(function, body, above)
            case Loop(iterations=iterations):
                # Layers lie in lists in lists only as loops lie in loops.
                nested = any(above) and makes_layers(function, item)
                apart = nested or not _is_one_text(function, item, len(above) + 1)
                if apart:
                    yield item
                for turn in iterations:
                    yield from _written_out(function, turn.body, (*above, apart))
            case _:
                pass


def _is_one_text(function: Function, loop: Loop, depth: int) -> bool:
    """Whether the turns of a loop, that so many loops surround with itself, can be said as one."""
    if loop.iterable is None or not loop.iterable.comparable:
        return False
    return hands_on_by_name(function, loop) and not any(
        _leaves_unnamed(function, branch) or _makes_lists(function, branch, depth)
        for branch in _forks_in(loop)
    )


def makes_layers(function: Function, loop: Loop) -> bool:
    """Whether the turns of a loop have layers of their own."""
    return any(
        function.nodes[number].owns or function.nodes[number].callee is not None
        for iteration in loop.iterations
        for number in nodes_in(iteration.body)
    )


def block_of(function: Function) -> tuple[object, ...]:
    """What functions have in common that may become one class: their block, and how many tensors of which ranks they take."""
    values = values_of(function.inputs)
    ranks = tuple(function.types[value].rank for value in values)
    return function.name, function.location.source.name, function.location.span, ranks


def forks_of(
    program: Program, written_out: Callable[[Function], Set[Loop]]
) -> Iterator[list[Branch]]:
    """The branches that go one way here and another way there, and do anything: those at one place together."""
    groups: dict[tuple[object, Place], list[Branch]] = {}
    for function in program.functions.values():
        found = placed(function.structure, written_out(function))
        for place, item in found:
            if isinstance(item, Branch):
                groups.setdefault((block_of(function), place), []).append(item)
    for alike in groups.values():
        differ = len({each.taken for each in alike}) > 1
        if differ and any(_does_anything(each.body) for each in alike):
            yield alike


def saved_before(
    function: Function, branches: Set[Branch], left_out: Set[int]
) -> Iterator[tuple[Branch, set[str]]]:
    """Branches of a function, each with the names that it binds anew while what their variables held is read behind it, by another name."""
    ports = function.inputs
    # What the variable of each name holds; a second name of a value has none.
    held = {port.name: port.values for port in ports if isinstance(port.values, int)}
    named = set(held.values())
    for item in walk(function.structure):
        if isinstance(item, Branch) and item in branches:
            end, names = _written_in(function, item, left_out)
            before = {name: held[name] for name in names if name in held}
            yield (
                item,
                {
                    name
                    for name, value in before.items()
                    if _last_read(function, value, left_out) > end
                },
            )
        if isinstance(item, Binding) and item.value not in named:
            held[item.name] = item.value
            named.add(item.value)


def _last_read(function: Function, value: int, left_out: Set[int]) -> int:
    """The last node that reads a value; what the function gives is read behind all of them."""
    readers = reversed(function.readers.get(value, ()))
    return next((number for number in readers if number not in left_out), -1)


def _written_in(
    function: Function, branch: Branch, left_out: Set[int]
) -> tuple[int, set[str]]:
    """The last node of a branch, and the names that it binds to what it makes."""
    steps = [item.node for item in walk(branch.body) if isinstance(item, Step)]
    inside = [function.nodes[n] for n in steps if n not in left_out]
    if not inside:
        return -1, set()
    made = {value for node in inside for value in node.outputs}
    bindings = [item for item in walk(branch.body) if isinstance(item, Binding)]
    return inside[-1].id, {item.name for item in bindings if item.value in made}


def placed(
    items: Sequence[Item], written_out: Set[Loop], above: Place = ()
) -> Iterator[tuple[Place, Item]]:
    """Items and all in them with their places, which all turns of a loop share unless it is written out."""
    for number, item in enumerate(items):
        place = (*above, number)
        yield place, item
        match item:
            case Branch(body=body, taken=taken):
                yield from placed(body, written_out, (*place, taken))
            case Loop(iterations=iterations):
                apart = item in written_out
                for turn, iteration in enumerate(iterations):
                    inner = (*place, apart * turn)
                    yield from placed(iteration.body, written_out, inner)
            case _:
                pass


def _forks_in(loop: Loop) -> Iterator[Branch]:
    """The branches in a loop that go one way in some turns and another way in others."""
    groups: dict[Place, list[Branch]] = {}
    for turn in loop.iterations:
        for place, item in placed(turn.body, frozenset()):
            if isinstance(item, Branch):
                groups.setdefault(place, []).append(item)
    for alike in groups.values():
        if len({each.taken for each in alike}) > 1:
            yield from alike


def _makes_lists(function: Function, branch: Branch, depth: int) -> bool:
    """Whether a branch that some turns of a loop take makes layers in lists: they would lie in tables by the number of the turn."""
    made = (function.nodes[number] for number in nodes_in(branch.body))
    return any(
        node.owns and (depth != 1 or len(node.loops) != 1)
        for node in made
        if function.node_weights(node) or node.callee is not None
    )


def _leaves_unnamed(function: Function, branch: Branch) -> bool:
    """Whether a value that a branch makes is read behind it, and has no name."""
    items = list(walk(branch.body))
    inside = {item.node for item in items if isinstance(item, Step)}
    named = {item.value for item in items if isinstance(item, Binding)}
    made = {value for number in inside for value in function.nodes[number].outputs}
    return read_outside(function, made - named, inside)


def _does_anything(items: Sequence[Item]) -> bool:
    return any(isinstance(item, Step | Binding) for item in walk(items))
