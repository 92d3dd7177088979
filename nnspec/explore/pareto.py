"""Which points no other point beats: the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TypeAlias

Values: TypeAlias = Sequence[Fraction | int]


def front(points: Sequence[Values]) -> list[int]:
    """The places of the points of which no other is as good in everything and better in something.

    Less is better. Equal points are on the front together. O(n log n) for two values, else O(n f) with
    f the size of the front.
    """
    order = sorted(range(len(points)), key=lambda place: tuple(points[place]))
    if points and len(points[0]) == 2:
        return sorted(_of_two(points, order))
    found: list[int] = []
    for place in order:
        if not any(_beats(points[other], points[place]) for other in found):
            found.append(place)
    return sorted(found)


def _of_two(points: Sequence[Values], order: Sequence[int]) -> list[int]:
    found: list[int] = []
    for place in order:
        if (
            not found
            or points[place][1] < points[found[-1]][1]
            or tuple(points[place]) == tuple(points[found[-1]])
        ):
            found.append(place)
    return found


def _beats(one: Values, other: Values) -> bool:
    """Whether one point is as good in everything and better in something."""
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)
