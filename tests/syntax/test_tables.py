"""The shipped tables are what the grammar gives, and the machine reads texts as Lark does."""

from __future__ import annotations

from typing import Any

import pytest

from nnspec.codes import explanations
from nnspec.diagnostics import Diagnostics
from nnspec.source import Source
from nnspec.syntax.generate import GRAMMAR, TABLES, generate, load_grammar
from nnspec.syntax.parser import parse

VALID = [explanation.right for explanation in explanations().values()]
BROKEN = [
    explanation.wrong
    for explanation in explanations().values()
    if explanation.code
    in ("E0101", "E0104", "E0105", "E0110", "E0127", "E0138", "E0140")
]


@pytest.fixture(scope="module")
def lark_parser() -> Any:
    return load_grammar(GRAMMAR.read_text("utf-8"))


def test_the_tables_are_those_of_the_grammar() -> None:
    assert TABLES.read_text("utf-8") == generate(GRAMMAR.read_text("utf-8"))


def test_the_grammar_has_no_conflicts() -> None:
    load_grammar(GRAMMAR.read_text("utf-8"), strict=True)


@pytest.mark.parametrize("text", VALID)
def test_what_is_right_is_right_for_lark_too(text: str, lark_parser: Any) -> None:
    if "scan" not in text:
        lark_parser.parse(text)
    diagnostics = Diagnostics()
    parse(Source("right.nns", text), diagnostics)
    assert list(diagnostics) == []


@pytest.mark.parametrize("text", BROKEN)
def test_what_is_wrong_is_wrong_for_lark_too(text: str, lark_parser: Any) -> None:
    import lark

    with pytest.raises(lark.UnexpectedInput):
        lark_parser.parse(text)
