"""Letters and signs of other alphabets that look like ASCII ones.

The tables name what was probably meant by a character that a spec's code may not hold.
"""

from __future__ import annotations

import unicodedata

_CYRILLIC = ("абсԁеһіјӏорԛѕԝхуАВЕЅІЈКМНОРСТХУ", "abcdehijlopqswxyABESIJKMHOPCTXY")
_GREEK = ("ονικαρυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ovikapuxABEZHIKMNOPTYX")
_SIGNS = (
    "“”„«»‘’′–—−×÷·∗→⇒≤≥≠，：；（）［］｛｝＝．…",
    '"""""\'\'\'---*/**-----,:;()[]{}=..',
)
_LONGER = {"→": "->", "⇒": "->", "≤": "<=", "≥": ">=", "≠": "!=", "…": "..."}


def _table() -> dict[str, str]:
    letters = {
        odd: plain
        for alphabet, ascii_letters in (_CYRILLIC, _GREEK)
        for odd, plain in zip(alphabet, ascii_letters, strict=True)
    }
    signs = dict(zip(_SIGNS[0], _SIGNS[1], strict=True))
    return letters | signs | _LONGER


def meant(character: str) -> str | None:
    """The ASCII text that a character was probably meant to be, or None.

    Digits of any script give their digit, letters with marks and mathematical letters their base.
    """
    if character in (table := _table()):
        return table[character]
    if character.isdecimal():
        return str(unicodedata.decimal(character))
    base = unicodedata.normalize("NFKD", character)
    plain = "".join(letter for letter in base if not unicodedata.combining(letter))
    return plain if plain and plain.isascii() and plain.isalnum() else None
