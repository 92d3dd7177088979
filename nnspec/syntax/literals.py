"""The values of numbers, strings and doc strings."""

from __future__ import annotations

import re
from fractions import Fraction

from nnspec.diagnostics import Diagnostic, Diagnostics
from nnspec.source import Location, Span
from nnspec.syntax.lexer import LARGEST_EXPONENT, LONGEST_NUMBER, Tokens

_NUMBER = re.compile(
    r"([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?([KMGTP]i?)?(B|FLOPs|MACs)?\Z"
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t"}
_LINE_END = re.compile(r"\r\n?|\n")
_MULTIPLIERS = {letter: power for power, letter in enumerate("KMGTP", start=1)}


def number_value(
    tokens: Tokens, index: int, diagnostics: Diagnostics
) -> tuple[Fraction, bool, str]:
    """The exact value, whether it is an int, and the unit. What is no number counts as 1."""
    written = tokens.text(index)
    match = _NUMBER.match(written) if len(written) <= LONGEST_NUMBER else None
    if match is None:  # the lexer has reported it
        return Fraction(1), True, ""
    whole, fraction, exponent, multiplier, unit = match.groups()
    power = int(exponent or 0)
    if abs(power) > LARGEST_EXPONENT:
        message = f"the exponent of `{written}` is beyond ±{LARGEST_EXPONENT}"
        place = Location(tokens.source, tokens.span(index))
        diagnostics.add(Diagnostic("E0009", message, place))
        return Fraction(1), False, ""
    digits = whole + (fraction or "")
    value = Fraction(int(digits)) * Fraction(10) ** (power - len(fraction or ""))
    is_int = fraction is None and exponent is None
    if multiplier:
        base = 1024 if multiplier.endswith("i") else 1000
        value *= base ** _MULTIPLIERS[multiplier[0]]
    if multiplier or unit:
        is_int = value.denominator == 1
    return value, is_int, unit or ""


def string_value(tokens: Tokens, index: int, diagnostics: Diagnostics) -> str:
    """What a string says; a string that the lexer has reported counts as far as it goes."""
    written = tokens.text(index)
    if not written.startswith('"') or len(written) < 2 or not written.endswith('"'):
        return written.strip("'\"")
    start = tokens.starts[index] + 1
    inner = written[1:-1]
    if "\\" not in inner:
        return inner
    for match in _ESCAPE.finditer(inner):
        if match[1] not in _ESCAPES:
            diagnostics.add(_unknown_escape(tokens, start + match.start(), match[0]))
    return _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), inner)


def _unknown_escape(tokens: Tokens, start: int, written: str) -> Diagnostic:
    return Diagnostic(
        "E0012",
        f"`{written}` is no escape",
        Location(tokens.source, Span(start, start + 2)),
        hint='the escapes are `\\"`, `\\\\`, `\\n` and `\\t`; write a backslash as `\\\\`',
    )


def doc_value(written: str) -> str:
    '''What a doc string says, without the indentation that its lines share.

    >>> doc_value('"""One.\\n\\n    Two.\\n    """')
    'One.\\n\\nTwo.'
    '''
    first, *rest = [line.rstrip(" \t") for line in _LINE_END.split(written[3:-3])]
    indents = [len(line) - len(line.lstrip(" \t")) for line in rest if line]
    common = min(indents, default=0)
    lines = [first.lstrip(" \t"), *(line[common:] for line in rest)]
    return "\n".join(lines).strip("\n")
