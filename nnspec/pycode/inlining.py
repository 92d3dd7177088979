"""How much is written in one expression before a part of it is given a variable of its own.

What lives when in an emitted program depends on this, so the emitter and the count of the program's
memory both ask here.
"""

from __future__ import annotations

from collections.abc import Iterable

from nnspec.pycode.expressions import Call, Expr, Input, walk

MOST_NESTED_CALLS = 3
"""Into a call no expression is written in which calls are nested as deeply as this."""
WIDEST = 72
"""Nor any with which it would be wider than so many characters."""
TEMPORARIES = ("y", "z", "h", "u", "v", "w")
"""The variables of values for which the spec has no name, in the order in which they are tried."""
FARTHEST_NAME = 64
"""A value takes the name to which its pipe leads, if so many operators lie between at most."""


def nested_calls(expression: Expr) -> int:
    """How deeply calls are nested in an expression."""
    inner = max((nested_calls(child) for child in expression.children), default=0)
    return inner + isinstance(expression, Call)


def times_read(results: Iterable[Expr], place: int) -> int:
    """How often results read one of their inputs: what is read twice is computed once."""
    return sum(
        isinstance(part, Input) and part.index == place
        for result in results
        for part in walk(result)
    )
