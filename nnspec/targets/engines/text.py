"""The parts of emitted programs that run stages: texts of ours, taken apart by name."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from nnspec.pycode.statements import Verbatim

FOLDER = Path(__file__).parent


@cache
def parts(name: str) -> dict[str, str]:
    """The functions and classes of a text, by name."""
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    lines = text.splitlines(keepends=True)
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            found[node.name] = "".join(lines[first - 1 : node.end_lineno]).rstrip()
    return found


def verbatim(name: str, *wanted: str) -> tuple[Verbatim, ...]:
    """Some of the parts of a text, in the order asked for."""
    texts = parts(name)
    return tuple(Verbatim(texts[each]) for each in wanted)
