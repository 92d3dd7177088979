"""An architecture as SVG."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.picture import svg
from nnspec.picture.cards import Family
from nnspec.picture.faces import SHADOW, SHAPE
from nnspec.picture.letters import plain, shortened, width
from nnspec.picture.scene import Figure, Scene, Stroke, inner_x, inner_y
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
    name = figure.card.family.value
    kind = f"{name} open" if figure.inner is not None else name
    parts = [svg.title(tooltip(figure)), *_outline(figure)]
    parts += _frame(figure) if figure.inner is not None else _lines(figure)
    if figure.card.count > 1:
        parts += _badge(figure)
    return svg.group({"class": kind}, *parts, *_labels(figure))


def tooltip(figure: Figure) -> str:
    """Where a card is, what it is in full, and what it gives."""
    rows = [row.full or row.text for row in figure.card.rows]
    gives = [str(outlet.type) for outlet in figure.card.outlets]
    lines = [figure.card.label, *rows, *(f"gives {each}" for each in gives)]
    return "\n".join(plain(line) for line in lines if line)


def _outline(figure: Figure) -> Iterator[str]:
    card = figure.card
    x, y = figure.x - figure.left, figure.y
    wide = figure.left + figure.right
    high = figure.height if figure.inner is not None else figure.face.body
    if figure.face.round:
        half = figure.face.width / 2
        yield svg.circle(figure.x, y + half, half, **{"class": "card"})
        return
    ends = card.family in (Family.INPUT, Family.OUTPUT)
    bend = min(PILL, high / 2) if ends else ROUND
    if card.count > 1 and figure.inner is None:
        for shift in (SHADOW, SHADOW / 2):
            size = (wide - 2 * shift, high)
            yield svg.rectangle(
                x + shift, y + shift, *size, rx=bend, **{"class": "card"}
            )
    yield svg.rectangle(x, y, wide, high, rx=bend, **{"class": "card"})


def _lines(figure: Figure) -> Iterator[str]:
    if figure.face.round and figure.card.sign:
        yield svg.text(figure.x, figure.y + 16, figure.card.sign, **{"class": "sign"})
    for line in figure.face.lines:
        y = figure.y + line.y
        if not line.detail:
            yield svg.text(figure.x, y, line.text, **{"class": line.kind})
            continue
        parts = (
            svg.span(f"{line.text} ", **{"class": line.kind}),
            svg.span(line.detail, **{"class": "detail"}),
        )
        yield svg.element("text", {"x": figure.x, "y": y}, *parts)


def _frame(figure: Figure) -> Iterator[str]:
    assert figure.inner is not None
    x = figure.x - figure.left
    yield svg.text(x + 12, figure.y + 20, figure.face.heading, **{"class": "heading"})
    yield _level(figure.inner, inner_x(figure), inner_y(figure))


def _badge(figure: Figure) -> Iterator[str]:
    text = f"\N{MULTIPLICATION SIGN}{figure.card.count:,}"
    wide = width(text, 11, bold=True) + 12
    x, y = figure.x + figure.right - wide + 8, figure.y - BADGE / 2
    yield svg.rectangle(x, y, wide, BADGE, rx=BADGE / 2, **{"class": "pill"})
    yield svg.text(x + wide / 2, y + 12, text, **{"class": "badge"})


def _labels(figure: Figure) -> Iterator[str]:
    y = figure.y + figure.height + SHAPE + 4
    for at, label in zip(figure.face.outlets, figure.labels, strict=True):
        shown = shortened(plain(label))
        yield svg.text(figure.x + at + 6, y, shown, **{"class": "shape"})
