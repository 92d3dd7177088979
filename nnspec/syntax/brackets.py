"""Matches brackets before parsing, so that one that is missing is reported where it was left open.

Indentation means nothing to the language; here it only tells which of several open brackets a person
probably forgot, in a declaration whose brackets do not match.
"""

from __future__ import annotations

from dataclasses import field

from nnspec.diagnostics import Diagnostic, Diagnostics, Label, SpecError
from nnspec.records import dataclass
from nnspec.source import Location
from nnspec.syntax.ast import MOST_NESTING
from nnspec.syntax.lexer import END, Tokens

OPENING = {
    "LEFT_PARENTHESIS": "RIGHT_PARENTHESIS",
    "LEFT_BRACKET": "RIGHT_BRACKET",
    "LEFT_BRACE": "RIGHT_BRACE",
}
CLOSING = {closing: opening for opening, closing in OPENING.items()}
DECLARING = frozenset(("USE", "BLOCK", "FN", "MODEL", "VARIANT"))
STATING = frozenset(
    ("INPUT", "OUTPUT", "FOR", "IF", "REQUIRE", "RETURN", "YIELD", "AT")
)

_OPERAND_ENDS = frozenset(
    ("NAME", "NUMBER", "STRING", "TRUE", "FALSE", "NONE", "ELLIPSIS", *CLOSING)
)
_SIGN = {
    "LEFT_PARENTHESIS": "(",
    "LEFT_BRACKET": "[",
    "LEFT_BRACE": "{",
    "RIGHT_PARENTHESIS": ")",
    "RIGHT_BRACKET": "]",
    "RIGHT_BRACE": "}",
}


@dataclass(slots=True)
class Repairs:
    """Tokens to put in before others, by the number of the token that they precede."""

    inserted: dict[int, list[str]] = field(default_factory=dict[int, list[str]])

    def insert(self, index: int, kind: str) -> None:
        """Puts a token in before the one at `index`, after those already put there."""
        self.inserted.setdefault(index, []).append(kind)

    def take(self, index: int) -> list[str]:
        """What goes in before the token at `index`, once."""
        return self.inserted.pop(index, []) if self.inserted else []


def begins_declaration(tokens: Tokens, index: int) -> bool:
    """Whether a declaration seems to begin here: its keyword stands first on its line."""
    kinds = tokens.kinds
    if kinds[index] not in DECLARING or not tokens.starts_line(index):
        return False
    if kinds[index + 1] not in ("NAME", "STRING"):
        return False
    return index == 0 or kinds[index - 1] not in ("COLON", "LEFT_BRACKET", "COMMA")


def begins_statement(tokens: Tokens, index: int) -> bool:
    """Whether a statement seems to begin here: first on its line, after something complete."""
    kind = tokens.kinds[index]
    if not tokens.starts_line(index):
        return False
    if kind in STATING:
        return True
    before = tokens.kinds[index - 1] if index else "LEFT_BRACE"
    following = tokens.kinds[index + 1] if kind == "NAME" else ""
    complete = before in _OPERAND_ENDS or before == "LEFT_BRACE"
    return complete and following in ("ASSIGN", "COMMA", "COLON")


def match_brackets(tokens: Tokens, diagnostics: Diagnostics) -> Repairs:
    """Reports brackets left open and says where to close them; refuses those that nest too deep."""
    repairs = Repairs()
    begin = 0
    balanced, depth = True, 0
    expected: list[str] = []
    for index, kind in enumerate(tokens.kinds):
        if kind == END or (
            kind in DECLARING
            and begins_declaration(tokens, index)
            and (not expected or tokens.indent(index) <= tokens.indent(begin))
        ):
            if not balanced or expected:
                _repair(tokens, begin, index, repairs, diagnostics)
            begin, balanced, depth = index, True, 0
            expected.clear()
        elif kind in OPENING:
            expected.append(OPENING[kind])
            depth += 1
            if depth > MOST_NESTING:
                raise _too_deep(tokens, index)
        elif kind in CLOSING:
            depth = max(0, depth - 1)
            if expected and expected[-1] == kind:
                expected.pop()
            else:
                balanced = False
    return repairs


def _too_deep(tokens: Tokens, index: int) -> SpecError:
    return SpecError(
        "E0015",
        f"brackets nest more than {MOST_NESTING} levels deep",
        Location(tokens.source, tokens.span(index)),
        hint="give the inner parts names, or move them to a block or fn",
    )


def _repair(
    tokens: Tokens, begin: int, end: int, repairs: Repairs, diagnostics: Diagnostics
) -> None:
    """Closes what one declaration leaves open. Surplus closing brackets are left to the parser."""
    stack: list[int] = []

    def close(index: int) -> None:
        opener = stack.pop()
        repairs.insert(index, OPENING[tokens.kinds[opener]])
        diagnostics.add(_left_open(tokens, opener, index))

    for index in range(begin, end):
        kind = tokens.kinds[index]
        while stack and _was_forgotten(tokens, stack[-1], index):
            close(index)
        if kind in OPENING:
            stack.append(index)
        elif kind in CLOSING and CLOSING[kind] in (tokens.kinds[at] for at in stack):
            while tokens.kinds[stack[-1]] != CLOSING[kind]:
                close(index)
            stack.pop()
    while stack:
        close(end)


def _was_forgotten(tokens: Tokens, opener: int, index: int) -> bool:
    """Whether a person who indents well has closed `opener` in mind before the token at `index`."""
    kind = tokens.kinds[index]
    if tokens.kinds[opener] != "LEFT_BRACE":
        return begins_statement(tokens, index) and tokens.kinds[index - 1] != "COMMA"
    if not tokens.starts_line(index):
        return False
    indent, opened = tokens.indent(index), tokens.indent(opener)
    if kind == "RIGHT_BRACE":
        return indent < opened
    if kind == "ELSE":
        return indent <= opened and tokens.kinds[index - 1] != "RIGHT_BRACE"
    return begins_statement(tokens, index) and indent <= opened


def _left_open(tokens: Tokens, opener: int, index: int) -> Diagnostic:
    source, kind = tokens.source, tokens.kinds[opener]
    sign, closing = _SIGN[kind], _SIGN[OPENING[kind]]
    at_end = tokens.kinds[index] == END
    label = "the file ends here" if at_end else "it should be closed before this"
    code = "E0102" if sign == "{" else "E0103"
    return Diagnostic(
        code,
        f"this `{sign}` is never closed",
        Location(source, tokens.span(opener)),
        (Label(Location(source, tokens.span(index)), label),),
        f"add the missing `{closing}`",
    )
