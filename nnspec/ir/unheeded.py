"""Annotations that a program carries and no emitted code acts on.

`@checkpoint` and `@device` plan memory and placement; they change no value. Whoever plans reads them
from the program (`Function.marks`, `Node.marks`); whoever compiles is told that they have no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Severity
from nnspec.ir.graph import Marks, Program
from nnspec.source import Location


def unheeded(program: Program) -> dict[str, Location]:
    """The annotations without effect, each with the first place that it marks."""
    found: dict[str, Location] = {}
    for marks, location in _marked(program):
        if marks.checkpoint:
            found.setdefault("@checkpoint", location)
        if marks.device is not None:
            found.setdefault("@device", location)
    return dict(sorted(found.items()))


def _marked(program: Program) -> Iterator[tuple[Marks, Location]]:
    for function in program.functions.values():
        yield function.marks, function.location
        for node in function.nodes:
            yield node.marks, node.location


def warnings(program: Program) -> tuple[Diagnostic, ...]:
    """What to tell whoever compiles the program."""
    return tuple(
        Diagnostic(
            "W0601",
            f"`{name}` has no effect in the emitted program",
            location,
            hint="it is carried in the program, as `nnspec ir` shows, and changes no value",
            severity=Severity.WARNING,
        )
        for name, location in unheeded(program).items()
    )
