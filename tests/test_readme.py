"""Every snippet of the README does what the README says.

Specs are written to files, commands are run and what they print is compared (`...` stands for anything),
excerpts are looked for in what the compiler writes, and the comments of Python code for what it prints.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = ROOT.joinpath("README.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """A fenced block: the words of its first line, and what it holds."""

    words: tuple[str, ...]
    text: str

    @property
    def needs_framework(self) -> bool:
        return "framework" in self.words


SNIPPETS = [Snippet(tuple(m[1].split()), m[2]) for m in FENCE.finditer(README)]


def of(kind: str) -> list[object]:
    """The snippets of a kind, those that need a framework marked so."""
    return [
        pytest.param(
            each,
            id=f"{kind}-{number}",
            marks=[pytest.mark.framework] if each.needs_framework else [],
        )
        for number, each in enumerate(SNIPPETS)
        if each.words[0] == kind
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the specs of the README."""
    for each in SNIPPETS:
        if each.words[0] == "nns":
            tmp_path.joinpath(each.words[1]).write_text(each.text, encoding="utf-8")
    return tmp_path


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}",
        "PYTHONIOENCODING": "utf-8",
        "NNSPEC_DEVICES": str(folder / "devices"),
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


def nnspec(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    name, *arguments = command.split()
    assert name == "nnspec", command
    return run(["-m", "nnspec", *arguments], folder)


def same(shown: str, printed: str) -> bool:
    """Whether a text is the shown one, in which `...` stands for anything."""
    parts = [re.escape(part) for part in shown.strip().split("...")]
    return re.fullmatch(".*?".join(parts), printed.strip(), re.DOTALL) is not None


def test_every_snippet_is_of_a_known_kind():
    assert {each.words[0] for each in SNIPPETS} == {"nns", "console", "python", "sh"}
    assert len(SNIPPETS) == README.count("\n```") // 2


@pytest.mark.parametrize("snippet", of("nns"))
def test_specs_are_laid_out_as_fmt_does(snippet: Snippet, folder: Path):
    found = nnspec(f"nnspec fmt --check {snippet.words[1]}", folder)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("snippet", of("console"))
def test_commands_print_what_is_shown(snippet: Snippet, folder: Path):
    commands = re.split(r"^\$ ", snippet.text, flags=re.MULTILINE)
    assert commands[0] == ""
    for each in commands[1:]:
        command, _, shown = each.partition("\n")
        found = nnspec(command, folder)
        assert found.returncode == (1 if "fails" in snippet.words else 0), found.stderr
        assert same(shown, found.stdout + found.stderr), found.stdout + found.stderr


@pytest.mark.parametrize(
    "page", [pytest.param("cost", marks=pytest.mark.slow), "devices"]
)
def test_the_costs_in_the_documentation(page: str, tmp_path: Path):
    """A spec that a page shows is in a file of its model's name."""
    text = ROOT.joinpath(f"docs/{page}.md").read_text(encoding="utf-8")
    tmp_path.joinpath("specs").symlink_to(ROOT / "specs")
    for spec in (m[2] for m in FENCE.finditer(text) if m[1] == "nns"):
        for name in re.findall(r"^model (\w+)", spec, re.MULTILINE):
            tmp_path.joinpath(f"{name.lower()}.nns").write_text(spec, encoding="utf-8")
    snippets = [m[2] for m in FENCE.finditer(text) if m[1] == "console"]
    assert snippets
    for each in "".join(snippets).split("$ ")[1:]:
        command, _, shown = each.partition("\n")
        assert same(shown, nnspec(command, tmp_path).stdout), command


@pytest.mark.parametrize("snippet", of("python"))
def test_code_is_emitted_or_runs(snippet: Snippet, folder: Path):
    if "excerpt" in snippet.words:
        found = nnspec(f"nnspec compile --target {snippet.words[-1]} net.nns", folder)
        assert same(f"...{snippet.text.strip()}\n...", found.stdout), found.stdout
        return
    for target in ("torch", "keras"):
        nnspec(f"nnspec compile --target {target} net.nns -o net_{target}.py", folder)
    found = run(["-c", snippet.text], folder)
    assert found.returncode == 0, found.stderr
    expected = [line[2:] for line in snippet.text.splitlines() if line.startswith("# ")]
    assert found.stdout.splitlines() == expected


@pytest.mark.parametrize("snippet", of("sh"))
def test_targets_and_extras_exist(snippet: Snippet):
    makefile = ROOT.joinpath("Makefile").read_text(encoding="utf-8")
    project = ROOT.joinpath("pyproject.toml").read_text(encoding="utf-8")
    for line in snippet.text.splitlines():
        command = line.split("#")[0].split()
        if command[0] == "make":
            assert f"\n{command[1]}:" in makefile
            continue
        assert command[:2] == ["pip", "install"]
        extras = re.search(r"\[(.*)\]", command[2])
        for extra in extras[1].split(",") if extras else []:
            assert f"\n{extra} = [" in project


def test_the_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert ROOT.joinpath(link).is_file(), link


def test_what_it_is_fits_on_one_screen():
    assert README.index("## What it proves") < len("\n".join(README.splitlines()[:60]))
