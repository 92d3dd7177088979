"""The turns of loops: how emitted loops count them, and how the layers of a turn are found by number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.targets.names import Names
from nnspec.targets.writing.scope import pattern_target

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import Lists


def counted_loop(
    loop: merged.Loop,
    known: dict[str, Expr],
    iterable: Expr,
    names: Names,
    used: tuple[set[str], bool],
) -> tuple[Expr, Expr, Expr]:
    """Target, iterable, and an expression for the number of the turn.

    `used` are the variables that the body reads, and whether it reads the number of the turn.
    """
    own = ((key, known.get(key)) for key in loop.variables)
    chosen = {key: value.id for key, value in own if isinstance(value, Name)}
    wanted, numbered = used
    pattern: object = loop.pattern
    if _call_of(iterable, "range") and len(_arguments(iterable)) == 1:
        if isinstance(pattern, str):
            return _over_range(pattern, loop.uid, chosen, iterable, names, used)
    elif _call_of(iterable, "enumerate") and isinstance(pattern, tuple):
        items = cast("tuple[object, ...]", pattern)
        return _over_enumerate(items, loop.uid, chosen, iterable, names, used)
    target = pattern_target(loop.pattern, chosen, loop.uid, wanted)
    if not numbered:
        return target, iterable, Name("_")
    number = Name(names.free("i"))
    return tree.Display("tuple", (number, target)), Name("enumerate")(iterable), number


def _over_range(
    variable: str,
    uid: int,
    chosen: dict[str, str],
    iterable: Expr,
    names: Names,
    used: tuple[set[str], bool],
) -> tuple[Expr, Expr, Expr]:
    """`for i in range(depth)`: the variable is the number of the turn."""
    wanted, numbered = used
    if variable == "_":
        number = Name(names.free("i") if numbered else "_")
        return number, iterable, number
    unique = f"{variable}@{uid}"
    if numbered:
        wanted = wanted | {unique}
    target = pattern_target(variable, chosen, uid, wanted)
    return target, iterable, Name(chosen[unique])


def _over_enumerate(
    items: tuple[object, ...],
    uid: int,
    chosen: dict[str, str],
    iterable: Expr,
    names: Names,
    used: tuple[set[str], bool],
) -> tuple[Expr, Expr, Expr]:
    """`for i, width in enumerate(widths)`: the first variable is the number of the turn."""
    wanted, numbered = used
    unique = f"{items[0]}@{uid}"
    if items[0] == "_" and numbered:
        number = Name(names.free("i"))
        rest = pattern_target(items[1], chosen, uid, wanted)
        return tree.Display("tuple", (number, rest)), iterable, number
    if numbered:
        wanted = wanted | {unique}
    elif unique not in wanted:
        rest = pattern_target(items[1], chosen, uid, wanted)
        return rest, _arguments(iterable)[0], Name("_")
    target = pattern_target(items, chosen, uid, wanted)
    return target, iterable, Name(chosen[unique])


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


class Places:
    """Where the layers of a label lie that are made in these fixed turns: in lists of lists; where turns are left out, in tables by their numbers."""

    def __init__(self, every: Iterable[tuple[int, ...]] = ()) -> None:
        inside: dict[tuple[int, ...], dict[int, None]] = {}
        for numbers in every:
            for level, number in enumerate(numbers):
                inside.setdefault(numbers[:level], {})[number] = None
        self._tables = {
            above for above, here in inside.items() if [*here] != [*range(len(here))]
        }

    def element(self, attribute: Expr, numbers: tuple[int, ...]) -> Expr:
        """The layer that is made in a turn, in the attribute of all."""
        place = attribute
        for level, number in enumerate(numbers):
            is_keyed = numbers[:level] in self._tables
            place = place[str(number) if is_keyed else number]
        return place


def nested(
    entries: list[tuple[tuple[int, ...], Expr]], lists: Lists, parameters: bool
) -> Expr:
    """Layers by their turns, as lists in lists; a table where turns are left out."""
    if len(entries[0][0]) == 1:
        flat = [(numbers[0], value) for numbers, value in entries]
    else:
        groups: dict[int, list[tuple[tuple[int, ...], Expr]]] = {}
        for numbers, value in entries:
            groups.setdefault(numbers[0], []).append((numbers[1:], value))
        flat = [
            (number, nested(group, lists, parameters))
            for number, group in groups.items()
        ]
        parameters = False
    if [number for number, _ in flat] == list(range(len(flat))):
        return lists.listing([value for _, value in flat], parameters)
    table = [(str(number), value) for number, value in flat]
    return lists.keyed(table, parameters)


def _call_of(expression: Expr, name: str) -> bool:
    return isinstance(expression, tree.Call) and expression.function == Name(name)


def _arguments(expression: Expr) -> tuple[Expr, ...]:
    assert isinstance(expression, tree.Call)
    return expression.arguments
