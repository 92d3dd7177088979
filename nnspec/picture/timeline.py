"""What devices do over time, and the memory that they use, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from nnspec.picture import svg
from nnspec.picture.letters import SANS
from nnspec.records import dataclass

WIDTH = 960.0
LEFT, RIGHT, TOP, BOTTOM = 110.0, 24.0, 52.0, 40.0
BAR, MEMORY, SPACE = 22.0, 18.0, 12.0
TICKS = 6

Kind = Literal["forward", "backward", "moving"]

_STYLE = f"""
.ground{{fill:#ffffff}}
text{{font-family:{SANS};font-size:12px;fill:#475467}}
.name{{font-size:14px;font-weight:600;fill:#1c2330}}
.line{{stroke:#e4e7ec;stroke-width:1}}
.track{{fill:#f7f8fa}}
.forward{{fill:#4a5ac9}}
.backward{{fill:#3b9a70}}
.moving{{fill:#f0b457}}
.span{{stroke:#ffffff;stroke-width:.5}}
.memory{{fill:#cbd1db}}
@media (prefers-color-scheme:dark){{
.ground{{fill:#12151c}} text{{fill:#98a2b3}} .name{{fill:#e6e9ef}} .line{{stroke:#262c38}}
.track{{fill:#1d212b}} .forward{{fill:#8098f9}} .backward{{fill:#6ecf9c}} .moving{{fill:#b9852f}}
.span{{stroke:#12151c}} .memory{{fill:#475061}}
}}
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that a device does, from when to when."""

    start: float
    end: float
    name: str
    kind: Kind = "forward"


@dataclass(frozen=True, slots=True)
class Row:
    """A device: what it does, its use of memory (steps of time and bytes), and what it has."""

    name: str
    spans: Sequence[Span]
    memory: Sequence[tuple[float, float]] = ()
    usable: float | None = None


def timeline(rows: Sequence[Row], title: str, end: float) -> str:
    """An SVG document: a bar for each device, and below it its memory as a share of what it has."""
    height = TOP + len(rows) * (BAR + MEMORY + SPACE) + BOTTOM
    scale = (WIDTH - LEFT - RIGHT) / (end or 1.0)
    return svg.document(
        WIDTH,
        height,
        svg.rectangle(0, 0, WIDTH, height, **{"class": "ground"}),
        svg.text(LEFT, 26, title, **{"class": "name"}),
        *_ticks(end, scale, height - BOTTOM),
        *(
            _row(row, TOP + place * (BAR + MEMORY + SPACE), scale, end)
            for place, row in enumerate(rows)
        ),
        style=_STYLE.replace("\n", ""),
        name=title,
    )


def _ticks(end: float, scale: float, bottom: float) -> list[str]:
    found: list[str] = []
    for number in range(TICKS):
        moment = end * number / (TICKS - 1)
        place = LEFT + moment * scale
        found.append(
            svg.polyline([(place, TOP - 8), (place, bottom)], **{"class": "line"})
        )
        found.append(
            svg.text(place, bottom + 20, seconds_text(moment), text_anchor="middle")
        )
    return found


def _row(row: Row, top: float, scale: float, end: float) -> str:
    track = svg.rectangle(LEFT, top, end * scale, BAR, **{"class": "track"})
    name = svg.text(LEFT - 10, top + 15, row.name, text_anchor="end")
    bars = (_bar(span, top, scale) for span in row.spans if span.end > span.start)
    return svg.group({}, name, track, *bars, _memory(row, top + BAR, scale, end))


def _bar(span: Span, top: float, scale: float) -> str:
    width = (span.end - span.start) * scale
    bar = svg.rectangle(
        LEFT + span.start * scale, top, width, BAR, **{"class": f"span {span.kind}"}
    )
    said = f"{span.name}\n{seconds_text(span.start)} to {seconds_text(span.end)}"
    return svg.group({}, svg.title(said), bar)


def _memory(row: Row, top: float, scale: float, end: float) -> str:
    most = max((amount for _, amount in row.memory), default=0.0)
    room = max(most, row.usable or 0.0)
    if not room:
        return ""
    corners: list[tuple[float, float]] = [(LEFT, top + MEMORY)]
    level = top + MEMORY
    for moment, amount in row.memory:
        place = LEFT + min(moment, end) * scale
        corners.append((place, level))
        level = top + MEMORY * (1 - amount / room)
        corners.append((place, level))
    right = LEFT + end * scale
    corners += [(right, level), (right, top + MEMORY)]
    line = " ".join(f"{svg.number(x)} {svg.number(y)}" for x, y in corners)
    area = svg.path(f"M{line}Z", **{"class": "memory"})
    return svg.group({}, svg.title(f"memory, at most {most:,.0f} bytes"), area)


def seconds_text(seconds: float) -> str:
    """Three significant digits with a unit: `1.25 ms`."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "0 s" if not seconds else f"{seconds * 1e9:.3g} ns"
