"""Words of other languages at the beginning of a statement, and what to write instead."""

from __future__ import annotations

from nnspec.syntax.situation import Finding, Situation

_FN = "write `fn name(x: [B, D]) -> [B, D] { ... }`, or `block` for what owns weights"
_MODEL = "write `model Name(width: int) { ... }`, or `block Name(x: [B, D]) { ... }` for a part"
_USE = "write `use std.attention (SelfAttention)`; operators and layers need no import"
_WHILE = "write `for i in range(n) { ... }`: loops unroll, so their length is known"
_BIND = "write `name = value`"

FOREIGN: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("def", "function", "func", "fun", "proc"), ("E0119", _FN)),
    **dict.fromkeys(
        ("class", "struct", "layer", "module", "network", "net", "graph"),
        ("E0119", _MODEL),
    ),
    **dict.fromkeys(
        ("import", "from", "include", "using", "require_once"), ("E0120", _USE)
    ),
    **dict.fromkeys(("elif", "elsif", "elseif"), ("E0123", "write `else if`")),
    **dict.fromkeys(("while", "loop", "repeat", "until", "do"), ("E0124", _WHILE)),
    **dict.fromkeys(("let", "var", "const", "val", "auto"), ("E0144", _BIND)),
    "assert": ("E0145", "write `require condition`"),
    "print": ("E0145", "give the value a name or a label; `nnspec summary` shows it"),
    "pass": ("E0145", "leave the body empty: `{ }`"),
    **dict.fromkeys(
        ("break", "continue"), ("E0145", "restrict the range of the loop, or use `if`")
    ),
    **dict.fromkeys(
        (
            "with",
            "try",
            "raise",
            "del",
            "global",
            "async",
            "await",
            "switch",
            "match",
            "case",
        ),
        ("E0145", "say it with `if`, `for` and `require`"),
    ),
}


def foreign_word(situation: Situation) -> Finding | None:
    """`def`, `class`, `import`, `elif`, `while`, `let`, ...: where they begin the statement."""
    tokens = situation.tokens
    beginning = situation.beginning()
    for index in (situation.at, situation.at - 1, beginning):
        if index < beginning or tokens.kinds[index] != "NAME":
            continue
        word = tokens.text(index)
        at_start = index == beginning or tokens.kinds[index - 1] in (
            "LEFT_BRACE",
            "RIGHT_BRACE",
        )
        if word in FOREIGN and at_start:
            return _report(situation, index, word)
    return None


def _report(situation: Situation, index: int, word: str) -> Finding:
    code, hint = FOREIGN[word]
    tokens = situation.tokens
    if code == "E0144" and tokens.kinds[index + 1] == "NAME":
        hint = f"write `{tokens.text(index + 1)} = ...`"
    line = range(situation.at, situation.next_line())
    braced = any(tokens.kinds[at] == "LEFT_BRACE" for at in line)
    skip = situation.at if braced else situation.dedent(index)
    message = f"there is no `{word}` in this language"
    return situation.finding(code, message, hint, span=tokens.span(index), skip=skip)


def lambda_word(situation: Situation) -> Finding | None:
    """`lambda x: ...` anywhere on the line."""
    tokens = situation.tokens
    for index in range(situation.at, situation.beginning() - 1, -1):
        if tokens.kinds[index] == "NAME" and tokens.text(index) == "lambda":
            hint = "declare `fn name(x: [B, D]) -> [B, D] { return ... }` and write its name here"
            message = "there is no `lambda` in this language"
            return situation.finding("E0125", message, hint, span=tokens.span(index))
    return None


def is_word(situation: Situation) -> Finding | None:
    """`x is none`, `x is not none`, `x not in xs`."""
    negated = situation.kind(1) == "NOT"
    if situation.text() == "is" and situation.accepts("EQUALS"):
        sign, kind = ("!=", "DIFFERS") if negated else ("==", "EQUALS")
        finding = situation.finding(
            "E0114", "`is` is not an operator here", f"write `{sign}`"
        )
        return Finding(finding.diagnostic, situation.replace(kind) + negated)
    if situation.kind() == "NOT" and situation.kind(1) == "IN":
        hint = "write `not (a in b)`"
        return situation.finding("E0114", "`not in` is not an operator here", hint)
    return None
