"""A level ready to be placed: its skeleton, and the order of what leaves and enters each card."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from nnspec.picture.outline import Level
from nnspec.picture.skeleton import Skeleton, skeleton
from nnspec.records import dataclass


@dataclass(frozen=True)
class Plan:
    """What the layout of a level is, but for sizes.

    `labels` are those of the outlets of each card from left to right. `outlets` says for each wire
    which of them it leaves by; `inlets` where it enters: its place from the axis in steps (0 is on the axis)
    and that of the furthest. `left` and `right` are the neighbours of each item, -1 for none. `gaps` are the
    segments below each layer, those of one outlet together.
    """

    level: Level
    skeleton: Skeleton
    labels: tuple[tuple[str, ...], ...]
    outlets: tuple[int, ...]
    inlets: tuple[tuple[float, float], ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    layer_of: Mapping[int, int]
    gaps: tuple[tuple[tuple[int, ...], ...], ...]


def plan(level: Level) -> Plan:
    """Plans a level. Raises `TooLarge` where its wires pass too many layers."""
    wires = [(wire.source, wire.outlet, wire.target) for wire in level.wires]
    bones = skeleton(len(level.cards), wires)
    spot = {item: at for layer in bones.layers for at, item in enumerate(layer)}
    labels, outlets = _outlets(level, bones, spot)
    layer_of = {item: at for at, layer in enumerate(bones.layers) for item in layer}
    return Plan(
        level,
        bones,
        labels,
        outlets,
        _inlets(level, bones, spot, outlets),
        *_neighbours(bones),
        layer_of,
        _gaps(bones, layer_of, outlets),
    )


def _outlets(
    level: Level, bones: Skeleton, spot: dict[int, int]
) -> tuple[tuple[tuple[str, ...], ...], tuple[int, ...]]:
    """Outlets in the order of what is below them."""
    below: dict[tuple[int, int], list[int]] = {}
    for number, wire in enumerate(level.wires):
        lower = bones.segments[bones.runs[number][0]].lower
        below.setdefault((wire.source, wire.outlet), []).append(spot[lower])
    labels: list[tuple[str, ...]] = []
    order: dict[tuple[int, int], int] = {}
    for place, card in enumerate(level.cards):
        found = sorted(
            range(len(card.outlets)), key=lambda each: _mean(below[(place, each)])
        )
        order.update({(place, each): at for at, each in enumerate(found)})
        labels.append(tuple(card.outlets[each].label for each in found))
    chosen = tuple(order[(wire.source, wire.outlet)] for wire in level.wires)
    return tuple(labels), chosen


def _mean(places: list[int]) -> float:
    return sum(places) / len(places)


def _inlets(
    level: Level,
    bones: Skeleton,
    spot: dict[int, int],
    outlets: tuple[int, ...],
) -> tuple[tuple[float, float], ...]:
    """Where wires enter: in the order of what is above, that which comes straight down on the axis."""
    column = {item: at for at, items in enumerate(bones.columns) for item in items}
    into: dict[int, list[int]] = {}
    for number, wire in enumerate(level.wires):
        into.setdefault(wire.target, []).append(number)
    found: dict[int, tuple[float, float]] = {}
    for target, wires in into.items():
        upper = {wire: bones.segments[bones.runs[wire][-1]].upper for wire in wires}
        wires.sort(key=lambda wire: (spot[upper[wire]], outlets[wire]))
        straight = [
            at for at, wire in enumerate(wires) if column[upper[wire]] == column[target]
        ]
        centre = _mean(straight) if straight else (len(wires) - 1) / 2
        furthest = max(centre, len(wires) - 1 - centre)
        found.update({wire: (at - centre, furthest) for at, wire in enumerate(wires)})
    return tuple(found[number] for number in range(len(level.wires)))


def _neighbours(bones: Skeleton) -> tuple[tuple[int, ...], tuple[int, ...]]:
    left = [-1] * bones.items
    right = [-1] * bones.items
    for layer in bones.layers:
        for one, other in pairwise(layer):
            left[other], right[one] = one, other
    return tuple(left), tuple(right)


def _gaps(
    bones: Skeleton, layer_of: Mapping[int, int], outlets: tuple[int, ...]
) -> tuple[tuple[tuple[int, ...], ...], ...]:
    found: list[dict[tuple[int, int], list[int]]] = [{} for _ in bones.layers]
    cards = bones.cards
    for number, segment in enumerate(bones.segments):
        outlet = outlets[segment.wire] if segment.upper < cards else 0
        gap = found[layer_of[segment.upper]]
        gap.setdefault((segment.upper, outlet), []).append(number)
    return tuple(tuple(map(tuple, gap.values())) for gap in found)
