"""Where a body returns before its end: the condition on which it goes on behind a branch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.pycode.idioms import negated

Spell: TypeAlias = Callable[[Expr], Expr]
"""Says an expression in the names of a method. Raises `Unspellable`."""

Condition: TypeAlias = Callable[[Spell], Expr]
"""A condition, to be said in the names of any method."""


def _always(_: Spell) -> Expr:
    return tree.Literal(True)


def goes_on(item: merged.Item) -> Condition | None:
    """The condition on which a body goes on behind an item; None where it always does, or nothing is behind it."""
    ended = _ended([item])
    if ended is None or ended is _always:
        return None
    return lambda spell: negated(ended(spell))


def _ended(items: Sequence[merged.Item]) -> Condition | None:
    """The condition on which items return; None where they never do."""
    for place, item in enumerate(items):
        match item:
            case merged.Result():
                return _always
            case merged.Branch():
                then, otherwise = _ended(item.then), _ended(item.otherwise)
                rest = _ended(items[place + 1 :])
                return _either(item.condition, then, otherwise, rest)
            case _:
                pass
    return None


def _either(
    condition: Expr,
    then: Condition | None,
    otherwise: Condition | None,
    rest: Condition | None,
) -> Condition | None:
    """The condition on which a branch returns on one of its ways, or what is behind it does."""
    if rest is _always or (then is _always and otherwise is _always):
        return _always
    ways = [
        _both(lambda spell: spell(condition), then),
        _both(lambda spell: negated(spell(condition)), otherwise),
        rest,
    ]
    found = [way for way in ways if way is not None]
    return None if not found else lambda spell: _joined("or", [w(spell) for w in found])


def _both(way: Condition, ended: Condition | None) -> Condition | None:
    """The condition on which a body goes one way and returns there."""
    if ended is None or ended is _always:
        return None if ended is None else way
    return lambda spell: _joined("and", [way(spell), ended(spell)])


def _joined(operator: str, parts: list[Expr]) -> Expr:
    found = parts[0]
    for part in parts[1:]:
        found = tree.Binary(operator, found, part)
    return found
