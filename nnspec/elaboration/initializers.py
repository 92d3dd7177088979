"""Initializers as a spec writes them: `init.normal(std=0.02)`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import did_you_mean
from nnspec.elaboration import constants
from nnspec.elaboration.constants import ConstantError
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import Dim
from nnspec.ir.terms import Traced
from nnspec.ir.values import Value, kind_of, term_of
from nnspec.syntax import ast

if TYPE_CHECKING:
    from nnspec.ops.initializers import Initializer, Number


def initializer(
    frame: Frame,
    name: str,
    arguments: list[Value],
    keywords: Mapping[str, Value],
    node: ast.Expr,
) -> Value:
    """`init.normal(std=0.02)`"""
    from nnspec.ops.initializers import INITIALIZERS

    kind = INITIALIZERS[name]
    names = [*_fans(kind), *kind.numbers]
    if len(arguments) > len(names):
        raise frame.error(
            "E0303", f"`init.{name}` takes at most {len(names)} arguments", node
        )
    given: dict[str, Value] = dict(zip(names, arguments, strict=False))
    for key, value in keywords.items():
        if key not in names:
            hint = did_you_mean(key, names) or f"it takes {', '.join(names)}"
            raise frame.error(
                "E0302", f"`init.{name}` has no argument `{key}`", node, hint=hint
            )
        given[key] = value
    return Traced(kind(**_fields(frame, name, kind, given, node)))


def _fans(kind: type[Initializer]) -> list[str]:
    """The arguments that count inputs; all others are numbers."""
    return [field.name for field in fields_of(kind) if field.name not in kind.numbers]  # type: ignore[arg-type]


def _fields(
    frame: Frame,
    name: str,
    kind: type[Initializer],
    given: Mapping[str, Value],
    node: ast.Expr,
) -> dict[str, Any]:
    """The arguments as the initializer keeps them; those with defaults may be missing."""
    fans = _fans(kind)
    found: dict[str, Any] = {}
    for key in (*fans, *kind.numbers):
        if key in given and key in fans:
            found[key] = _as_fan(frame, key, given[key], node)
        elif key in given:
            found[key] = _as_number(frame, name, kind, key, given[key], node)
        elif key in fans or kind.numbers[key] is None:
            hint = f"write `init.{name}({key}=...)`"
            raise frame.error("E0301", f"`init.{name}` needs `{key}`", node, hint=hint)
    return found


def _as_number(
    frame: Frame,
    name: str,
    kind: type[Initializer],
    key: str,
    value: Value,
    node: ast.Expr,
) -> Number:
    from nnspec.ops.initializers import Number

    number = Number(_as_float(frame, key, value, node))
    if key in kind.positive and not 0 < number.value < math.inf:
        message = f"`{key}` of `init.{name}` must be greater than 0, not {number.value}"
        hint = f"write `{key}=0.02`, for example"
        raise frame.error("E0305", message, node, hint=hint)
    return number


def _as_fan(frame: Frame, key: str, value: Value, node: ast.Expr) -> Dim:
    if not isinstance(value, Dim):
        raise frame.error(
            "E0305", f"`{key}` must be an integer, not {kind_of(value)}", node
        )
    if not value.is_constant or int(value) < 1:
        hint = "give the number of inputs of one feature"
        message = f"`{key}` must be an integer of at least 1, not {value}"
        raise frame.error("E0305", message, node, hint=hint)
    return value


def _as_float(frame: Frame, key: str, value: Value, node: ast.Expr) -> Traced:
    try:
        number = constants.arithmetic("*", value, Traced(1.0))
    except ConstantError as error:
        raise frame.error(
            "E0305", f"`{key}` must be a number: {error.message}", node
        ) from None
    assert isinstance(number, Traced)
    return Traced(number.value, term_of(value))
