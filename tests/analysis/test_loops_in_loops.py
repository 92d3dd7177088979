"""Formulas of loops in loops: held against the program made with other numbers of turns."""

from __future__ import annotations

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.generic.closed import is_sum
from nnspec.analysis.generic.names.normal import divides
from nnspec.ir.dims import dim, symbol
from tests.ir.models import spec

FIGURES = [
    "parameters",
    "flops",
    "backward_flops",
    "bytes_read",
    "saved_bytes",
    "inference_peak",
    "train_peak",
]

# What stands before the inner loop in each turn of the outer one, in it, and behind it.
BODIES = {
    "nothing else": ("", "x = x -> fc: Linear(width)", ""),
    "before": (
        "x = x -> fc: Linear(width) -> relu",
        "x = x -> RMSNorm -> inside: Linear(width)",
        "",
    ),
    "behind": ("", "x = x + (x -> LayerNorm -> fc: Linear(width))", "x = x -> gelu"),
    "both": (
        "x = x + (x -> LayerNorm -> up: Linear(width) -> gelu)",
        "x = x -> fc: Linear(width) -> silu",
        "x = x -> Dropout(0.2) -> out: Linear(width)",
    ),
    "a value for all turns": (
        "gate = x -> gate: Linear(width)",
        "x = (x -> fc: Linear(width)) * gate",
        "",
    ),
}


def made(name: str, **numbers: int):
    before, inside, behind = BODIES[name]
    text = f"""
model M(width: int = 6, depth: int = 3, inner: int = 3) {{
  input x: [B, T, width]
  for _ in range(depth) {{
    {before}
    for _ in range(inner) {{ {inside} }}
    {behind}
  }}
  output y = x
}}"""
    return spec(text, **numbers)


@pytest.mark.parametrize("name", BODIES)
def test_both_numbers_of_turns_are_names(name):
    forms = made(name).closed_forms(*FIGURES)
    assert not forms.fixed
    for figure in FIGURES:
        if is_sum(figure):
            assert {"depth", "inner"} <= forms.figures[figure].value.symbols()
    for depth, inner, width in [(3, 3, 6), (2, 5, 4), (5, 2, 3), (7, 4, 2), (4, 1, 5)]:
        numbers = {"depth": depth, "inner": inner, "width": width}
        other = Analysis(made(name, **numbers).program)
        for figure in FIGURES:
            if not forms.holds(numbers, figure):
                assert min(depth, inner) < 3
                continue
            found = forms.at(figure, numbers).value
            for sizes in ({"B": 2, "T": 3}, {"B": 5, "T": 16}):
                assert found.at(sizes) == other.figure(figure).at(sizes), figure


BEGINNING = """
model M(width: int = 6, depth: int = 2, inner: int = 2) {
  input x: [B, 10]
  for _ in range(depth) {
    x = x -> tanh
    for _ in range(inner) { x = x -> fc: Linear(width) }
  }
  output y = x
}"""


def test_two_turns_of_each_are_told_by_the_model_with_more_of_them():
    forms = spec(BEGINNING).closed_forms("saved_bytes", "inference_peak")
    assert not forms.fixed
    assert not forms.kept
    for depth, inner in [(2, 2), (2, 5), (4, 3)]:
        numbers = {"depth": depth, "inner": inner}
        other = Analysis(spec(BEGINNING, **numbers).program)
        assert forms.holds(numbers)
        for figure in forms.figures:
            found = forms.at(figure, {"width": 6, **numbers}).value
            assert found.at({"B": 3}) == other.figure(figure).at({"B": 3})


DENSE = """
model M(growth: int = 6, layers: int = 4, stages: int = 3) {
  input x: [B, 48]
  for _ in range(stages) {
    for _ in range(layers) { x = concat([x, x -> dense: Linear(growth)], dim=1) }
    x = x -> merge: Linear(shape(x)[1] // 2)
  }
  output y = x
}"""


def test_a_size_behind_an_inner_loop_is_what_its_last_turn_left():
    figures = ["parameters", "flops", "bytes_read", "saved_bytes"]
    forms = spec(DENSE).closed_forms(*figures)
    # Half of what is there, rounded down, in each stage: a few stages are no rule for all.
    assert list(forms.fixed) == ["stages"]
    for numbers in ({"growth": 3, "layers": 4}, {"growth": 5, "layers": 7}):
        other = Analysis(spec(DENSE, **numbers).program)
        assert forms.holds(numbers)
        for figure in figures:
            found = forms.at(figure, numbers).value
            assert found.at({"B": 3}) == other.figure(figure).at({"B": 3}), figure


N, M = symbol("n"), symbol("m")


@pytest.mark.parametrize(
    ("number", "value", "does"),
    [
        (2, N * (N + 1), True),
        (2, N * M + N, False),
        (3, dim(4) ** N - 1, True),
        (3, dim(4) ** N + 1, False),
        (16, N + 15, False),
        (6, N * (N + 1) * (2 * N + 1), True),
    ],
    ids=str,
)
def test_what_leaves_no_remainder_does_so_everywhere(number, value, does):
    assert divides(number, value) is does
