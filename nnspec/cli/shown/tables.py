"""Tables as text: as wide as they need. Where lines are narrower nothing is cut off: what does not fit
goes on further lines, and what does not fit even so goes into further tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product, zip_longest
from typing import TypeAlias

from nnspec.cli.shown.text import cells, visible
from nnspec.cli.shown.wrapping import wrapped
from nnspec.records import dataclass

GAP, LEAST_GAP = 3, 2
# Words are broken into columns that are no narrower than this, and only where nothing else helps than that.
_NARROW, _NARROWEST = 12, 4


class Whole(str):
    """A text that stays on one line, as a bar does."""


class Formula(str):
    """A text that breaks before signs."""


@dataclass(frozen=True)
class Column:
    """A column: its heading, the lines of its cells, and whether it is one of numbers, which never break."""

    heading: str
    body: tuple[str, ...]
    is_numeric: bool

    def least(self, narrow: int) -> int:
        """How narrow it can be, if words are broken into lines that are no narrower than `narrow`."""
        words = [*self.heading.split()]
        words += [line for text in self.body for line in self.lines(text, narrow)]
        return max(map(cells, words), default=0)

    def full(self) -> int:
        """How wide it is with its heading on as many lines as it takes, and its cells unbroken."""
        return max([*map(cells, self.body), *map(cells, self.heading.split()), 0])

    def natural(self) -> int:
        """How wide it is with nothing broken."""
        return max(self.full(), cells(self.heading))

    def lines(self, text: str, width: int) -> list[str]:
        """The lines of a cell in a width."""
        if self.is_numeric or isinstance(text, Whole) or cells(text) <= width:
            return [text]
        if isinstance(text, Formula):
            return wrapped(text, width)
        indent = " " * (len(text) - len(text.lstrip(" ")))
        return [indent + each for each in broken(text, width - len(indent))]


@dataclass(frozen=True)
class Laid:
    """A column as it is drawn: the lines of its heading and of each cell, none wider than its `width`."""

    heading: list[str]
    body: list[list[str]]
    width: int
    is_numeric: bool


Draw: TypeAlias = Callable[[Sequence[Laid], int], str]
"""Draws columns, with a gap of so many characters between them."""


def table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    numeric: Sequence[int] = (),
    *,
    width: int | None = None,
    draw: Draw | None = None,
) -> str:
    """A table with columns `numeric` to the right, on lines of a width, if that is bounded."""
    draw = draw or plainly("-")
    columns = _columns(headings, rows, numeric)
    natural = [column.natural() for column in columns]
    if width is None or _total(natural, GAP) <= width:
        return draw(_laid(columns, natural), GAP)
    for narrow, gap in product((_NARROW, _NARROWEST), range(GAP, LEAST_GAP - 1, -1)):
        widths = _fitting(columns, width, narrow, gap)
        if widths is not None:
            return draw(_laid(columns, widths), gap)
    pieces: list[str] = []
    for piece in _pieces(columns, width):
        widths = _fitting(piece, width, _NARROWEST, LEAST_GAP)
        widths = widths or [column.least(_NARROWEST) for column in piece]
        pieces.append(draw(_laid(piece, widths), LEAST_GAP))
    return "\n".join(pieces)


def broken(text: str, width: int) -> list[str]:
    """Words on lines of a width; a longer word has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and cells(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines or [""]


def _columns(
    headings: Sequence[str], rows: Sequence[Sequence[str]], numeric: Sequence[int]
) -> list[Column]:
    shown = [[type(cell)(visible(cell)) for cell in row] for row in rows]
    return [
        Column(visible(heading), tuple(row[place] for row in shown), place in numeric)
        for place, heading in enumerate(headings)
    ]


# ---- widths -----------------------------------------------------------------------------------------


def _total(widths: Sequence[int], gap: int) -> int:
    return sum(widths) + gap * (len(widths) - 1)


def _fitting(
    columns: Sequence[Column], width: int, narrow: int, gap: int
) -> list[int] | None:
    """Widths with which columns fit, the widest columns of words broken first; None if there are none."""
    least = [column.least(narrow) for column in columns]
    widths = [column.full() for column in columns]
    over = _total(widths, gap) - width
    while over > 0:
        place = max(range(len(widths)), key=lambda p: (widths[p] > least[p], widths[p]))
        if widths[place] <= least[place]:
            return None
        widths[place] -= 1
        over -= 1
    # Room that is left keeps headings on one line.
    for place, column in enumerate(columns):
        more = min(-over, column.natural() - widths[place])
        widths[place] += more
        over += more
    return widths


def _pieces(columns: Sequence[Column], width: int) -> Iterator[list[Column]]:
    """Columns in groups that fit, the first of each being those that name the rows."""
    named = next((p for p, c in enumerate(columns) if c.heading), 0) + 1
    names, rest = list(columns[:named]), list(columns[named:])
    while rest:
        taken = 1
        while taken < len(rest) and _fitting(
            [*names, *rest[: taken + 1]], width, _NARROW, LEAST_GAP
        ):
            taken += 1
        yield [*names, *rest[:taken]]
        rest = rest[taken:]


# ---- text -------------------------------------------------------------------------------------------


def _laid(columns: Sequence[Column], widths: Sequence[int]) -> list[Laid]:
    """Columns as they are drawn in some widths, headings above the line being low."""
    pairs = [*zip(columns, widths, strict=True)]
    heads = [broken(column.heading, width) for column, width in pairs]
    deepest = max(map(len, heads))
    return [
        Laid(
            [""] * (deepest - len(head)) + head,
            [column.lines(text, width) for text in column.body],
            width,
            column.is_numeric,
        )
        for (column, width), head in zip(pairs, heads, strict=True)
    ]


def plainly(rule: str) -> Draw:
    """Draws columns as text and nothing else, with a line of `rule` below the headings."""

    def draw(columns: Sequence[Laid], gap: int) -> str:
        lines = [*_row(columns, [column.heading for column in columns], gap)]
        lines.append(rule * _total([column.width for column in columns], gap))
        for cells_of_row in zip(*(column.body for column in columns), strict=True):
            lines += _row(columns, cells_of_row, gap)
        return "".join(f"{line}\n" for line in lines)

    return draw


def _row(
    columns: Sequence[Laid], parts: Sequence[Sequence[str]], gap: int
) -> Iterator[str]:
    """The lines of a row."""
    for line in zip_longest(*parts, fillvalue=""):
        filled: list[str] = []
        for column, text in zip(columns, line, strict=True):
            room = " " * (column.width - cells(text))
            filled.append(room + text if column.is_numeric else text + room)
        yield (" " * gap).join(filled).rstrip()
