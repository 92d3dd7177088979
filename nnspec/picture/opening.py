"""Which blocks of a picture are open: those down to a depth, and those that were asked for by path."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from nnspec.diagnostics import did_you_mean
from nnspec.ir.graph import Path, dotted
from nnspec.picture.cards import Family
from nnspec.picture.outline import Card, Outline
from nnspec.picture.skeleton import TooLarge
from nnspec.records import dataclass

MOST_PLACES = 20_000
MOST_NAMES = 64
"""Turns of a loop by which blocks inside of it can be asked for."""


class Unknown(Exception):
    """There is no block at a path that was asked for; `hint` names one that there is."""

    def __init__(self, path: str, hint: str) -> None:
        super().__init__(f"there is no block `{path}` to open")
        self.hint = hint


@dataclass(frozen=True)
class Place:
    """A block that can be opened: where, in which others, and by which texts it is asked for."""

    path: Path
    around: tuple[Path, ...]
    names: tuple[str, ...]


def opened(outline: Outline, depth: int, asked: Iterable[str] = ()) -> frozenset[Path]:
    """The paths of the blocks that are open: `depth` levels of them, and those asked for.

    A block is asked for by its path (`blocks.3.attn`; any turn of a folded loop stands for all), by that
    of the loop (`blocks`), or by its name (`Block`). What is around it opens too. Raises `Unknown`, and
    `TooLarge` where there are too many blocks to look through.
    """
    texts = list(asked)
    places = list(_places(outline, None if texts else depth))
    found = {place.path for place in places if len(place.around) < depth}
    for text in texts:
        chosen = [place for place in places if text in place.names]
        if not chosen:
            known = dict.fromkeys(name for place in places for name in place.names)
            raise Unknown(text, did_you_mean(text, known) or _some(places))
        for place in chosen:
            found.update((*place.around, place.path))
    return frozenset(found)


def _some(places: list[Place]) -> str:
    names = dict.fromkeys(place.names[0] for place in places)
    listed = ", ".join(list(names)[:8])
    return f"there are: {listed}" if names else "this model has no blocks"


def _places(outline: Outline, depth: int | None) -> Iterator[Place]:
    """The blocks, outer ones first, down to a depth."""
    waiting: deque[_Level] = deque([_Level(outline.top, (), (), ("",))])
    found = 0
    while waiting:
        level = waiting.popleft()
        for card in outline.levels[level.key].cards:
            if card.inside is None:
                continue
            path = (*level.path, *card.path)
            if card.family is Family.LOOP:
                waiting.append(_Level(card.inside, path, level.around, level.names))
                continue
            found += 1
            if found > MOST_PLACES:
                raise TooLarge(f"it has more than {MOST_PLACES:,} blocks")
            own = tuple(_names(outline, level.key, card))
            names = tuple(f"{a}.{b}" if a else b for a in level.names for b in own)
            yield Place(path, level.around, (*names, card.rows[0].text))
            around = (*level.around, path)
            if depth is None or len(around) < depth:
                waiting.append(_Level(card.inside, path, around, names[:MOST_NAMES]))


@dataclass(frozen=True)
class _Level:
    """A level that is to be looked through: where it is, in which blocks, by which names."""

    key: str
    path: Path
    around: tuple[Path, ...]
    names: tuple[str, ...]


def _names(outline: Outline, key: str, card: Card) -> Iterator[str]:
    """The path of a card in its function, with the folded turns and the loop alone as well."""
    function = outline.program.functions[outline.levels[key].function]
    paths: Mapping[Path, None] = dict.fromkeys(
        function.nodes[node].path for node in card.nodes
    )
    loops: dict[str, None] = {}
    for path in paths:
        words = [part for part in path if isinstance(part, str)]
        loops[".".join(words)] = None
    yield from loops
    yield from (dotted(path) for path in paths if dotted(path) not in loops)
    if card.label and card.label not in loops:
        yield card.label
