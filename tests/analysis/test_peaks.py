"""Peaks stay few, and none that may be the largest is lost."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.analysis.memory.peaks import Peaks, lies_between, pruned
from nnspec.ir.dims import Dim, dim, product, symbol

B, T = symbol("B"), symbol("T")
NUMBERS = st.integers(-5, 50)
AMOUNTS = st.builds(lambda a, b, c: a * B * T + b * T + c, NUMBERS, NUMBERS, NUMBERS)
SIZES = [(1, 1), (1, 60), (3, 7), (4000, 1), (500, 500)]


def largest(amounts: list[Dim], b: int, t: int) -> int:
    return max(int(amount.at({"B": b, "T": t})) for amount in amounts)


@settings(max_examples=300, deadline=None)
@given(st.lists(AMOUNTS, min_size=1, max_size=12))
def test_the_largest_is_kept(amounts: list[Dim]) -> None:
    peaks = Peaks()
    for amount in amounts:
        peaks.add(amount)
    for found in (peaks.amounts, peaks.settled().amounts):
        for b, t in SIZES:
            assert largest(found, b, t) == largest(amounts, b, t)


def test_what_is_rounded_up_is_never_less_than_nothing() -> None:
    """A quotient that is rounded up is said as the negative of one that is rounded down."""
    pages = (17 * B * T).ceil_divide(64)
    amounts = [40 * pages + 3 * B, 8 * pages + 5 * B, 8 * pages + 90, dim(40)]
    peaks = Peaks()
    for amount in amounts:
        peaks.add(amount)
    for found in (peaks.amounts, peaks.settled().amounts, pruned(amounts, {})):
        for b, t in SIZES:
            assert largest(found, b, t) == largest(amounts, b, t)


def test_equal_layers_leave_few_amounts() -> None:
    peaks = Peaks()
    for layer in range(1000):
        for number in range(3):
            own = 5 * (number + 1) ** 2
            peaks.add((9000 - 7 * layer + own) * B * T + 40 * layer + (3 - number) ** 3)
            assert len(peaks.amounts) <= 12


def test_what_lies_between_two_amounts() -> None:
    assert lies_between(2 * T + 20, 3 * T + 10, dim(40))
    assert lies_between(2 * T + 5, 3 * T + 10, T + 10)
    assert not lies_between(2 * T + 21, 3 * T + 10, dim(40))
    assert not lies_between(4 * T, 3 * T + 10, dim(40))
    assert not lies_between(T, T + 1, T + 2)


def test_amounts_that_would_have_too_many_terms_are_kept() -> None:
    """In what each of nine sizes is more than 1, their product has 512 terms."""
    many = product(symbol(name) for name in "abcdefghi")
    assert pruned([many, B, many + 1, 2 * B], {}) == [many, many + 1, 2 * B]
