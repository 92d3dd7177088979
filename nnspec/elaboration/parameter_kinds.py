"""The kinds that parameters declare for constants: `int`, `float`, `fn`, lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.elaboration.builtins import elements
from nnspec.elaboration.complaints import unquoted
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import Dim
from nnspec.ir.terms import Traced
from nnspec.ir.values import (
    Builtin,
    Declared,
    OperatorName,
    Range,
    Recipe,
    Sequence,
    Value,
    is_constant,
    kind_of,
    term_of,
)
from nnspec.syntax import ast

if TYPE_CHECKING:
    pass


def checked(
    frame: Frame, parameter: ast.Parameter, value: Value, span: Any, callee: Declared
) -> Value:
    """A constant that has the kind its parameter declares."""
    if isinstance(value, Range):
        value = Sequence(
            tuple(elements(frame, value, ast.NoneLiteral(span))), value.term
        )
    found = _of_kind(parameter.type, value)
    if found is None:
        wanted = _kind_text(parameter.type)
        message = f"`{parameter.name}` of `{callee.node.name}` is {wanted}, and this is {kind_of(value)}"
        raise frame.error("E0305", message, span, hint=_kind_hint(wanted, value))
    return found


def _of_kind(kind: ast.TypeExpr, value: Value) -> Value | None:
    if isinstance(kind, ast.ShapeType):
        return _list_of(kind, value)
    assert isinstance(kind, ast.ScalarType)
    if isinstance(value, Traced) and value.value is None:
        return value
    match kind.name:
        case "int":
            return value if isinstance(value, Dim) else None
        case "float":
            if isinstance(value, Dim) and value.is_constant:
                return Traced(float(int(value)), term_of(value))
            return value if isinstance(value, Traced) and _is(value, float) else None
        case "bool":
            return value if isinstance(value, Traced) and _is(value, bool) else None
        case "str":
            return value if isinstance(value, Traced) and _is(value, str) else None
        case "fn" | "block":
            callable_ = isinstance(value, OperatorName | Declared | Recipe | Builtin)
            return value if callable_ else None
        case _:
            return value if is_constant(value) else None


def _is(value: Traced, kind: type) -> bool:
    return type(value.value) is kind


def _list_of(kind: ast.ShapeType, value: Value) -> Value | None:
    if not isinstance(value, Sequence) or kind.element is None:
        return None
    items_found: list[Value] = []
    for item in value.items:
        found = _of_kind(kind.element, item)
        if found is None:
            return None
        items_found.append(found)
    return Sequence(tuple(items_found), value.term)


def _kind_hint(wanted: str, value: Value) -> str | None:
    if not isinstance(value, Traced) or wanted not in ("an int", "a float"):
        return None
    if isinstance(value.value, str):
        return unquoted(value.value)
    if wanted == "an int" and isinstance(value.value, float):
        return "`/` makes a float: use `//`, or `int(...)` around it"
    return None


def _kind_text(kind: ast.TypeExpr) -> str:
    if isinstance(kind, ast.ScalarType):
        article = "an" if kind.name == "int" else "a"
        return f"{article} {kind.name}"
    return "a list"
