"""What devices do over time, and the memory that they use, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from nnspec.picture import svg
from nnspec.picture.letters import SANS
from nnspec.records import dataclass

WIDTH = 960.0
LEFT, RIGHT, TOP, BOTTOM = 122.0, 24.0, 90.0, 40.0
BAR, MEMORY, SPACE = 22.0, 22.0, 12.0
TICKS = 6
MAGNIFIED = 4.0
"""Memory of which less than a share of 1 / MAGNIFIED is in use is drawn on a scale of its own."""

LETTER = 6.0
"""The width of a digit in a bar, with some room."""

Kind = Literal["forward", "backward", "inputs", "weights", "moving", "synchronising"]
KINDS: Mapping[Kind, str] = {
    "forward": "forward",
    "backward": "backward",
    "inputs": "backward: gradients of inputs",
    "weights": "backward: gradients of weights",
    "moving": "moving values",
    "synchronising": "synchronising and updating",
}
"""What a device does, as the legend says it."""

_STYLE = f"""
.ground{{fill:#ffffff}}
text{{font-family:{SANS};font-size:12px;fill:#475467}}
.name{{font-size:14px;font-weight:600;fill:#1c2330}}
.line{{stroke:#e4e7ec;stroke-width:1}}
.track{{fill:#f7f8fa}}
.forward{{fill:#4a5ac9}}
.backward{{fill:#3b9a70}}
.inputs{{fill:#3b9a70}}
.weights{{fill:#93cfb1}}
.moving{{fill:#f0b457}}
.synchronising{{fill:#c98bb9}}
.span{{stroke:#ffffff;stroke-width:.5}}
.later{{fill-opacity:.68}}
.number{{font-size:10px;fill:#ffffff;text-anchor:middle;pointer-events:none}}
.dark{{fill:#1c2330}}
.small{{font-size:10px}}
.memory{{fill:#cbd1db}}
.room{{stroke:#98a2b3;stroke-width:1;stroke-dasharray:3 3}}
@media (prefers-color-scheme:dark){{
.ground{{fill:#12151c}} text{{fill:#98a2b3}} .name{{fill:#e6e9ef}} .line{{stroke:#262c38}}
.track{{fill:#1d212b}} .forward{{fill:#8098f9}} .backward{{fill:#6ecf9c}} .moving{{fill:#b9852f}}
.inputs{{fill:#6ecf9c}} .weights{{fill:#356a50}} .synchronising{{fill:#8d5b80}}
.span{{stroke:#12151c}} .memory{{fill:#475061}} .number{{fill:#12151c}} .dark{{fill:#e6e9ef}}
}}
"""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that a device does, from when to when.

    `label` stands in the bar where there is room. A `later` one is drawn paler: it belongs
    to another stage of the device than the first.
    """

    start: float
    end: float
    name: str
    kind: Kind = "forward"
    label: str = ""
    later: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """A device: what it does, its use of memory (steps of time and bytes), and what it has."""

    name: str
    spans: Sequence[Span]
    memory: Sequence[tuple[float, float]] = ()
    usable: float | None = None


def timeline(rows: Sequence[Row], title: str, end: float, subtitle: str = "") -> str:
    """An SVG document: a bar for each device, and below it its memory as a share of what it has."""
    height = TOP + len(rows) * (BAR + MEMORY + SPACE) + BOTTOM
    scale = (WIDTH - LEFT - RIGHT) / (end or 1.0)
    return svg.document(
        WIDTH,
        height,
        svg.rectangle(0, 0, WIDTH, height, **{"class": "ground"}),
        svg.text(LEFT, 26, title, **{"class": "name"}),
        svg.text(LEFT, 45, subtitle),
        *_legend(rows),
        *_ticks(end, scale, height - BOTTOM),
        *(
            _row(row, TOP + place * (BAR + MEMORY + SPACE), scale, end)
            for place, row in enumerate(rows)
        ),
        style=_STYLE.replace("\n", ""),
        name=title,
    )


def _legend(rows: Sequence[Row]) -> list[str]:
    """What the colours mean, of the kinds that are there."""
    present = {span.kind for row in rows for span in row.spans}
    found: list[str] = []
    place = LEFT
    for kind, told in KINDS.items():
        if kind in present:
            found.append(svg.rectangle(place, 58, 10, 10, **{"class": kind}))
            found.append(svg.text(place + 15, 67, told))
            place += 34 + 6.2 * len(told)
    if any(span.later for row in rows for span in row.spans):
        found.append(svg.text(place, 67, "paler: later stages"))
    return found


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
    memory = _memory(row, top + BAR + 2, scale, end)
    return svg.group({}, name, track, *bars, *memory)


def _bar(span: Span, top: float, scale: float) -> str:
    width = (span.end - span.start) * scale
    classes = f"span {span.kind}" + (" later" if span.later else "")
    left = LEFT + span.start * scale
    bar = svg.rectangle(left, top, width, BAR, **{"class": classes})
    said = f"{span.name}\n{seconds_text(span.start)} to {seconds_text(span.end)}"
    parts = [svg.title(said), bar]
    if span.label and width >= LETTER * len(span.label) + 2:
        is_pale = span.kind in ("weights", "moving", "synchronising")
        shade = "number dark" if is_pale else "number"
        place = left + width / 2
        parts.append(svg.text(place, top + 15, span.label, **{"class": shade}))
    return svg.group({}, *parts)


def _memory(row: Row, top: float, scale: float, end: float) -> list[str]:
    """Its use over time, what it has as a dashed line, and the most of it in words."""
    most = max((amount for _, amount in row.memory), default=0.0)
    room = max(most, row.usable or 0.0)
    if room > MAGNIFIED * most:  # what is used so little of is drawn larger
        room = MAGNIFIED * most / 2
    if not room:
        return []
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
    title = svg.title(f"memory, at most {most:,.0f} bytes")
    said = _amounts(most, row.usable)
    found = [svg.group({}, title, area)]
    if row.usable is not None and row.usable <= room:
        level = top + MEMORY * (1 - row.usable / room)
        ends = [(LEFT, level), (right, level)]
        found.append(svg.polyline(ends, **{"class": "room"}))
    words = {"class": "small", "text_anchor": "end"}
    return [*found, svg.text(LEFT - 10, top + MEMORY - 8, said, **words)]


def _amounts(most: float, usable: float | None) -> str:
    """`51.2 of 74.5 GiB`; each with its unit if those differ: `485 MiB of 3.64 TiB`."""
    used, unit = _amount(most)
    if usable is None:
        return f"{used} {unit}"
    room, larger = _amount(usable)
    return (
        f"{used} of {room} {unit}"
        if unit == larger
        else f"{used} {unit} of {room} {larger}"
    )


def _amount(size: float) -> tuple[str, str]:
    units = (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10), ("B", 1))
    unit, scale = next((each for each in units if size >= each[1]), units[-1])
    return _three_digits(size / scale), unit


def _three_digits(number: float) -> str:
    """Three significant digits, or all in front of the point if those are more."""
    return f"{number:,.0f}" if number >= 999.5 else f"{number:.3g}"


def seconds_text(seconds: float) -> str:
    """Three significant digits with a unit: `1.25 ms`; of more than 1000 seconds all."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{_three_digits(seconds / size)} {unit}"
    return "0 s" if not seconds else f"{seconds * 1e9:.3g} ns"
