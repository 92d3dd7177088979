"""How large each card is, and where its lines stand: what the writers of pictures share."""

from __future__ import annotations

import re

from nnspec.ops.base import snake_case
from nnspec.picture.cards import Family
from nnspec.picture.letters import pitch_width, plain, shortened, width
from nnspec.picture.outline import Card
from nnspec.records import dataclass

TITLE, DETAIL, SMALL, SHAPE = 12.5, 12.0, 11.0, 10.5
TITLE_LINE, SMALL_LINE, CAPTION_LINE = 18.0, 15.0, 13.0
INSET, MARGIN = 14.0, 7.0
CIRCLE, DOT = 11.0, 4.0
SHADOW = 6.0
LEAST_WIDTH, LEAST_END = 64.0, 40.0
FRAME_INSET, FRAME_TOP, FRAME_BOTTOM = 16.0, 34.0, 12.0
OUTLET_GAP = 12.0


@dataclass(frozen=True)
class Line:
    """A line of a card: `kind` is caption, title or follower; `detail` stands behind the text."""

    kind: str
    text: str
    detail: str
    y: float


@dataclass(frozen=True)
class Face:
    """A card as it is drawn closed: its size, its lines (y from its top), what stands where.

    `heading` is the line of an open card, or the sign in a round one. `outlets` are the abscissae of its outlets, from its centre; `reach` is how far the labels below
    it reach to the right of the centre. Below the `body` of a card that a loop repeats peep out others.
    """

    width: float
    height: float
    body: float
    lines: tuple[Line, ...]
    heading: str
    outlets: tuple[float, ...]
    reach: float
    round: bool = False


def face(card: Card, labels: tuple[str, ...]) -> Face:
    """The face of a card, with the labels of its outlets in the order in which they stand."""
    outlets, span, reach = _outlets(labels)
    lines, height = _lines(card)
    if len(labels) < 2 and (card.sign or not lines):
        size = 2 * (CIRCLE if card.sign else DOT)
        return Face(size, size, size, (), card.sign, outlets, reach, round=True)
    text = max((_line_width(line) for line in lines), default=0.0)
    wide = max(LEAST_WIDTH, text + 2 * INSET, span + INSET)
    if card.family in (Family.INPUT, Family.OUTPUT):
        wide = max(text + 2 * INSET, LEAST_END, span)
    whole = height + SHADOW if card.count > 1 else height
    return Face(wide, whole, height, lines, heading(card), outlets, reach)


def heading(card: Card) -> str:
    """One line for the card when it is open: `Block  blocks.0-11`."""
    name = f"{card.rows[0].text}  {card.label}".strip()
    sharing = f" \N{MIDDLE DOT} {card.sharing}" if card.sharing else ""
    return shortened(plain(name), 48) + sharing


def caption(card: Card) -> str:
    """The label of a card, unless it only repeats the kind of layer, as those that nobody chose do."""
    kind = re.escape(snake_case(card.rows[0].text))
    return "" if re.fullmatch(rf"{kind}(_\d+)?", card.label) else plain(card.label)


def _lines(card: Card) -> tuple[tuple[Line, ...], float]:
    lines: list[Line] = []
    y = MARGIN
    above = caption(card)
    if above:
        y += CAPTION_LINE
        lines.append(Line("caption", shortened(above, 44), "", y - 3.5))
    for number, row in enumerate(card.rows):
        text, detail = plain(row.text), plain(row.detail)
        if not text:
            continue
        y += SMALL_LINE if number else TITLE_LINE
        kind = "follower" if number else "title"
        lines.append(Line(kind, shortened(text, 44), detail, y - 4.5))
        sharing = (card.sharing,) if card.sharing and not number else ()
        for further in (*row.more, *sharing):
            y += SMALL_LINE
            lines.append(Line("follower", plain(further), "", y - 4.5))
    return tuple(lines), y + MARGIN


def _line_width(line: Line) -> float:
    if line.kind == "caption":
        return pitch_width(line.text, SHAPE)
    size = TITLE if line.kind == "title" else SMALL
    text = width(line.text, size, bold=line.kind == "title")
    return text + (width(f" {line.detail}", SMALL) if line.detail else 0.0)


def _outlets(labels: tuple[str, ...]) -> tuple[tuple[float, ...], float, float]:
    """Where outlets stand, how wide they are together, and how far their labels reach."""
    wide = [pitch_width(label, SHAPE) + OUTLET_GAP for label in labels]
    if len(wide) < 2:
        return ((0.0,) if wide else ()), 0.0, sum(wide)
    total = sum(wide)
    places: list[float] = []
    at = -total / 2
    for each in wide:
        places.append(at)
        at += each
    return tuple(places), total, total / 2
