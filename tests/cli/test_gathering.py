"""Tables put long runs of unlike turns together; what is written for programs keeps each."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from nnspec.cli.main import main

# Each turn has 4 channels more than the one before, as in a DenseNet.
DENSE = """
block Layer(x: [B, D]) { return x -> norm: LayerNorm -> fc: Linear(4) }
model Dense(depth: int = 6) {
  input x: [B, 8]
  for i in range(depth) { x = concat([x, x -> layers: Layer], dim=1) }
  output y = x -> head: Linear(1)
}
"""
# Two rows come again in each turn, and what is alike is one row already.
PAIRS = """
model Pairs(depth: int = 6) {
  input x: [B, 8]
  for i in range(depth) {
    x = x -> up: Linear(8 * (i + 1)) -> norm: LayerNorm
    for _ in range(3) { x = x -> same: Linear(8 * (i + 1)) }
  }
  output y = x -> head: Linear(1)
}
"""


@pytest.fixture
def said(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)

    def run(text: str, command: str, *arguments: str) -> list[str]:
        Path("net.nns").write_text(text)
        assert main([command, "net.nns", *arguments]) == 0
        return capsys.readouterr().out.splitlines()

    return run


def cells(lines: list[str], start: str) -> list[str]:
    (line,) = (line for line in lines if line.startswith(start))
    return line.split()


def linear(features: int) -> int:
    return 4 * (features + 1)


WIDTHS = [8 + 4 * turn for turn in range(6)]


def test_a_run_of_turns_is_one_row_with_what_they_have_together(said):
    lines = said(DENSE, "cost", "B=1", "--figures", "parameters,flops", "--depth", "2")
    inside = [linear(width) for width in WIDTHS]
    whole = sum(inside) + sum(2 * width for width in WIDTHS)
    assert cells(lines, "6 x layers.0-5")[4] == str(whole)
    assert cells(lines, "  6 x layers.0-5.norm")[4] == str(2 * sum(WIDTHS))
    assert cells(lines, "  6 x layers.0-5.fc")[4] == str(sum(inside))


def test_a_summary_says_the_first_and_the_last_size(said):
    lines = said(DENSE, "summary", "B=1")
    (row,) = (line for line in lines if line.startswith("layers.0-5 (x6)"))
    (norm,) = (line for line in lines if line.startswith("  norm"))
    assert "[1, 4]" in row
    assert "[1, 8] to [1, 28]" in norm
    assert norm.split()[-2] == str(2 * sum(WIDTHS))


@pytest.mark.parametrize("command", ["cost", "summary"])
def test_few_turns_have_a_row_each(said, command):
    lines = said(DENSE, command, "B=1", "depth=4")
    assert [sum(f"layers.{turn}" in line for line in lines) for turn in range(5)] == [
        *(1, 1, 1, 1),
        0,
    ]


def test_programs_get_each_turn(said):
    rows = list(csv.DictReader(said(DENSE, "cost", "B=1", "--csv")))
    assert [row["path"] for row in rows if row["kind"] == "Layer"] == [
        f"layers.{turn}" for turn in range(6)
    ]


def test_rows_that_come_again_together_are_put_together_each_with_its_like(said):
    lines = said(PAIRS, "cost", "B=1", "--figures", "parameters")
    own = [8 * (turn + 1) for turn in range(6)]
    before = [8, *own[:-1]]
    up = sum(n * (b + 1) for n, b in zip(own, before, strict=True))
    alike = sum(n * (n + 1) for n in own)
    assert cells(lines, "6 x up.0-5")[4] == f"{up / 1000:.2f}K"
    assert cells(lines, "18 x same.0-5.0-2")[4] == f"{3 * alike / 1000:.1f}K"
    assert sum("norm." in line for line in lines) == 1


def test_the_columns_still_add_up(said):
    for text in (DENSE, PAIRS):
        table = "\n".join(said(text, "cost", "B=1", "--figures", "parameters", "--csv"))
        rows = list(csv.DictReader(io.StringIO(table)))
        lines = said(text, "summary", "B=1", "--depth", "1")
        shown = [
            int(line.split()[-2].replace(",", ""))
            for line in lines[4:]
            if line and not line.startswith("total")
        ]
        assert sum(shown) == int(rows[0]["parameters"])
        assert len(shown) < len(rows) - 1
