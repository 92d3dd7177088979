"""A program placed for drawing, some of its blocks open: boxes in boxes, with absolute coordinates."""

from __future__ import annotations

from dataclasses import field

from nnspec.ir.graph import Path
from nnspec.ir.types import TensorType
from nnspec.picture.cards import Family
from nnspec.picture.faces import (
    FRAME_BOTTOM,
    FRAME_INSET,
    FRAME_TOP,
    Face,
    face,
)
from nnspec.picture.geometry import Box, Placed, place
from nnspec.picture.letters import width
from nnspec.picture.outline import Card, Level, Outline, Wire
from nnspec.picture.plan import Plan, plan
from nnspec.records import dataclass


@dataclass(frozen=True)
class Figure:
    """A card where it stands. `x` is its axis, `y` its upper edge; `inner` is what shows when it is open."""

    card: Card
    path: Path
    face: Face
    labels: tuple[str, ...]
    x: float
    y: float
    left: float
    right: float
    height: float
    inner: Scene | None = None


@dataclass(frozen=True)
class Stroke:
    """A wire where it runs, with the type of what it carries."""

    wire: Wire
    type: TensorType
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scene:
    """A level where it stands, counted from its own upper left corner."""

    level: Level
    width: float
    height: float
    axis: float
    figures: tuple[Figure, ...]
    strokes: tuple[Stroke, ...]


@dataclass
class _Stage:
    """Plans and faces, made once for each level."""

    outline: Outline
    opened: frozenset[Path]
    plans: dict[str, Plan] = field(default_factory=dict[str, Plan])
    faces: dict[str, tuple[Face, ...]] = field(
        default_factory=dict[str, tuple[Face, ...]]
    )
    closed: dict[str, Scene] = field(default_factory=dict[str, Scene])

    def plan(self, key: str) -> Plan:
        if key not in self.plans:
            self.plans[key] = plan(self.outline.levels[key])
        return self.plans[key]

    def faces_of(self, key: str) -> tuple[Face, ...]:
        if key not in self.faces:
            found = self.plan(key)
            self.faces[key] = tuple(
                face(card, labels)
                for card, labels in zip(found.level.cards, found.labels, strict=True)
            )
        return self.faces[key]

    def scene(self, key: str, prefix: Path) -> Scene:
        found = self.plan(key)
        faces = self.faces_of(key)
        inner = [self._inner(card, prefix) for card in found.level.cards]
        boxes = [
            box_of(each, inside, heading_width(each))
            for each, inside in zip(faces, inner, strict=True)
        ]
        placed = place(found, boxes)
        return _scene(found, faces, boxes, inner, placed, prefix)

    def _inner(self, card: Card, prefix: Path) -> Scene | None:
        path = (*prefix, *card.path)
        if card.inside is None:
            return None
        if card.family is not Family.LOOP and path not in self.opened:
            return None
        return self.scene(card.inside, path)


def arrange(outline: Outline, opened: frozenset[Path] = frozenset()) -> Scene:
    """Places a program, with the blocks of some paths open. Raises `TooLarge`."""
    return _Stage(outline, opened).scene(outline.top, ())


def heading_width(face: Face) -> float:
    """How wide the heading of an open card is."""
    return width(face.heading, 12.0, bold=True) + 56.0


def box_of(face: Face, inner: Scene | None, heading: float) -> Box:
    """A card as the layout sees it, closed or open."""
    if inner is None:
        half = face.width / 2
        return Box(
            half, max(half, face.reach), face.height, half, face.outlets, face.round
        )
    left = inner.axis + FRAME_INSET
    right = max(inner.width - inner.axis + FRAME_INSET, heading - left)
    height = inner.height + FRAME_TOP + FRAME_BOTTOM
    return Box(left, max(right, face.reach), height, min(left, right), face.outlets)


def _scene(
    found: Plan,
    faces: tuple[Face, ...],
    boxes: list[Box],
    inner: list[Scene | None],
    placed: Placed,
    prefix: Path,
) -> Scene:
    level = found.level
    figures = tuple(
        Figure(
            card,
            (*prefix, *card.path),
            faces[at],
            found.labels[at],
            placed.x[at],
            placed.y[at],
            boxes[at].left,
            _edge(faces[at], inner[at], boxes[at]),
            boxes[at].height,
            inner[at],
        )
        for at, card in enumerate(level.cards)
    )
    strokes = tuple(
        Stroke(wire, level.cards[wire.source].outlets[wire.outlet].type, points)
        for wire, points in zip(level.wires, placed.wires, strict=True)
    )
    return Scene(level, placed.width, placed.height, placed.axis, figures, strokes)


def _edge(face: Face, inner: Scene | None, box: Box) -> float:
    """How far a card itself reaches to the right of its axis."""
    if inner is None:
        return box.half
    inside = inner.width - inner.axis + FRAME_INSET
    return max(inside, heading_width(face) - box.left)
