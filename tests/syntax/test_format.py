"""The canonical layout: meaning and comments stay, a second time changes nothing, people's grouping is kept."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnspec.codes import explanations
from nnspec.diagnostics import Diagnostics, SpecErrors
from nnspec.source import Source
from nnspec.syntax.compare import dump
from nnspec.syntax.format import format_file
from nnspec.syntax.layout import WIDTH
from nnspec.syntax.lexer import tokenize
from nnspec.syntax.parser import parse


def formatted(text: str) -> str:
    return format_file(Source("spec.nns", text))


def tree(text: str) -> str:
    diagnostics = Diagnostics()
    file = parse(Source("spec.nns", text), diagnostics)
    assert list(diagnostics) == []
    return dump(file)


def comments(text: str) -> list[str]:
    source = Source("spec.nns", text)
    found = tokenize(source, Diagnostics()).comments
    return [text[span.start : span.end].rstrip() for span in found]


def check(text: str) -> str:
    """Formats, and asserts what holds of every layout."""
    result = formatted(text)
    assert tree(result) == tree(text)
    assert comments(result) == comments(text)
    assert formatted(result) == result
    return result


CANONICAL = '''"""Doc."""

use std.attention (SelfAttention)

stages = [  # expand, width
  (1, 16), (6, 24),
  (6, 40),
]

@frozen
block Bottleneck(x: [B, C, H, W], width: int, stride: int = 1) {
  """One line.

  Another.
  """
  # before
  y = x
    -> conv1: Conv(width, 1, bias=false) -> bn1: BatchNorm -> relu
    -> conv2: Conv(4 * width, 1, bias=false) -> bn3: BatchNorm  # after
  if stride != 1 or C != 4 * width { x = x -> Conv(4 * width, 1, stride=stride) -> BatchNorm }
  if a {
    y = x[..., D // 2:, -1]
  } else if not b {
    y = -x^-2
  } else {
    # nothing yet
  }

  z = x -> f(stride = 2 if a else 1, k=(1 if b else 2)) -> g
        -> blocks: MBConv(make_divisible(width * 2), expand, kernel,
                          drop_path=0.2 * j / total)
  features = features + [features -> layers: DenseLayer(growth, drop)]
  return relu(x + y), [a for i, (b, *_) in xs]
}

variant A = M(3, F(1, ...))
# the end
'''.replace(", *_)", ", c)")


def test_the_canonical_layout_stays() -> None:
    assert check(CANONICAL) == CANONICAL


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x=1+2*3", "x = 1 + 2 * 3\n"),
        ("x = 1   y = 2", "x = 1\ny = 2\n"),
        ("\n\n\nx = 1\n\n\n\ny = 2\n\n", "x = 1\n\ny = 2\n"),
        (
            "model M{input x:[B,3]output x}",
            "model M {\n  input x: [B, 3]\n  output x\n}\n",
        ),
        ("model M{output x}", "model M { output x }\n"),
        ("model M\n{\n}", "model M {\n}\n"),
        ("x = a ^ - b . c", "x = a^-b.c\n"),
        ("x = 2 . b", "x = 2 .b\n"),
        ("x = f ( a , b = 1 )", "x = f(a, b=1)\n"),
        ("x = a->l:F(1)->g", "x = a -> l: F(1) -> g\n"),
        ("x = a\n-> f\n-> g", "x = a\n  -> f\n  -> g\n"),
        ("x = a -> f\n-> g", "x = a -> f\n      -> g\n"),
        ("x = a [ 1 : , : : 2 ]", "x = a[1:, ::2]\n"),
        ("x = 1 # a\r\n# b\r\ny = 2", "x = 1  # a\n# b\ny = 2\n"),
        ("x = (1 +\n2)", "x = (1 + 2)\n"),
        ("", ""),
        ('"""A.\n    B.\n  """\nx = 1', '"""A.\nB.\n"""\nx = 1\n'),
        ("x = a[:, 1:,]", "x = a[:, 1:,]\n"),
        ("# only", "# only\n"),
        ("@frozen block F(){}", "@frozen\nblock F() { }\n"),
    ],
)
def test_small_layouts(text: str, expected: str) -> None:
    assert formatted(text) == expected
    assert formatted(expected) == expected


def test_what_is_too_long_breaks_at_the_outermost_place() -> None:
    long = "x = image -> " + " -> ".join(
        f"conv{i}: Conv({i}, 3, padding=1)" for i in range(9)
    )
    result = check(long + "\n")
    assert all(len(line) <= WIDTH for line in result.splitlines())
    assert all(line.lstrip().startswith(("x =", "->")) for line in result.splitlines())
    header = (
        "model M("
        + ", ".join(f"parameter{i}: int = {i}" for i in range(12))
        + ") { }\n"
    )
    lines = check(header).splitlines()
    assert all(len(line) <= WIDTH for line in lines)
    assert lines[1].startswith(" " * len("model M(") + "parameter")


def test_a_wrong_text_is_not_laid_out() -> None:
    with pytest.raises(SpecErrors):
        formatted("x = = 1\n")


@pytest.mark.parametrize("code", sorted(explanations()))
def test_every_example_keeps_its_meaning(code: str) -> None:
    check(explanations()[code].right)


NAMES = st.sampled_from(["a", "bc", "Conv", "a_rather_long_name_of_a_tensor", "x1"])


def _wrap(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(["+", "-", "*", "//", "^", "==", "and", "or", "<"])
    return st.one_of(
        st.tuples(children, binary, children).map(
            lambda t: f"({t[0]}) {t[1]} ({t[2]})"
        ),
        children.map(lambda c: f"-({c})"),
        children.map(lambda c: f"(not ({c}))"),
        st.lists(children, max_size=4).map(lambda items: "[" + ", ".join(items) + "]"),
        st.tuples(NAMES, st.lists(children, max_size=3), NAMES, children).map(
            lambda t: f"{t[0]}({''.join(f'{a}, ' for a in t[1])}{t[2]}={t[3]})"
        ),
        st.tuples(NAMES, NAMES, children).map(
            lambda t: f"({t[0]} -> {t[1]}: F({t[2]}) -> relu)"
        ),
        st.tuples(children, children, children).map(
            lambda t: f"({t[0]} if {t[1]} else {t[2]})"
        ),
        st.tuples(NAMES, children).map(lambda t: f"{t[0]}[..., {t[1]}:]"),
        st.tuples(children, NAMES).map(lambda t: f"[{t[0]} for {t[1]} in xs]"),
    )


EXPRESSIONS = st.recursive(
    st.one_of(NAMES, st.sampled_from(["1", "2.5", '"s t"'])), _wrap, max_leaves=12
)


def _statements(children: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(children, max_size=3).map(
        lambda lines: "{ " + " ".join(lines) + " }"
    )
    return st.one_of(
        st.tuples(EXPRESSIONS, body).map(lambda t: f"if {t[0]} {t[1]}"),
        st.tuples(EXPRESSIONS, body, body).map(
            lambda t: f"if ({t[0]}) {t[1]} else {t[2]}"
        ),
        st.tuples(NAMES, EXPRESSIONS, body).map(
            lambda t: f"for {t[0]} in [{t[1]}] {t[2]}"
        ),
    )


SIMPLE = st.one_of(
    st.tuples(NAMES, EXPRESSIONS).map(lambda t: f"{t[0]} = {t[1]}"),
    st.tuples(NAMES, EXPRESSIONS).map(lambda t: f"{t[0]}: [B, _] = {t[1]}"),
    EXPRESSIONS.map(lambda e: f'require ({e}), "why"'),
    EXPRESSIONS.map(lambda e: f"return {e}, a"),
    NAMES.map(lambda n: f"output {n}"),
)
STATEMENTS = st.recursive(SIMPLE, _statements, max_leaves=5)
GAPS = st.sampled_from(
    [" ", " ", " ", " ", "\n", "\n\n\n", "  # note\n", "\n# own line\n", "\r\n\t"]
)


@settings(max_examples=120, deadline=None)
@given(st.lists(STATEMENTS, max_size=4), st.data())
@pytest.mark.slow
def test_meaning_and_comments_stay_however_it_is_written(
    lines: list[str], data: st.DataObject
) -> None:
    text = "@frozen model M { " + " ".join(lines) + " }"
    source = Source("spec.nns", text)
    diagnostics = Diagnostics()
    tokens = tokenize(source, diagnostics)
    parse(source, diagnostics)
    if list(diagnostics):  # nests too deep
        assert {found.code for found in diagnostics} == {"E0015"}
        return
    pieces = [tokens.text(at) for at in range(len(tokens.kinds) - 1)]
    gaps = data.draw(st.lists(GAPS, min_size=len(pieces), max_size=len(pieces)))
    loose = "".join(piece + gap for piece, gap in zip(pieces, gaps, strict=True))
    assert tree(loose) == tree(text)
    result = check(loose)
    assert not re.search(r"[ \t]\n|\n\n\n|\t|\r", result)


def test_an_else_follows_its_brace_wherever_it_was_written():
    text = """block A(x: [B, D], n: int) {
  if n == 1 {
    y = x
  }
  else if n == 2
  {
    y = x -> relu
  }
  # neither
  else { y = x }
  return y
}
"""
    assert (
        check(text)
        == """block A(x: [B, D], n: int) {
  if n == 1 {
    y = x
  } else if n == 2 {
    y = x -> relu
  }
  # neither
  else {
    y = x
  }
  return y
}
"""
    )
