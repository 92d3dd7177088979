"""The timeline of a plan as SVG: well-formed, all spans where their times say."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from nnspec.picture.timeline import (
    LEFT,
    RIGHT,
    WIDTH,
    Row,
    Span,
    seconds_text,
    timeline,
)

ROWS = [
    Row("cpu:0", [Span(0, 1, "a<b"), Span(1, 1, "nothing")], [(0, 5), (1, 0)], 10),
    Row("cpu:1", [Span(2, 4, "c", "backward"), Span(1, 2, "move", "moving")]),
]


def test_spans_lie_where_their_times_say() -> None:
    root = ET.fromstring(timeline(ROWS, "plan", 4))
    scale = (WIDTH - LEFT - RIGHT) / 4
    bars = [e for e in root.iter() if "span" in e.get("class", "").split()]
    places = [(float(e.get("x", "")), float(e.get("width", ""))) for e in bars]
    wanted = [(0, 1), (2, 2), (1, 1)]
    for (x, width), (start, length) in zip(places, wanted, strict=True):
        assert x == pytest.approx(LEFT + start * scale, abs=0.06)
        assert width == pytest.approx(length * scale, abs=0.06)


def test_names_are_text_and_nothing_else() -> None:
    said = [e.text for e in ET.fromstring(timeline(ROWS, "plan", 4)).iter() if e.text]
    assert any(text.startswith("a<b\n0 s to 1 s") for text in said)
    assert not any("nothing" in text for text in said)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (2.5e-10, "0.25 ns"), (1.5e-6, "1.5 us"), (0.02, "20 ms"), (3, "3 s")],
)
def test_seconds_have_a_unit(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
