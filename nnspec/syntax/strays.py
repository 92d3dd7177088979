"""What the lexer finds that is no token: reported, and replaced by what was meant."""

from __future__ import annotations

import re

from nnspec.diagnostics import MOST_DIAGNOSTICS, Diagnostic, Diagnostics
from nnspec.source import Location, Span
from nnspec.syntax.lexer import PYTHON_WORDS, Tokens
from nnspec.syntax.lookalikes import meant
from nnspec.syntax.text import escape, is_forbidden

_BAD_NUMBER = re.compile(r"[0-9][A-Za-z0-9_]*")
_ODD_WORD = re.compile(r"\w+")
_REST_OF_LINE = re.compile(r"[^\r\n]*")

_OPERATORS: dict[str, tuple[str, str, str | None]] = {
    # written: code, what to write instead, the kind of the token that is taken for it
    "**": ("E0113", "^", "POWER"),
    "&&": ("E0114", "and", "AND"),
    "&": ("E0114", "and", "AND"),
    "||": ("E0114", "or", "OR"),
    "|": ("E0114", "or", "OR"),
    "!": ("E0114", "not", "NOT"),
    "=>": ("E0122", "->", "ARROW"),
    "|>": ("E0122", "->", "ARROW"),
    "<>": ("E0114", "!=", "DIFFERS"),
    ":=": ("E0109", "=", "ASSIGN"),
    "===": ("E0114", "==", "EQUALS"),
}


class Strays:
    """Takes what is no token off the text, one at a time."""

    def __init__(self, tokens: Tokens, diagnostics: Diagnostics) -> None:
        self.tokens = tokens
        self.diagnostics = diagnostics
        self.taken = 0

    def take(self, at: int, match: re.Match[str] | None) -> int:
        """Reports what stands at `at` (a sign of another language, if it matched); where to go on."""
        self.taken += 1
        if self.taken > MOST_DIAGNOSTICS:
            self.tokens.complete = False
            return len(self.tokens.source.text)
        if match is not None:
            return self._foreign(at, match.end(), match[0])
        text = self.tokens.source.text
        if text.startswith('"""', at):
            return self._open_doc_string(at)
        if text[at] == '"':
            return self._open_string(at)
        if number := _BAD_NUMBER.match(text, at):
            return self._bad_number(at, number.end(), number[0])
        return self._character(at, text[at])

    def _report(
        self, code: str, message: str, start: int, end: int, hint: str | None
    ) -> None:
        place = Location(self.tokens.source, Span(start, end))
        self.diagnostics.add(Diagnostic(code, message, place, hint=hint))

    def python_word(self, at: int, written: str) -> str:
        """Reports `True`, `False` or `None`; the kind of token that was meant."""
        hint = f"write `{written.lower()}`"
        end = at + len(written)
        self._report(
            "E0117", f"there is no `{written}` in this language", at, end, hint
        )
        return PYTHON_WORDS[written]

    def _foreign(self, at: int, end: int, written: str) -> int:
        if written in _OPERATORS:
            code, instead, kind = _OPERATORS[written]
            message = f"`{written}` is not an operator here"
            self._report(code, message, at, end, f"write `{instead}`")
            if kind:
                self.tokens.add(kind, at, end)
            return end
        if written.startswith("'"):
            return self._single_quotes(at, end, written)
        if written.endswith("."):
            message, hint = "a digit is missing after the point", f"write `{written}0`"
            self._report("E0010", message, at, end, hint)
            self.tokens.add("NUMBER", at, end)
            return end
        if written == "/*":
            return self._block_comment(at)
        if written == ";":
            hint = "delete it; a statement needs nothing at its end"
            self._report("E0112", "`;` does not end statements here", at, end, hint)
            return end
        return self._augmented(at, end, written)

    def _augmented(self, at: int, end: int, written: str) -> int:
        operator = written[:-1].replace("**", "^")
        kinds, text = self.tokens.kinds, "x"
        if kinds and kinds[-1] == "NAME":
            text = self.tokens.text(len(kinds) - 1)
        hint = f"write `{text} = {text} {operator} ...`"
        self._report(
            "E0121",
            f"there is no `{written}`: nothing is changed in place",
            at,
            end,
            hint,
        )
        self.tokens.add("ASSIGN", at, end)
        return end

    def _single_quotes(self, at: int, end: int, written: str) -> int:
        if len(written) > 1 and written.endswith("'"):
            hint = f'write "{written[1:-1]}"' if len(written) < 60 else 'write "..."'
            self._report("E0116", "strings stand in double quotes", at, end, hint)
        else:
            message = "this quote opens a string that does not end on its line"
            self._report(
                "E0116", message, at, at + 1, 'write strings as "..." on one line'
            )
        self.tokens.add("STRING", at, end)
        return end

    def _block_comment(self, at: int) -> int:
        closing = self.tokens.source.text.find("*/", at + 2)
        end = closing + 2 if closing >= 0 else self._line_end(at)
        hint = "begin each line of a comment with `#`"
        self._report("E0115", "`/*` does not begin a comment here", at, at + 2, hint)
        return end

    def _open_doc_string(self, at: int) -> int:
        hint = 'end the doc string with `"""`'
        self._report("E0014", "this doc string is never closed", at, at + 3, hint)
        self.tokens.complete = False
        return len(self.tokens.source.text)

    def _open_string(self, at: int) -> int:
        hint = 'end the string with `"` on the same line; `\\n` in it stands for a line end'
        self._report("E0011", "this string does not end on its line", at, at + 1, hint)
        end = self._line_end(at)
        self.tokens.add("STRING", at, end)
        return end

    def _bad_number(self, at: int, end: int, written: str) -> int:
        shown = written if len(written) <= 40 else written[:40] + "..."
        hint = (
            "a name begins with a letter or `_`; a number may end in a multiplier (K, M, G, T, P, Ki, Mi, ...)"
            " and a unit (B, FLOPs, MACs)"
        )
        self._report(
            "E0010", f"`{shown}` is neither a number nor a name", at, end, hint
        )
        self.tokens.add("NUMBER", at, end)
        return end

    def _character(self, at: int, character: str) -> int:
        if character.isascii():
            if not is_forbidden(character):
                self._report(
                    "E0007",
                    f"`{character}` has no meaning here",
                    at,
                    at + 1,
                    "delete it",
                )
            return at + 1
        word = _ODD_WORD.match(self.tokens.source.text, at)
        end = word.end() if word else at + 1
        if is_forbidden(character):
            return at + 1
        if word and character.isdecimal():
            return self._odd_digits(at, end, word[0])
        return self._odd_character(at, end, character)

    def _odd_digits(self, at: int, end: int, written: str) -> int:
        digits = "".join(meant(c) or c for c in written[:40])
        message = f"{escape(written[0])} is a digit of another script"
        self._report(
            "E0006", message, at, end, f"write it with the digits 0 to 9: `{digits}`"
        )
        self.tokens.add("NUMBER", at, end)
        return end

    def _odd_character(self, at: int, end: int, character: str) -> int:
        """A word with a letter that is not ASCII counts as one name, which the lexer may have begun."""
        tokens, instead = self.tokens, meant(character)
        hint = (
            f"write `{instead}`"
            if instead
            else "use ASCII letters only; comments may hold any"
        )
        if not (character.isalnum() or character == "_"):
            message = f"the character {escape(character)} has no meaning outside strings and comments"
            self._report(
                "E0007",
                message,
                at,
                at + 1,
                f"write `{instead}`" if instead else "delete it",
            )
            return at + 1
        message = f"names are ASCII, but this one holds {escape(character)}"
        if instead:
            message += f", which looks like `{instead}`"
        self._report("E0005", message, at, at + 1, hint)
        if (
            tokens.kinds
            and tokens.ends[-1] == at
            and tokens.kinds[-1] in ("NAME", "NUMBER")
        ):
            tokens.ends[-1] = end
        else:
            tokens.add("NAME", at, end)
        return end

    def _line_end(self, at: int) -> int:
        match = _REST_OF_LINE.match(self.tokens.source.text, at)
        return match.end() if match else at
