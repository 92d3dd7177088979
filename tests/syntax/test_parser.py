"""What texts become: the tree, its spans, and what survives a fault."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.diagnostics import Diagnostics
from nnspec.source import Source
from nnspec.syntax import ast
from nnspec.syntax.parser import parse
from nnspec.syntax.tables import SIGNS, WORDS


def read(text: str) -> ast.File:
    diagnostics = Diagnostics()
    file = parse(Source("spec.nns", text), diagnostics)
    assert list(diagnostics) == []
    return file


def value(text: str) -> ast.Expr:
    """The tree of one expression."""
    declared = read(f"x = {text}\n").declarations[0]
    assert isinstance(declared, ast.Constant)
    (found,) = declared.bind.values
    return found


def shown(node: ast.Expr) -> str:
    """An expression with every operator in parentheses."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Number(value=number):
            return str(number)
        case ast.Chain(operators=operators, operands=(first, *others)):
            rest = zip(operators, others, strict=True)
            return f"({shown(first)}{''.join(f' {o} {shown(x)}' for o, x in rest)})"
        case ast.Unary(operator=operator, operand=operand):
            return f"({operator} {shown(operand)})"
        case ast.Power(base=base, exponent=exponent):
            return f"({shown(base)} ^ {shown(exponent)})"
        case ast.Compare(operator=operator, left=left, right=right):
            return f"({shown(left)} {operator} {shown(right)})"
        case _:
            return type(node).__name__


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a + b - c", "(a + b - c)"),
        ("a + b * c // d", "(a + (b * c // d))"),
        ("-x^2", "(- (x ^ 2))"),
        ("x^-y", "(x ^ (- y))"),
        ("a^b^c", "(a ^ (b ^ c))"),
        ("-a * b", "((- a) * b)"),
        ("not a == b and c or d", "(((not (a == b)) and c) or d)"),
        ("a in b", "(a in b)"),
        ("a - (b - c)", "(a - (b - c))"),
    ],
)
def test_operators_bind_as_documented(text: str, expected: str) -> None:
    assert shown(value(text)) == expected


@pytest.mark.parametrize(
    ("text", "number", "is_int", "unit"),
    [
        ("26M", 26_000_000, True, ""),
        ("24GiB", 24 * 2**30, True, "B"),
        ("4.2GMACs", 4_200_000_000, True, "MACs"),
        ("3TFLOPs", 3 * 10**12, True, "FLOPs"),
        ("2Ki", 2048, True, ""),
        ("7B", 7, True, "B"),
        ("2", 2, True, ""),
        ("2.0", 2, False, ""),
        ("1e-5", Fraction(1, 100_000), False, ""),
        ("1.25", Fraction(5, 4), False, ""),
    ],
)
def test_numbers_are_exact(
    text: str, number: Fraction, is_int: bool, unit: str
) -> None:
    found = value(text)
    assert isinstance(found, ast.Number)
    assert (found.value, found.is_int, found.unit) == (number, is_int, unit)


def test_a_pipe_has_labels_arguments_and_partial_recipes() -> None:
    pipe = value("(a, b) -> one: F(3, k=1, ...) -> g() -> h[0].i")
    assert isinstance(pipe, ast.Pipe)
    assert isinstance(pipe.source, ast.Group)
    one, two, three = pipe.stages
    assert (one.label, one.partial, two.label, two.partial) == (
        "one",
        True,
        None,
        False,
    )
    assert one.arguments is not None
    assert [argument.name for argument in one.arguments] == [None, "k"]
    assert two.arguments == ()
    assert three.arguments is None
    assert isinstance(three.callee, ast.Attribute)


def test_subscripts_are_slices_rests_and_expressions() -> None:
    index = value("x[..., 1:, :2, a:b:c, -1]")
    assert isinstance(index, ast.Index)
    rest, first, second, third, last = index.subscripts
    assert isinstance(rest, ast.Rest)
    assert isinstance(first, ast.Slice)
    assert first.start is not None
    assert first.stop is None
    assert isinstance(second, ast.Slice)
    assert second.start is None
    assert isinstance(third, ast.Slice)
    assert third.step is not None
    assert isinstance(last, ast.Unary)


def test_patterns_nest() -> None:
    found = value("[a for i, (a, _, (b, c)) in xs if i]")
    assert isinstance(found, ast.Comprehension)
    first, second = found.pattern.items
    assert first.name == "i"
    assert [item.name for item in second.items] == ["a", "_", None]
    assert found.condition is not None


def test_types_are_scalars_shapes_and_lists() -> None:
    text = "block F(a: list[list[int]], b: list[i64[B, *S]], c: fn, d: list[block], e: [H // 2, _]) { return a }"
    declared = read(text).declarations[0]
    assert isinstance(declared, ast.Block)
    first, second, third, fourth, fifth = (item.type for item in declared.parameters)
    assert isinstance(first, ast.ShapeType)
    assert isinstance(first.element, ast.ShapeType)
    assert isinstance(first.element.element, ast.ScalarType)
    assert isinstance(second, ast.ShapeType)
    assert isinstance(second.element, ast.ShapeType)
    assert second.element.dtype == "i64"
    assert isinstance(second.element.items[1], ast.Spread)
    assert isinstance(third, ast.ScalarType)
    assert third.name == "fn"
    assert isinstance(fourth, ast.ShapeType)
    assert isinstance(fifth, ast.ShapeType)
    assert isinstance(fifth.items[0], ast.Chain)


def test_statements_carry_their_annotations() -> None:
    text = (
        '@frozen\n@device("gpu0")\nmodel M {\n  """What it is."""\n'
        "  input x: [B]\n  @checkpoint y: [B], z = f(x), x\n"
        "  if a { y = z } else if b { } else { z = y }\n  output y\n  output w = z\n}\n"
    )
    model = read(text).declarations[0]
    assert isinstance(model, ast.Model)
    assert [found.name for found in model.annotations] == ["frozen", "device"]
    assert model.body.doc == "What it is."
    _, bind, branch, bare, valued = model.body.statements
    assert isinstance(bind, ast.Bind)
    assert [found.name for found in bind.annotations] == ["checkpoint"]
    assert len(bind.targets) == len(bind.values) == 2
    assert isinstance(branch, ast.If)
    assert branch.otherwise is not None
    (nested,) = branch.otherwise.statements
    assert isinstance(nested, ast.If)
    assert nested.otherwise is not None
    assert isinstance(bare, ast.Output)
    assert bare.value is None
    assert isinstance(valued, ast.Output)
    assert valued.value is not None


def test_uses_and_variants() -> None:
    file = read(
        'use std.attention (A, B,) as att\nuse "other.nns"\nvariant V = M(3, k=1)\n'
    )
    first, second = file.uses
    assert (first.path, first.is_file, first.alias) == ("std.attention", False, "att")
    assert [name for name, _ in first.names] == ["A", "B"]
    assert (second.path, second.is_file, second.names) == ("other.nns", True, ())
    variant = file.declarations[0]
    assert isinstance(variant, ast.Variant)
    assert (variant.name, variant.model, len(variant.arguments)) == ("V", "M", 2)


def test_spans_are_those_of_the_text() -> None:
    text = "x = (a + b) -> f(1)\n"
    pipe = read(text).declarations[0]
    assert isinstance(pipe, ast.Constant)
    found = pipe.bind.values[0]
    assert isinstance(found, ast.Pipe)
    spans = [found.span, found.source.span, found.stages[0].span, pipe.name_span]
    assert [text[s.start : s.end] for s in spans] == [
        "(a + b) -> f(1)",
        "a + b",
        "-> f(1)",
        "x",
    ]


def test_what_is_right_survives_what_is_wrong() -> None:
    text = (
        "model A {\n  x = * 2\n  y = 3\n  z = f(\n}\n"
        "block B(x: [C] {\n  return x\n}\n"
        "model C {\n  output y = 3\n}\n"
    )
    diagnostics = Diagnostics()
    file = parse(Source("spec.nns", text), diagnostics)
    assert len(diagnostics.found) >= 3
    assert "C" in [declared.name for declared in file.declarations]


def test_found_things_come_in_the_order_of_the_text() -> None:
    diagnostics = Diagnostics()
    parse(Source("spec.nns", "x = f(a b)\ny = 2 ** 3\nz = * 2\n"), diagnostics)
    starts = [found.location.span.start for found in diagnostics if found.location]
    assert starts == sorted(starts)
    assert len(starts) == 3


PIECES = [
    *SIGNS,
    *WORDS,
    "x",
    "F",
    "1",
    "2.5",
    '"s"',
    '"""d"""',
    "# c\n",
    "\n",
    ";",
    "**",
    "'q'",
    "$",
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_no_text_breaks_the_parser(pieces: list[str]) -> None:
    diagnostics = Diagnostics()
    text = " ".join(pieces)
    parse(Source("spec.nns", text), diagnostics)
    for found in diagnostics:
        assert found.location is not None
        assert 0 <= found.location.span.start <= found.location.span.end <= len(text)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_no_characters_break_the_parser(text: str) -> None:
    parse(Source("spec.nns", text), Diagnostics())
