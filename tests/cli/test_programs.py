"""What commands print for programs has the keys that docs/cost.md names, and integers as they are."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nnspec.analysis.figures import FIGURES
from nnspec.cli.main import main

ROOT = Path(__file__).parents[2]
SPEC = """
block Block(x: [B, T, D]) { return x + (x -> fc: Linear(4 * D) -> gelu -> out: Linear(D)) }
model Net(depth: int = 3, width: int = 8) {
  input tokens: i64[B, T]
  x = tokens -> Embedding(50, width)
  for _ in range(depth) { x = x -> blocks: Block }
  output y = x -> head: Linear(5)
}
"""
# Keys that are names of the model, of figures, or of what bounds a time.
OPEN = {"sizes", "values", "constants", "held", "bottlenecks_s", "figures", "budget"}
COMMANDS = [
    ("cost --json", ["cost", "B=2", "T=3", "--figures", "all"]),
    ("cost --in ... --json", ["cost", "--in", "all", "--figures", "flops,train_peak"]),
    (
        "cost --device ... --json",
        ["cost", "B=2", "T=3", "--device", "h100", "--tokens", "1B"],
    ),
    ("fit --json", ["fit", "T=3", "--memory", "1GiB"]),
    ("diff --json", ["diff", "depth=5"]),
    ("sweep --json", ["sweep", "B=1,2", "T=3", "depth=1"]),
]


def documented(command: str) -> set[str]:
    """The words in backticks in the row of a command."""
    text = (ROOT / "docs/cost.md").read_text()
    (row,) = re.findall(rf"^\| `{re.escape(command)}` \|(.*)\|$", text, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", row))


def keys(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for each in value:  # pyright: ignore[reportUnknownVariableType]
            yield from keys(each)
    elif isinstance(value, dict):
        for name, inside in value.items():  # pyright: ignore[reportUnknownVariableType]
            yield str(name)  # pyright: ignore[reportUnknownArgumentType]
            if name not in OPEN:
                yield from keys(inside)


@pytest.fixture
def said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[[list[str]], str]:
    path = tmp_path / "net.nns"
    path.write_text(SPEC)

    def run(arguments: list[str]) -> str:
        command, *rest = arguments
        capsys.readouterr()
        assert main([command, str(path), *rest]) == 0
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(("command", "arguments"), COMMANDS, ids=lambda x: str(x))
def test_every_key_is_documented(
    command: str, arguments: list[str], said: Callable[[list[str]], str]
) -> None:
    known = documented(command) | FIGURES.keys()
    found = set(keys(json.loads(said([*arguments, "--json"]))))
    if command.startswith("cost --device"):
        known |= documented("cost --json") | {"notes"}
    if command.startswith("diff"):
        found -= {"detail", "output", "count", "sources"}
    assert found <= known
    assert found & documented(command)


@pytest.mark.parametrize("command", ["cost --csv", "sweep --csv"])
def test_every_column_is_documented(
    command: str, said: Callable[[list[str]], str]
) -> None:
    text = said([command.split()[0], "B=2", "T=3", "--csv"])
    columns = next(csv.reader(io.StringIO(text)))
    assert set(columns) <= documented(command) | FIGURES.keys() | {"B", "T"}


def test_counts_of_a_budget_are_integers(said: Callable[[list[str]], str]) -> None:
    arguments = ["cost", "B=2", "T=3", "--device", "h100", "--tokens", "300B", "--json"]
    (net,) = json.loads(said(arguments))
    assert net["budget"]["samples"] == 300 * 10**9
    assert type(net["budget"]["samples"]) is type(net["budget"]["flops"]) is int
