"""Sizes that grow by more from turn to turn, and quotients that leave nothing: held against the program made with other numbers."""

from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.formula.growth import grouped
from nnspec.analysis.formula.notation import NOTATIONS
from nnspec.analysis.generic.closed import is_sum
from nnspec.analysis.generic.names.even import apart, evened
from nnspec.ir.dims import Dim, dim, symbol
from tests.ir.models import spec

SUMS = [name for name in FIGURES if is_sum(name)]

MODELS = {
    "concatenated": """
model M(width: int = 5, more: int = 3, depth: int = 5) {
  input x: [B, T, width]
  for i in range(depth) {
    x = concat([x, x -> fc: Linear(width + i * more) -> relu], dim=2)
  }
  output y = x -> head: Linear(3)
}""",
    "concatenated in a block": """
block Grow(x: [B, C, H, W], width: int) {
  return concat([x -> BatchNorm -> relu -> Conv(width, 3, padding=1), x], dim=1)
}
model M(width: int = 5, more: int = 3, depth: int = 5) {
  input x: [B, 7, H, W]
  for i in range(1, depth + 1) { x = x -> layers: Grow(more * i * i + width) }
  output y = x -> global_avg_pool -> Linear(3)
}""",
    "all that were made": """
model M(width: int = 5, more: int = 3, depth: int = 5) {
  input x: [B, T, 7]
  parts = [x]
  for i in range(depth) {
    parts = parts + [concat(parts, dim=2) -> fc: Linear(more * (i + 1)) -> relu]
  }
  output y = concat(parts, dim=2) -> head: Linear(width)
}""",
    "doubled": """
model M(width: int = 5, more: int = 3, depth: int = 5) {
  input x: [B, T, width]
  for i in range(depth) {
    x = concat([x, x -> fc: Linear(width * 2^i + more * i) -> gelu], dim=2)
  }
  output y = x -> head: Linear(more)
}""",
}


@pytest.mark.parametrize("name", MODELS)
def test_sizes_may_grow_by_more_from_turn_to_turn(name):
    text = MODELS[name]
    forms = spec(text).closed_forms(*SUMS)
    assert not forms.fixed
    assert not forms.kept
    assert not forms.conditions
    chance = random.Random(name)
    for _ in range(24):
        numbers = {
            "width": chance.randint(1, 9),
            "more": chance.randint(1, 6),
            "depth": chance.randint(1, 9),
        }
        other = spec(text, **numbers).program
        analysis = Analysis(other)
        sizes = {each: chance.choice((1, 2, 40)) for each in other.symbols}
        for figure in SUMS:
            found, known = forms.at(figure, numbers), analysis.measured(figure)
            same = found.at(sizes).exactly() == known.at(sizes).exactly()
            assert same, (figure, numbers, sizes)


@pytest.mark.parametrize("name", ["concatenated", "all that were made"])
def test_memory_of_such_sizes_leaves_the_number_of_turns(name):
    text = MODELS[name]
    figures = ["saved_bytes", "inference_peak", "train_peak"]
    forms = spec(text).closed_forms(*figures)
    assert forms.fixed.keys() == {"depth"}
    for width, more in ((2, 2), (3, 7), (9, 4)):
        numbers = {**forms.constants, "width": width, "more": more}
        other = Analysis(spec(text, width=width, more=more).program)
        for figure in figures:
            found = forms.at(figure, numbers).value
            sizes = {"B": 3, "T": 5}
            assert found.at(sizes) == other.figure(figure).at(sizes)


def test_sums_of_figures_have_one_quotient():
    forms = spec(MODELS["concatenated"]).closed_forms("elementwise", "training_flops")
    formula = grouped(forms.figures["elementwise"].value, forms.symbols)
    assert NOTATIONS["text"].write(formula) == (
        "(depth * (more * (depth - 1) + 2 * width) + 3) * B * T"
    )
    assert str(forms.figures["training_flops"].value).count("//") == 1


NAMES = [symbol("n"), symbol("m"), dim(2) ** symbol("k"), dim(4) ** symbol("n")]
PRODUCTS = st.lists(
    st.tuples(st.integers(-6, 6), *(st.integers(0, 2) for _ in NAMES)), max_size=3
)


def polynomial(terms: list[tuple[int, ...]]) -> Dim:
    found = dim(0)
    for factor, *powers in terms:
        product = dim(factor)
        for name, power in zip(NAMES, powers, strict=True):
            product = product * name**power
        found = found + product
    return found


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(PRODUCTS, PRODUCTS, st.integers(1, 6)), min_size=1, max_size=3),
    st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 5)),
)
@example([([(1, 0, 0, 0, 0)], [(1, 0, 0, 0, 1), (-3, 1, 0, 0, 0)], 9)], (7, 0, 0))
def test_quotients_are_joined_only_where_they_leave_nothing(terms, place):
    """Whether they leave something or not, what is said is the same number."""
    value = dim(0)
    for factor, above, below in terms:
        value = value + polynomial(factor) * (polynomial(above) // below)
    numbers = dict(zip("nmk", place, strict=True))
    whole, below = apart(value)
    assert int(evened(value).at(numbers)) == int(value.at(numbers))
    assert int(whole.at(numbers)) == below * int(value.at(numbers))


def test_quotients_that_leave_nothing_are_written_alike():
    n, g = symbol("n"), symbol("g")
    progression = n * (n - 1) // 2
    assert evened(g * progression + g * n) == g * n * (n + 1) // 2
    assert evened(progression * progression) == (n**4 - 2 * n**3 + n**2) // 4
    assert evened((4**n - 1) // 3 + (2 * 4**n + 1) // 3) == 4**n
    geometric = (4**n - 3 * n - 1) // 9
    assert (
        evened(geometric + (g * 16**n - g) // 15)
        == (5 * 4**n - 15 * n - 5 + 3 * g * 16**n - 3 * g) // 45
    )
    for rest in (n // 2, (n * n + 1) // 2, (g * n + n) // 2, (4**n - 3 * n) // 9):
        assert evened(rest + n) == rest + n
