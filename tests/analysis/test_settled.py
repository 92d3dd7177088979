"""Quotients of quotients and extremes of extremes: what is written in one way is the same number."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.analysis.generic.names.settled import settled
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, DimError, dim, maximum, minimum, symbol, total

NAMES: tuple[str, ...] = ("c", "g", "n")
C, G, N = map(symbol, NAMES)


def size(chance: random.Random, depth: int) -> Dim:
    """A random size: sums and multiples of names, powers, quotients by numbers and powers, extremes."""
    if depth == 0:
        power = dim(chance.choice((2, 3))) ** (N + chance.randint(-1, 2))
        return chance.choice((C, G, dim(chance.randint(0, 9)), power, C * power))
    one = size(chance, depth - 1)
    other = size(chance, chance.randint(0, depth - 1))
    below = chance.choice((dim(2), dim(3), dim(4), dim(2) ** N, 3 * dim(2) ** (N + 1)))
    return chance.choice(
        (
            one + other,
            chance.randint(-2, 4) * one + other,
            one // below,
            (one + other) // below,
            minimum(one, other),
            maximum(one, other),
        )
    )


@settings(max_examples=400, deadline=None)
@given(
    st.randoms(use_true_random=False),
    st.tuples(*(st.integers(low, 7) for low in (1, 0, 1))),
)
def test_it_is_the_same_number(chance, place):
    try:
        value = size(chance, 4)
        found = settled(value, Assumptions({"g": (0, None)}))
    except DimError:
        return
    numbers = dict(zip(NAMES, place, strict=True))
    assert found.at(numbers) == value.at(numbers)


def test_names_may_be_nothing():
    nothing = Assumptions({"g": (0, None)})
    value = maximum(minimum(G, G + C), 1)
    for size in (0, 1, 2):
        numbers = {"g": size, "c": 5}
        assert settled(value, nothing).at(numbers) == value.at(numbers) == max(1, size)


def test_sums_of_many_extremes_are_left_as_they_are():
    many = total(minimum(symbol(f"a{n}"), symbol(f"b{n}")) for n in range(40))
    for value in (minimum(many, C), (many + G) // 2):
        assert settled(value, Assumptions()) == value


def test_what_turns_do_again_and_again_is_done_once():
    bounds = Assumptions()
    for value, once in (
        (((C + G) // 2 + G) // 2, (C + 3 * G) // 4),
        ((C // dim(2) ** N) // 2, C // dim(2) ** (N + 1)),
        (minimum(2 * minimum(2 * C, G), G), minimum(4 * C, G)),
        (maximum(maximum(C // 2, G) // 2, G), maximum(C // 4, G)),
        (minimum(3 * minimum(C, G) + 1, 3 * G + 1), minimum(3 * C + 1, 3 * G + 1)),
    ):
        assert settled(value, bounds) == settled(once, bounds)
