"""Finding and reading spec files: the one that was named, and the library modules that it uses."""

from __future__ import annotations

import os
from dataclasses import field

from nnspec.diagnostics import Diagnostics, Label, SpecError, did_you_mean
from nnspec.files import read_regular
from nnspec.ir.predefined import BUILTINS, DTYPES, SCALAR_TYPES
from nnspec.ir.values import Declared, Module
from nnspec.records import dataclass
from nnspec.source import Location, Source, Span
from nnspec.syntax import ast
from nnspec.syntax.parser import parse
from nnspec.syntax.text import LARGEST_FILE, read_text

_STANDARD = os.path.join(os.path.dirname(__file__), "std")
# Names through which a spec reaches what nnspec brings along.
_ROOTS = ("init", "ops", "std")


def read_source(path: str) -> Source:
    """The text of a spec file. Raises OSError, and `SpecError` where it is no text."""
    return read_text(read_regular(path, LARGEST_FILE), path)


@dataclass
class Loader:
    """Reads files once, and resolves what they use."""

    diagnostics: Diagnostics
    _library: dict[str, Module | None] = field(
        default_factory=dict[str, "Module | None"]
    )

    def module(self, source: Source) -> Module:
        """The declarations of a file; faults go to the diagnostics."""
        file = parse(source, self.diagnostics)
        module = Module(file)
        for use in file.uses:
            try:
                self._use(module, use)
            except SpecError as error:
                self.diagnostics.add(error.diagnostic)
        for declaration in file.declarations:
            for name, span in _names(declaration):
                try:
                    _declare(module, name, span, Declared(declaration, module))
                except SpecError as error:
                    self.diagnostics.add(error.diagnostic)
        return module

    def _use(self, module: Module, use: ast.Use) -> None:
        place = Location(module.file.source, use.path_span)
        if use.is_file:
            raise SpecError(
                "E0702",
                "a spec cannot use another file yet",
                place,
                hint="copy the blocks that you need, or use the library: `use std.attention`",
            )
        used = self._standard(use.path, place)
        for name, span in use.names:
            found = used.names.get(name)
            if found is None:
                raise SpecError(
                    "E0703",
                    f"`{use.path}` has no `{name}`",
                    Location(module.file.source, span),
                    hint=did_you_mean(name, used.names)
                    or f"it has: {', '.join(sorted(used.names))}",
                )
            _declare(
                module,
                use.alias if use.alias and len(use.names) == 1 else name,
                span,
                found,
            )
        if not use.names:
            for name, found in used.names.items():
                _declare(module, name, use.path_span, found)

    def _standard(self, path: str, place: Location) -> Module:
        if path not in self._library:
            self._library[path] = None
            self._library[path] = self._read_standard(path, place)
        found = self._library[path]
        if found is None:
            raise SpecError("E0701", f"`{path}` uses itself", place)
        return found

    def _read_standard(self, path: str, place: Location) -> Module:
        root, _, rest = path.partition(".")
        known = sorted(
            entry.removesuffix(".nns")
            for entry in os.listdir(_STANDARD)
            if entry.endswith(".nns")
        )
        if root != "std" or rest not in known:
            hint = did_you_mean(rest or root, known)
            raise SpecError(
                "E0701",
                f"there is no library module `{path}`",
                place,
                hint=hint or f"there are: {', '.join(f'std.{name}' for name in known)}",
            )
        with open(os.path.join(_STANDARD, f"{rest}.nns"), "rb") as text:
            return self.module(read_text(text.read(), f"std/{rest}.nns"))


def _names(declaration: ast.Declaration) -> list[tuple[str, Span]]:
    if isinstance(declaration, ast.Constant):
        return [(target.name, target.span) for target in declaration.bind.targets]
    return [(declaration.name, declaration.name_span)]


def _declare(module: Module, name: str, span: Span, declared: Declared) -> None:
    place = Location(module.file.source, span)
    known = module.names.get(name)
    if known is not None and known is not declared:
        other = Location(known.module.file.source, known.node.span)
        raise SpecError(
            "E0206",
            f"`{name}` is declared twice",
            place,
            labels=[Label(other, "the other one")],
            hint="give one of them another name",
        )
    _require_case(name, declared.node, place)
    if name in BUILTINS or name in SCALAR_TYPES or name in DTYPES or name in _ROOTS:
        message = f"`{name}` has a meaning already"
        raise SpecError("E0206", message, place, hint="choose another name")
    module.names[name] = declared


def _require_case(name: str, node: ast.Node, place: Location) -> None:
    """What may own weights has a capital letter in front; a `fn` has none."""
    owns = isinstance(node, ast.Block | ast.Model | ast.Variant)
    if owns and not name[:1].isupper():
        kind = type(node).__name__.lower()
        raise SpecError(
            "E0206",
            f"the {kind} `{name}` must be named in CamelCase",
            place,
            hint=f"write `{name[:1].upper()}{name[1:]}`",
        )
    if isinstance(node, ast.Fn) and name[:1].isupper():
        raise SpecError(
            "E0206",
            f"the function `{name}` must be named in lower case",
            place,
            hint="what is CamelCase may own weights; a `fn` never does",
        )
