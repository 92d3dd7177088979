"""Reads and renders grammar/mistakes.txt: malformed snippets and exactly what is said about them.

`python -m tests.syntax.mistakes` writes the file anew from its snippets.
"""

from __future__ import annotations

from pathlib import Path

from nnspec.diagnostics import Diagnostic, Diagnostics
from nnspec.source import Source
from nnspec.syntax.parser import parse

MISTAKES = Path(__file__).parents[2] / "grammar" / "mistakes.txt"
BEGIN = "=== "
SAID = "---\n"
HEADER = (
    "Malformed specs, and exactly what is said about each. A case begins with `===` and its title; after\n"
    "`---` stand code, line:column, message, then the labels and the hint.\n\n"
)


def render(diagnostic: Diagnostic) -> str:
    """A diagnostic in full, as the file holds it."""
    assert diagnostic.location is not None
    where = diagnostic.location.source.position(diagnostic.location.span.start)
    lines = [f"{diagnostic.code} {where[0]}:{where[1]} {diagnostic.message}"]
    for label in diagnostic.labels:
        line, column = label.location.source.position(label.location.span.start)
        lines.append(f"  at {line}:{column}: {label.text}")
    if diagnostic.hint:
        lines.append(f"  hint: {diagnostic.hint}")
    return "\n".join(lines) + "\n"


def said(snippet: str) -> str:
    """All that is said about a snippet."""
    diagnostics = Diagnostics()
    parse(Source("mistake.nns", snippet), diagnostics)
    return "".join(render(found) for found in diagnostics)


def cases() -> list[tuple[str, str, str]]:
    """Title, snippet and what is said, of each case."""
    parts = MISTAKES.read_text("utf-8").split("\n" + BEGIN)[1:]
    found: list[tuple[str, str, str]] = []
    for part in parts:
        title, _, rest = part.partition("\n")
        snippet, _, expected = rest.partition(SAID)
        found.append((title, snippet, expected.rstrip("\n") + "\n"))
    return found


def write(titled: list[tuple[str, str]]) -> None:
    """Writes the file from titles and snippets."""
    text = "".join(
        f"\n{BEGIN}{title}\n{snippet}{SAID}{said(snippet)}" for title, snippet in titled
    )
    MISTAKES.write_text(HEADER + text.lstrip("\n"), "utf-8")


if __name__ == "__main__":
    write([(title, snippet) for title, snippet, _ in cases()])
