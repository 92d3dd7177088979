"""Points in a plane as SVG: what many models cost, and which of them nothing beats.

Axes are logarithmic where the values span more than a factor of 30. Every point says what it is to a
reader who points at it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor, log, log10

from nnspec.picture import svg
from nnspec.picture.letters import SANS
from nnspec.records import dataclass

WIDTH, HEIGHT = 760.0, 480.0
LEFT, RIGHT, TOP, BOTTOM = 86.0, 24.0, 46.0, 58.0
SPANS_LOGARITHM = 30
MOST_TICKS = 10
_UNITS = ("", "K", "M", "G", "T", "P", "E")
_BYTES = (" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB")

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
    """From values to places: linear or logarithmic. Bytes are counted in powers of 1024."""

    low: float
    high: float
    start: float
    end: float
    is_logarithmic: bool
    in_bytes: bool = False

    @staticmethod
    def over(
        values: Sequence[float], start: float, end: float, *, in_bytes: bool = False
    ) -> Scale:
        """A scale that holds all values, with some room."""
        low, high = min(values), max(values)
        if low > 0 and high / low > SPANS_LOGARITHM:
            return Scale(low / 1.25, high * 1.25, start, end, True, in_bytes)
        room = (high - low) * 0.06 or abs(high) * 0.06 or 1.0
        return Scale(
            max(0.0, low - room) if low >= 0 else low - room,
            high + room,
            start,
            end,
            False,
            in_bytes,
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
        unit = self._unit
        if self.is_logarithmic:
            return [tick for tick in self._powers() if self.low <= tick <= self.high]
        step = unit * _round_step((self.high - self.low) / unit / 5)
        first = floor(self.low / step) + 1
        return [step * n for n in range(first, floor(self.high / step) + 1)]

    def _powers(self) -> list[float]:
        """Round values on a logarithmic axis, some of them beyond its ends."""
        base, factors = 10.0, (1.0, 2.0, 5.0)
        if self.in_bytes:
            base, factors = 16.0, (1.0, 4.0)
        first, last = floor(log(self.low, base)), floor(log(self.high, base)) + 1
        if (last - first) * len(factors) > MOST_TICKS:
            factors = (1.0,)
        return [f * base**p for p in range(first, last + 1) for f in factors]

    @property
    def _unit(self) -> float:
        """In what the largest values are told: round numbers are round in it."""
        return 1024.0 ** _power(self.high, 1024) if self.in_bytes else 1.0

    def label(self, value: float) -> str:
        """A value with a unit: `250M`, of bytes `1.5 GiB`."""
        base, names = (1024, _BYTES) if self.in_bytes else (1000, _UNITS)
        power = _power(value, base)
        return f"{value / base**power:.3g}{names[power]}"


def _power(value: float, base: int) -> int:
    """The power of a base in which a value is told: three digits before the point at most."""
    power = 0
    while abs(value) >= 1000 * base**power and power < len(_UNITS) - 1:
        power += 1
    return power


def _round_step(wanted: float) -> float:
    """1, 2 or 5 times a power of ten, no less than wanted."""
    power = 10.0 ** floor(log10(wanted))
    return next(f * power for f in (1.0, 2.0, 5.0, 10.0) if f * power >= wanted * 0.999)


def scatter(
    marks: Sequence[Mark],
    title: str,
    x: str,
    y: str,
    in_bytes: tuple[bool, bool] = (False, False),
) -> str:
    """An SVG document of points, of which either figure may count bytes. There must be at least one."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    across = Scale.over([mark.x for mark in marks], LEFT, right, in_bytes=in_bytes[0])
    up = Scale.over([mark.y for mark in marks], bottom, TOP, in_bytes=in_bytes[1])
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
        front if len(best) > 1 and _is_line(best) else "",
        *(_dot(mark, across, up) for mark in ordered),
        style=_STYLE.replace("\n", ""),
        name=title,
    )


def _is_line(best: Sequence[Mark]) -> bool:
    """Whether the front is one in this plane; that of more figures than two goes to and fro."""
    pairs = list(pairwise(mark.y for mark in best))
    return all(a <= b for a, b in pairs) or all(a >= b for a, b in pairs)


def _grid(across: Scale, up: Scale) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    found: list[str] = []
    for tick in across.ticks():
        place = across.place(tick)
        found.append(svg.polyline([(place, TOP), (place, bottom)], **{"class": "line"}))
        found.append(
            svg.text(place, bottom + 18, across.label(tick), text_anchor="middle")
        )
    for tick in up.ticks():
        place = up.place(tick)
        found.append(svg.polyline([(LEFT, place), (right, place)], **{"class": "line"}))
        found.append(svg.text(LEFT - 8, place + 4, up.label(tick), text_anchor="end"))
    frame = svg.rectangle(LEFT, TOP, right - LEFT, bottom - TOP, **{"class": "frame"})
    return [*found, frame]


def _dot(mark: Mark, across: Scale, up: Scale) -> str:
    kind, radius = ("best", 4.5) if mark.best else ("point", 3.0)
    circle = svg.circle(
        across.place(mark.x), up.place(mark.y), radius, **{"class": kind}
    )
    return svg.group({}, svg.title(mark.name), circle)
