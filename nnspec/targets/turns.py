"""The turns of loops: how emitted loops count them, and how the layers of a turn are found by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.targets.names import Names
from nnspec.targets.scope import (
    pattern_target,
)


def counted_loop(
    loop: merged.Loop,
    known: dict[str, Expr],
    iterable: Expr,
    names: Names,
    used: tuple[set[str], bool],
) -> tuple[Expr, Expr, Expr]:
    """Target, iterable, and an expression for the number of the turn."""
    chosen = {key: value.id for key, value in known.items() if isinstance(value, Name)}
    wanted, numbered = used
    pattern: object = loop.pattern
    counts_itself = _call_of(iterable, "range") and len(_arguments(iterable)) == 1
    enumerates = _call_of(iterable, "enumerate") and isinstance(pattern, tuple)
    if counts_itself and isinstance(pattern, str):
        unique = f"{pattern}@{loop.uid}"
        if pattern == "_":
            number = names.free("i") if numbered else "_"
            return Name(number), iterable, Name(number)
        if numbered:
            wanted = wanted | {unique}
        return (
            pattern_target(pattern, chosen, loop.uid, wanted),
            iterable,
            Name(chosen[unique]),
        )
    if enumerates:
        items = cast("tuple[object, ...]", loop.pattern)
        first = items[0]
        unique = f"{first}@{loop.uid}"
        if first == "_" and numbered:
            number = Name(names.free("i"))
            rest = pattern_target(items[1], chosen, loop.uid, wanted)
            return tree.Display("tuple", (number, rest)), iterable, number
        if numbered:
            wanted = wanted | {unique}
        if unique not in wanted and not numbered:
            rest = pattern_target(items[1], chosen, loop.uid, wanted)
            return rest, _arguments(iterable)[0], Name("_")
        target = pattern_target(items, chosen, loop.uid, wanted)
        return target, iterable, Name(chosen[unique])
    target = pattern_target(loop.pattern, chosen, loop.uid, wanted)
    if not numbered:
        return target, iterable, Name("_")
    number = Name(names.free("i"))
    return tree.Display("tuple", (number, target)), Name("enumerate")(iterable), number


def count_variable(loop: merged.Loop) -> str | None:
    """The variable of a loop that holds the number of the turn, by its unique name."""
    term = (
        loop.iterable.traced.term if isinstance(loop.iterable, tree.Constant) else None
    )
    if term is None or term.kind != "call":
        return None
    called, *arguments = term.arguments
    pattern: object = loop.pattern
    if called == "enumerate" and isinstance(pattern, tuple):
        pattern = cast("tuple[object, ...]", pattern)[0]
    elif called != "range" or len(arguments) != 1:
        return None
    return (
        f"{pattern}@{loop.uid}" if isinstance(pattern, str) and pattern != "_" else None
    )


def turn_numbers(step: merged.Step) -> tuple[int, ...]:
    """The fixed turns in which a step's layers are made."""
    return tuple(turn.index for turn in step.turns if turn.index is not None)


def element(
    attribute: Expr, numbers: tuple[int, ...], every: Sequence[tuple[int, ...]]
) -> Expr:
    """A layer in lists of lists; where turns are left out, in tables by their numbers."""
    place = attribute
    for level, number in enumerate(numbers):
        above = numbers[:level]
        here = list(dict.fromkeys(n[level] for n in every if n[:level] == above))
        place = place[number if here == list(range(len(here))) else str(number)]
    return place


def _call_of(expression: Expr, name: str) -> bool:
    return isinstance(expression, tree.Call) and expression.function == Name(name)


def _arguments(expression: Expr) -> tuple[Expr, ...]:
    assert isinstance(expression, tree.Call)
    return expression.arguments
