"""An architecture as SVG."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.picture import svg
from nnspec.picture.cards import Family
from nnspec.picture.faces import FRAME_INSET, FRAME_TOP, SHADOW, SHAPE, Face
from nnspec.picture.letters import plain, shortened, width
from nnspec.picture.outline import Card
from nnspec.picture.scene import Figure, Scene, Stroke
from nnspec.picture.style import sheet

MARGIN = 24.0
ROUND, PILL = 6.0, 13.0
TIP, BEND = 6.0, 7.0
BADGE = 16.0


def draw(scene: Scene, name: str) -> str:
    """A scene as an SVG file; `name` is the model's."""
    wide, high = scene.width + 2 * MARGIN, scene.height + 2 * MARGIN
    return svg.document(
        wide,
        high,
        svg.rectangle(0, 0, wide, high, **{"class": "ground"}),
        _level(scene, MARGIN, MARGIN),
        style=sheet(),
        name=name,
    )


def _level(scene: Scene, x: float, y: float) -> str:
    move = f"translate({svg.number(x)} {svg.number(y)})"
    parts = [
        *(_wire(stroke) for stroke in scene.strokes),
        *(_figure(figure) for figure in scene.figures),
    ]
    return svg.group({"transform": move}, *parts)


# ---- wires ------------------------------------------------------------------------------------------


def _wire(stroke: Stroke) -> str:
    x, y = stroke.points[-1]
    tip = f"M{_at(x, y)}l{-TIP * 0.6:.1f} {-TIP:.1f}h{TIP * 1.2:.1f}z"
    return svg.group(
        {"data_type": str(stroke.type)},
        svg.title(str(stroke.type)),
        svg.path(curve(stroke.points), **{"class": "wire"}),
        svg.path(tip, **{"class": "tip"}),
    )


def curve(corners: tuple[tuple[float, float], ...]) -> str:
    """From corner to corner, each rounded; it ends inside of the tip."""
    *before, (last_x, last_y) = corners
    points = [*before, (last_x, last_y - TIP * 0.5)]
    commands = [f"M{_at(*points[0])}"]
    for (a, b), (x, y), (c, d) in zip(points, points[1:], points[2:], strict=False):
        bend = min(
            BEND, max(abs(x - a), abs(y - b)) / 2, max(abs(c - x), abs(d - y)) / 2
        )
        start = (x + _towards(x, a, bend), y + _towards(y, b, bend))
        end = (x + _towards(x, c, bend), y + _towards(y, d, bend))
        commands.append(f"L{_at(*start)}Q{_at(x, y)} {_at(*end)}")
    return f"{''.join(commands)}L{_at(*points[-1])}"


def _towards(here: float, there: float, far: float) -> float:
    return 0.0 if here == there else far if there > here else -far


def _at(x: float, y: float) -> str:
    return f"{svg.number(x)} {svg.number(y)}"


# ---- cards ------------------------------------------------------------------------------------------


def _figure(figure: Figure) -> str:
    move = f"translate({_at(figure.x, figure.y)})"
    if figure.inner is None:
        return svg.group(
            {"transform": move}, card(figure.card, figure.face, figure.labels)
        )
    left, wide = figure.left, figure.left + figure.right
    inside = _level(figure.inner, FRAME_INSET - left, FRAME_TOP)
    return svg.group(
        {"transform": move, "class": f"{figure.card.family.value} open"},
        svg.title(tooltip(figure.card)),
        svg.rectangle(-left, 0, wide, figure.height, rx=ROUND, **{"class": "card"}),
        svg.text(12 - left, 20, figure.face.heading, **{"class": "heading"}),
        inside,
        *_badge(figure.card, figure.right),
        *_labels(figure.face, figure.labels, figure.height),
    )


def card(card: Card, face: Face, labels: tuple[str, ...]) -> str:
    """A closed card, its axis and upper edge at 0."""
    return svg.group(
        {"class": card.family.value},
        svg.title(tooltip(card)),
        *_outline(card, face),
        *_lines(face),
        *_badge(card, face.width / 2),
        *_labels(face, labels, face.height),
    )


def tooltip(card: Card) -> str:
    """Where a card is, what it is in full, and what it gives."""
    rows = [row.full or row.text for row in card.rows]
    gives = [str(outlet.type) for outlet in card.outlets]
    sharing = f"weights {card.sharing}, counted once" if card.sharing else ""
    lines = [card.label, *rows, sharing, *(f"gives {each}" for each in gives)]
    return "\n".join(plain(line) for line in lines if line)


def _outline(card: Card, face: Face) -> Iterator[str]:
    half = face.width / 2
    if face.round:
        yield svg.circle(0, half, half, **{"class": "card"})
        return
    ends = card.family in (Family.INPUT, Family.OUTPUT)
    bend = min(PILL, face.body / 2) if ends else ROUND
    for shift in (SHADOW, SHADOW / 2) if card.count > 1 else ():
        size = (face.width - 2 * shift, face.body)
        yield svg.rectangle(shift - half, shift, *size, rx=bend, **{"class": "card"})
    yield svg.rectangle(-half, 0, face.width, face.body, rx=bend, **{"class": "card"})


def _lines(face: Face) -> Iterator[str]:
    if face.round and face.heading:
        yield svg.text(0, 16, face.heading, **{"class": "sign"})
    for line in face.lines:
        if not line.detail:
            yield svg.text(0, line.y, line.text, **{"class": line.kind})
            continue
        parts = (
            svg.span(f"{line.text} ", **{"class": line.kind}),
            svg.span(line.detail, **{"class": "detail"}),
        )
        yield svg.element("text", {"x": 0.0, "y": line.y}, *parts)


def _badge(card: Card, right: float) -> Iterator[str]:
    if card.count < 2:
        return
    text = f"\N{MULTIPLICATION SIGN}{card.count:,}"
    wide = width(text, 11, bold=True) + 12
    x = right - wide + 8
    yield svg.rectangle(x, -BADGE / 2, wide, BADGE, rx=BADGE / 2, **{"class": "pill"})
    yield svg.text(x + wide / 2, 12 - BADGE / 2, text, **{"class": "badge"})


def _labels(face: Face, labels: tuple[str, ...], height: float) -> Iterator[str]:
    for at, label in zip(face.outlets, labels, strict=True):
        shown = shortened(plain(label))
        yield svg.text(at + 6, height + SHAPE + 4, shown, **{"class": "shape"})
