"""Where everything stands, for cards of given sizes: the part of a layout that opening a block changes.

`page/geometry.js` does the same in a page, from the same plan; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.picture.plan import Plan
from nnspec.records import dataclass

COLUMN_GAP = 18.0
JOINT = 5.0
LABEL_ZONE, BARE_ZONE, ENTRY = 21.0, 8.0, 14.0
TRACK = 9.0
INLET_STEP = 16.0
CORNER = 8.0
STRAIGHT = 0.5
APART = 6.0


@dataclass(frozen=True)
class Box:
    """A card as the layout sees it: how far it reaches to each side of its axis, and its height.

    `left` and `right` hold labels as well; `half` is half the width of the card itself.
    `outlets` are abscissae from the axis.
    """

    left: float
    right: float
    height: float
    half: float
    outlets: tuple[float, ...]
    round: bool = False


@dataclass(frozen=True)
class Placed:
    """Abscissae of the axes and ordinates of the upper edges of all cards, and the corners of wires.

    Coordinates count from the upper left corner of the whole; `axis` is the abscissa of the spine.
    Wires run down and across from corner to corner.
    """

    x: tuple[float, ...]
    y: tuple[float, ...]
    width: float
    height: float
    axis: float
    wires: tuple[tuple[tuple[float, float], ...], ...]


def place(plan: Plan, boxes: Sequence[Box]) -> Placed:
    """Places the cards of a level. All lengths are in the unit of the boxes."""
    return _Placing(plan, boxes).placed()


class _Placing:
    """Columns first, then layers, then wires."""

    def __init__(self, plan: Plan, boxes: Sequence[Box]) -> None:
        self.plan = plan
        self.bones = plan.skeleton
        joint = Box(JOINT, JOINT, 0.0, 0.0, (0.0,))
        joints = self.bones.items - len(boxes)
        self.cards = len(boxes)
        self.boxes = [*boxes, *[joint] * joints]
        self.x = [0.0] * self.bones.items
        self.tops: list[float] = []
        self.zones: list[float] = []
        self.tracks: dict[int, float] = {}

    def placed(self) -> Placed:
        self._columns()
        height = self._layers()
        layer_of = self.plan.layer_of
        wires = tuple(self._corners(wire) for wire in range(len(self.bones.runs)))
        least = min(x - box.left for x, box in zip(self.x, self.boxes, strict=True))
        most = max(x + box.right for x, box in zip(self.x, self.boxes, strict=True))
        return Placed(
            tuple(x - least for x in self.x[: self.cards]),
            tuple(self.tops[layer_of[card]] for card in range(self.cards)),
            most - least,
            height,
            -least,
            tuple(tuple((x - least, y) for x, y in corners) for corners in wires),
        )

    # ---- columns: pushed towards the spine, which is at 0 ------------------------------------

    def _columns(self) -> None:
        for column in self.bones.right:
            items = self.bones.columns[column]
            at = max(self._right_of_left(item) for item in items)
            for item in items:
                self.x[item] = at
        for column in self.bones.left:
            items = self.bones.columns[column]
            at = min(self._left_of_right(item) for item in items)
            for item in items:
                self.x[item] = at

    def _right_of_left(self, item: int) -> float:
        """The nearest that an item may come to its neighbour on the left."""
        other = self.plan.left[item]
        if other < 0:
            return float("-inf")
        gap = self._space(item, other)
        return self.x[other] + self.boxes[other].right + gap + self.boxes[item].left

    def _left_of_right(self, item: int) -> float:
        other = self.plan.right[item]
        if other < 0:
            return float("inf")
        gap = self._space(item, other)
        return self.x[other] - self.boxes[other].left - gap - self.boxes[item].right

    def _space(self, one: int, other: int) -> float:
        return COLUMN_GAP if min(one, other) < self.cards else JOINT

    # ---- layers: cards, then their labels, tracks on which wires run across, arrows ----------

    def _layers(self) -> float:
        y = bottom = 0.0
        for at, layer in enumerate(self.bones.layers):
            self.tops.append(y)
            bottom = y + max(self.boxes[item].height for item in layer)
            labelled = any(
                item < self.cards and self.boxes[item].outlets for item in layer
            )
            start = bottom + (LABEL_ZONE if labelled else BARE_ZONE)
            count = self._assign(self.plan.gaps[at], start)
            y = start + max(0, count - 1) * TRACK + ENTRY
        return bottom

    def _assign(self, gap: Sequence[Sequence[int]], start: float) -> int:
        """Gives each bend of a gap a track, so that no two of them lie on one another."""
        leftward: list[tuple[float, float, float, Sequence[int]]] = []
        rightward: list[tuple[float, float, float, Sequence[int]]] = []
        for outlet in gap:
            upper = self._upper(outlet[0])
            ends = [self._lower(segment) for segment in outlet]
            low, high = min(upper, *ends), max(upper, *ends)
            if high - low > STRAIGHT:
                side = leftward if upper - low > high - upper else rightward
                side.append((upper, low, high, outlet))
        leftward.sort(key=lambda bend: bend[0])
        rightward.sort(key=lambda bend: -bend[0])
        spans: list[list[tuple[float, float]]] = []
        for bends in (leftward, rightward):
            floor: list[tuple[float, float, int]] = []
            for _, low, high, outlet in bends:
                least = max(
                    (t + 1 for a, b, t in floor if _meet(a, b, low, high)), default=0
                )
                track = _free(spans, least, low, high)
                floor.append((low, high, track))
                for segment in outlet:
                    self.tracks[segment] = start + track * TRACK
        return len(spans)

    # ---- wires -------------------------------------------------------------------------------

    def _upper(self, segment: int) -> float:
        """The abscissa at which a segment leaves its upper item."""
        each = self.bones.segments[segment]
        if each.upper >= self.cards:
            return self.x[each.upper]
        outlets = self.boxes[each.upper].outlets
        return self.x[each.upper] + outlets[self.plan.outlets[each.wire]]

    def _lower(self, segment: int) -> float:
        """The abscissa at which a segment reaches its lower item."""
        each = self.bones.segments[segment]
        if each.lower >= self.cards:
            return self.x[each.lower]
        box = self.boxes[each.lower]
        at, furthest = self.plan.inlets[each.wire]
        room = 0.75 * box.half if box.round else max(0.0, box.half - CORNER)
        step = min(INLET_STEP, room / furthest) if furthest else 0.0
        return self.x[each.lower] + at * step

    def _corners(self, wire: int) -> tuple[tuple[float, float], ...]:
        run = self.bones.runs[wire]
        first, last = (
            self.bones.segments[run[0]].upper,
            self.bones.segments[run[-1]].lower,
        )
        layer_of = self.plan.layer_of
        x = self._upper(run[0])
        bottom = self.tops[layer_of[first]] + self.boxes[first].height
        corners = [(x, bottom - _dent(self.boxes[first], x - self.x[first]))]
        for segment in run:
            end = self._lower(segment)
            if abs(end - x) > 0 and segment in self.tracks:
                corners += [(x, self.tracks[segment]), (end, self.tracks[segment])]
            x = end
        top = self.tops[layer_of[last]]
        return (*corners, (x, top + _dent(self.boxes[last], x - self.x[last])))


def _meet(a: float, b: float, low: float, high: float) -> bool:
    return a < high + APART and low < b + APART


def _free(
    spans: list[list[tuple[float, float]]], least: int, low: float, high: float
) -> int:
    """The first track from `least` on where nothing is between two abscissae; it is taken."""
    for track in range(least, len(spans)):
        if not any(_meet(a, b, low, high) for a, b in spans[track]):
            spans[track].append((low, high))
            return track
    while len(spans) <= least:
        spans.append([])
    if not spans[-1]:
        spans[-1].append((low, high))
        return len(spans) - 1
    spans.append([(low, high)])
    return len(spans) - 1


def _dent(box: Box, offset: float) -> float:
    """How far inside its square the edge of a circle is, at a distance from the axis."""
    if not box.round:
        return 0.0
    return box.half - max(0.0, box.half**2 - offset**2) ** 0.5
