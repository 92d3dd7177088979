"""Text in pictures: shown as it is, whatever it holds, and as wide as a reader's fonts will make it.

Widths are those of Helvetica, which Arial and Liberation Sans share, for the sans-serif face, and of
the usual fixed pitch of 0.6 em (Menlo, Consolas, DejaVu Sans Mono) for the other.
"""

from __future__ import annotations

SANS = 'Helvetica, Arial, "Liberation Sans", sans-serif'
MONO = 'Menlo, Consolas, "DejaVu Sans Mono", monospace'
PITCH = 0.61
LONGEST = 60
ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"
# Advance widths of the characters from U+0020 to U+007E in thousandths of an em.
_REGULAR = (
    "278 278 355 556 556 889 667 191 333 333 389 584 278 333 278 278 556 556 556 556 556 "
    "556 556 556 556 556 278 278 584 584 584 556 1015 667 667 722 722 667 611 778 722 278 "
    "500 667 556 833 722 778 667 778 722 667 611 722 667 944 667 667 611 278 278 278 469 "
    "556 333 556 556 500 556 556 278 556 556 222 222 500 222 833 556 556 556 556 333 500 "
    "278 556 500 722 500 500 500 334 260 334 584"
)
_BOLD = (
    "278 333 474 556 556 889 722 238 333 333 389 584 278 333 278 278 556 556 556 556 556 "
    "556 556 556 556 556 333 333 584 584 584 611 975 722 722 722 722 667 611 778 722 278 "
    "556 722 611 833 722 778 667 778 722 667 611 722 667 944 667 667 611 333 278 333 584 "
    "556 333 556 611 556 611 556 333 611 611 278 278 556 278 889 611 611 611 611 389 556 "
    "333 611 556 778 556 556 500 389 280 389 584"
)
_WIDTHS = {
    weight: {chr(32 + place): int(width) for place, width in enumerate(text.split())}
    for weight, text in ((False, _REGULAR), (True, _BOLD))
}
_NARROW_BELOW = 0x1100
"""Scripts whose letters are as wide as they are high begin here."""


def plain(text: str) -> str:
    """One line without characters that steer, hide or reorder text: those are spelled out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c.isprintable() else _spelled(c) for c in text)


def _spelled(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def shortened(text: str, most: int = LONGEST) -> str:
    """The text, cut where it is longer than fits a card."""
    return text if len(text) <= most else f"{text[: most - 1]}{ELLIPSIS}"


def width(text: str, size: float, *, bold: bool = False) -> float:
    """How wide a line of the sans-serif face is at a size, both in the same unit."""
    known = _WIDTHS[bold]
    return sum(known.get(c) or _guess(c) for c in text) * size / 1000


def _guess(character: str) -> int:
    return 650 if ord(character) < _NARROW_BELOW else 1000


def pitch_width(text: str, size: float) -> float:
    """How wide a line of the fixed-pitch face is."""
    wide = sum(ord(c) >= _NARROW_BELOW for c in text)
    return (len(text) * PITCH + wide * 0.4) * size
