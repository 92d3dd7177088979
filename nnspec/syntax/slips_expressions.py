"""Slips in expressions: operators, pipes, brackets, commas."""

from __future__ import annotations

from nnspec.syntax.brackets import DECLARING
from nnspec.syntax.situation import OPERAND_ENDS, OPERAND_STARTS, Finding, Situation

_COMPARATORS = frozenset(
    ["EQUALS", "DIFFERS", "AT_MOST", "AT_LEAST", "BELOW", "ABOVE", "IN"]
)
_OPERATORS = _COMPARATORS | frozenset(
    ["PLUS", "MINUS", "TIMES", "DIVIDE", "FLOOR_DIVIDE", "MODULO", "POWER", "AND", "OR"]
)


def of_file_constant(s: Situation) -> bool:
    """Whether an `if` follows the value of a constant of the file; in a body it may begin a statement."""
    here = s.kind() == "IF" and s.inside() == "" and not s.new_line()
    return here and "ASSIGN" in s.tokens_before()


def conditional(s: Situation) -> Finding | None:
    """`x = a if c else b` without parentheses, or an `else` without its `if`."""
    if s.kind() != "ELSE" and not of_file_constant(s):
        return None
    if of_file_constant(s) or ("IF" in s.tokens_before() and not s.new_line()):
        hint = "put it in parentheses: `(a if c else b)`"
        return s.finding(
            "E0129", "a conditional expression stands inside brackets only", hint
        )
    return s.finding(
        "E0150",
        "this `else` has no `if` before it",
        "write `if condition { ... } else { ... }`",
    )


def equals_for_comparison(s: Situation) -> Finding | None:
    """`if a = b {`"""
    if s.kind() != "ASSIGN" or not s.accepts("EQUALS"):
        return None
    if not {"IF", "REQUIRE"} & set(s.tokens_before()):
        return None
    message = "`=` binds a name; it does not compare"
    return s.finding("E0139", message, "write `==`", resume=s.replace("EQUALS"))


def matrix_product(s: Situation) -> Finding | None:
    """`(a @ b)`, and `return a @ b` before a brace: `@ b` reads as an annotation of what is to come.

    Where something comes, `Builder` sees it.
    """
    message, hint = "`@` is not an operator here", "write `matmul(a, b)`"
    if s.kind() == "AT" and s.kind(-1) in OPERAND_ENDS and s.accepts("TIMES"):
        return s.finding("E0156", message, hint, resume=s.replace("TIMES"))
    if s.kind() == "RIGHT_BRACE" and s.kind(-2) == "AT" and not s.new_line(-2):
        span = s.tokens.span(s.at - 2)
        return s.finding("E0156", message, hint, span=span, resume=s.put("NAME"))
    return None


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


def second_for(s: Situation) -> Finding | None:
    """`[(i, j) for i in a for j in b]`"""
    if s.kind() != "FOR" or "FOR" not in s.tokens_before()[:-1]:
        return None
    if s.inside() != "LEFT_BRACKET":
        return None
    hint = "grow a list in two loops: `for i in a { for j in b { all = all + [f(i, j)] } }`"
    return s.finding("E0101", "a comprehension has one `for`", hint)


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
