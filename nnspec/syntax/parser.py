"""From a text to its tree: `parse` checks the text, cuts it, matches its brackets and runs the machine.

After a fault the machine is mended where the slip is understood, else it goes on at the next statement or
declaration, so that one run reports several faults. Every step takes a token or spends one of a fixed number
of faults, so it always ends.
"""

from __future__ import annotations

from nnspec.diagnostics import Diagnostic, Diagnostics, SpecError
from nnspec.source import Source, Span
from nnspec.syntax import ast
from nnspec.syntax.brackets import Repairs, match_brackets
from nnspec.syntax.build import Builder
from nnspec.syntax.engine import Engine
from nnspec.syntax.lexer import END, Tokens, tokenize
from nnspec.syntax.text import check_text

MOST_FAULTS = 100


def parse(source: Source, diagnostics: Diagnostics) -> ast.File:
    """The tree of a text. What is wrong goes to `diagnostics`; the tree then holds what could be read."""
    found = Diagnostics()
    try:
        file = _parse(source, found)
    except SpecError as error:
        found.add(error.diagnostic)
        file = None
    diagnostics.extend(sorted(found, key=_offset))
    diagnostics.suppressed += found.suppressed
    return file or ast.File(Span(0, len(source.text)), source, None, (), ())


def _offset(diagnostic: Diagnostic) -> int:
    return diagnostic.location.span.start if diagnostic.location else 0


def _parse(source: Source, diagnostics: Diagnostics) -> ast.File | None:
    check_text(source, diagnostics)
    tokens = tokenize(source, diagnostics)
    if not tokens.complete:
        return None
    return _run(tokens, match_brackets(tokens, diagnostics), diagnostics)


def _run(tokens: Tokens, repairs: Repairs, diagnostics: Diagnostics) -> ast.File | None:
    builder = Builder(tokens, diagnostics)
    engine = Engine(tokens, builder.builders())
    faults = 0
    at = 0
    while True:
        for kind in repairs.take(at):
            engine.feed(kind, at)
        if engine.feed(tokens.kinds[at], at):
            if tokens.kinds[at] == END:
                break
            at += 1
            continue
        faults += 1
        if faults > MOST_FAULTS:
            return None
        from nnspec.syntax.recovery import recover  # only where something is wrong

        after = recover(engine, at, repairs, diagnostics)
        if after is None:
            return None
        at = after
    builder.finish()
    return engine.values[-1]
