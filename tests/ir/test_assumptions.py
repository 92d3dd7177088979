"""Proofs about symbols: sound for every value that the assumptions allow."""

from __future__ import annotations

import operator
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import DimError, dim, maximum, minimum, symbol
from tests.ir.expressions import SYMBOLS, TREES, build, evaluate

COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@settings(max_examples=400, deadline=None)
@given(
    TREES,
    TREES,
    st.sampled_from(sorted(COMPARE)),
    st.tuples(st.integers(1, 20), st.integers(0, 20), st.booleans()),
    st.fixed_dictionaries(
        {
            "B": st.integers(1, 60),
            "T": st.integers(0, 20),
            "H": st.integers(1, 15),
            "W": st.integers(1, 10),
        }
    ),
)
def test_what_is_decided_is_so(one, other, sign, bounds, point):
    low, more, bounded = bounds
    known = Assumptions({}, {"H": 4, "W": 6}).with_lower("T", low)
    if bounded:
        known = known.with_upper("T", low + more)
    values = {
        "B": point["B"],
        "T": low + (point["T"] % (more + 1) if bounded else point["T"]),
        "H": 4 * point["H"],
        "W": 6 * point["W"],
    }
    try:
        left, right = build(one, SYMBOLS), build(other, SYMBOLS)
        decided = known.holds(sign, left, right)
        expected = evaluate(one, values), evaluate(other, values)
    except (DimError, ZeroDivisionError):
        return
    if decided is not None:
        assert decided is COMPARE[sign](*expected)
    least, most = known.interval(left)
    assert least <= expected[0] <= most


def test_bounds_narrow():
    known = Assumptions().with_upper("T", 1024).with_lower("T", 8).with_upper("T", 2000)
    assert known.bounds["T"] == (8, 1024)
    assert known.interval(symbol("T")) == (8, 1024)
    assert known.holds("<=", symbol("T"), 1024) is True
    assert known.holds("<", symbol("T"), 1024) is None
    assert known.holds(">", symbol("T"), 1024) is False


def test_a_multiple_is_at_least_its_factor():
    known = Assumptions().with_multiple("H", 32)
    assert known.holds(">=", symbol("H", 32), 32) is True
    assert known.holds(">=", symbol("H", 32) // 32, 1) is True


def test_without_bounds_a_size_is_at_least_one():
    known = Assumptions()
    assert known.holds(">=", symbol("T"), 1) is True
    assert known.holds(">=", symbol("T") - 1, 1) is None
    assert known.interval(symbol("T") * symbol("B")) == (1, inf)
    assert known.interval(maximum(symbol("T"), 5)) == (5, inf)
    assert known.interval(minimum(symbol("T"), 5)) == (1, 5)


@pytest.mark.parametrize("sign", [1, -1])
def test_integers_beyond_the_floats(sign):
    huge = sign * 10**400
    size = symbol("T") * huge - 10 * huge
    assert Assumptions().holds("==", size, 0) is None
    assert Assumptions().holds("!=", symbol("T") * huge + huge, 0) is True
    assert Assumptions().holds("==", dim(huge) - dim(huge), 0) is True
