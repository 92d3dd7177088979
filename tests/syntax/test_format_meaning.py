"""Laying a spec out anew never changes what it means: the program of every model stays the same."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from nnspec.compiler import load_source
from nnspec.diagnostics import Diagnostics
from nnspec.ir.json import program_to_json
from nnspec.source import Source
from nnspec.syntax.compare import dump
from nnspec.syntax.format import format_file
from nnspec.syntax.lexer import tokenize
from nnspec.syntax.parser import parse

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SPECS = sorted(ROOT.joinpath("specs").glob("**/*.nns"))
LIBRARY = sorted(
    Path(str(entry))
    for entry in resources.files("nnspec").joinpath("std").iterdir()
    if entry.name.endswith(".nns")
)
CRAMMED = (" ",)
SCATTERED = (" ", " ", " ", "\n", "\n\n\n", "\t", " # note\n", "\n   # own line\n")


def meaning(path: Path, text: str) -> list[Any]:
    """The programs of all models of a text, without its letters and the places in it."""
    specs = load_source(Source(str(path), text), None, {})
    found: list[Any] = []
    for spec in specs:
        data = program_to_json(spec.program)
        loops = list(dict.fromkeys(_loops(data["functions"])))
        found.append(_without_places(data, {uid: i for i, uid in enumerate(loops)}))
    return found


def _loops(data: Any) -> Iterator[int]:
    """The numbers of all loops, in order: each is the place of the loop in the text."""
    items: Any = data.values() if isinstance(data, dict) else data
    if isinstance(data, dict) and "uid" in data:
        yield data["uid"]
    if isinstance(data, dict | list):
        for item in items:
            yield from _loops(item)


def _without_places(data: Any, loops: dict[int, int]) -> Any:
    def named(match: re.Match[str]) -> str:
        place = loops.get(int(match[1]))  # others are counted, and stay the same
        return match[0] if place is None else f"@loop {place}"

    if isinstance(data, list):
        return [_without_places(item, loops) for item in data]
    if isinstance(data, str):
        return re.sub(r"@(\d+)", named, data)
    if not isinstance(data, dict):
        return data
    found: dict[str, Any] = {}
    for key in data.keys() - {"location", "sources"}:
        value = data[key]
        if key == "uid":
            value = loops[value]
        elif key == "loops":  # those of a node, None for a place in a list
            value = [None if uid is None else loops[uid] for uid in value]
        found[_without_places(key, loops)] = _without_places(value, loops)
    return found


def laid_out(text: str, gaps: tuple[str, ...], seed: int = 0) -> str:
    """The same tokens with other gaps; comments are left out."""
    tokens = tokenize(Source("spec.nns", text), Diagnostics())
    draw = random.Random(seed)
    pieces = [tokens.text(place) for place in range(len(tokens.kinds) - 1)]
    # An annotation stands at the start of its line.
    return "".join(
        ("\n" if piece == "@" else "") + piece + draw.choice(gaps) for piece in pieces
    )


def tree(text: str) -> str:
    diagnostics = Diagnostics()
    file = parse(Source("spec.nns", text), diagnostics)
    assert list(diagnostics) == []
    return dump(file)


def test_there_are_specs() -> None:
    assert len(SPECS) >= 20
    assert len(LIBRARY) >= 4


@pytest.mark.parametrize("path", [*SPECS, *LIBRARY], ids=lambda path: path.stem)
def test_file_is_formatted(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert format_file(Source(str(path), text)) == text, f"run nnspec fmt {path}"


@pytest.mark.parametrize("gaps", [CRAMMED, SCATTERED], ids=["crammed", "scattered"])
@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_model_means_the_same(path: Path, gaps: tuple[str, ...]) -> None:
    text = path.read_text(encoding="utf-8")
    before = laid_out(text, gaps)
    after = format_file(Source(str(path), before))
    assert before not in (text, after)
    wanted = meaning(path, before)
    assert wanted
    assert meaning(path, after) == wanted
    assert meaning(path, text) == wanted


@pytest.mark.parametrize("gaps", [CRAMMED, SCATTERED], ids=["crammed", "scattered"])
@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.stem)
def test_the_library_means_the_same(path: Path, gaps: tuple[str, ...]) -> None:
    """Its files hold no models of their own: their trees stay the same."""
    text = path.read_text(encoding="utf-8")
    before = laid_out(text, gaps)
    after = format_file(Source(str(path), before))
    assert before not in (text, after)
    assert tree(after) == tree(before) == tree(text)


def test_the_comparison_sees_what_changes() -> None:
    path = ROOT / "specs/vision/lenet.nns"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("120", "121")
    assert changed != text
    assert meaning(path, changed) != meaning(path, text)
