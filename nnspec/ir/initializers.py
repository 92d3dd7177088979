"""Initializers as a spec writes them: `init.normal(std=0.02)`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields as fields_of
from typing import Any

from nnspec.diagnostics import did_you_mean
from nnspec.ir import constants
from nnspec.ir.constants import ConstantError
from nnspec.ir.dims import Dim
from nnspec.ir.frame import Frame
from nnspec.ir.terms import Traced
from nnspec.ir.values import Value, kind_of, term_of
from nnspec.syntax import ast


def initializer(
    frame: Frame,
    name: str,
    arguments: list[Value],
    keywords: Mapping[str, Value],
    node: ast.Expr,
) -> Value:
    """`init.normal(std=0.02)`"""
    from nnspec.ops.initializers import INITIALIZERS, Number

    kind = INITIALIZERS[name]
    fans = [field.name for field in fields_of(kind) if field.name not in kind.numbers]  # type: ignore[arg-type]
    names = [*fans, *kind.numbers]
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
    fields: dict[str, Any] = {}
    for key in names:
        if key not in given:
            if key in fans or kind.numbers[key] is None:
                hint = f"write `init.{name}({key}=...)`"
                raise frame.error(
                    "E0301", f"`init.{name}` needs `{key}`", node, hint=hint
                )
            continue
        value = given[key]
        if key in fans:
            fields[key] = _as_fan(frame, key, value, node)
            continue
        number = Number(_as_float(frame, key, value, node))
        if key in kind.positive and not 0 < number.value < math.inf:
            message = (
                f"`{key}` of `init.{name}` must be greater than 0, not {number.value}"
            )
            raise frame.error(
                "E0305", message, node, hint=f"write `{key}=0.02`, for example"
            )
        fields[key] = number
    return Traced(kind(**fields))


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
