"""Tables: aligned, and on narrow lines broken into further lines and tables with nothing cut off."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nnspec.cli.shown.tables import Formula, Whole, plainly, table
from nnspec.cli.shown.terminal import on_terminal

ROOT = Path(__file__).parents[2]
HEADINGS = ("part", "what it is", "share of all", "FLOPs")
ROWS = [
    ("12 x blocks.0-11", "a block of attention", Whole("████▏   44.4 %"), "213G"),
    ("  head", "Linear", Whole("        0.1 %"), "79.0G"),
]


def test_a_table_is_as_wide_as_it_needs() -> None:
    lines = table(HEADINGS, ROWS, (3,)).splitlines()
    assert lines[0] == (
        "part               what it is             share of all     FLOPs"
    )
    assert lines[1] == "-" * len(lines[0])
    assert lines[2].endswith("████▏   44.4 %    213G")
    assert table(HEADINGS, ROWS, (3,), width=len(lines[0])).splitlines() == lines


@pytest.mark.parametrize("width", range(18, 70))
def test_nothing_is_cut_off_and_nothing_sticks_out(width: int) -> None:
    shown = table(HEADINGS, ROWS, (3,), width=width)
    # Names of rows may need so much that a bar beside them is wider than the lines.
    assert max(map(len, shown.splitlines())) <= max(width, 12 + 2 + 14)
    for text in (
        "213G",
        "79.0G",
        "████▏   44.4 %",
        "blocks.0-11",
        "attention",
        "Linear",
    ):
        assert text in shown
    assert "…" not in shown


def test_what_names_the_rows_is_said_again_in_each_table() -> None:
    rows = [["", "Adam", "1,000,000", "2,000,000", "3,000,000"]]
    shown = table(("", "name", "one", "two", "three"), rows, (2, 3, 4), width=22)
    assert shown.count("Adam") == shown.count("name") == 3
    assert [n for n in ("1,000,000", "2,000,000", "3,000,000") if n not in shown] == []


def test_words_break_between_words_and_formulas_before_signs() -> None:
    rows = [("one two three four", Formula("36864 * B * T^2 + 247064064 * B * T"))]
    shown = table(("words", "formula"), rows, width=36)
    assert shown.splitlines()[2:] == [
        "one two      36864 * B * T^2",
        "three four       + 247064064 * B * T",
    ]
    assert table(("words", "formula"), rows, width=30).splitlines()[2:] == [
        "one    36864 * B * T^2",
        "two        + 247064064 * B * T",
        "three",
        "four",
    ]


@pytest.mark.parametrize("width", [20, 27, 34, 45, 60, 90])
@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_terminal_shows_the_same_characters(width: int, is_ascii: bool) -> None:
    plain = table(HEADINGS, ROWS, (3,), width=width, draw=plainly("-─"[not is_ascii]))
    draw = on_terminal(colours=False, is_ascii=is_ascii)
    assert table(HEADINGS, ROWS, (3,), width=width, draw=draw) == plain
    bold = on_terminal(colours=True, is_ascii=is_ascii)
    shown = table(HEADINGS, ROWS, (3,), width=width, draw=bold)
    assert "\x1b[1mpart" in shown
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown).split() == plain.split()


def test_a_table_of_no_rows_has_its_headings() -> None:
    assert table(("a", "b"), []) == "a   b\n-----\n"


def shown_on_a_terminal(columns: int, *arguments: str) -> str:
    leader, follower = pty.openpty()
    environment = {
        **os.environ,
        "COLUMNS": str(columns),
        "NO_COLOR": "1",
        "TERM": "xterm",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "nnspec", *arguments],
        stdout=follower,
        stderr=follower,
        env=environment,
        cwd=ROOT,
    )
    os.close(follower)
    pieces: list[bytes] = []
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:
            break
        if not piece:
            break
        pieces.append(piece)
    os.close(leader)
    assert process.wait(60) == 0
    return b"".join(pieces).decode().replace("\r\n", "\n")


GPT2 = "specs/language/gpt2.nns:GPT2Small"
COMMANDS = [
    (["cost", GPT2], ["247064064 * B * T", "2299816536", "497759232"]),
    (
        ["cost", GPT2, "B=8", "T=1024", "--device", "h100"],
        ["36.9 ms", "79.6 ms", "94.8 %"],
    ),
    (["diff", GPT2, "depth=24"], ["1250800128 * B * T", "837977088", "+99.6 %", "~"]),
    (["devices"], ["2039GB/s", "a100-40gb", "1307.4TFLOP/s", "350W"]),
    (["fit", "specs/vision/resnet.nns:ResNet50", "--device", "h100"], ["B=919 fits"]),
]


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize(("command", "figures"), COMMANDS, ids=lambda x: str(x[0]))
def test_a_narrow_terminal_shows_every_figure(
    columns: int, command: list[str], figures: list[str]
) -> None:
    shown = shown_on_a_terminal(columns, *command)
    assert [each for each in figures if each not in shown] == []
    assert "…" not in shown
    tables = [line for line in shown.splitlines() if "─" in line]
    assert all(len(line) <= columns for line in tables)
