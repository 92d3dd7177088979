"""What to do when the next token may not stand where it does: say why, then mend or go on further down."""

from __future__ import annotations

from nnspec.diagnostics import Diagnostics
from nnspec.syntax.brackets import Repairs, begins_declaration, begins_statement
from nnspec.syntax.engine import Engine
from nnspec.syntax.lexer import END, Tokens
from nnspec.syntax.situation import Situation
from nnspec.syntax.slips import explain


def recover(
    engine: Engine, at: int, repairs: Repairs, diagnostics: Diagnostics
) -> int | None:
    """Reports the token at `at`; the number of the token to go on with, or None to give up."""
    situation = Situation(engine, at, repairs)
    finding = explain(situation)
    diagnostics.add(finding.diagnostic)
    resume = finding.resume
    if resume is not None and (resume > at or engine.accepts(engine.tokens.kinds[at])):
        return resume
    return synchronize(engine, finding.skip or at)


def synchronize(engine: Engine, at: int) -> int | None:
    """Skips to where a statement or a declaration begins, and drops what was unfinished before it."""
    tokens = engine.tokens
    open_braces = 0
    for index in range(at, len(tokens.kinds)):
        kind = tokens.kinds[index]
        if kind == END:
            return index if engine.unwind("declaration", END) else None
        if begins_declaration(tokens, index):
            if engine.unwind("declaration", kind):
                return index
        elif kind == "LEFT_BRACE":
            open_braces += 1
        elif kind == "RIGHT_BRACE" and open_braces:
            open_braces -= 1
        elif open_braces:
            continue
        elif kind == "RIGHT_BRACE":
            if engine.unwind("statement", kind):
                return index
        elif _may_begin(tokens, index) and _resume(engine, kind):
            return index
    return None


def _may_begin(tokens: Tokens, index: int) -> bool:
    """Whether a statement begins here, or something that was meant as one (`while x`, `let y`)."""
    if begins_statement(tokens, index):
        return True
    two_names = tokens.kinds[index : index + 2] == ["NAME", "NAME"]
    return (
        two_names
        and tokens.starts_line(index)
        and tokens.starts_line(index + 1) is False
    )


def _resume(engine: Engine, kind: str) -> bool:
    return engine.unwind("statement", kind) or engine.unwind("declaration", kind)
