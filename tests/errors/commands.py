"""Reads and writes the cases of commands: Markdown files of what is run and exactly what it says.

A case is a heading, the files that it needs (fences of `nns`, `toml`, `json` or `csv` with the file's name)
and one fence `console` that ends with the exit code: the command behind `$ `, and below it what is printed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from nnspec.cli.main import main

FOLDER = Path(__file__).parent / "commands"
_CASE = re.compile(
    r"^## (?P<title>.+)\n(?P<files>(?:(?!```console|## ).*\n)*)"
    r"```console (?P<code>\d+)\n\$ nnspec (?P<command>.*)\n(?P<said>(?:(?!```).*\n)*)```\n",
    re.MULTILINE,
)
_FILE = re.compile(
    r"^```\w+ (?P<name>\S+)\n(?P<text>(?:(?!```).*\n)*)```$", re.MULTILINE
)


@dataclass(frozen=True)
class Case:
    page: str
    title: str
    files: str
    code: int
    command: str
    said: str

    def texts(self) -> Mapping[str, str]:
        """The files of the case by name."""
        return {match["name"]: match["text"] for match in _FILE.finditer(self.files)}

    def run(self, folder: Path, capture: pytest.CaptureFixture[str]) -> tuple[int, str]:
        """The exit code and what is printed, with the files of the case in the folder."""
        for name, text in self.texts().items():
            folder.joinpath(name).write_text(text, encoding="utf-8")
        capture.readouterr()
        code = main(self.command.split())
        printed = capture.readouterr()
        return code, printed.out + printed.err


def read(path: Path) -> list[Case]:
    """The cases of a file."""
    return [
        Case(path.stem, m["title"], m["files"], int(m["code"]), m["command"], m["said"])
        for m in _CASE.finditer(path.read_text(encoding="utf-8"))
    ]


def all_cases() -> list[Case]:
    """The cases of every file."""
    return [case for path in sorted(FOLDER.glob("*.md")) for case in read(path)]


def accept(case: Case, code: int, said: str) -> None:
    """Writes what was said into the case's page."""
    path = FOLDER / f"{case.page}.md"
    old = f"```console {case.code}\n$ nnspec {case.command}\n{case.said}```\n"
    new = f"```console {code}\n$ nnspec {case.command}\n{said}```\n"
    text = path.read_text(encoding="utf-8")
    start = text.index(f"## {case.title}\n")
    path.write_text(text[:start] + text[start:].replace(old, new, 1), encoding="utf-8")
