"""Points in a plane: what the axes say, and the line through the front."""

from __future__ import annotations

import re

import pytest

from nnspec.picture.scatter import Mark, Scale, scatter

MIB = 2.0**20


@pytest.mark.parametrize(
    ("low", "high", "in_bytes", "labels"),
    [
        (1.0e6, 9.0e6, False, ["2M", "4M", "6M", "8M"]),
        (1 * MIB, 9 * MIB, True, ["2 MiB", "4 MiB", "6 MiB", "8 MiB"]),
        (1.0, 2e6, False, ["1", "10", "100", "1K", "10K", "100K", "1M"]),
        (MIB, 900 * MIB, True, ["1 MiB", "4 MiB", "16 MiB", "64 MiB", "256 MiB"]),
        (1000.0, 1023.0, True, ["0.98 KiB", "0.99 KiB", "1 KiB"]),
    ],
)
def test_ticks_are_round_in_their_unit(
    low: float, high: float, in_bytes: bool, labels: list[str]
) -> None:
    scale = Scale.over([low, high], 0, 100, in_bytes=in_bytes)
    found = [scale.label(tick) for tick in scale.ticks()]
    assert [each for each in labels if each in found] == labels
    places = [scale.place(tick) for tick in scale.ticks()]
    assert places == sorted(places)
    assert all(0 <= each <= 100 for each in places)


def front_of(heights: list[float]) -> bool:
    marks = [Mark(float(x), y, "m", True) for x, y in enumerate(heights, 1)]
    return re.search(r'class="front"', scatter(marks, "t", "x", "y")) is not None


def test_a_front_of_two_figures_is_a_line() -> None:
    assert front_of([3, 2, 1])
    assert front_of([1, 2, 2])
    assert not front_of([1, 3, 2])
    assert not front_of([1])
