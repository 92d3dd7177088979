"""The small classes whose values may lie in a program: initializers, slices, traced constants.

A program that is read from JSON names them; only these can be named, and only with fields of the kinds
that the classes declare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

import nnspec.ops.initializers as initializers
from nnspec.ir import slices, values
from nnspec.ir.terms import Term, Traced
from nnspec.ir.types import TensorType

RECORDS: Mapping[str, type] = {
    "traced": Traced,
    "sequence": values.Sequence,
    "range": values.Range,
    "slice": slices.Range,
    "tensor type": TensorType,
    "number": initializers.Number,
    **{f"init.{name}": kind for name, kind in initializers.INITIALIZERS.items()},
}
_NAMES: Mapping[type, str] = {kind: name for name, kind in RECORDS.items()}


def record_name(value: Any) -> str:
    """The name of a value's class in the table. Raises TypeError for any other class."""
    kind = cast("type[Any]", type(value))
    found = _NAMES.get(kind)
    if found is None:
        raise TypeError(f"a program cannot hold a {kind.__name__}")
    return found


def make_record(name: str, given: Mapping[str, Any]) -> Any:
    """A value of a class of the table. Raises ValueError for what is no such value."""
    kind = RECORDS.get(name)
    if kind is None:
        raise ValueError(f"there is no record `{name}`")
    hints = _hints(kind)
    for field in fields(kind):
        if field.init and field.name not in given:
            raise ValueError(f"`{name}` needs the field `{field.name}`")
    for field, value in given.items():
        if field not in hints:
            raise ValueError(f"`{name}` has no field `{field}`")
        if not fits(value, hints[field]):
            raise ValueError(f"the field `{field}` of `{name}` cannot be that")
    return kind(**given)


@cache
def _hints(kind: type) -> dict[str, Any]:
    names = {field.name for field in fields(kind) if field.init}
    scope = {**vars(values), "Term": Term}
    return {
        name: hint
        for name, hint in get_type_hints(kind, localns=scope).items()
        if name in names
    }


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of the kind that a field declares."""
    if hint is Any:
        return True
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        items = cast("tuple[Any, ...]", value)
        return all(fits(item, get_args(hint)[0]) for item in items)
    if hint is None or hint is NoneType:
        return value is None
    return type(value) is hint
