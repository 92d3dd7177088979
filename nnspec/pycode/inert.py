"""Constants and arbitrary text as literals, comments and docstrings that do nothing else.

What a spec's author wrote may end up beside code. Here it loses all power: characters
that cannot be seen are spelled out, quotes cannot end a docstring, a comment is one
line, and the marks by which tools take comments for instructions are broken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from nnspec.pycode.layout import width_of

LIMIT = 88
_DIGITS = 4300
_TOOLS = re.compile(
    r"\b(coding|fmt|yapf|type|ruff|isort|flake8|pyright|mypy|pylint|pragma|pytype|black|"
    r"lint|noinspection|vim|ex|vi|skip)([:=])",
    re.IGNORECASE,
)
_SILENCERS = re.compile(r"no(qa|sec|pep8)", re.IGNORECASE)
_COOKIE = re.compile(r"coding([:=])", re.IGNORECASE)
_BREAKS = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_INVISIBLE = frozenset("\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5\u2800")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": r"\\"}


def _visible(character: str) -> bool:
    if character in _INVISIBLE or 0xFE00 <= ord(character) <= 0xFE0F:
        return False
    return character.isprintable() and not 0xE0100 <= ord(character) <= 0xE01EF


def _escaped(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if _visible(character):
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def string_body(text: str, quote: str) -> str:
    """The inside of a string literal in these quotes."""
    body = "".join(map(_escaped, text))
    return body.replace(quote, "\\" + quote)


def string(text: str) -> str:
    """A string literal, in the quotes that need fewer escapes, double ones by preference."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + string_body(text, quote) + quote


def literal(value: object) -> str:
    """None, a bool, a number or a string as Python spells it."""
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, str):
        return string(value)
    if isinstance(value, float):
        return _float(value)
    if not isinstance(value, int):
        raise TypeError(f"{type(value).__name__} is no literal")
    if value.bit_length() > 3 * _DIGITS and abs(value) >= 10**_DIGITS:
        raise ValueError(f"an integer of more than {_DIGITS} digits cannot be written")
    return str(value)


def _float(value: float) -> str:
    if math.isnan(value):
        return 'float("nan")'
    if math.isinf(value):
        return 'float("inf")' if value > 0 else '-float("inf")'
    mantissa, mark, exponent = repr(value).partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def _shown(character: str) -> str:
    if character.isspace():
        return " "
    return character if _visible(character) else f"<U+{ord(character):04X}>"


def lines_of(text: str) -> list[str]:
    """The lines of a text in visible characters, without spaces at their ends."""
    parts = _BREAKS.split(text)
    return ["".join(map(_shown, part)).rstrip() for part in parts]


def wrapped(line: str, first: int, width: int) -> Iterator[str]:
    """A line cut at spaces into pieces of at most `width` columns, where words allow.

    The first piece may take `first` columns. All pieces keep the line's indentation.
    """
    indentation = line[: len(line) - len(line.lstrip())]
    piece, limit = indentation, first
    for word in line.split():
        joined = f"{piece} {word}" if piece.strip() else piece + word
        if piece.strip() and width_of(joined) > limit:
            yield piece
            piece, limit = indentation + word, width
            continue
        piece = joined
    yield piece


def _tame(line: str) -> str:
    line = _TOOLS.sub(r"\1 \2", line)
    line = _COOKIE.sub(lambda found: found[0][:-1] + " " + found[1], line)
    return _SILENCERS.sub(lambda found: f"{found[0][:2]}-{found[1]}", line)


def comment_text(text: str) -> str:
    """A comment's text on one line, without `#`; empty if nothing is left of it."""
    words = _tame(" ".join(" ".join(lines_of(text)).split()))
    return words.lstrip("#!: ")


def comment(text: str, indent: int) -> list[str]:
    """Whole lines of comment, cut to the line length where words allow."""
    written: list[str] = []
    for line in lines_of(text):
        body = comment_text(line)
        for piece in wrapped(body, LIMIT - 2 - indent, LIMIT - 2 - indent):
            cleaned = comment_text(piece)
            written.append(" " * indent + (f"# {cleaned}" if cleaned else "#"))
    return written


def docstring_text(text: str) -> str:
    """The text that a docstring comes to hold, before lines are cut to length."""
    lines = lines_of(text)
    lines = [line.replace('"""', "'''") for line in lines]
    lines = [_cookieless(line) for line in lines]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    rest = [len(line) - len(line.lstrip()) for line in lines[1:] if line]
    common = min(rest, default=0)
    return "\n".join(
        [line.lstrip() for line in lines[:1]] + [line[common:] for line in lines[1:]]
    )


def _cookieless(line: str) -> str:
    if not line.lstrip().startswith("#"):
        return line
    return _COOKIE.sub(lambda found: found[0][:-1] + " " + found[1], line)


def _source_lines(text: str, indent: int) -> list[str]:
    """The docstring's lines with backslashes escaped, cut to the line length."""
    written: list[str] = []
    width = LIMIT - indent
    for number, line in enumerate(docstring_text(text).split("\n")):
        escaped = line.replace("\\", "\\\\")
        written.extend(wrapped(escaped, width - (0 if number else 3), width))
    return [_cookieless(line) for line in written]


def docstring(text: str, indent: int) -> list[str]:
    """The lines of a docstring; none for a text without any visible character."""
    lines = _source_lines(text, indent)
    if not lines or not any(lines):
        return []
    margin = " " * indent
    opening = '"""' + (" " if lines[0].startswith('"') else "")
    last = lines[-1]
    if len(lines) == 1:
        closing = (" " if last.endswith('"') else "") + '"""'
        single = margin + opening + last + closing
        lines = list(wrapped(last, LIMIT - indent - 6, LIMIT - indent))
        if width_of(single) <= LIMIT or len(lines) == 1:
            return [single]
    body = [margin + line if line else "" for line in lines[1:]]
    return [margin + opening + lines[0], *body, margin + '"""']
