"""Axes, exact numbers of formulas, and the front."""

from __future__ import annotations

import random

import pytest

from nnspec.diagnostics import SpecError
from nnspec.explore.axes import combinations, read_axes
from nnspec.explore.pareto import front
from nnspec.ir.dims import Dim, DimError, maximum, minimum, symbol
from nnspec.ir.dims.numbers import number


def test_axes_are_lists_and_ranges() -> None:
    axes = read_axes(
        {"depth": "6..8", "width": "256,512", "T": "64..256..64,300", "d": "[1,2],[3]"}
    )
    assert {axis.name: axis.values for axis in axes} == {
        "depth": ("6", "7", "8"),
        "width": ("256", "512"),
        "T": ("64", "128", "192", "256", "300"),
        "d": ("[1,2]", "[3]"),
    }
    points = combinations(axes)
    assert len(points) == 3 * 2 * 5 * 2
    assert points[1] == {"depth": "6", "width": "256", "T": "64", "d": "[3]"}


@pytest.mark.parametrize("text", ["8..6", "1..9..0", "1..99999999"])
def test_wrong_ranges(text: str) -> None:
    with pytest.raises(SpecError) as found:
        read_axes({"depth": text})
    assert found.value.diagnostic.code == "E0920"


def test_too_many_points() -> None:
    with pytest.raises(SpecError):
        read_axes({"a": "1..10000", "b": "1..10000"})


def naive(points: list[tuple[int, ...]]) -> list[int]:
    def beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    return [
        place
        for place, point in enumerate(points)
        if not any(beats(other, point) for other in points)
    ]


@pytest.mark.parametrize("seed", range(60))
def test_the_front_is_that_of_the_definition(seed: int) -> None:
    random.seed(seed)
    dimensions = random.choice([1, 2, 3])
    points = [
        tuple(random.randrange(6) for _ in range(dimensions))
        for _ in range(random.randrange(1, 40))
    ]
    assert front(points) == naive(points)


def _random(depth: int) -> Dim:
    if depth == 0 or random.random() < 0.2:
        return random.choice(
            [symbol("B"), symbol("T"), symbol("H", 4)]
        ) * random.randrange(1, 5) + random.randrange(3)
    one, other = _random(depth - 1), _random(depth - 1)
    return random.choice(
        [
            lambda: one + other,
            lambda: one * other,
            lambda: one // random.randrange(1, 6),
            lambda: one % random.randrange(1, 6),
            lambda: maximum(one, other),
            lambda: minimum(one, other),
            lambda: one - other,
        ]
    )()


@pytest.mark.parametrize("seed", range(80))
def test_a_number_is_what_substitution_gives(seed: int) -> None:
    random.seed(seed)
    value = _random(3)
    sizes = {
        "B": random.randrange(1, 30),
        "T": random.randrange(1, 9),
        "H": 4 * seed + 4,
    }
    assert number(value, sizes) == int(value.at(sizes))


def test_sizes_that_are_missing_or_do_not_fit() -> None:
    with pytest.raises(DimError):
        number(symbol("B"), {})
    with pytest.raises(DimError):
        number(symbol("H", 4), {"H": 6})
