from __future__ import annotations

import pytest

from nnspec.cli.shown.text import cells, encodable, excerpt, shortened, visible
from tests.work import calls


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain [bold] :smile:", "plain [bold] :smile:"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200bb", "a\\u200bb"),
        ("line\u2028end", "line\\u2028end"),
        ("\x85\x9b", "\\x85\\x9b"),
        ("\udc80", "\\udc80"),
        ("\U000e0041", "\\U000e0041"),
        ("漢字 é", "漢字 é"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_escaped(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_wide_and_combining_characters_are_measured_in_cells() -> None:
    assert cells("abc") == 3
    assert cells("漢字") == 4
    assert cells("e\u0301") == 1


@pytest.mark.parametrize(
    ("line", "marked", "offset", "length"),
    [
        ("x = Conv(3)", "Conv", 4, 4),
        ("\tx = Conv(3)", "Conv", 8, 4),
        ("ab\tConv", "Conv", 4, 4),
        ("漢字 = Conv", "Conv", 7, 4),
        ("e\u0301 = Conv", "Conv", 4, 4),
        ("\x1b = Conv", "Conv", 7, 4),
        ("\N{GRINNING FACE} Conv", "Conv", 3, 4),
    ],
)
def test_the_mark_stands_under_its_characters(
    line: str, marked: str, offset: int, length: int
) -> None:
    start = line.index(marked)
    piece = excerpt(line, start, start + len(marked))
    assert (piece.offset, piece.length) == (offset, length)


@pytest.mark.parametrize("start", [0, 30, 500_000, 999_990, 1_000_000])
def test_a_line_of_a_million_characters_is_clipped_around_the_mark(start: int) -> None:
    line = "y" * start + "Z" + "y" * (1_000_000 - start)
    assert calls(lambda: excerpt(line, start, start + 1)) < 2_000
    piece = excerpt(line, start, start + 1)
    assert len(piece.text) < 110
    assert piece.text[piece.offset] == "Z"


def test_a_mark_longer_than_the_window_stays_inside_it() -> None:
    piece = excerpt("y" * 5000, 1000, 4000)
    assert piece.offset + piece.length <= len(piece.text)


def test_a_mark_at_the_end_of_a_line_is_one_cell() -> None:
    piece = excerpt("abc", 3, 3)
    assert (piece.offset, piece.length) == (3, 1)


def test_long_text_is_cut_and_undecodable_names_become_ascii_escapes() -> None:
    assert len(shortened("a" * 5000)) == 2000
    assert encodable("a\udcffb") == "a\\udcffb"
