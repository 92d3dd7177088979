"""Slips in statements and declarations: how names, types and values are put together."""

from __future__ import annotations

import re

from nnspec.syntax.brackets import CLOSING, DECLARING, OPENING, STATING
from nnspec.syntax.situation import OPERAND_STARTS, Finding, Situation
from nnspec.syntax.slips_expressions import of_file_constant

_COMPARATORS = frozenset(
    ["EQUALS", "DIFFERS", "AT_MOST", "AT_LEAST", "BELOW", "ABOVE", "IN"]
)
_UNIT = re.compile(r"(?:[KMGTP]i?)?(?:B|FLOPs|MACs)|[KMGTP]i?")
# What makes a list longer in Python.
_GROWING = {"append", "extend", "insert"}
_OPERATORS = _COMPARATORS | frozenset(
    ["PLUS", "MINUS", "TIMES", "DIVIDE", "FLOOR_DIVIDE", "MODULO", "POWER", "AND", "OR"]
)
_TYPE_STARTS = frozenset(["NAME", "BLOCK", "FN", "LIST", "LEFT_BRACKET"])


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


def second_requirement(s: Situation) -> Finding | None:
    """`require H >= 32, W >= 32`"""
    if s.kind(-1) != "COMMA" or not s.accepts("STRING"):
        return None
    if s.tokens_before()[-1:] != ["REQUIRE"]:
        return None
    hint = "join conditions with `and`; a message in quotes may stand after the comma"
    return s.finding("E0101", f"{s.shown()} cannot stand here", hint)


def nested_names(s: Situation) -> Finding | None:
    """`y, (h, c) = ...`"""
    if s.kind() != "LEFT_PARENTHESIS" or s.kind(-1) != "COMMA" or not s.accepts("NAME"):
        return None
    before = s.tokens_before()
    if (
        set(before) - {"NAME", "COMMA"}
        or "ASSIGN" not in s.tokens.kinds[s.at : s.next_line()]
    ):
        return None
    hint = "write them in a row: `y, h, c = ...`"
    return s.finding("E0101", "names do not stand in one another", hint)


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
        if typed and value:
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
        hint = f"write `y = {name}...`, or `return`"
        if kind == "DOT" and s.text(1) in _GROWING:
            at_start = [s.text(n) for n in (1, 3, 4)] == ["insert", "0", ","]
            longer = f"[...] + {name}" if at_start else f"{name} + [...]"
            hint = f"a list does not change; bind a longer one: `{name} = {longer}`"
        return s.finding("E0136", message, hint, span=place)
    return None


def unit_apart(s: Situation) -> Finding | None:
    """`10 MB`, which would be a number and a statement that begins with a name."""
    number, unit = s.text(-2), s.text(-1)
    ends = s.new_line() and s.kind(-1) == "NAME" and s.kind(-2) == "NUMBER"
    if not ends or s.new_line(-1) or _UNIT.fullmatch(unit) is None:
        return None
    message = f"the unit `{unit}` stands apart from its number"
    place = s.tokens.span(s.at - 1)
    return s.finding("E0010", message, f"write `{number}{unit}`", span=place)


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
    is_stating = kind in STATING and not of_file_constant(s)
    if is_stating and s.inside() == "" and s.accepts("NAME"):
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
