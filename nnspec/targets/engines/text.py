"""The parts of emitted programs that run models on several devices: texts of ours, taken apart by name."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator, Mapping
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


def verbatim(
    name: str,
    *wanted: str,
    flags: Mapping[str, bool] | None = None,
    called: Mapping[str, str] | None = None,
) -> tuple[Verbatim, ...]:
    """Some of the parts of a text, in the order asked for.

    `flags` settles the conditions that are just such a name: the branch that is taken stays. `called` gives
    other names to parts of the text.
    """
    texts = parts(name)
    return tuple(
        Verbatim(_renamed(settled(texts[each], flags or {}), called or {}))
        for each in wanted
    )


def _renamed(text: str, called: Mapping[str, str]) -> str:
    for name, other in called.items():
        text = re.sub(rf"\b{name}\b", other, text)
    return text


def settled(text: str, flags: Mapping[str, bool]) -> str:
    """A text without the conditions that `flags` decides."""
    found = next(_conditions(ast.parse(text), flags), None)
    while found is not None:
        text = _without(text, *found)
        found = next(_conditions(ast.parse(text), flags), None)
    return text


def _conditions(
    tree: ast.AST, flags: Mapping[str, bool]
) -> Iterator[tuple[ast.If, list[ast.stmt]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
            name = node.test.id
            if name in flags:
                yield node, node.body if flags[name] else node.orelse


def _without(text: str, condition: ast.If, taken: list[ast.stmt]) -> str:
    lines = text.splitlines()
    body: list[str] = []
    if taken:
        kept = lines[taken[0].lineno - 1 : taken[-1].end_lineno]
        body = textwrap.dedent("\n".join(kept)).splitlines()
        body = [" " * condition.col_offset + line if line else "" for line in body]
    whole = [*lines[: condition.lineno - 1], *body, *lines[condition.end_lineno :]]
    return "\n".join(whole)
