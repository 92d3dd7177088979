"""Whether a blank stands between two tokens in the canonical layout."""

from __future__ import annotations

from nnspec.syntax.brackets import CLOSING, OPENING
from nnspec.syntax.lexer import Tokens

_TIGHT_AFTER = frozenset(("LEFT_PARENTHESIS", "LEFT_BRACKET", "DOT", "POWER", "AT"))
_TIGHT_BEFORE = frozenset(
    ("RIGHT_PARENTHESIS", "RIGHT_BRACKET", "COMMA", "COLON", "DOT", "POWER")
)
_OPERAND_ENDS = frozenset(
    (
        *("NAME", "NUMBER", "STRING", "TRUE", "FALSE", "NONE", "ELLIPSIS", "LIST"),
        *("RIGHT_PARENTHESIS", "RIGHT_BRACKET"),
    )
)


class Spacing:
    """Decides by the tokens alone, save for what follows a keyword argument's `=`."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens
        self.tight: set[int] = set()
        self._find_keywords()
        self._mark()

    def _find_keywords(self) -> None:
        """The `=` of keyword arguments, which stand tight unless the value has loose operators."""
        kinds = self.tokens.kinds
        open_brackets: list[int] = []
        keywords: dict[int, int] = {}
        loose: set[int] = set()
        typed: set[int] = set()
        for index, kind in enumerate(kinds):
            opener = open_brackets[-1] if open_brackets else -1
            if kind in OPENING:
                open_brackets.append(index)
                keywords.pop(index, None)
            elif kind in CLOSING and open_brackets:
                keywords.pop(open_brackets.pop(), None)
            elif kind == "COMMA":
                keywords.pop(opener, None)
                typed.discard(opener)
            elif kind == "COLON" and kinds[opener] == "LEFT_PARENTHESIS":
                typed.add(opener)
            elif kind == "ASSIGN" and kinds[opener] == "LEFT_PARENTHESIS":
                if opener not in typed:
                    keywords[opener] = index
                    self.tight.add(index)
            elif kind in _LOOSE and opener in keywords and self._is_binary(index):
                loose.add(keywords[opener])
        self.tight -= loose

    def _is_binary(self, index: int) -> bool:
        return self.tokens.kinds[index - 1] in _OPERAND_ENDS

    def _mark(self) -> None:
        """Which colons are those of slices, which minus signs and stars have one operand."""
        kinds = self.tokens.kinds
        self.slices: set[int] = set()
        self.unary: set[int] = set()
        self.use_openers: set[int] = set()
        open_brackets: list[str] = []
        in_use = False
        for index, kind in enumerate(kinds):
            if in_use and kind == "LEFT_PARENTHESIS":
                self.use_openers.add(index)
            in_use = kind == "USE" or (in_use and kind in ("NAME", "DOT", "STRING"))
            if kind in OPENING:
                open_brackets.append(kind)
            elif kind in CLOSING and open_brackets:
                open_brackets.pop()
            elif (
                kind == "COLON"
                and open_brackets
                and open_brackets[-1] == "LEFT_BRACKET"
            ):
                if kinds[index - 2] != "ARROW":
                    self.slices.add(index)
            elif kind in ("MINUS", "TIMES") and not (index and self._is_binary(index)):
                self.unary.add(index)

    def between(self, left: int) -> bool:
        """Whether a blank stands between the token at `left` and the next one."""
        before, after = self.tokens.kinds[left], self.tokens.kinds[left + 1]
        if before in _TIGHT_AFTER or left in self.unary or left in self.slices:
            return False
        if left in self.tight or left + 1 in self.tight:
            return False
        if after == "POWER" or after in _TIGHT_BEFORE:
            return (before, after) in (("COMMA", "COLON"), ("NUMBER", "DOT"))
        if after == "LEFT_PARENTHESIS" and before in _OPERAND_ENDS:
            return left + 1 in self.use_openers
        return not (after == "LEFT_BRACKET" and before in _OPERAND_ENDS)


_LOOSE = frozenset(
    (
        *("IF", "AND", "OR", "ARROW"),
        *("EQUALS", "DIFFERS", "AT_MOST", "AT_LEAST", "BELOW", "ABOVE", "IN"),
    )
)
