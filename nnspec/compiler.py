"""The front of the pipeline: text -> syntax -> program, which is what a `Spec` holds.

`load` reads one model of a file, `load_all` every one. A `Spec` is a checked model with its constants
settled; its methods (`nnspec/spec.py`) are the stages behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import (
    Diagnostic,
    Diagnostics,
    SpecError,
    SpecErrors,
)
from nnspec.elaboration.elaboration import Elaboration
from nnspec.elaboration.entries import entries, none_complete, several
from nnspec.elaboration.given_sizes import sizes_of
from nnspec.elaboration.lint import lint
from nnspec.elaboration.settings import settled, spelled
from nnspec.elaboration.whole import whole_program
from nnspec.ir.values import Declared, Module
from nnspec.modules import Loader, read_source
from nnspec.ops import OPS
from nnspec.source import Source
from nnspec.spec import Spec

if TYPE_CHECKING:
    from nnspec.ir.arrangement import Arrangement
    from nnspec.ir.graph import Program
    from nnspec.ops.base import Operator


def load(
    path: str,
    name: str | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    operators: Mapping[str, type[Operator]] = OPS,
    **constants: Any,
) -> Spec:
    """One model of a spec file, checked. Raises `SpecErrors` with every fault, and OSError.

    `settings` are texts of the language (`{"depths": "[2, 2]", "B": "8"}`); keywords are Python values
    for the same (`B=8`). Without a name, the file must hold one model.
    """
    given = {
        **(settings or {}),
        **{key: spelled(value) for key, value in constants.items()},
    }
    return SpecFile(_read(path), operators).load(name, given)


def load_all(
    path: str,
    *,
    settings: Mapping[str, str] | None = None,
    operators: Mapping[str, type[Operator]] = OPS,
) -> list[Spec]:
    """Every model of a spec file: its variants, and the models that need no constants but those of `settings`."""
    return load_source(_read(path), None, settings or {}, operators)


def load_source(
    source: Source,
    names: list[str] | None,
    settings: Mapping[str, str],
    operators: Mapping[str, type[Operator]] = OPS,
) -> list[Spec]:
    """The models of a text, by name or all. Raises `SpecErrors`."""
    specs, diagnostics = check_source(source, names, settings, operators)
    diagnostics.raise_errors()
    return specs


def check_source(
    source: Source,
    names: list[str] | None,
    settings: Mapping[str, str],
    operators: Mapping[str, type[Operator]] = OPS,
) -> tuple[list[Spec], Diagnostics]:
    """The models of a text that are right, and everything there is to say about the text."""
    return SpecFile(source, operators).check(names, settings)


def read(path: str, operators: Mapping[str, type[Operator]] = OPS) -> SpecFile:
    """A spec file, for making its models with many settings. Raises `SpecErrors` and OSError."""
    return SpecFile(_read(path), operators)


class SpecFile:
    """A text that is read once, whatever its models are then made with."""

    def __init__(
        self, source: Source, operators: Mapping[str, type[Operator]] = OPS
    ) -> None:
        self._operators = operators
        self._found = Diagnostics()
        self._module = Loader(self._found).module(source)
        wrong = bool(self._found.errors)
        self._remarks = Diagnostics() if wrong else lint(self._module, operators)

    def load(self, name: str | None, settings: Mapping[str, str]) -> Spec:
        """One model; without a name, the only one. Raises `SpecErrors`."""
        specs, diagnostics = self.check([name] if name is not None else None, settings)
        diagnostics.raise_errors()
        if not specs:
            raise self.without_models(settings)
        if len(specs) > 1:
            names = [spec.name for spec in specs]
            raise several(self._module.file.source.name, names)
        return specs[0]

    def without_models(self, settings: Mapping[str, str]) -> SpecErrors:
        """What to say where none of the models can be made with these settings."""
        return none_complete(self._module, settings)

    def check(
        self, names: list[str] | None, settings: Mapping[str, str]
    ) -> tuple[list[Spec], Diagnostics]:
        """The models that are right, by name or all, and everything there is to say about the text."""
        diagnostics = Diagnostics(suppressed=self._found.suppressed)
        diagnostics.extend(self._found)
        if diagnostics.errors:
            return [], diagnostics
        specs: list[Spec] = []
        for declared in entries(self._module, names, settings):
            spec = _elaborated(
                self._module, declared, settings, self._operators, diagnostics
            )
            if spec is not None:
                again = partial(self._again, declared, settings)
                remarks = tuple(self._remarks)
                specs.append(replace(spec, warnings=remarks, again=again))
        return specs, _in_order(self._remarks, diagnostics)

    def _again(
        self, declared: Declared, settings: Mapping[str, str], more: Mapping[str, str]
    ) -> Spec:
        """A model with some other settings. Raises `SpecErrors`."""
        found = Diagnostics()
        given = {**settings, **more}
        spec = _elaborated(self._module, declared, given, self._operators, found)
        found.raise_errors()
        assert spec is not None
        return spec


def _in_order(remarks: Diagnostics, found: Diagnostics) -> Diagnostics:
    """All findings as they follow in the text; of two at one place, what was seen first."""
    places = {remark.location for remark in remarks.errors}
    rest = [
        each for each in found if each.location is None or each.location not in places
    ]
    merged = Diagnostics(suppressed=remarks.suppressed + found.suppressed)
    merged.extend(sorted([*remarks, *rest], key=_place))
    return merged


def _place(diagnostic: Diagnostic) -> tuple[str, int]:
    location = diagnostic.location
    return (location.source.name, location.span.start) if location else ("", -1)


def _read(path: str) -> Source:
    try:
        return read_source(path)
    except SpecError as error:
        raise SpecErrors([error.diagnostic]) from None


def _elaborated(
    module: Module,
    declared: Declared,
    settings: Mapping[str, str],
    operators: Mapping[str, type[Operator]],
    diagnostics: Diagnostics,
) -> Spec | None:
    elaboration = Elaboration(operators, diagnostics)
    try:
        constants, rest = settled(elaboration, module, declared, settings)
        program = whole_program(
            elaboration, declared, constants, module.file.source.name
        )
        if program is None:
            return None
        symbols = sizes_of(program, rest)
    except SpecError as error:
        diagnostics.add(error.diagnostic)
        return None
    program = replace(program, planned=_arranged)
    return Spec(program.name, module.file.source.name, program, symbols)


def _arranged(program: Program) -> Arrangement | None:
    """How the program is arranged that is emitted for another one."""
    from nnspec.targets.arranged import arranged

    return arranged(program)


__all__ = [
    "SpecFile",
    "check_source",
    "load",
    "load_all",
    "load_source",
    "read",
]
