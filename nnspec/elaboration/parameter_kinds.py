"""The kinds that parameters declare for constants: `int`, `float`, `fn`, lists of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import SpecError
from nnspec.elaboration.complaints import unquoted
from nnspec.elaboration.frame import Frame
from nnspec.elaboration.lists import elements
from nnspec.ir.dims import Dim
from nnspec.ir.terms import Traced
from nnspec.ir.types import DType
from nnspec.ir.values import (
    Builtin,
    Declared,
    OperatorName,
    Range,
    Recipe,
    Sequence,
    Value,
    kind_of,
    term_of,
)
from nnspec.source import Location, Source, Span
from nnspec.syntax import ast

if TYPE_CHECKING:
    pass


def checked(
    frame: Frame, parameter: ast.Parameter, value: Value, span: Any, callee: Declared
) -> Value:
    """A constant that has the kind its parameter declares."""
    value = _listed(frame, value, span)
    found = _of_kind(parameter.type, value)
    if found is None:
        wanted = _kind_text(parameter.type)
        message = f"`{parameter.name}` of `{callee.node.name}` is {wanted}, and this is {kind_of(value)}"
        raise frame.error(
            "E0305", message, span, hint=_kind_hint(parameter.type, value)
        )
    return found


def check_setting(model: ast.Model, name: str, value: Value, text: str) -> None:
    """Raises `SpecError` at a setting of a model's constant that is of another kind than the constant."""
    declared = next(each for each in model.parameters if each.name == name)
    if isinstance(value, Range) or _of_kind(declared.type, value) is not None:
        return
    wanted = _kind_text(declared.type)
    raise SpecError(
        "E0305",
        f"`{name}` of `{model.name}` is {wanted}, and is set to {kind_of(value)}",
        setting_as_written(name, text),
        hint=_kind_hint(declared.type, value),
    )


def setting_as_written(name: str, text: str) -> Location:
    """A setting as it was given to a command, whole."""
    written = f"{name}={text}"
    return Location(Source(f"<{name}>", written), Span(0, len(written)))


def _listed(frame: Frame, value: Value, span: Any) -> Value:
    """A range as the list that it stands for."""
    if not isinstance(value, Range):
        return value
    items = elements(frame, value, ast.NoneLiteral(span))
    return Sequence(tuple(items), value.term)


def check_claim(frame: Frame, subject: str, kind: ast.TypeExpr, value: Value) -> None:
    """Raises `SpecError` unless a value has the kind of constants that is claimed of it."""
    value = _listed(frame, value, kind.span)
    if _of_kind(kind, value) is None:
        wanted = _kind_text(kind)
        message = f"{subject} is claimed to be {wanted}, and is {kind_of(value)}"
        raise frame.error("E0305", message, kind, hint=_kind_hint(kind, value))


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
        case "dtype":
            is_one = isinstance(value, Traced) and isinstance(value.value, DType)
            return value if is_one else None
        case _:
            return value  # no kind at all, which is an error of its own


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


def _kind_hint(kind: ast.TypeExpr, value: Value) -> str | None:
    if isinstance(kind, ast.ShapeType) and kind.element is not None:
        return _item_hint(kind.element, value)
    wanted = _kind_text(kind)
    if not isinstance(value, Traced) or wanted not in ("an int", "a float"):
        return None
    if isinstance(value.value, str):
        return unquoted(value.value)
    if wanted == "an int" and isinstance(value.value, float):
        return "`/` makes a float: use `//`, or `int(...)` around it"
    return None


def _item_hint(element: ast.TypeExpr, value: Value) -> str | None:
    """Which item of a list is of another kind."""
    for place, item in enumerate(value.items if isinstance(value, Sequence) else ()):
        if _of_kind(element, item) is None:
            return f"item {place} is {kind_of(item)}"
    return None


def _kind_text(kind: ast.TypeExpr) -> str:
    if isinstance(kind, ast.ScalarType):
        article = "an" if kind.name == "int" else "a"
        return f"{article} {kind.name}"
    if isinstance(kind, ast.ShapeType) and kind.element is not None:
        return f"a {_spelled(kind)}"
    return "a list"


def _spelled(kind: ast.TypeExpr) -> str:
    if isinstance(kind, ast.ShapeType):
        return "tensor" if kind.element is None else f"list[{_spelled(kind.element)}]"
    assert isinstance(kind, ast.ScalarType)
    return kind.name
