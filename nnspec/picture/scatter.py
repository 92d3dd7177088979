"""Points in a plane as SVG: what many models cost, and which of them nothing beats.

Axes are logarithmic where the values span more than a factor of 30. Every point says what it is to a
reader who points at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10

from nnspec.picture import svg
from nnspec.picture.letters import SANS
from nnspec.records import dataclass

WIDTH, HEIGHT = 760.0, 480.0
LEFT, RIGHT, TOP, BOTTOM = 86.0, 24.0, 46.0, 58.0
SPANS_LOGARITHM = 30
_UNITS = ("", "K", "M", "G", "T", "P", "E")

_STYLE = f"""
.ground{{fill:#ffffff}}
text{{font-family:{SANS};font-size:12px;fill:#475467}}
.name{{font-size:14px;font-weight:600;fill:#1c2330}}
.line{{stroke:#e4e7ec;stroke-width:1}}
.frame{{stroke:#98a2b3;stroke-width:1;fill:none}}
.point{{fill:#b4bccb}}
.best{{fill:#4a5ac9;stroke:#ffffff;stroke-width:1}}
.front{{fill:none;stroke:#4a5ac9;stroke-width:1.6;stroke-opacity:.55}}
@media (prefers-color-scheme:dark){{
.ground{{fill:#12151c}} text{{fill:#98a2b3}} .name{{fill:#e6e9ef}} .line{{stroke:#262c38}}
.frame{{stroke:#566072}} .point{{fill:#475061}} .best{{fill:#8098f9;stroke:#12151c}} .front{{stroke:#8098f9}}
}}
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A point: where it lies, what it is, and whether it is on the front."""

    x: float
    y: float
    name: str
    best: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places: linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool

    @staticmethod
    def over(values: Sequence[float], start: float, end: float) -> Scale:
        """A scale that holds all values, with some room."""
        low, high = min(values), max(values)
        if low > 0 and high / low > SPANS_LOGARITHM:
            return Scale(low / 1.25, high * 1.25, start, end, True)
        room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
        return Scale(
            max(0.0, low - room) if low >= 0 else low - room,
            high + room,
            start,
            end,
            False,
        )

    def place(self, value: float) -> float:
        """Where a value lies."""
        if self.is_logarithmic:
            share = log10(value / self.low) / log10(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values, about five of them."""
        if self.is_logarithmic:
            first, last = floor(log10(self.low)), floor(log10(self.high)) + 1
            factors = (1.0, 2.0, 5.0) if last - first <= 3 else (1.0,)
            every = [f * 10.0**p for p in range(first, last + 1) for f in factors]
            return [tick for tick in every if self.low <= tick <= self.high]
        step = _round_step((self.high - self.low) / 5)
        first = floor(self.low / step) + 1
        return [step * n for n in range(first, floor(self.high / step) + 1)]


def _round_step(wanted: float) -> float:
    """1, 2 or 5 times a power of ten, no less than wanted."""
    power = 10.0 ** floor(log10(wanted))
    return next(f * power for f in (1.0, 2.0, 5.0, 10.0) if f * power >= wanted * 0.999)


def scatter(marks: Sequence[Mark], title: str, x: str, y: str) -> str:
    """An SVG document of points. There must be at least one."""
    across = Scale.over([mark.x for mark in marks], LEFT, WIDTH - RIGHT)
    up = Scale.over([mark.y for mark in marks], HEIGHT - BOTTOM, TOP)
    best = sorted((mark for mark in marks if mark.best), key=lambda mark: mark.x)
    front = svg.polyline(
        [(across.place(m.x), up.place(m.y)) for m in best], **{"class": "front"}
    )
    ordered = sorted(marks, key=lambda mark: mark.best)
    return svg.document(
        WIDTH,
        HEIGHT,
        svg.rectangle(0, 0, WIDTH, HEIGHT, **{"class": "ground"}),
        *_grid(across, up),
        svg.text(LEFT, 26, title, **{"class": "name"}),
        svg.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, x, text_anchor="middle"),
        svg.text(
            0,
            0,
            y,
            text_anchor="middle",
            transform=f"translate(20 {(TOP + HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)",
        ),
        front if len(best) > 1 else "",
        *(_dot(mark, across, up) for mark in ordered),
        style=_STYLE.replace("\n", ""),
        name=title,
    )


def _grid(across: Scale, up: Scale) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    found: list[str] = []
    for tick in across.ticks():
        place = across.place(tick)
        found.append(svg.polyline([(place, TOP), (place, bottom)], **{"class": "line"}))
        found.append(svg.text(place, bottom + 18, short(tick), text_anchor="middle"))
    for tick in up.ticks():
        place = up.place(tick)
        found.append(svg.polyline([(LEFT, place), (right, place)], **{"class": "line"}))
        found.append(svg.text(LEFT - 8, place + 4, short(tick), text_anchor="end"))
    frame = svg.rectangle(LEFT, TOP, right - LEFT, bottom - TOP, **{"class": "frame"})
    return [*found, frame]


def _dot(mark: Mark, across: Scale, up: Scale) -> str:
    kind, radius = ("best", 4.5) if mark.best else ("point", 3.0)
    circle = svg.circle(
        across.place(mark.x), up.place(mark.y), radius, **{"class": kind}
    )
    return svg.group({}, svg.title(mark.name), circle)


def short(value: float) -> str:
    """A tick's value with a unit: `250M`."""
    power = 0
    while abs(value) >= 1000 and power < len(_UNITS) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g}{_UNITS[power]}"
