"""Peaks stay few, and none that may be the largest is lost."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.analysis.memory.envelope import envelope
from nnspec.analysis.memory.peaks import Peaks, lies_between, pruned, reduced
from nnspec.ir.dims import Dim, dim, product, symbol
from tests.work import calls

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


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=12, unique=True))
def test_of_lines_those_are_kept_that_are_the_largest_somewhere(lines):
    amounts = {a * B * T + b * T: (a, b) for a, b in lines}
    found = envelope(list(amounts))
    if found is None:
        assert not all(map(any, zip(*lines, strict=True)))
        return
    for b, t in SIZES:
        assert largest(found, b, t) == largest(list(amounts), b, t)
    for each in found:
        a, b = amounts[each]
        rest = [lines for other, lines in amounts.items() if other is not each]
        above = [Fraction(more - b, a - slope) for slope, more in rest if slope < a]
        below = [Fraction(b - more, slope - a) for slope, more in rest if slope > a]
        assert all(more < b for slope, more in rest if slope == a)
        assert max([Fraction(1), *above]) < min([Fraction(10**9), *below])


@pytest.mark.parametrize("kept", [lambda layer: layer * layer, lambda layer: -layer])
def test_the_work_for_many_lines_grows_as_they_do(kept):
    few, many = (
        [(n - layer) * B + kept(layer) for layer in range(n)] for n in (100, 400)
    )
    assert calls(lambda: reduced(many)) < 5 * calls(lambda: reduced(few))


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
