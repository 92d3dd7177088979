"""Exact integer expressions against plain integer arithmetic."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.ir import dims
from nnspec.ir.dims import Dim, DimError, dim, maximum, symbol, without_twins
from tests.ir.expressions import NAMES, POINTS, SYMBOLS, TREES, Tree, build, evaluate


def agree(tree: Tree, found: Dim, values: dict[str, int]) -> None:
    """Where plain arithmetic has a value, the dim has the same one."""
    try:
        expected = evaluate(tree, values)
    except ZeroDivisionError:
        return
    assert int(found.at(values)) == expected


@settings(max_examples=400, deadline=None)
@given(TREES, POINTS)
def test_normal_forms_mean_what_was_written(tree, values):
    try:
        found = build(tree, SYMBOLS)
    except DimError:
        return
    agree(tree, found, values)


@settings(max_examples=400, deadline=None)
@given(TREES, POINTS)
def test_text_says_the_same(tree, values):
    try:
        expected = evaluate(tree, values)
        text = str(build(tree, SYMBOLS))
    except (DimError, ZeroDivisionError):
        return
    read = eval(text.replace("^", "**"), {"min": min, "max": max}, dict(values))
    assert read == expected, text


@settings(max_examples=300, deadline=None)
@given(TREES, POINTS)
def test_substituting_in_two_steps_is_substituting_at_once(tree, values):
    try:
        found = build(tree, SYMBOLS)
        half = found.at({name: values[name] for name in ("B", "H")})
    except DimError:
        return
    agree(tree, half, values)


@settings(max_examples=300, deadline=None)
@given(TREES, st.fixed_dictionaries({name: st.integers(-3, 12) for name in NAMES}))
def test_twins_follow_every_operation(tree, values):
    """A twin speaks of constants of the spec, which may be zero or negative."""
    leaf = {name: dim(value).named(symbol(name)) for name, value in values.items()}
    try:
        expected = evaluate(tree, values)
        found = build(tree, leaf)
    except (DimError, ZeroDivisionError):
        return
    assert int(found) == expected
    assert int(found.generic.at(values)) == expected


@settings(max_examples=200, deadline=None)
@given(TREES, TREES, POINTS)
def test_equal_dims_have_equal_values(one, other, values):
    try:
        left, right = build(one, SYMBOLS), build(other, SYMBOLS)
        same = (left - right) == 0
    except DimError:
        return
    assert (left == right) <= same
    if left == right:
        assert hash(left) == hash(right)
        agree(one, right, values)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ((symbol("H") + 1) // 2, "(H + 1) // 2"),
        (symbol("H") // 2, "H // 2"),
        (2 * (symbol("H") // 2), "2 * (H // 2)"),
        (-(symbol("H") // 2), "-(H // 2)"),
        (symbol("H") // 2 + 1, "H // 2 + 1"),
        (3 - symbol("T"), "3 - T"),
        (symbol("T") ** 2 * 4, "4 * T^2"),
        ((symbol("H") // 2) ** 2, "(H // 2)^2"),
        (symbol("H", 32) // 4, "H // 4"),
        (symbol("H", 32), "H"),
        (symbol("H", 32) * symbol("B"), "B * H"),
        (symbol("H", 32) // 4 * symbol("B"), "B * (H // 4)"),
        (symbol("i@269") * 2, "2 * i"),
        (dim(2) ** symbol("i"), "2^i"),
        (symbol("T") % 7, "T % 7"),
        (5 // symbol("T"), "5 // T"),
        (maximum(symbol("T"), 3), "max(T, 3)"),
    ],
)
def test_shown_without_needless_parentheses(value, text):
    assert str(value) == text


def test_multiples_of_a_scaled_symbol_divide_exactly():
    height = symbol("H", 32)
    assert height % 32 == 0
    assert height // 32 * 32 == height
    with pytest.raises(DimError, match="must divide by 32"):
        height.at({"H": 33})


def test_nested_floor_divisions_join():
    height = symbol("H")
    assert height // 2 // 2 == height // 4
    assert (height // 2 + 1) // 2 != height // 4


def test_a_constant_that_may_be_zero_is_not_taken_for_a_size():
    turn = dim(0).named(symbol("i@1"))
    found = maximum(turn, 1)
    assert found == 1
    assert int(found.generic.at({"i@1": 0})) == 1


def test_what_is_too_large_is_refused():
    with pytest.raises(DimError, match="bits"):
        dim(2) ** 5000
    with pytest.raises(DimError, match="16th power"):
        symbol("T") ** 17
    with pytest.raises(DimError, match="bits"):
        dim(1 << 5000)
    factors = [symbol(f"b{i}") + 1 for i in range(20)]
    with pytest.raises(DimError, match="terms"):
        dims.product(factors)


def test_what_has_no_value_is_refused():
    for operation in (lambda: symbol("T") // 0, lambda: symbol("T") % 0):
        with pytest.raises(DimError, match="has no value"):
            operation()
    with pytest.raises(DimError, match="not an integer"):
        dim(2) ** -1
    with pytest.raises(DimError, match="not known yet"):
        int(symbol("T"))


def test_named_keeps_the_plain_form_where_it_is_the_same():
    size = symbol("T")
    named = size.named(size)
    assert named.generic is named
    assert dims.product([]) == 1
    assert dims.total([]) == 0
    assert dim(7).ceil_divide(2) == 4


def test_without_twins_values_are_the_same() -> None:
    width = dim(8).named(symbol("width"))
    with without_twins():
        bare = width * symbol("B") + width
    twinned = width * symbol("B") + width
    assert bare == twinned
    assert bare.generic == 8 * symbol("B") + 8
    assert twinned.generic == symbol("width") * symbol("B") + symbol("width")


def test_dims_are_copied_and_pickled() -> None:
    size = (symbol("H", 32) + 7) // 4 * symbol("B")
    for copied in (copy.deepcopy(size), pickle.loads(pickle.dumps(size))):
        assert copied == size
        assert [atom.kind for atom in copied.atoms()] == [
            atom.kind for atom in size.atoms()
        ]
