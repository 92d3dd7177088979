"""Cuts a spec's text into tokens.

Signs that newcomers bring from other languages (`**`, `&&`, `;`) are reported here and replaced by what was
meant, so that one slip gives one diagnostic. Every step consumes text, and no pattern backtracks, so the
time is linear in the text.
"""

from __future__ import annotations

import re
from dataclasses import field
from typing import TYPE_CHECKING

from nnspec.diagnostics import Diagnostic, Diagnostics
from nnspec.records import dataclass
from nnspec.source import Location, Source, Span
from nnspec.syntax.tables import PATTERNS, SIGNS, WORDS

if TYPE_CHECKING:
    from nnspec.syntax.strays import Strays

MOST_TOKENS = 250_000
LONGEST_NAME = 100
LONGEST_NUMBER = 40
LONGEST_STRING = 10_000
LARGEST_EXPONENT = 400

END = "$END"
PYTHON_WORDS = {"True": "TRUE", "False": "FALSE", "None": "NONE"}

_CODE = ("NAME", "NUMBER", "DOC", "STRING", "COMMENT", "WHITESPACE")
_SIGN = "|".join(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True))
_FOREIGN_SIGN = r"/\*|\*\*=?|&&?|\|\||\|>|\||!(?!=)|=>|(?://|[-+*/%^])=(?!=)|;|'[^'\r\n]*'?|<>|===|:=|[0-9]+\.(?![0-9.])"
_TOKEN = re.compile(
    f"(?P<FOREIGN>{_FOREIGN_SIGN})|"
    + "|".join(f"(?P<{name}>{PATTERNS[name]})" for name in _CODE)
    + f"|(?P<SIGN>{_SIGN})"
)


@dataclass(slots=True)
class Tokens:
    """The tokens of one text, side by side: kinds and places; the last is the end of the text."""

    source: Source
    kinds: list[str] = field(default_factory=list[str])
    starts: list[int] = field(default_factory=list[int])
    ends: list[int] = field(default_factory=list[int])
    comments: list[Span] = field(default_factory=list[Span])
    complete: bool = True

    def add(self, kind: str, start: int, end: int) -> None:
        """Appends a token."""
        self.kinds.append(kind)
        self.starts.append(start)
        self.ends.append(end)

    def text(self, index: int) -> str:
        """What was written."""
        return self.source.text[self.starts[index] : self.ends[index]]

    def span(self, index: int) -> Span:
        """Where it was written."""
        return Span(self.starts[index], self.ends[index])

    def starts_line(self, index: int) -> bool:
        """Whether only blanks stand before the token on its line."""
        text, at = self.source.text, self.starts[index] - 1
        while at >= 0 and text[at] in " \t":
            at -= 1
        return at < 0 or text[at] in "\r\n"

    def line(self, index: int) -> int:
        """The line of the token, from 1."""
        return self.source.position(self.starts[index])[0]

    def indent(self, index: int) -> int:
        """How far the line of the token is indented (a tab counts as one)."""
        text = self.source.line(self.line(index))
        return len(text) - len(text.lstrip(" \t"))


def tokenize(source: Source, diagnostics: Diagnostics) -> Tokens:
    """The tokens of a text; what cannot be one is reported and left out.

    `complete` is false where the rest of the text was given up (an open doc string, too many tokens).
    """
    tokens = Tokens(source)
    strays: Strays | None = None
    text, at, length = source.text, 0, len(source.text)
    if text.startswith("\ufeff"):
        at = 1
    match_token = _TOKEN.match
    while at < length:
        match = match_token(text, at)
        kind = match.lastgroup if match else None
        if match is None or kind is None or kind == "FOREIGN":
            strays = strays or _strays(tokens, diagnostics)
            at = strays.take(at, match)
            continue
        end = match.end()
        if kind == "NAME":
            kind = WORDS.get(match[0], kind)
            if match[0] in PYTHON_WORDS:
                strays = strays or _strays(tokens, diagnostics)
                kind = strays.python_word(at, match[0])
        elif kind == "SIGN":
            kind = SIGNS[match[0]]
        elif kind == "COMMENT":
            tokens.comments.append(Span(at, end))
        if kind not in ("WHITESPACE", "COMMENT"):
            if end - at > LONGEST_NUMBER:
                _check_length(kind, Span(at, end), source, diagnostics)
            tokens.add(kind, at, end)
            if len(tokens.kinds) >= MOST_TOKENS:
                _give_up(tokens, diagnostics)
                break
        at = end
    tokens.add(END, length, length)
    return tokens


def _strays(tokens: Tokens, diagnostics: Diagnostics) -> Strays:
    from nnspec.syntax.strays import Strays  # only where something is astray

    return Strays(tokens, diagnostics)


def _check_length(
    kind: str, span: Span, source: Source, diagnostics: Diagnostics
) -> None:
    limits = {
        "NAME": ("E0008", "name", LONGEST_NAME),
        "NUMBER": ("E0009", "number", LONGEST_NUMBER),
        "STRING": ("E0013", "string", LONGEST_STRING),
        "DOC": ("E0013", "doc string", LONGEST_STRING),
    }
    if kind not in limits:
        return
    code, what, limit = limits[kind]
    length = span.end - span.start
    if length > limit:
        message = (
            f"this {what} has {length:,} characters; at most {limit:,} are allowed"
        )
        diagnostics.add(Diagnostic(code, message, Location(source, span)))


def _give_up(tokens: Tokens, diagnostics: Diagnostics) -> None:
    tokens.complete = False
    diagnostics.add(
        Diagnostic(
            "E0016",
            f"the file has more than {MOST_TOKENS:,} words and signs",
            Location(tokens.source, tokens.span(len(tokens.kinds) - 1)),
            hint="split the spec into several files, or write loops where it repeats itself",
        )
    )
