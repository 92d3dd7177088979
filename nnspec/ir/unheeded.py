"""Annotations that a program carries and an emitted program does not act on.

`@checkpoint` and `@device` plan memory and placement; they change no value. Whoever plans reads them
from the program (`Function.marks`, `Node.marks`); whoever compiles is told which have no effect: `@device`
in a program for one device, and `@checkpoint` elsewhere than on calls of blocks without batch statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nnspec.diagnostics import Diagnostic, Severity
from nnspec.ir.graph import Function, Marks, Program
from nnspec.source import Location

_HINTS = {
    "@checkpoint": "blocks are computed again, and none that keeps batch statistics, "
    "which would be updated twice",
    "@device": "`nnspec place` heeds it, and `nnspec compile --plan` puts the program on devices",
}


def unheeded(program: Program, target: str = "") -> dict[str, Location]:
    """The annotations without effect in a target, each with the first place that it marks."""
    found: dict[str, Location] = {}
    for marks, location in _marked(program, target):
        if marks.checkpoint:
            found.setdefault("@checkpoint", location)
        if marks.device is not None:
            found.setdefault("@device", location)
    return dict(sorted(found.items()))


def _marked(program: Program, target: str) -> Iterator[tuple[Marks, Location]]:
    for function in program.functions.values():
        heeded = bool(target) and _is_computed_again(program, function)
        yield _left(function.marks, heeded), function.location
        for node in function.nodes:
            heeded = bool(target) and program.recomputes(node)
            yield _left(node.marks, heeded), node.location


def _is_computed_again(program: Program, function: Function) -> bool:
    """Whether emitted programs can compute a function again: not the whole model, nor statistics."""
    return function is not program.main and not program.keeps_statistics(function)


def _left(marks: Marks, heeded: bool) -> Marks:
    """What a target does not act on."""
    return replace(marks, checkpoint=False) if heeded else marks


def warnings(
    program: Program, target: str = "", *, placed: bool = False
) -> tuple[Diagnostic, ...]:
    """What to tell whoever compiles the program; if `placed`, for the devices of a plan."""
    return tuple(
        Diagnostic(
            "W0601",
            f"`{name}` has no effect in the emitted program",
            location,
            hint=_HINTS[name],
            severity=Severity.WARNING,
        )
        for name, location in unheeded(program, target).items()
        if not (placed and name == "@device")
    )
