"""Outlines of specs and of texts, and rectangles of what is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnspec.compiler import load_all, load_source
from nnspec.picture.faces import SHAPE
from nnspec.picture.letters import pitch_width, plain, shortened
from nnspec.picture.scene import Figure, Scene
from nnspec.source import Source
from nnspec.spec import Spec

SPECS = sorted(Path("specs").rglob("*.nns"))


def every_model() -> list[Spec]:
    return [model for path in SPECS for model in load_all(str(path))]


def model(text: str) -> Spec:
    """The one model of a text."""
    (found,) = load_source(Source("net.nns", text), None, {})
    return found


@dataclass(frozen=True)
class Rectangle:
    left: float
    top: float
    right: float
    bottom: float
    what: str

    def overlaps(self, other: Rectangle) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def card_of(figure: Figure) -> Rectangle:
    return Rectangle(
        figure.x - figure.left if figure.inner else figure.x - figure.face.width / 2,
        figure.y,
        figure.x + figure.right,
        figure.y + figure.height,
        figure.card.name,
    )


def labels_of(figure: Figure) -> Iterator[Rectangle]:
    top = figure.y + figure.height + 4
    for at, label in zip(figure.face.outlets, figure.labels, strict=True):
        left = figure.x + at + 6
        wide = pitch_width(shortened(plain(label)), SHAPE)
        yield Rectangle(left, top, left + wide, top + SHAPE, label)


def scenes(scene: Scene) -> Iterator[Scene]:
    """A scene and all that are open in it."""
    yield scene
    for figure in scene.figures:
        if figure.inner is not None:
            yield from scenes(figure.inner)
