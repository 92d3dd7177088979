"""What NNSPEC_DEBUG prints of each pass: 1 its time, 2 its size, 3 what it changed, 4 the program."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from difflib import unified_diff

from nnspec.ir.graph import Program

VARIABLE = "NNSPEC_DEBUG"


def debug_hook() -> Callable[[str, Program, Program, float], None] | None:
    """A hook that prints to standard error as much as the environment asks for; None for nothing."""
    wanted = os.environ.get(VARIABLE, "")
    level = int(wanted) if wanted.isascii() and wanted.isdigit() else 0
    if level < 1:
        return None

    def hook(name: str, before: Program, after: Program, seconds: float) -> None:
        sys.stderr.write(report(level, name, before, after, seconds))

    return hook


def report(
    level: int, name: str, before: Program, after: Program, seconds: float
) -> str:
    """What there is to say of a pass at a level of detail."""
    from nnspec.ir.show import show_program

    text = f"pass {name}: {seconds * 1000:.1f} ms"
    if level >= 2:
        text += f", {_nodes(before)} -> {_nodes(after)} nodes"
        text += f", {len(before.functions)} -> {len(after.functions)} functions"
    text += "\n" if after is not before else ", nothing to do\n"
    if level >= 3 and after is not before:
        lines = unified_diff(
            show_program(before).splitlines(),
            show_program(after).splitlines(),
            "before",
            "after",
            lineterm="",
        )
        text += "".join(f"{line}\n" for line in lines)
    if level >= 4:
        text += f"{show_program(after)}\n"
    return text


def _nodes(program: Program) -> int:
    return sum(len(function.nodes) for function in program.functions.values())
