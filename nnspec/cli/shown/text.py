"""Text that is safe to show: escaped, measured in terminal cells, clipped.

What a spec says may end up on a terminal. Characters that steer a terminal, hide or
reorder text are shown as escapes (`\\x1b`, `\\u202e`), so that a message looks like what
it is.
"""

from __future__ import annotations

import unicodedata

from nnspec.records import dataclass

TAB_STOP = 4
LONGEST_MESSAGE = 2000
ELLIPSIS = "..."
# Control, format, surrogate, private, unassigned; line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_COMBINING = frozenset({"Mn", "Me"})
_WIDE = frozenset({"W", "F"})


def escape_character(character: str) -> str:
    """The character itself, or its escape if it would not show as itself."""
    if unicodedata.category(character) not in _HIDDEN:
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def visible(text: str) -> str:
    """One line of text without anything that a terminal would act on."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(escape_character, text))


def visible_lines(text: str) -> str:
    """As `visible`, but the text may have several lines."""
    return "\n".join(map(visible, text.split("\n")))


def shortened(text: str, most: int = LONGEST_MESSAGE) -> str:
    """The text, cut at the end if it is longer than a person would read."""
    return text if len(text) <= most else text[: most - len(ELLIPSIS)] + ELLIPSIS


def encodable(text: str) -> str:
    """The text with lone surrogates (undecodable file names) as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cells(text: str) -> int:
    """How many terminal cells a visible text takes."""
    if text.isascii():
        return len(text)
    return sum(_character_cells(character) for character in text)


def _character_cells(character: str) -> int:
    if unicodedata.category(character) in _COMBINING:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A piece of a source line and the cells of it that are marked."""

    text: str
    offset: int
    """Cells before the mark."""
    length: int
    """Marked cells, at least one."""


@dataclass(slots=True)
class _Canvas:
    """Characters laid out in cells, tabs opened up to their stops."""

    text: str = ""
    width: int = 0

    def put(self, characters: str) -> None:
        pieces: list[str] = []
        for character in characters:
            if character == "\t":
                piece = " " * (TAB_STOP - self.width % TAB_STOP)
            else:
                piece = escape_character(character)
            pieces.append(piece)
            self.width += cells(piece)
        self.text += "".join(pieces)


def excerpt(line: str, start: int, end: int, width: int = 96) -> Excerpt:
    """The part of a line around the characters `start` to `end`, at most about `width`.

    Only that part is looked at, so a line of any length costs the same.
    """
    start = min(max(start, 0), len(line))
    end = min(max(end, start), len(line))
    first, last = _window(len(line), start, end, width)
    canvas = _Canvas()
    if first > 0:
        canvas.put(ELLIPSIS)
    canvas.put(line[first:start])
    offset = canvas.width
    canvas.put(line[start : min(end, last)])
    length = max(canvas.width - offset, 1)
    canvas.put(line[max(min(end, last), start) : last])
    if last < len(line):
        canvas.put(ELLIPSIS)
    return Excerpt(canvas.text.rstrip(), offset, length)


def _window(size: int, start: int, end: int, width: int) -> tuple[int, int]:
    """The range of characters to show: all, or a third of the width before the mark."""
    if size <= width:
        return 0, size
    first = 0 if end <= width else max(0, start - width // 3)
    return first, min(size, first + width)
