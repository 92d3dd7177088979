"""The part of a layout that no size changes: layers, the order in each, and what stands in one line.

A layered drawing after Sugiyama, Tagawa and Toda (1981): longest-path layers, long wires broken into
one joint for each layer that they pass, orders by barycentres. In place of a general assignment of
abscissae, one path from the first layer to the last is the spine, which is drawn straight; all else stands
to the left or to the right of it, in columns (straight runs of joints and cards) that are pushed towards it.
A column never crosses another, so that columns can be placed one after the other for any sizes: when a
block is opened, `geometry` (and the same few lines in the page) only places them again.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from graphlib import TopologicalSorter
from itertools import pairwise

from nnspec.records import dataclass

SWEEPS = 6
MOST_JOINTS = 60_000


class TooLarge(Exception):
    """A level has more crossing and passing wires than can be drawn."""


@dataclass(frozen=True)
class Segment:
    """A piece of a wire, or of several from one outlet, from an item of one layer to one of the next.

    `wire` is the first of them.
    """

    upper: int
    lower: int
    wire: int


@dataclass(frozen=True)
class Skeleton:
    """Items are cards (by their places) and, after them, joints of wires.

    `layers` hold items from left to right. `columns` hold the items that stand in one line; the first is
    the spine. `right` and `left` are the other columns in the order in which they can be placed outwards.
    """

    cards: int
    layers: tuple[tuple[int, ...], ...]
    columns: tuple[tuple[int, ...], ...]
    right: tuple[int, ...]
    left: tuple[int, ...]
    segments: tuple[Segment, ...]
    runs: tuple[tuple[int, ...], ...]
    """By wire its segments, from source to target."""

    @property
    def items(self) -> int:
        """How many cards and joints there are."""
        return sum(len(layer) for layer in self.layers)


def skeleton(cards: int, wires: Sequence[tuple[int, int, int]]) -> Skeleton:
    """The layers and columns of a graph.

    `wires` lead from an outlet of a card to a later card: (card, outlet, card). Those from one outlet run
    together as far as they go the same way. Raises `TooLarge` where they pass too many layers.
    """
    depth = _layers(cards, [(source, target) for source, _, target in wires])
    routes, layer_of = _routes(depth, wires)
    segments, runs = _segments(routes)
    spine = _spine(cards, layer_of, segments)
    layers = _ordered(cards, layer_of, segments)
    columns = _columns(cards, layers, segments, spine)
    right, left = _outwards(layers, columns)
    return Skeleton(
        cards,
        tuple(map(tuple, layers)),
        tuple(map(tuple, columns)),
        tuple(right),
        tuple(left),
        tuple(segments),
        tuple(map(tuple, runs)),
    )


# ---- layers -----------------------------------------------------------------------------------------


def _layers(cards: int, wires: Sequence[tuple[int, int]]) -> list[int]:
    """The layer of each card: below all that it reads; sources stand right above what reads them."""
    above: list[list[int]] = [[] for _ in range(cards)]
    below: list[list[int]] = [[] for _ in range(cards)]
    for source, target in wires:
        above[target].append(source)
        below[source].append(target)
    depth = [0] * cards
    for card in range(cards):
        depth[card] = max((depth[each] + 1 for each in above[card]), default=0)
    for card in reversed(range(cards)):
        if below[card] and len(below[card]) >= len(above[card]):
            depth[card] = min(depth[each] for each in below[card]) - 1
    for card in range(cards):
        if above[card] and len(above[card]) >= len(below[card]):
            depth[card] = max(depth[each] for each in above[card]) + 1
    return depth


def _routes(
    depth: list[int], wires: Sequence[tuple[int, int, int]]
) -> tuple[list[list[int]], list[int]]:
    """The items that each wire passes, and the layer of each item."""
    furthest: dict[tuple[int, int], int] = {}
    for source, outlet, target in wires:
        key = (source, outlet)
        furthest[key] = max(furthest.get(key, 0), depth[target])
    passed = sum(last - depth[source] - 1 for (source, _), last in furthest.items())
    if passed > MOST_JOINTS:
        raise TooLarge(f"its wires pass {passed:,} layers together")
    layer_of = list(depth)
    joints: dict[tuple[int, int], range] = {}
    for (source, outlet), last in furthest.items():
        layers = range(depth[source] + 1, last)
        joints[(source, outlet)] = range(len(layer_of), len(layer_of) + len(layers))
        layer_of += layers
    routes = [
        [source, *joints[(source, outlet)][: depth[target] - depth[source] - 1], target]
        for source, outlet, target in wires
    ]
    return routes, layer_of


def _segments(routes: Sequence[list[int]]) -> tuple[list[Segment], list[list[int]]]:
    """The different pieces of all wires, and those of each."""
    numbers: dict[tuple[int, int, int], int] = {}
    segments: list[Segment] = []
    runs: list[list[int]] = []
    for wire, route in enumerate(routes):
        runs.append([])
        for upper, lower in pairwise(route):
            # What ends at a card is of this wire alone; cards may have several between them.
            own = wire if lower == route[-1] else -1
            number = numbers.setdefault((upper, lower, own), len(segments))
            if number == len(segments):
                segments.append(Segment(upper, lower, wire))
            runs[-1].append(number)
    return segments, runs


def _spine(cards: int, layer_of: list[int], segments: Sequence[Segment]) -> list[int]:
    """A path from the first layer to the last, through as few joints as can be.

    Of equally good ways up the middle one is taken, so that the others stand on both sides of it.
    """
    above: dict[int, list[int]] = {}
    for segment in segments:
        above.setdefault(segment.lower, []).append(segment.upper)
    # By item: the highest layer from which a path leads to it, the joints on it, the item before.
    best: dict[int, tuple[int, int, int]] = {}
    items = sorted(range(len(layer_of)), key=layer_of.__getitem__)
    for item in items:
        ways = [
            (best[upper][0], best[upper][1] + (upper >= cards), upper)
            for upper in sorted(set(above.get(item, ())))
        ]
        good = [way for way in ways if way[:2] == min(ways)[:2]]
        best[item] = _middle(good) if good else (layer_of[item], 0, -1)
    ends = [item for item in items if layer_of[item] == layer_of[items[-1]]]
    path = [min(ends, key=lambda each: best[each][:2])]
    while best[path[-1]][2] >= 0:
        path.append(best[path[-1]][2])
    return path[::-1]


def _middle(ways: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    return ways[(len(ways) - 1) // 2]


# ---- orders -----------------------------------------------------------------------------------------


def _ordered(
    cards: int, layer_of: list[int], segments: Sequence[Segment]
) -> list[list[int]]:
    """The items of each layer from left to right, with few crossings."""
    order = _Order(cards, layer_of, segments)
    order.downwards()
    best, fewest = order.layers, order.crossings()
    for sweep in range(SWEEPS):
        if fewest == 0:
            break
        order.upwards() if sweep % 2 == 0 else order.downwards()
        crossings = order.crossings()
        if crossings < fewest:
            best, fewest = order.layers, crossings
    return best


class _Order:
    """Layers whose items are sorted again and again by their neighbours."""

    def __init__(
        self, cards: int, layer_of: list[int], segments: Sequence[Segment]
    ) -> None:
        count = max(layer_of) + 1
        self.layers: list[list[int]] = [[] for _ in range(count)]
        for item in range(len(layer_of)):
            self.layers[layer_of[item]].append(item)
        self.above: dict[int, list[int]] = {}
        self.below: dict[int, list[int]] = {}
        self.gaps: list[list[Segment]] = [[] for _ in range(count)]
        for segment in segments:
            self.above.setdefault(segment.lower, []).append(segment.upper)
            self.below.setdefault(segment.upper, []).append(segment.lower)
            self.gaps[layer_of[segment.upper]].append(segment)
        self.cards = cards
        self.place: dict[int, int] = {}
        self._note(self.layers)

    def downwards(self) -> None:
        """Sorts every layer by what is above it."""
        self._sort(range(1, len(self.layers)), self.above)

    def upwards(self) -> None:
        """Sorts every layer by what is below it."""
        self._sort(range(len(self.layers) - 2, -1, -1), self.below)

    def _sort(self, layers: Sequence[int], neighbours: dict[int, list[int]]) -> None:
        self.layers = list(self.layers)
        for at in layers:
            layer = self.layers[at]
            self.layers[at] = sorted(layer, key=lambda i: self._key(i, neighbours))
            self._note([self.layers[at]])

    def _key(
        self, item: int, neighbours: dict[int, list[int]]
    ) -> tuple[float, bool, int]:
        """Items as their neighbours stand; of equal ones, cards as they run, then joints."""
        found = neighbours.get(item)
        mean = (
            sum(self.place[each] for each in found) / len(found)
            if found
            else self.place[item]
        )
        return (mean, item >= self.cards, self.place[item])

    def _note(self, layers: Sequence[list[int]]) -> None:
        for layer in layers:
            self.place.update((item, place) for place, item in enumerate(layer))

    def crossings(self) -> int:
        """How often wires cross."""
        return sum(self._crossings(gap) for gap in self.gaps)

    def _crossings(self, gap: list[Segment]) -> int:
        pairs = sorted((self.place[s.upper], self.place[s.lower]) for s in gap)
        seen: list[int] = []
        crossed = 0
        for _, lower in pairs:
            crossed += len(seen) - bisect_right(seen, lower)
            insort(seen, lower)
        return crossed


# ---- columns ----------------------------------------------------------------------------------------


def _columns(
    cards: int,
    layers: list[list[int]],
    segments: Sequence[Segment],
    spine: list[int],
) -> list[list[int]]:
    """Straight runs of items, none of which crosses another; the first is the spine."""
    place = {item: at for layer in layers for at, item in enumerate(layer)}
    layer_of = {item: at for at, layer in enumerate(layers) for item in layer}
    below = dict(pairwise(spine))
    above = {lower: upper for upper, lower in below.items()}
    taken: list[list[tuple[int, int]]] = [[] for _ in layers]
    for upper, lower in below.items():
        taken[layer_of[upper]].append((place[upper], place[lower]))
    for segment in sorted(segments, key=lambda s: _straightness(cards, s)):
        upper, lower = segment.upper, segment.lower
        if upper in below or lower in above:
            continue
        pair = (place[upper], place[lower])
        row = taken[layer_of[upper]]
        if _crosses(row, pair):
            continue
        insort(row, pair)
        below[upper], above[lower] = lower, upper
    first = list(spine[:1])
    starts = first + [
        item
        for layer in layers
        for item in layer
        if item not in above and item not in first
    ]
    return [_run(item, below) for item in starts]


def _straightness(cards: int, segment: Segment) -> int:
    """Joints are to stand in one line with joints first, then cards with cards."""
    ends = (segment.upper >= cards) + (segment.lower >= cards)
    return {2: 0, 0: 1, 1: 2}[ends]


def _crosses(row: list[tuple[int, int]], pair: tuple[int, int]) -> bool:
    """Whether a segment crosses one of those in order."""
    at = bisect_left(row, pair)
    before, after = row[at - 1 : at], row[at : at + 1]
    return any(each[1] > pair[1] for each in before) or any(
        each[1] < pair[1] for each in after
    )


def _run(item: int, below: dict[int, int]) -> list[int]:
    found = [item]
    while found[-1] in below:
        found.append(below[found[-1]])
    return found


def _outwards(
    layers: list[list[int]], columns: list[list[int]]
) -> tuple[list[int], list[int]]:
    """The columns to the right and to the left of the spine, each after those nearer to it."""
    column_of = {item: at for at, column in enumerate(columns) for item in column}
    right: TopologicalSorter[int] = TopologicalSorter()
    left: TopologicalSorter[int] = TopologicalSorter()
    for layer in layers:
        found = [column_of[item] for item in layer]
        spine = found.index(0)
        for nearer, further in pairwise(found[spine:]):
            right.add(further, nearer)
        for further, nearer in pairwise(found[: spine + 1]):
            left.add(further, nearer)
    return (
        [column for column in right.static_order() if column],
        [column for column in left.static_order() if column],
    )
