"""Constants and sizes that are set from outside: `depth=6 B=8`, written in the language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nnspec.diagnostics import Diagnostics, SpecError
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration.elaboration import Elaboration
from nnspec.elaboration.frame import Builder, Frame
from nnspec.elaboration.parameter_kinds import check_setting, setting_as_written
from nnspec.ir.dims import dim
from nnspec.ir.values import Declared, Module, Value
from nnspec.modules import Loader
from nnspec.source import Source
from nnspec.syntax import ast

# Integers as the language writes them, without anything that must be parsed.
_PLAIN = re.compile("[1-9][0-9]{0,17}")


def settled(
    elaboration: Elaboration,
    module: Module,
    declared: Declared,
    settings: Mapping[str, str],
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The values that were set, apart: the model's own constants, and the rest (its symbols)."""
    model = (
        elaboration.variant(declared)[0]
        if isinstance(declared.node, ast.Variant)
        else declared
    )
    assert isinstance(model.node, ast.Model)
    parameters = {parameter.name for parameter in model.node.parameters}
    constants: dict[str, Value] = {}
    rest: dict[str, Value] = {}
    for name, text in settings.items():
        value = _value(elaboration, name, text)
        if name in parameters:
            check_setting(model.node, name, value, text)
        (constants if name in parameters else rest)[name] = value
    return constants, rest


def _value(elaboration: Elaboration, name: str, text: str) -> Value:
    """The value of a setting, written in the language."""
    if _PLAIN.fullmatch(text):
        return dim(int(text))
    diagnostics = Diagnostics()
    source = Source(f"<{name}>", f"value = {text}")
    module = Loader(diagnostics).module(source)
    diagnostics.raise_errors()
    written = _only_value(module)
    if written is None:
        raise SpecError(
            "E0705",
            f"`{text}` is not one value",
            setting_as_written(name, text),
            hint="several values are a list, in brackets: `depths=[2,2]`",
        )
    frame = Frame(elaboration, Builder(closed=True), module, {}, {}, "file", prefix=".")
    return evaluation.evaluate(frame, written)


def _only_value(module: Module) -> ast.Expr | None:
    """What stands behind `value =`, if that is all there is."""
    match module.file.declarations:
        case (ast.Constant(bind=bind),) if not module.file.uses:
            return bind.values[0] if len(bind.values) == 1 else None
        case _:
            return None


def spelled(value: Any) -> str:
    """A Python value as the language writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "none"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{escaped}"'
    if isinstance(value, list | tuple):
        items: Any = value  # pyright: ignore[reportUnknownVariableType]
        return f"[{', '.join(spelled(item) for item in items)}]"
    if isinstance(value, int | float):
        return str(value)
    raise TypeError(f"{value!r} is no constant of the language")
