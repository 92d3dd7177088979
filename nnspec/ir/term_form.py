"""Which arguments the kinds of terms take: what everything that reads a term relies on."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from nnspec.ir.dims import Dim
from nnspec.ir.signs import ARITHMETIC, COMPARISONS
from nnspec.ir.terms import Term

_Form: TypeAlias = Callable[[Sequence[Any]], bool]

# A name of the language; behind `@` the loop that it belongs to, and before that an axis of a value.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[0-9]+)?(@[0-9]+)?")


def require_form(kind: str, arguments: Sequence[Any]) -> None:
    """Raises ValueError unless a term of that kind can have those arguments."""
    form = _FORMS.get(kind)
    if form is None:
        raise ValueError(f"there is no kind of terms named `{kind}`")
    if not form(arguments):
        raise ValueError(f"a term `{kind}` cannot have these arguments")


def _terms(least: int, most: int | None = None) -> _Form:
    def fits(arguments: Sequence[Any]) -> bool:
        count = len(arguments)
        return (
            least <= count
            and (most is None or count <= most)
            and all(isinstance(each, Term) for each in arguments)
        )

    return fits


def _between(signs: Sequence[str]) -> _Form:
    """A sign, and what stands on both sides of it."""
    sides = _terms(2, 2)
    return lambda arguments: (
        arguments[:1] in [(s,) for s in signs] and sides(arguments[1:])
    )


def _literal(arguments: Sequence[Any]) -> bool:
    return len(arguments) == 1 and not isinstance(arguments[0], Term)


def _name(arguments: Sequence[Any]) -> bool:
    return (
        len(arguments) == 1
        and isinstance(arguments[0], str)
        and _NAME.fullmatch(arguments[0]) is not None
    )


def _dim(arguments: Sequence[Any]) -> bool:
    return len(arguments) == 1 and isinstance(arguments[0], Dim)


def _call(arguments: Sequence[Any]) -> bool:
    return _name(arguments[:1]) and _terms(0)(arguments[1:])


def _value(arguments: Sequence[Any]) -> bool:
    return len(arguments) == 1 and type(arguments[0]) is int and arguments[0] >= 0


_FORMS: dict[str, _Form] = {
    "literal": _literal,
    "name": _name,
    "dim": _dim,
    "list": _terms(0),
    "tuple": _terms(0),
    "index": _terms(2, 2),
    "slice": _terms(4, 4),
    "and": _terms(1),
    "or": _terms(1),
    "not": _terms(1, 1),
    "negate": _terms(1, 1),
    "compare": _between((*COMPARISONS, "in")),
    "arithmetic": _between(tuple(ARITHMETIC)),
    "choice": _terms(3, 3),
    "call": _call,
    "value": _value,
}
