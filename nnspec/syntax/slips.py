"""Explains syntax errors: each function knows one kind of slip, and the first that recognises it speaks.

A slip whose meaning is clear is mended (a token is put in, left out or replaced), so that the rest of the
file is read as it was meant.
"""

from __future__ import annotations

from collections.abc import Callable

from nnspec.source import Span
from nnspec.syntax.brackets import CLOSING, DECLARING, OPENING, STATING
from nnspec.syntax.expectations import (
    cannot_stand,
    missing_value,
    wrong_stage,
    wrong_type,
)
from nnspec.syntax.foreign import foreign_word, is_word, lambda_word
from nnspec.syntax.situation import (
    KEYWORDS,
    OPERAND_ENDS,
    OPERAND_STARTS,
    WRITTEN,
    Finding,
    Situation,
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
_TYPE_STARTS = frozenset(["NAME", "BLOCK", "FN", "LIST", "LEFT_BRACKET"])


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


def self_dot(s: Situation) -> Finding | None:
    """`self.conv = ...`"""
    if s.text(-1) != "self" or s.kind() != "DOT":
        return None
    name = s.text(1)
    return s.finding(
        "E0118",
        "there is no `self` here",
        f"write `{name} = ...`: a layer that is bound to a name is a part of its model",
        span=s.tokens.span(s.at - 1),
    )


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


def _reserved(s: Situation, offset: int, resume: int | None) -> Finding:
    word = s.text(offset)
    return s.finding(
        "E0107",
        f"`{word}` is a reserved word and cannot be a name",
        f"choose another name, such as `{word}_`",
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


def conditional(s: Situation) -> Finding | None:
    """`x = a if c else b` without parentheses, or an `else` without its `if`."""
    if s.kind() != "ELSE":
        return None
    before = s.tokens_before()
    if "IF" in before and not s.new_line():
        hint = "put it in parentheses: `(a if c else b)`"
        return s.finding(
            "E0129", "a conditional expression stands inside brackets only", hint
        )
    return s.finding(
        "E0150",
        "this `else` has no `if` before it",
        "write `if condition { ... } else { ... }`",
    )


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


def equals_for_comparison(s: Situation) -> Finding | None:
    """`if a = b {`"""
    if s.kind() != "ASSIGN" or not s.accepts("EQUALS"):
        return None
    if not {"IF", "REQUIRE"} & set(s.tokens_before()):
        return None
    message = "`=` binds a name; it does not compare"
    return s.finding("E0139", message, "write `==`", resume=s.replace("EQUALS"))


def equals_for_colon(s: Situation) -> Finding | None:
    """`-> conv = Conv(3)`, `input x = [B]`, `block F(width = int)`."""
    if s.kind() != "ASSIGN" or s.kind(-1) != "NAME" or not s.accepts("COLON"):
        return None
    name, span = s.text(-1), s.tokens.span(s.at)
    if s.kind(-2) == "ARROW" and s.new_line(-1):
        message, hint = (
            "nothing follows this `->`",
            "write a layer or an operator after it",
        )
        arrow = s.tokens.span(s.at - 2)
        return s.finding("E0140", message, hint, span=arrow, skip=s.at - 1)
    if s.kind(-2) == "ARROW":
        hint = f"write `{name}: ...`"
        message = "a label is followed by `:`"
        return s.finding("E0108", message, hint, span=span, resume=s.replace("COLON"))
    if s.kind(1) in _TYPE_STARTS:
        message, hint = "a type stands after `:`", f"write `{name}: {s.text(1)}`"
        if s.kind(1) == "LEFT_BRACKET":
            hint = f"write `{name}: [...]`"
        return s.finding("E0108", message, hint, span=span, resume=s.replace("COLON"))
    message, hint = (
        f"`{name}` needs a type before its default",
        f"write `{name}: int = ...`",
    )
    finding = s.finding(
        "E0143", message, hint, span=s.tokens.span(s.at - 1), resume=s.at
    )
    s.put("COLON")
    s.put("NAME")
    return finding


def colon_for_equals(s: Situation) -> Finding | None:
    """`Conv(3, bias: false)`, `variant A: B()`, `x: Linear(3)`."""
    if s.kind() == "COLON" and s.kind(-1) == "NAME" and s.accepts("ASSIGN"):
        message, hint = "a value is given with `=`", f"write `{s.text(-1)} = ...`"
        return s.finding("E0109", message, hint, resume=s.replace("ASSIGN"))
    for back in (1, 2):
        typed = s.kind(-back) == "COLON" and s.kind(-back - 1) == "NAME"
        value = s.kind() in (
            "LEFT_PARENTHESIS",
            "ARROW",
            "NUMBER",
            "STRING",
            "TRUE",
            "FALSE",
        )
        first = s.at - back - 1
        if typed and value and first in (s.beginning(), s.at - s.at + first):
            if s.kind(-back - 2) in ("INPUT", "COMMA") or s.inside() != "LEFT_BRACE":
                return None
            name = s.text(-back - 1)
            return s.finding(
                "E0109",
                "a type stands after `:`, but this is a value",
                f"write `{name} = ...`",
                span=s.tokens.span(s.at - back),
            )
    return None


def missing_parameter_type(s: Situation) -> Finding | None:
    """`block F(x)`, `input x`"""
    if s.kind(-1) != "NAME" or not s.accepts("COLON"):
        return None
    name, span = s.text(-1), s.tokens.span(s.at - 1)
    is_input = s.kind(-2) == "INPUT"
    if not is_input and s.kind() not in ("COMMA", "RIGHT_PARENTHESIS"):
        return None
    if s.inside() != "LEFT_PARENTHESIS" and not is_input:
        return None
    hint = f"write `{name}: [B, C, H, W]`" + (
        "" if is_input else f" for a tensor, `{name}: int`"
    )
    what = "an input" if is_input else "a parameter"
    finding = s.finding("E0143", f"{what} needs a type", hint, span=span, resume=s.at)
    s.put("COLON")
    s.put("NAME")
    return finding


def square_brackets(s: Situation) -> Finding | None:
    """`Linear[10, bias=false]`, `block F[x: int]`, and `input x: (B, 3)`."""
    opener = s.opener()
    if s.kind() == "ASSIGN" and opener is not None and s.inside() == "LEFT_BRACKET":
        message, hint = "arguments stand in parentheses", "write `(...)` for `[...]`"
        return s.finding("E0126", message, hint, span=s.tokens.span(opener))
    if s.kind() == "LEFT_BRACKET" and s.kind(-1) == "NAME" and s.kind(-2) in DECLARING:
        message, hint = "parameters stand in parentheses", "write `(...)` for `[...]`"
        return s.finding("E0126", message, hint)
    type_due = s.kind(-1) == "COLON" and s.accepts("NAME") and not s.accepts("NUMBER")
    if s.kind() == "LEFT_PARENTHESIS" and type_due:
        hint = "write `[...]` for `(...)`"
        return s.finding("E0151", "a shape stands in square brackets", hint)
    return None


def pipe_in_operator(s: Situation) -> Finding | None:
    """`a + b -> f`, `x -> f + 1`, `a < b < c`."""
    kind = s.kind()
    if s.kind(-1) not in OPERAND_ENDS or kind not in _OPERATORS | {"ARROW"}:
        return None
    before = s.tokens_before()
    if kind == "ARROW" and set(before) & _OPERATORS:
        message = "a pipe starts at a name, a call, an index or a parenthesis"
        hint = "put what comes before `->` in parentheses: `(a + b) -> f`"
        return s.finding("E0128", message, hint)
    if "ARROW" in before:
        message = f"a pipe cannot be an operand of `{s.text()}` as it stands"
        hint = f"put the pipe in parentheses: `(x -> f) {s.text()} ...`"
        return s.finding("E0128", message, hint)
    if kind in _COMPARATORS and set(before) & _COMPARATORS:
        hint = f"compare twice: `a {s.text()} b and b {s.text()} c`"
        return s.finding("E0127", "comparisons do not chain", hint)
    return None


def missing_comma(s: Situation) -> Finding | None:
    """`f(1 2)`, `for i x in xs`."""
    if s.kind() not in OPERAND_STARTS or s.kind(-1) not in OPERAND_ENDS:
        return None
    if s.kind(-1) == "NAME" and s.kind() == "STRING" and _touches(s):
        hint = "write the string alone, without a prefix"
        return s.finding("E0154", "strings take no prefix here", hint, resume=s.at + 1)
    in_list = (
        s.inside() in ("LEFT_PARENTHESIS", "LEFT_BRACKET") or "FOR" in s.tokens_before()
    )
    if not in_list or not s.accepts("COMMA", s.kind()):
        return None
    message = f"a comma is missing before {s.shown()}"
    return s.finding(
        "E0110", message, "write `,` between the two", resume=s.put("COMMA")
    )


def _touches(s: Situation) -> bool:
    return s.tokens.ends[s.at - 1] == s.tokens.starts[s.at]


def unused_value(s: Situation) -> Finding | None:
    """A statement that is only an expression, or that changes something in place."""
    first = s.at - 1
    begins = s.beginning() == first or s.kind(-2) in ("LEFT_BRACE", "RIGHT_BRACE")
    if s.kind(-1) != "NAME" or not begins or not s.accepts("ASSIGN"):
        return None
    kind, name, place = s.kind(), s.text(-1), s.tokens.span(first)
    line = s.tokens.kinds[s.at : s.next_line()]
    if kind == "EQUALS":
        message, hint = "`==` compares; it does not bind a name", "write `=`"
        return s.finding("E0149", message, hint, resume=s.replace("ASSIGN"))
    if kind in ("DOT", "LEFT_BRACKET") and "ASSIGN" in line:
        message, hint = (
            f"no part of `{name}` can be changed",
            f"bind a new value: `{name} = ...`",
        )
        return s.finding("E0148", message, hint, span=place)
    touching_call = kind == "LEFT_PARENTHESIS" or kind in _OPERATORS
    if kind in ("DOT", "LEFT_BRACKET", "ARROW") or touching_call:
        message = "this value is not used: a statement binds a name"
        return s.finding(
            "E0136", message, f"write `y = {name}...`, or `return`", span=place
        )
    return None


def missing_equals(s: Situation) -> Finding | None:
    """`x Conv(3)`, `output y x -> f`, `variant A B()`."""
    kind = s.kind()
    if kind in OPERAND_STARTS and not s.new_line() and s.accepts("ASSIGN", kind):
        message = f"`=` is missing before {s.shown()}"
        return s.finding(
            "E0111", message, "write `=` before the value", resume=s.put("ASSIGN")
        )
    if (
        kind == "ARROW"
        and s.kind(-1) == s.kind(-2) == "NAME"
        and s.kind(-3) == "OUTPUT"
    ):
        message = f"`=` is missing before {s.shown(-1)}"
        place = s.tokens.span(s.at - 1)
        return s.finding("E0111", message, "write `=` before the value", span=place)
    if s.new_line() and s.accepts("ASSIGN") and not s.accepts("DOT"):
        if s.kind(-1) == "NAME" and s.kind(-2) != "COLON":
            message, hint = "this name gets no value", f"write `{s.text(-1)} = ...`"
        else:
            message, hint = "this claim has no value", "write `name: type = value`"
        return s.finding("E0111", message, hint, span=s.tokens.span(s.at - 1))
    return None


def several_outputs(s: Situation) -> Finding | None:
    """`output a, b = ...`"""
    if s.kind() != "COMMA" or "OUTPUT" not in s.tokens_before():
        return None
    hint = "bind the values first, then write one `output` for each"
    return s.finding("E0141", "an `output` names one value", hint)


def misplaced(s: Situation) -> Finding | None:
    """A statement outside of every body, or a declaration inside of one."""
    kind = s.kind()
    if kind in STATING and s.inside() == "" and s.accepts("NAME"):
        message = f"`{s.text()}` stands outside of every model, block and fn"
        hint = "move it into the body of one"
        return s.finding(
            "E0134", message, hint, skip=s.dedent(s.at) if s.new_line() else None
        )
    if (
        kind in DECLARING
        and s.inside() == "LEFT_BRACE"
        and s.kind(1) in ("NAME", "STRING")
    ):
        message = f"a `{s.text()}` cannot stand inside another declaration"
        hint = (
            "move it to the top level of the file, or close the body before it with `}`"
        )
        return s.finding("E0135", message, hint, skip=_after_declaration(s))
    return None


def _after_declaration(s: Situation) -> int:
    """The token after a declaration that stands where it may not."""
    kinds, depth = s.tokens.kinds, 0
    for index in range(s.at, len(kinds)):
        depth += (kinds[index] in OPENING) - (kinds[index] in CLOSING)
        if kinds[index] == "RIGHT_BRACE" and depth == 0:
            return index + 1
        if depth < 0:
            return index
    return len(kinds) - 1


def stray_doc_string(s: Situation) -> Finding | None:
    """A doc string that is not the first thing in a file or body."""
    if s.kind() != "DOC":
        return None
    if s.accepts("STRING"):
        message, hint = (
            "a value stands in one pair of quotes",
            'write "..." on one line',
        )
        return s.finding("E0137", message, hint, resume=s.replace("STRING"))
    message = "a doc string is the first thing in a file or a body"
    return s.finding(
        "E0137", message, "move it there, or begin it with `#`", skip=s.at + 1
    )


def half_number(s: Situation) -> Finding | None:
    """`.5`"""
    if s.kind() == "DOT" and s.kind(1) == "NUMBER" and s.accepts("NUMBER"):
        message, hint = "a number begins with a digit", f"write `0.{s.text(1)}`"
        finding = s.finding("E0010", message, hint, resume=s.at + 2)
        s.engine.feed("NUMBER", s.at + 1)
        return finding
    return None


def braces_as_value(s: Situation) -> Finding | None:
    """`x = {a: 1}`"""
    if s.kind() != "LEFT_BRACE" or not s.accepts("NUMBER"):
        return None
    hint = "use a list `[...]`, or parameters with names"
    return s.finding("E0147", "there are no dictionaries or sets", hint)


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
    square_brackets,
    equals_for_colon,
    colon_for_equals,
    missing_parameter_type,
    several_outputs,
    unused_value,
    missing_comma,
    missing_equals,
    missing_brace,
    pipe_in_operator,
    braces_as_value,
    wrong_stage,
    wrong_type,
    missing_value,
)
