"""Explanations for faults that are no known slip: what is missing, what might have stood here."""

from __future__ import annotations

from nnspec.syntax.lexer import END
from nnspec.syntax.situation import WRITTEN, Finding, Situation

MOST_ALTERNATIVES = 6

_EXPRESSION = frozenset(
    [
        "NAME",
        "NUMBER",
        "STRING",
        "TRUE",
        "FALSE",
        "NONE",
        "LEFT_PARENTHESIS",
        "LEFT_BRACKET",
    ]
)
_EXPRESSION_TOO = _EXPRESSION | {"NOT", "MINUS"}
_STATEMENT = frozenset(
    ["INPUT", "OUTPUT", "FOR", "IF", "REQUIRE", "RETURN", "YIELD", "AT"]
)
_OPERATOR = frozenset(
    [
        "PLUS",
        "MINUS",
        "TIMES",
        "DIVIDE",
        "FLOOR_DIVIDE",
        "MODULO",
        "POWER",
        "AND",
        "OR",
        "EQUALS",
        "DIFFERS",
        "AT_MOST",
        "AT_LEAST",
        "BELOW",
        "ABOVE",
        "IN",
        "DOT",
        "LEFT_PARENTHESIS",
        "LEFT_BRACKET",
        "ARROW",
        "IF",
    ]
)
_DECLARATION = frozenset(["BLOCK", "FN", "MODEL", "VARIANT", "USE"])
_NAMED = {
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": "a string",
    "DOC": "a doc string",
}


def wrong_stage(s: Situation) -> Finding | None:
    """What follows `->` is no layer and no operator."""
    if s.kind(-1) != "ARROW":
        return None
    if s.new_line() or s.kind() in ("RIGHT_BRACE", "RIGHT_PARENTHESIS", END):
        hint = "write a layer or an operator after it, or delete it"
        return s.finding(
            "E0140", "nothing follows this `->`", hint, span=s.tokens.span(s.at - 1)
        )
    hint = "write a layer, an operator or the name of an instance: `x -> Linear(10) -> relu`"
    return s.finding("E0140", f"{s.shown()} cannot be a stage of a pipe", hint)


def wrong_type(s: Situation) -> Finding | None:
    """What follows `:` is no type."""
    typed = s.kind(-1) == "COLON" and s.accepts("NAME") and not s.accepts("NUMBER")
    if not typed:
        return None
    hint = "write a shape such as `[B, C, H, W]` or `i64[B, T]`, or int, float, bool, str, list[int]"
    return s.finding("E0152", f"a type belongs before {s.shown()}", hint)


def missing_value(s: Situation) -> Finding | None:
    """An operator, `=`, `,` or `return` that nothing follows."""
    if s.kind() in _EXPRESSION or not s.accepts("NUMBER"):
        return None
    mend = "NONE" if s.accepts("NONE", s.kind()) else None
    before = s.tokens.span(s.at - 1)
    if s.kind(-1) == "RETURN":
        finding = s.finding(
            "E0142", "`return` needs a value", "write `return value`", span=before
        )
    else:
        after = f" after {s.shown(-1)}" if s.at else ""
        finding = s.finding(
            "E0138",
            f"a value is missing{after}",
            f"write a value before {s.shown()}",
            span=before if s.new_line() or s.kind() == END else None,
        )
    return Finding(finding.diagnostic, s.put(mend) if mend else None)


def cannot_stand(s: Situation) -> Finding:
    """The fault as the grammar sees it."""
    expected = describe(s.engine.expected())
    hint = f"expected {expected}" if expected else None
    return s.finding("E0101", f"{s.shown()} cannot stand here", hint)


def describe(expected: list[str]) -> str:
    """What may follow, in words, most telling first."""
    kinds = set(expected)
    words: list[str] = []
    for group, word in (
        (_DECLARATION, "a declaration"),
        (_STATEMENT, "a statement"),
        (_EXPRESSION_TOO, "an expression"),
        (_EXPRESSION, "an expression"),
        (_OPERATOR, "an operator"),
    ):
        if group <= kinds:
            words.append(word)
            kinds -= group | ({"NAME"} if group is not _OPERATOR else set())
    if "an operator" not in words and {"PLUS", "TIMES"} <= kinds:
        words.append("an operator")
        kinds -= _OPERATOR
    singles = [_NAMED.get(kind) or _shown(kind) for kind in sorted(kinds)]
    words = singles + words
    if len(words) > MOST_ALTERNATIVES:
        words = [*words[: MOST_ALTERNATIVES - 1], "..."]
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + (" or " if words[-1] != "..." else ", ") + words[-1]


def _shown(kind: str) -> str:
    return "the end of the file" if kind == END else f"`{WRITTEN[kind]}`"
