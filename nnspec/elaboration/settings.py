"""Constants and sizes that are set from outside: `depth=6 B=8`, written in the language."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from nnspec.diagnostics import Diagnostics, SpecError, did_you_mean
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration.elaboration import Elaboration
from nnspec.elaboration.frame import Builder, Frame
from nnspec.elaboration.parameter_kinds import check_setting, setting_as_written
from nnspec.ir.dims import Dim, dim
from nnspec.ir.graph import Program
from nnspec.ir.values import Declared, Module, Traced, Value, kind_of
from nnspec.modules import Loader
from nnspec.source import Source
from nnspec.syntax import ast

# Integers as the language writes them, without anything that must be parsed.
_PLAIN = re.compile("[1-9][0-9]{0,17}")
# Floats below are written out where an integer is wanted.
_LONGEST = 10**15


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


def sizes_of(program: Program, given: Mapping[str, Value]) -> dict[str, int]:
    """The symbols that were set. Raises `SpecError` for a name that is none, or a size that is wrong."""
    found: dict[str, int] = {}
    for name, value in given.items():
        check_size(program, name, value)
        if not isinstance(value, Dim) or not value.is_constant:
            raise _no_size(name, value)
        found[name] = int(value)
    return found


def check_size(program: Program, name: str, value: Value | int) -> None:
    """Raises `SpecError` for a symbol that is none of the program, or a size that it cannot have."""
    if name not in program.symbols:
        known = [*program.symbols, *(p.name for p in program.main.parameters)]
        raise SpecError(
            "E0302",
            f"`{program.name}` has no constant or size named `{name}`",
            hint=did_you_mean(name, known) or f"it has: {', '.join(known) or 'none'}",
        )
    if isinstance(value, Dim) and not value.is_constant:
        return
    if isinstance(value, bool) or not isinstance(value, int | Dim) or int(value) < 1:
        raise _no_size(name, value)
    _check_assumed(program, name, int(value))


def _no_size(name: str, value: Value | int) -> SpecError:
    found, example = kind_of(value) if not isinstance(value, int) else str(value), "8"
    if isinstance(value, Dim):
        found = str(value)
    elif isinstance(value, Traced) and isinstance(value.value, float):
        found = str(value.value)
        is_whole = 1 <= value.value < _LONGEST and value.value.is_integer()
        example = str(int(value.value)) if is_whole else example
    return SpecError(
        "E0705",
        f"the size `{name}` must be an integer of at least 1, not {found}",
        hint=f"write a number, such as `{name}={example}`",
    )


def _check_assumed(program: Program, name: str, value: int) -> None:
    wrong = program.assumptions.fault(name, value)
    if wrong:
        raise SpecError(
            "E0503", f"`{name}` {wrong} by a requirement of the model, not {value}"
        )


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
