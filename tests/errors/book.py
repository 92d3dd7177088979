"""Reads and writes the cases: Markdown files of wrong specs and exactly what is said about each.

A case is a heading, a spec (a fence `nns`, behind which may stand settings as on the command line), and
what `nnspec check` prints (a fence `text`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nnspec.cli.shown.findings import render_all
from nnspec.compiler import check_source
from nnspec.diagnostics import Diagnostics, SpecErrors
from nnspec.source import Source

FOLDER = Path(__file__).parent / "cases"
_CASE = re.compile(
    r"^## (?P<title>.+)\n(?P<prose>(?:(?!```|## ).*\n)*)"
    r"```nns ?(?P<settings>.*)\n(?P<spec>(?:(?!```).*\n)*)```\n"
    r"(?:\n```text\n(?P<said>(?:(?!```).*\n)*)```\n)?",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Case:
    title: str
    prose: str
    settings: str
    spec: str
    said: str | None

    def found(self) -> Diagnostics:
        """Everything that is said of the spec."""
        return _found(self)

    def rendered(self) -> str:
        found = self.found()
        return render_all(found, found.suppressed)


@cache
def _found(case: Case) -> Diagnostics:
    """What is said of the spec of a case, found once for all tests that ask."""
    settings = dict(part.split("=", 1) for part in case.settings.split())
    name = settings.pop("model", None)
    names = None if name is None else [name]
    try:
        specs, found = check_source(Source("spec.nns", case.spec), names, settings)
        for spec in specs:
            found.extend(e for e in spec.check().diagnostics if e not in found)
        return found
    except SpecErrors as errors:
        found = Diagnostics()
        found.extend(errors.diagnostics)
        return found


def read(path: Path) -> list[Case]:
    """The cases of a file."""
    return [Case(**match.groupdict()) for match in _CASE.finditer(path.read_text())]


def all_cases() -> list[Case]:
    """The cases of every file."""
    return [case for path in sorted(FOLDER.glob("*.md")) for case in read(path)]


def accept(path: Path) -> None:
    """Writes what is said now behind each spec of a file."""

    def filled(match: re.Match[str]) -> str:
        case = Case(**match.groupdict())
        fence = f"```nns {case.settings}".rstrip()
        return (
            f"## {case.title}\n{case.prose}{fence}\n{case.spec}```\n"
            f"\n```text\n{case.rendered()}```\n"
        )

    path.write_text(_CASE.sub(filled, path.read_text()))
