"""Formulas with maxima and sums over turns are equal to plain loops: in every form and notation, read back by others."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings

from nnspec.analysis.formula.factor import factored, plain
from nnspec.analysis.formula.growth import grouped, growths
from nnspec.analysis.formula.notation import NOTATIONS, JavaScript
from nnspec.analysis.formula.source import (
    Definition,
    arguments_of,
    javascript_source,
    python_source,
)
from nnspec.analysis.formula.tree import Name, names_of
from nnspec.analysis.generic.names.parts import Part, restored
from nnspec.ir.dims import Dim, DimError, dim, greatest, minimum, series, symbol, total
from nnspec.picture.formulas import Formulas
from tests.analysis import latex
from tests.analysis.test_formula import node
from tests.ir.amounts import AMOUNTS, POINTS, SYMBOLS, Tree, amount, build, evaluate
from tests.ir.test_turns import read

FORMS = {
    "plain": plain,
    "factored": factored,
    "by growth": lambda value: grouped(value, {"B", "i"}),
}
B, DEPTH, WIDTH = symbol("B"), symbol("depth"), symbol("width")
TURN = symbol("i@3")
UNET = greatest(
    8 * B * WIDTH * dim(2) ** (DEPTH - TURN) + 4 * B * dim(4) ** TURN,
    "i@3",
    2,
    DEPTH - 2,
)


def made(tree: Tree) -> Dim | None:
    try:
        return build(tree, SYMBOLS)
    except DimError:
        return None


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=50, deadline=None)
@given(AMOUNTS, POINTS)
def test_every_notation_reads_the_same_value(form, tree, values):
    value = made(tree)
    if value is None:
        return
    formula, expected = FORMS[form](value), evaluate(tree, values)
    names = {"min": min, "max": max, "range": range, "sum": sum, "ceil": None, **values}
    python = NOTATIONS["python"].write(formula)
    assert eval(python, names) == expected, python
    known = {name.name: values[name.name] for name in names_of(formula)}
    text = NOTATIONS["latex"].write(formula)
    assert latex.evaluate(text, known) == expected, text


@settings(max_examples=50, deadline=None)
@given(AMOUNTS)
def test_growth_divides_a_value_without_rest(tree):
    value = made(tree)
    if value is None:
        return
    parts = growths(value, {"B", "i"})
    assert total(part.value for part in parts) == value
    assert len({part.key for part in parts}) == len(parts)
    assert all(part.factor.symbols() <= {"depth"} for part in parts)
    assert all(
        bool(part.sizes) == bool(part.value.symbols() & {"B", "i"}) for part in parts
    )


def test_node_reads_the_same_values():
    """Many random amounts at random points, in one run of JavaScript."""
    chance = random.Random(11)
    definitions, calls, expected = [], [], []
    while len(definitions) < 150:
        values = {name: chance.randint(1, 7) for name in SYMBOLS}
        tree = amount(chance, 5)
        value = made(tree)
        if value is None or not any(atom.bound for atom in value.atoms()):
            continue
        form = FORMS[chance.choice(list(FORMS))](value * 10**20)
        name = f"f{len(definitions)}"
        names = arguments_of([form], [])
        definitions.append(Definition(name, form, names, "An amount."))
        calls.append(f"{name}({', '.join(f'{values[n]}n' for n in names)})")
        expected.append(str(evaluate(tree, values) * 10**20))
    table = Formulas(("depth", "B", "width"))
    calls.append(f"formulas[{table.place(UNET)}](9n, 5n, 3n)")
    expected.append(str(int(UNET.at({"depth": 9, "B": 5, "width": 3}))))
    page = table.script().removeprefix(JavaScript.PRELUDE)
    results = f"const results = [{', '.join(calls)}];"
    found = node(f"{javascript_source(definitions)}\n{page}\n{results}")
    assert found == expected


@pytest.mark.parametrize(
    ("notation", "text"),
    [
        ("text", "4 * B * max(2 * 2^(depth - i) * width + 4^i for i in 2..depth - 3)"),
        (
            "latex",
            r"4 \, B \, \max_{2 \le i \le \mathrm{depth} - 3} "
            r"\left(2 \cdot 2^{\mathrm{depth} - i} \, \mathrm{width} + 4^{i}\right)",
        ),
        (
            "python",
            "4 * B * max((2 * 2**(depth - i) * width + 4**i for i in range(2, depth - 2)), default=0)",
        ),
        (
            "javascript",
            "4n * B * greatestOfTurns(2n, depth - 2n, (i) => 2n * 2n ** (depth - i) * width + 4n ** i)",
        ),
    ],
)
def test_it_is_read_at_a_glance(notation, text):
    assert NOTATIONS[notation].write(factored(UNET)) == text


@pytest.mark.parametrize(
    ("notation", "text"),
    [
        ("text", "4 * B * sum(min(2^i, width) for i in 1..depth - 1) + B"),
        (
            "latex",
            r"4 \, B \, \left(\sum_{i = 1}^{\mathrm{depth} - 1} "
            r"\left(\min\left(2^{i}, \mathrm{width}\right)\right)\right) + B",
        ),
        (
            "python",
            "4 * B * sum(min(2**i, width) for i in range(1, depth)) + B",
        ),
        (
            "javascript",
            "4n * B * sumOfTurns(1n, depth, (i) => least(2n ** i, width)) + B",
        ),
    ],
)
def test_a_sum_is_read_at_a_glance(notation, text):
    narrow = series(minimum(WIDTH, dim(2) ** TURN), "i@3", 1, DEPTH)
    assert NOTATIONS[notation].write(plain(4 * B * narrow + B)) == text


def test_turns_are_called_as_nothing_else_is():
    own = symbol("i") + UNET * symbol("j") + symbol("k[0]")
    text = NOTATIONS["text"].write(factored(own))
    assert " for l in 2..depth - 3)" in text
    assert "@" not in text
    assert "~" not in text
    assert str(own).count(" for k in ") == 1


def test_what_a_maximum_grows_with_is_one_of_its_factors():
    sizes = symbol("T")
    value = greatest(B * sizes**2 * TURN + B * sizes * WIDTH, "i@3", 1, DEPTH) + B * 7
    found = growths(value * WIDTH, {"B", "T"})
    write = NOTATIONS["text"].write
    assert [[write(size) for size in each.sizes] for each in found] == [
        ["B", "T", "max(i * T + width for i in 1..depth - 1)"],
        ["B"],
    ]
    assert [write(factored(each.factor)) for each in found] == ["width", "7 * width"]


def test_the_fastest_growth_comes_first():
    fast = greatest(symbol("T") ** 2 * TURN + WIDTH, "i@3", 1, DEPTH)
    found = growths(B + fast + symbol("T"), {"B", "T"})
    write = NOTATIONS["text"].write
    assert write(found[0].formula) == "max(i * T^2 + width for i in 1..depth - 1)"


def test_what_it_is_the_largest_of_is_grouped_by_growth():
    sizes = symbol("T")
    value = (12 * WIDTH * TURN + 4 * DEPTH) * B * sizes + 6 * WIDTH**2 + WIDTH * TURN
    formula = grouped(8 * greatest(value, "i@3", 1, DEPTH), {"B", "T"})
    assert NOTATIONS["text"].write(formula) == (
        "8 * max(4 * (3 * width * i + depth) * B * T + width * (6 * width + i) for i in 1..depth - 1)"
    )


def test_a_factor_of_all_terms_stands_before_them():
    text = NOTATIONS["text"].write(grouped(UNET * WIDTH + UNET * B, {"B"}))
    assert text.count("max(") == 1
    values = {"depth": 9, "B": 5, "width": 3}
    names = {"max": max, "range": range, **values}
    assert eval(read(text), names) == (UNET * WIDTH + UNET * B).at(values)


def test_python_functions_run():
    formula = grouped(UNET + 7, {"B"})
    names = arguments_of([formula], ["B"])
    assert names == ("B", "depth", "width")
    space: dict = {}
    exec(python_source([Definition("peak", formula, names, "Bytes.")]), space)
    for depth in range(1, 9):
        expected = int(UNET.at({"B": 3, "width": 5, "depth": depth})) + 7
        assert space["peak"](B=3, width=5, depth=depth) == expected


def test_names_of_turns_are_no_arguments():
    assert Name("i") not in names_of(factored(UNET))
    assert [name.name for name in names_of(plain(UNET))] == ["B", "depth", "width"]


def test_parts_of_sizes_in_it_are_the_sizes_again():
    part = Part("H", dim(2) ** DEPTH)
    own = symbol(part.symbol)
    even = B * part.product**2 * dim(2) ** (DEPTH - TURN) + B * own * TURN
    said = greatest(part.product * B * dim(4) ** TURN + 1, "i@3", 2, DEPTH)
    found = restored(said + greatest(even, "i@3", 1, DEPTH) * 3, [part])
    assert found.symbols() == {"B", "H", "depth"}
    text = NOTATIONS["text"].write(factored(found))
    assert "max(B * H * 4^i + 1 for i in 2..depth - 1)" in text
    for depth, size in ((1, 3), (4, 1), (6, 5)):
        sizes = {"B": 3, "depth": depth, part.symbol: size}
        whole = {"B": 3, "depth": depth, "H": size * 2**depth}
        expected = said + greatest(even, "i@3", 1, DEPTH) * 3
        assert int(found.at(whole)) == int(expected.at(sizes))
