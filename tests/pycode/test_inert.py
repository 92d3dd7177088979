from __future__ import annotations

import ast
import io
import tokenize

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnspec.pycode import expressions as e
from nnspec.pycode import inert
from nnspec.pycode import statements as s
from nnspec.pycode.writer import write

ANY = st.text() | st.text(
    st.sampled_from("\"'\\# \n\r\f\u2028codingfmt:=noqatype{}\t\0é")
)
HOSTILE = '"""\nimport os\n"""\\'


@settings(max_examples=300, deadline=None)
@given(ANY, ANY)
@example(HOSTILE, "noqa\r\nimport os")
@example("# coding: utf-7", "# -*- coding: utf-7 -*-")
@example("a\\", "fmt: off")
def test_text_of_an_author_does_nothing(doc: str, comment: str) -> None:
    body = (s.Comment(comment), s.Assign((e.Name("x"),), e.Literal(1), comment))
    method = s.Function("f", (), None, (s.Comment(comment), s.Return(())), doc)
    text = write(s.File(doc, (*body, s.Class("C", (), (method,), doc))))
    text.encode()
    tree = ast.parse(text.encode())
    kinds = [type(node) for node in tree.body]
    assert kinds in ([ast.Expr, ast.Assign, ast.ClassDef], [ast.Assign, ast.ClassDef])
    found = (ast.get_docstring(tree, clean=False) or "").split()
    assert found == inert.docstring_text(doc).split()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            lowered = token.string.lower()
            for mark in ("coding:", "coding=", "fmt:", "type:", "noqa", "ruff:"):
                assert mark not in lowered


@settings(max_examples=200, deadline=None)
@given(ANY)
def test_a_string_is_a_literal_of_itself(text: str) -> None:
    spelled = inert.string(text)
    assert ast.literal_eval(spelled) == text
    assert spelled.replace("\ud800", "").isprintable()


def test_ordinary_text_stays_as_it_is() -> None:
    assert inert.docstring("Café, with “quotes”.", 4) == [
        '    """Café, with “quotes”."""'
    ]
    assert inert.comment("x: [B, T] -> 3 * width", 0) == ["# x: [B, T] -> 3 * width"]
