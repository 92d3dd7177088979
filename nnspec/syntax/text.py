"""What a spec's text may consist of: checked before any token is cut from it.

The rules keep a spec from looking other than it reads: strict UTF-8, no control characters, nothing
invisible, nothing that reorders what is shown. They hold in comments and strings as well, since text from
there reaches generated files.
"""

from __future__ import annotations

import re
from itertools import islice

from nnspec.diagnostics import MOST_DIAGNOSTICS, Diagnostic, Diagnostics, SpecError
from nnspec.source import Location, Source, Span

LARGEST_FILE = 2 * 1024 * 1024
"""Bytes of one spec file."""

_BYTE_ORDER_MARK = "\ufeff"
_CONTROL = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029"
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff"
)
_FORBIDDEN = re.compile(f"[{_CONTROL}{_INVISIBLE}]")
_REORDERING = frozenset(
    "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)


def read_text(data: bytes, name: str) -> Source:
    """The text of a spec file, without the byte order mark that may begin it.

    Raises `SpecError` E0001 where the bytes are no UTF-8 and E0002 where there are too many.
    """
    if len(data) > LARGEST_FILE:
        _refuse_size(Source(name, ""))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(data, name, error.start) from None
    return Source(name, text.removeprefix(_BYTE_ORDER_MARK))


def _not_utf8(data: bytes, name: str, offset: int) -> SpecError:
    readable = Source(name, data[:offset].decode("utf-8"))
    end = len(readable.text)
    return SpecError(
        "E0001",
        f"byte {offset} (0x{data[offset]:02x}) is not UTF-8",
        Location(readable, Span(end, end)),
        hint="save the file as UTF-8",
    )


def _refuse_size(source: Source) -> None:
    raise SpecError(
        "E0002",
        f"the file has more than the {LARGEST_FILE:,} bytes that are read",
        Location(source, Span(0, 0)),
        hint="split the spec into several files",
    )


def escape(character: str) -> str:
    """How a character is shown that must not be printed as it is: U+202E."""
    return f"U+{ord(character):04X}"


def check_text(source: Source, diagnostics: Diagnostics) -> None:
    """Reports every character that no spec may hold anywhere; refuses a text that is too large."""
    if len(source.text) > LARGEST_FILE:
        _refuse_size(source)
    for match in islice(_FORBIDDEN.finditer(source.text), MOST_DIAGNOSTICS + 1):
        if match.start() == 0 and match[0] == _BYTE_ORDER_MARK:
            continue
        diagnostics.add(_forbidden(match[0], Location(source, Span(*match.span()))))


def is_forbidden(character: str) -> bool:
    """Whether `check_text` reports this character."""
    return _FORBIDDEN.match(character) is not None


def _forbidden(character: str, place: Location) -> Diagnostic:
    shown = escape(character)
    if re.match(f"[{_CONTROL}]", character):
        return Diagnostic(
            "E0003",
            f"the control character {shown} is not allowed in a spec",
            place,
            hint="delete it",
        )
    what = (
        "reorders the text that is shown"
        if character in _REORDERING
        else "is invisible"
    )
    return Diagnostic(
        "E0004",
        f"the character {shown} {what}, so that a spec could read other than it looks",
        place,
        hint="delete it",
    )
