"""Integers that loops carry (`c = c * 2`): figures are formulas in the number of turns, held against the model with other numbers."""

from __future__ import annotations

import random

import pytest

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES
from nnspec.analysis.formula.growth import grouped
from nnspec.analysis.formula.notation import NOTATIONS
from nnspec.analysis.generic.closed import is_sum
from nnspec.analysis.generic.reasons import UNLIKE
from nnspec.elaboration.escaping import constants_outside
from nnspec.explore.counts import loop_counts
from nnspec.ir.graph import Loop, walk
from nnspec.ir.json import program_from_json, program_to_json
from nnspec.ops import OPS
from tests.ir.models import spec

SUMS = [name for name in FIGURES if is_sum(name)]
MEMORY = ["saved_bytes", "inference_peak", "backward_peak", "train_peak"]

WIDER = "x = x -> fc: Linear(c) -> relu"
AROUND = "x = x + (x -> up: Linear(c) -> gelu -> down: Linear(width))"


def model(start: str, body: str, goes_on: str, end: str = "3") -> str:
    return f"""
model M(width: int = 16, g: int = 3, depth: int = 4) {{
  input x: [B, T, width]
  c = {start}
  for i in range(depth) {{
    {body}
    c = {goes_on}
  }}
  output y = x -> head: Linear({end})
}}"""


COURSES = {
    "doubled": model("width", WIDER, "c * 2"),
    "tripled": model("g", AROUND, "c * 3"),
    "more": model("width", WIDER, "c + g", "c"),
    "less": model("width * 9", AROUND, "c - g"),
    "more and more": model("width", WIDER, "c + i * g"),
    "halved": model("width * 512", WIDER, "c // 2"),
    "by the turn": model("1", WIDER, "width * (i + 2)", "c"),
    "doubled and one more": model("width", WIDER, "2 * c + 1"),
    "doubled and one less": model("width + 1", WIDER, "c * 2 - 1"),
    "tripled and more": model("width", WIDER, "3 * c + 2 * g"),
    "tripled and more inside": model("g", AROUND, "g + c * 3"),
    "doubled and the turn": model("width", WIDER, "2 * c + i"),
    "four times and more each turn": model("width", WIDER, "4 * c + 5 * i + g"),
    "nine times and one": model("width", WIDER, "9 * c + 1"),
    "doubled and the turn's square": model("g", WIDER, "2 * c + i * i * g"),
    "an axis": """
block Wider(x: [B, T, D], g: int) { return x -> fc: Linear(2 * D + g) -> relu }
model M(width: int = 16, g: int = 3, depth: int = 4) {
  input x: [B, T, width]
  for _ in range(depth) { x = x -> w: Wider(g) }
  output y = x -> head: Linear(3)
}""",
    "an axis, tripled": """
model M(width: int = 16, g: int = 3, depth: int = 4) {
  input x: [B, T, width]
  for _ in range(depth) { x = x -> fc: Linear(3 * shape(x)[2] + 2 * g) -> relu }
  output y = x -> head: Linear(3)
}""",
    "one by another": """
model M(width: int = 16, g: int = 3, depth: int = 4) {
  input x: [B, T, width]
  c = width
  d = g
  for _ in range(depth) {
    x = x -> fc: Linear(c) -> relu
    c = 2 * c + d
    d = d + 1
  }
  output y = x -> head: Linear(3)
}""",
    "one added to another": """
model M(width: int = 16, g: int = 3, depth: int = 4) {
  input x: [B, T, width]
  c = width
  d = g
  for _ in range(depth) {
    x = x -> fc: Linear(c) -> relu
    c = c + d
    d = d * 2 + 1
  }
  output y = x -> head: Linear(d)
}""",
    "at most": model("width", WIDER, "min(2 * c, 64)"),
    "at most a constant": model("width", WIDER, "min(c * 2, 16 * g)"),
    "at most, and more inside": model("g", AROUND, "min(3 * c + g, 40 * width)"),
    "at most, and more": model("width", WIDER, "min(c + g, 24)"),
    "at most, from a number": model("5", WIDER, "min(c * 3, 4 * width)"),
    "at least": model("width * 100", WIDER, "max(c // 2, g)"),
    "halved, with a remainder": model("7 * width + 300", WIDER, "c // 2"),
    "halved, rounded up": model("width * 11 + 1", WIDER, "(c + 1) // 2"),
    "halved towards a size": model("width * 5", WIDER, "(c + g) // 2"),
    "halved towards a size below": model("16 * width + g", WIDER, "(c + g) // 2"),
    "a third, and more": model("50 * width + g", WIDER, "(c + g + 1) // 3"),
    "a third of a number, rounded up": model("99", WIDER, "(c + 2) // 3"),
    "halved and more": model("width * 70", WIDER, "c // 2 + g"),
    "a fourth, with a remainder": model("width * 900 + g", AROUND, "(c + 7) // 4"),
    "by a bounded number of the turn": model(
        "1", WIDER, "min(width * (i + 1), 20)", "c"
    ),
    "by every other turn": model("1", WIDER, "width * (i // 2 + 1)", "c"),
    "by a bound alone": model("1", "x = x -> fc: Linear(min(g * 2^i, 50))", "c", "5"),
    "an axis, halved": """
block Narrower(x: [B, T, D], g: int) { return x -> fc: Linear((D + g) // 2) -> relu }
model M(width: int = 16, g: int = 3, depth: int = 4) {
  input x: [B, T, 37 * width]
  for _ in range(depth) { x = x -> n: Narrower(g) }
  output y = x -> head: Linear(3)
}""",
    "an axis, at most": """
model M(width: int = 16, g: int = 3, depth: int = 4) {
  input x: [B, T, width]
  for _ in range(depth) { x = x -> fc: Linear(min(2 * shape(x)[2], 9 * g)) -> relu }
  output y = x -> head: Linear(3)
}""",
    "loops in loops": """
model M(width: int = 16, g: int = 3, depth: int = 4) {
  input x: [B, T, width]
  c = width
  for _ in range(depth) {
    for _ in range(g) { x = x + (x -> up: Linear(c) -> relu -> down: Linear(width)) }
    c = min(2 * c, 100)
  }
  output y = x -> head: Linear(c)
}""",
    "before it is used": model("width", f"c = c * 2\n    {WIDER}", "c * 2", "c"),
    "there and back": """
model M(width: int = 16, g: int = 3, depth: int = 4) {
  input x: [B, T, width]
  c = width
  for _ in range(depth) {
    c = c * 2
    x = x -> down: Linear(c) -> relu
  }
  for _ in range(depth) {
    c = c // 2
    x = x -> up: Linear(c) -> relu
  }
  output y = x -> head: Linear(c)
}""",
}


@pytest.mark.parametrize("name", COURSES)
def test_sums_are_formulas_in_the_number_of_turns(name):
    text = COURSES[name]
    forms = spec(text).closed_forms(*SUMS)
    assert not forms.fixed, forms.fixed
    assert not forms.kept
    chance = random.Random(name)
    tried = 0
    for _ in range(16):
        numbers = {
            "width": chance.randint(1, 9),
            "g": chance.randint(1, 6),
            "depth": chance.randint(1, 8),
        }
        if name == "less":
            numbers["width"] += 9
        if not all(each.holds(numbers) for each in forms.conditions):
            continue
        tried += 1
        other = spec(text, **numbers).program
        analysis = Analysis(other)
        sizes = {each: chance.choice((1, 2, 40)) for each in other.symbols}
        for figure in SUMS:
            found, known = forms.at(figure, numbers), analysis.measured(figure)
            same = found.at(sizes).exactly() == known.at(sizes).exactly()
            assert same, (figure, numbers, sizes)
    assert tried > 8


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "doubled",
        "more",
        "halved",
        "there and back",
        "doubled and one more",
        "tripled and more",
        "doubled and the turn",
        "an axis",
    ],
)
def test_memory_is_a_formula_in_the_number_of_turns(name):
    text = COURSES[name]
    forms = spec(text).closed_forms(*MEMORY)
    assert not forms.fixed
    assert not forms.kept
    tried = 0
    for width, g, depth in ((16, 3, 4), (7, 2, 5), (4, 5, 6), (9, 1, 3), (3, 4, 7)):
        numbers = {"width": width, "g": g, "depth": depth}
        sizes = {"B": 3, "T": 5}
        for figure in MEMORY:
            conditions = forms.conditions_of(figure)
            if not all(each.holds({**numbers, **sizes}) for each in conditions):
                continue
            other = Analysis(spec(text, **numbers).program)
            found = forms.at(figure, numbers).value.at(sizes)
            assert found == other.figure(figure).at(sizes), (figure, numbers)
            tried += 1
    assert tried >= 16


@pytest.mark.parametrize("name", ["at most", "halved, with a remainder"])
def test_memory_has_the_number_of_turns_where_sums_go_through_them(name):
    text = COURSES[name]
    forms = spec(text).closed_forms("parameters", *MEMORY)
    assert not forms.fixed
    assert forms.kept == {figure: {"depth": UNLIKE} for figure in MEMORY}
    sizes = {"B": 3, "T": 5}
    for width in (2, 5, 23, 40):
        numbers = {"width": width, "g": 3, "depth": 4}
        other = Analysis(spec(text, **numbers).program)
        for figure in ("parameters", *MEMORY):
            conditions = forms.conditions_of(figure)
            assert all(each.holds({**numbers, **sizes}) for each in conditions)
            found = forms.at(figure, numbers).value.at(sizes)
            assert found == other.figure(figure).at(sizes), (figure, numbers)


def test_a_formula_is_one_that_a_person_can_read():
    forms = spec(COURSES["there and back"]).closed_forms("flops")
    formula = grouped(forms.figures["flops"].value, forms.symbols)
    assert NOTATIONS["text"].write(formula) == (
        "(2 * B * T * width^2 * (4 * 4^depth - 1)) // 3"
    )
    forms = spec(COURSES["an axis"]).closed_forms("elementwise")
    formula = grouped(forms.figures["elementwise"].value, forms.symbols)
    assert NOTATIONS["text"].write(formula) == (
        "(2 * g * (2 * 2^depth - depth - 2) + 4 * width * (2^depth - 1) + 3) * B * T"
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        (
            "at least",
            "100 * width * (max(g, 50 * width) + width + 1) + 3 * max((100 * width) // 2^(depth - 1), g)"
            " + max(g, 50 * width)"
            " + sum(max((100 * width) // 2^i, g) * (max((100 * width) // 2^(i - 1), g) + 1) for i in 2..depth - 1) + 3",
        ),
        (
            "by a bound alone",
            "min(g, 50) * (width + 1) + 5 * min(2^(depth - 1) * g, 50)"
            " + sum(min(2^i * g, 50) * (min(2^(i - 1) * g, 50) + 1) for i in 1..depth - 1) + 5",
        ),
    ],
)
def test_sums_that_go_through_turns_are_short(name, parameters):
    forms = spec(COURSES[name]).closed_forms("parameters")
    formula = grouped(forms.figures["parameters"].value, forms.symbols)
    assert NOTATIONS["text"].write(formula) == parameters


def test_a_number_of_turns_that_an_integer_hangs_on_is_no_mere_count():
    alike = "for _ in range(depth) { x = x -> fc: Linear(width)\n%s }"
    text = "model M(width: int = 8, depth: int = 3) {{ input x: [B, width]\n c = 1\n {}\n output y = x * c }}"
    counts = loop_counts(spec(text.format(alike % "")).program)
    assert counts == {"depth"}
    assert not loop_counts(spec(text.format(alike % "c = c + 1")).program)


def test_programs_are_read_back_with_what_loops_carry():
    program = spec(COURSES["there and back"]).program
    again = program_from_json(program_to_json(program), OPS)
    loops, others = (
        [item for item in walk(each.main.structure) if isinstance(item, Loop)]
        for each in (program, again)
    )
    for one, other in zip(loops, others, strict=True):
        assert one.constants.keys() == {"c"}
        assert other.constants == one.constants
        assert [each.generic for each in other.constants["c"]] == [
            each.generic for each in one.constants["c"]
        ]
    assert again.main.running == program.main.running
    known = [[str(v.generic) for v in constants_outside(loop)["c"]] for loop in loops]
    assert known[0] == ["width", "2 * width", "4 * width", "8 * width", "16 * width"]
