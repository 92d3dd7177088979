"""Every snippet of the language's documentation is what the text around it says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from nnspec.compiler import load_source
from nnspec.diagnostics import SpecErrors
from nnspec.source import Source

PAGES = sorted(Path("docs").glob("*.md"))
BODY = """\
model Snippet {{
  input x: [B, T, 64]
  input tokens: i64[B, T]
{statements}
  output unchanged = x
}}
"""


@dataclass(frozen=True)
class Snippet:
    """A fenced block of a page: a whole file, or the statements of a model's body."""

    page: str
    line: int
    text: str
    error: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def snippets(path: Path) -> list[Snippet]:
    """The blocks marked `nns`, with `body` for statements and a code where they are wrong."""
    text = path.read_text()
    found: list[Snippet] = []
    for match in re.finditer(
        r"^```nns(.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        marks = match[1].split()
        code = BODY.format(statements=match[2]) if "body" in marks else match[2]
        error = next((mark for mark in marks if mark != "body"), None)
        line = text.count("\n", 0, match.start()) + 1
        found.append(Snippet(path.name, line, code, error))
    return found


ALL = [snippet for page in PAGES for snippet in snippets(page)]


def test_there_are_snippets_of_both_kinds() -> None:
    assert len([s for s in ALL if s.error is None]) >= 20
    assert len([s for s in ALL if s.error is not None]) >= 10


@pytest.mark.parametrize("snippet", ALL, ids=str)
def test_snippet(snippet: Snippet) -> None:
    try:
        specs = load_source(Source("snippet", snippet.text), None, {})
    except SpecErrors as error:
        codes = [
            found.code for found in error.diagnostics if found.code.startswith("E")
        ]
        assert codes == [snippet.error]
    else:
        assert snippet.error is None
        assert specs


def test_links_lead_to_headings() -> None:
    text = Path("docs/language.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings
    }
    assert set(re.findall(r"\]\(#(.+?)\)", text)) <= anchors
