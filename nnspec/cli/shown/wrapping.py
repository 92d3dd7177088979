"""Long formulas and sentences on several lines."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

WIDTH = 100
INDENT = 4
_BREAKS = re.compile(r" (?=[+-] )")


def line_width() -> int:
    """How wide lines may be: as the terminal, or as a page."""
    if sys.stdout is None or not sys.stdout.isatty():
        return WIDTH
    import shutil

    return max(40, shutil.get_terminal_size().columns)


def wrapped_words(text: str, width: int) -> list[str]:
    """A sentence on lines of a width."""
    from textwrap import wrap

    return wrap(text, max(8, width), break_long_words=False) or [""]


def wrapped(formula: str, width: int) -> list[str]:
    """A formula on lines of a width, as far as it has places to break at.

    Parts of a maximum have a line each; sums break before a sign, where fewest parentheses are open.
    """
    if len(formula) <= width:
        return [formula]
    parts = _parts(formula)
    if parts is None:
        return list(_broken(formula, width))
    name, inside = parts
    indent = " " * len(name)
    lines: list[str] = []
    for part in inside:
        first, *rest = _broken(part, width - len(name) - 1)
        lines += [indent + first, *(indent + line for line in rest)]
        lines[-1] += ","
    lines[0] = name + lines[0].lstrip()
    lines[-1] = f"{lines[-1][:-1]})"
    return lines


def _parts(formula: str) -> tuple[str, list[str]] | None:
    """`max(` and what it is the largest of, if that is all of a formula."""
    found = re.match(r"(max|min)\(", formula)
    if found is None or not formula.endswith(")"):
        return None
    inside = formula[found.end() : -1]
    places = [0]
    for place, depth in _depths(inside):
        if depth < 0:
            return None
        if depth == 0 and inside.startswith(", ", place):
            places.append(place + 2)
    ends = [*(place - 2 for place in places[1:]), len(inside)]
    return found[0], [inside[a:b] for a, b in zip(places, ends, strict=True)]


def _broken(formula: str, width: int) -> Iterator[str]:
    """A sum on lines; those behind the first are indented."""
    rest, indent = formula, ""
    while len(indent) + len(rest) > width:
        place = _break(rest, width - len(indent))
        if place is None:
            break
        yield indent + rest[:place]
        rest, indent = rest[place + 1 :], " " * INDENT
    yield indent + rest


def _break(text: str, width: int) -> int | None:
    """Where to break: the last of the outermost signs that leaves a line of a width."""
    depths = dict(_depths(text))
    places = [each.start() for each in _BREAKS.finditer(text)]
    fitting = [place for place in places if 0 < place <= width]
    candidates = fitting or places[:1]
    if not candidates:
        return None
    least = min(depths[place] for place in candidates)
    return max(place for place in candidates if depths[place] == least)


def _depths(text: str) -> Iterator[tuple[int, int]]:
    """How many parentheses are open at each place."""
    depth = 0
    for place, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        yield place, depth
