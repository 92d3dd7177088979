"""An outline with some blocks open, as boxes in boxes with names that are unique: what DOT and Mermaid write."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from nnspec.ir.graph import Path
from nnspec.picture.cards import Family
from nnspec.picture.faces import caption, heading
from nnspec.picture.letters import plain, shortened
from nnspec.picture.outline import Card, Outline, Wire
from nnspec.records import dataclass


@dataclass(frozen=True)
class Box:
    """A card with a name of its own, and what is in it if it is open."""

    id: str
    card: Card
    lines: tuple[str, ...]
    heading: str
    inner: Tree | None = None

    def first(self) -> Box:
        """The first box in it that is not open, or itself."""
        box = self
        while box.inner is not None:
            box = box.inner.boxes[0]
        return box

    def last(self) -> Box:
        """The last box in it that is not open, or itself."""
        box = self
        while box.inner is not None:
            box = box.inner.boxes[-1]
        return box


@dataclass(frozen=True)
class Edge:
    """A wire with what it carries."""

    wire: Wire
    label: str


@dataclass(frozen=True)
class Tree:
    """The boxes of a level and the edges between them."""

    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]


def tree(outline: Outline, opened: frozenset[Path]) -> Tree:
    """An outline with the blocks of some paths open."""
    return _tree(outline, outline.top, (), opened, count())


def _tree(
    outline: Outline,
    key: str,
    prefix: Path,
    opened: frozenset[Path],
    numbers: Iterator[int],
) -> Tree:
    level = outline.levels[key]
    boxes: list[Box] = []
    for card in level.cards:
        path = (*prefix, *card.path)
        name = f"n{next(numbers)}"
        inner = None
        if card.inside and (card.family is Family.LOOP or path in opened):
            inner = _tree(outline, card.inside, path, opened, numbers)
        boxes.append(Box(name, card, tuple(_lines(card)), _heading(card), inner))
    edges = tuple(
        Edge(wire, level.cards[wire.source].outlets[wire.outlet].label)
        for wire in level.wires
    )
    return Tree(tuple(boxes), edges)


def _heading(card: Card) -> str:
    return f"{heading(card)} (x{card.count})" if card.count > 1 else heading(card)


def _lines(card: Card) -> Iterator[str]:
    if card.sign:
        yield card.sign
        return
    if caption(card):
        yield caption(card)
    times = f" (x{card.count})" if card.count > 1 else ""
    for number, row in enumerate(card.rows):
        text = shortened(f"{row.text} {row.detail}".strip())
        if text:
            yield f"{text}{times}" if number == 0 else text
        yield from map(plain, row.more)
        if card.sharing and number == 0:
            yield card.sharing
