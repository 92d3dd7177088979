"""No spec makes nnspec crash, hang, eat the machine, or write code that the spec dictates."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.hostile import groups
from tests.hostile.cases import Case
from tests.hostile.injection_cases import CANARY

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
MOST_OUTPUT = 1_000_000
_CODED = re.compile(r"^(error|warning)\[[EW]\d{4}\]: ", re.MULTILINE)
_PLACED = re.compile(r"^\s*--> .*:\d+:\d+$", re.MULTILINE)


def reports(name: str, folder: Path, seed: int = 0) -> Iterator[dict[str, Any]]:
    """What the worker says of each command of a group."""
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": str(ROOT)}
    environment |= {"OMP_NUM_THREADS": "1", "COLUMNS": "100", "TMPDIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.hostile.worker", name, str(folder)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (lines[-1:], done.returncode, done.stderr[-2000:])
    yield from lines


def complaints(case: Case, line: dict[str, Any]) -> Iterator[str]:
    """What is wrong with one command's report."""
    code, text = line["code"], line["out"] + line["err"]
    if code not in (0, 1, 2, 3):
        yield f"exit code {code}"
    if "Traceback" in text or "internal" in line["err"]:
        yield "a traceback"
    if line["seconds"] > groups.MOST_SECONDS:
        yield f"{line['seconds']:.1f} s"
    if line["size"] > MOST_OUTPUT and line["command"] == "check":
        yield f"{line['size']} characters of output"
    if line["command"] == "check":
        if case.code is not None and code != case.code:
            yield f"exit code {code}, not {case.code}"
        if code == 1 and not _CODED.search(line["err"]):
            yield "no diagnostic with a code"
        if code == 1 and not _PLACED.search(line["err"]) and case.name not in UNPLACED:
            yield "no diagnostic with a place"
        if case.shows and f"[{case.shows}]" not in line["err"]:
            yield f"does not say {case.shows}"
    if line["command"] in ("torch", "keras") and code == 0:
        yield from injected(line["out"])


UNPLACED = {"100 MB", "a comment of 50 MB"}


def injected(program: str) -> Iterator[str]:
    """Text of the spec that stands in a program as code."""
    for node in ast.walk(ast.parse(program)):
        for field in ("id", "attr", "arg", "name"):
            if CANARY in str(getattr(node, field, "")):
                yield f"`{CANARY}` became code"


@pytest.mark.parametrize("name", groups.ALL)
def test_specs_are_told_apart(name: str, tmp_path: Path) -> None:
    cases = {case.name: case for case in groups.ALL[name].cases}
    assert len(cases) == len(groups.ALL[name].cases)
    faults: dict[str, list[str]] = {}
    for line in reports(name, tmp_path):
        if "begin" in line:
            continue
        for fault in complaints(cases[line["case"]], line):
            key = f"{line['case']} ({line['command']})"
            faults.setdefault(key, []).append(f"{fault}: {line['err'][-300:]}")
    assert not faults, f"{len(faults)} of {len(cases)}"


@pytest.mark.parametrize("name", ["text", "operators", "names"])
def test_hash_seeds_change_nothing(name: str, tmp_path: Path) -> None:
    said: list[list[Any]] = []
    for seed in range(1, 3):
        folder = tmp_path / "folder"
        folder.mkdir()
        lines = list(reports(name, folder, seed))
        said.append([{**line, "seconds": 0} for line in lines])
        folder.rename(tmp_path / str(seed))
    assert said[0] == said[1]
