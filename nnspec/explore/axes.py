"""What varies: `depth=6..24`, `width=256,512,768`, `T=64..1024..64`, read into texts of the language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import product

from nnspec.diagnostics import SpecError
from nnspec.records import dataclass

MOST_POINTS = 1_000_000
_RANGE = re.compile(r"(-?\d{1,18})\.\.(-?\d{1,18})(?:\.\.(\d{1,18}))?", re.ASCII)
_HINT = "write `first..last` or `first..last..step`, as in `width=256..1024..128`"
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Axis:
    """A constant or size, and the values that it takes, as the language writes them."""

    name: str
    values: tuple[str, ...]


def read_axes(settings: Mapping[str, str]) -> tuple[Axis, ...]:
    """The axes of settings. Raises `SpecError` for an empty range, and for more points than can be borne."""
    axes = tuple(Axis(name, _values(name, text)) for name, text in settings.items())
    points = 1
    for axis in axes:
        points *= len(axis.values)
    if points > MOST_POINTS:
        raise SpecError(
            "E0920",
            f"that makes {points:,} points, and {MOST_POINTS:,} is the most",
            hint="give steps (`width=256..4096..256`), or fewer values",
        )
    return axes


def combinations(axes: Sequence[Axis]) -> list[dict[str, str]]:
    """Every point: the last axis varies fastest."""
    names = [axis.name for axis in axes]
    values = product(*(axis.values for axis in axes))
    return [dict(zip(names, point, strict=True)) for point in values]


def _values(name: str, text: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in _parts(text):
        match = _RANGE.fullmatch(part)
        if match is None:
            _refuse_no_value(name, text, part)
        found.extend([part] if match is None else _range(name, part, match))
    return tuple(dict.fromkeys(found))


def _refuse_no_value(name: str, text: str, part: str) -> None:
    if not part:
        message = f"`{name}={text}` leaves a value out"
        raise SpecError("E0920", message, hint="write values as in `width=256,512`")
    if ".." in part and '"' not in part:
        message = f"`{name}={part}` is no range of integers"
        raise SpecError("E0920", message, hint=_HINT)


def _range(name: str, text: str, match: re.Match[str]) -> list[str]:
    first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if step == 0 or last < first:
        raise SpecError(
            "E0920",
            f"`{name}={text}` is an empty range",
            hint=_HINT,
        )
    if (last - first) // step >= MOST_POINTS:
        raise SpecError(
            "E0920",
            f"`{name}={text}` has more than {MOST_POINTS:,} values",
            hint="give a step: `first..last..step`",
        )
    return [str(value) for value in range(first, last + 1, step)]


def _parts(text: str) -> list[str]:
    """A text at its commas, save for those inside of brackets and strings."""
    parts, start, depth, quoted = list[str](), 0, 0, False
    for place, letter in enumerate(text):
        if letter == '"' and text[place - 1 : place] != "\\":
            quoted = not quoted
        if quoted:
            continue
        depth += (letter in _OPENING) - (letter in _CLOSING)
        if letter == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]
