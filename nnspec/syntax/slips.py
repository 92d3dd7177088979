"""Explains syntax errors: each function knows one kind of slip, and the first that recognises it speaks.

A slip whose meaning is clear is mended (a token is put in, left out or replaced), so that the rest of the
file is read as it was meant.
"""

from __future__ import annotations

from collections.abc import Callable

from nnspec.source import Span
from nnspec.syntax.brackets import CLOSING, DECLARING, STATING
from nnspec.syntax.expectations import (
    cannot_stand,
    missing_value,
    wrong_stage,
    wrong_type,
)
from nnspec.syntax.foreign import foreign_word, is_word, lambda_word
from nnspec.syntax.situation import KEYWORDS, OPERAND_ENDS, WRITTEN, Finding, Situation
from nnspec.syntax.slips_expressions import (
    braces_as_value,
    conditional,
    equals_for_comparison,
    half_number,
    matrix_product,
    missing_comma,
    pipe_in_operator,
    second_for,
    square_brackets,
)
from nnspec.syntax.slips_statements import (
    colon_for_equals,
    equals_for_colon,
    misplaced,
    missing_equals,
    missing_parameter_type,
    nested_names,
    second_requirement,
    self_dot,
    several_outputs,
    stray_doc_string,
    unit_apart,
    unused_value,
)

_COMPARATORS = frozenset(
    ["EQUALS", "DIFFERS", "AT_MOST", "AT_LEAST", "BELOW", "ABOVE", "IN"]
)
_OPERATORS = _COMPARATORS | frozenset(
    ["PLUS", "MINUS", "TIMES", "DIVIDE", "FLOOR_DIVIDE", "MODULO", "POWER", "AND", "OR"]
)
_INFIX = frozenset(["AND", "OR", "IN", "IF", "ELSE", "AS", "FOR"])
_AFTER_NAME = frozenset(
    [
        "ASSIGN",
        "COLON",
        "COMMA",
        "DOT",
        "ARROW",
        "RIGHT_PARENTHESIS",
        "RIGHT_BRACKET",
        "IN",
    ]
)


def explain(situation: Situation) -> Finding:
    """The most telling explanation of a fault."""
    for slip in SLIPS:
        if finding := slip(situation):
            return finding
    return cannot_stand(situation)


def surplus_closing(s: Situation) -> Finding | None:
    """`}` that closes nothing, `)` where `}` is due."""
    if s.kind() not in CLOSING or s.inside() == CLOSING[s.kind()]:
        return None
    hint = f"delete this `{s.text()}`, or add the `{WRITTEN[CLOSING[s.kind()]]}` that it should close"
    finding = s.finding(
        "E0104", f"this `{s.text()}` closes nothing", hint, resume=s.at + 1
    )
    if s.accepts("NONE"):
        s.put("NONE")
    return finding


def slash_comment(s: Situation) -> Finding | None:
    """`// text`, at the start of a line or after a statement."""
    tokens = s.tokens
    index = s.at
    while tokens.kinds[index] != "FLOOR_DIVIDE":
        if index == 0 or tokens.starts_line(index):
            return None
        index -= 1
    if not tokens.starts_line(index) and (
        index == s.at or s.kind() not in OPERAND_ENDS
    ):
        return None
    hint = "begin a comment with `#`"
    message = "`//` does not begin a comment here; it divides and rounds down"
    place, after = tokens.span(index), s.next_line()
    if index == s.at:
        return s.finding("E0115", message, hint, span=place, resume=after)
    return s.finding("E0115", message, hint, span=place, skip=after)


def reserved_word(s: Situation) -> Finding | None:
    """A keyword where a name belongs."""
    kind = s.kind()
    if kind in KEYWORDS and s.accepts("NAME"):
        as_name = s.kind(1) in _AFTER_NAME
        if (s.new_line() and not as_name) or (kind in _INFIX and not as_name):
            return None
        return _reserved(s, 0, s.replace("NAME"))
    at_start = s.beginning() == s.at - 1 or s.kind(-2) == "LEFT_BRACE"
    if (
        s.kind(-1) in STATING | DECLARING
        and at_start
        and kind in ("ASSIGN", "COLON", "DOT")
    ):
        return _reserved(s, -1, None)
    return None


_MEANT = {
    "input": "an input is written `input name: [B, ...]`; otherwise ",
    "output": "an output is written `output name = ...`; otherwise ",
}


def _reserved(s: Situation, offset: int, resume: int | None) -> Finding:
    word = s.text(offset)
    return s.finding(
        "E0107",
        f"`{word}` is a reserved word and cannot be a name",
        _MEANT.get(word, "") + f"choose another name, such as `{word}_`",
        span=s.tokens.span(s.at + offset),
        resume=resume,
    )


def python_colon(s: Situation) -> Finding | None:
    """`for i in range(3):`"""
    if s.kind() != "COLON" or not s.accepts("LEFT_BRACE"):
        return None
    finding = s.finding(
        "E0106",
        "a body stands in braces, not after a colon",
        "write `{` here and `}` after the body; indentation means nothing",
        resume=s.at + 1,
    )
    s.open_by_indent()
    return finding


def missing_brace(s: Situation) -> Finding | None:
    """`for i in range(3)` and then the body."""
    if not s.accepts("LEFT_BRACE", s.kind()) or s.kind() in _OPERATORS:
        return None
    if not s.new_line() and "LEFT_BRACE" in s.tokens.kinds[s.at : s.next_line()]:
        return None
    end = s.tokens.ends[s.at - 1] if s.at else 0
    finding = s.finding(
        "E0105",
        "the `{` that opens the body is missing",
        "write `{` before the body and `}` after it",
        span=Span(max(0, end - 1), end),
        labels=((s.at, "the body begins here"),),
        resume=s.at,
    )
    s.open_by_indent()
    return finding


SLIPS: tuple[Callable[[Situation], Finding | None], ...] = (
    surplus_closing,
    foreign_word,
    lambda_word,
    slash_comment,
    self_dot,
    stray_doc_string,
    half_number,
    misplaced,
    is_word,
    reserved_word,
    python_colon,
    conditional,
    equals_for_comparison,
    matrix_product,
    square_brackets,
    equals_for_colon,
    colon_for_equals,
    missing_parameter_type,
    several_outputs,
    unused_value,
    nested_names,
    second_requirement,
    second_for,
    missing_comma,
    unit_apart,
    missing_equals,
    missing_brace,
    pipe_in_operator,
    braces_as_value,
    wrong_stage,
    wrong_type,
    missing_value,
)
