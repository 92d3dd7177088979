"""What the explanations of syntax errors look at: the tokens around a fault and the state of the machine."""

from __future__ import annotations

from dataclasses import dataclass

from nnspec.diagnostics import Diagnostic, Label
from nnspec.source import Location, Span
from nnspec.syntax.brackets import OPENING, Repairs
from nnspec.syntax.engine import Engine
from nnspec.syntax.lexer import END, Tokens
from nnspec.syntax.tables import SIGNS, WORDS

WRITTEN = {kind: text for text, kind in (SIGNS | WORDS).items()}
KEYWORDS = frozenset(WORDS.values())
OPERAND_ENDS = frozenset(
    "NAME NUMBER STRING TRUE FALSE NONE ELLIPSIS RIGHT_PARENTHESIS RIGHT_BRACKET".split()
)
OPERAND_STARTS = frozenset(
    "NAME NUMBER STRING TRUE FALSE NONE LEFT_PARENTHESIS LEFT_BRACKET NOT MINUS".split()
)


@dataclass(frozen=True, slots=True)
class Finding:
    """What to report (None where it is reported already), and the token to go on with.

    Without `resume`, the parser skips to the next statement.
    """

    diagnostic: Diagnostic | None
    resume: int | None = None


@dataclass(frozen=True, slots=True)
class Situation:
    """The token at `at` may not stand where it does."""

    engine: Engine
    at: int
    repairs: Repairs

    @property
    def tokens(self) -> Tokens:
        """The tokens of the file."""
        return self.engine.tokens

    def kind(self, offset: int = 0) -> str:
        """The kind of a token near the fault; "" before the first and after the last."""
        index = self.at + offset
        return self.tokens.kinds[index] if 0 <= index < len(self.tokens.kinds) else ""

    def text(self, offset: int = 0) -> str:
        """What a token near the fault says."""
        index = self.at + offset
        return self.tokens.text(index) if 0 <= index < len(self.tokens.kinds) else ""

    def shown(self, offset: int = 0) -> str:
        """A token as a message quotes it."""
        if self.kind(offset) == END:
            return "the end of the file"
        text = self.text(offset)
        return f"`{text}`" if len(text) <= 40 and text.isprintable() else f"`{text[:20]!r}...`"

    def accepts(self, *kinds: str) -> bool:
        """Whether these tokens could stand here instead."""
        return self.engine.accepts(*kinds)

    def new_line(self, offset: int = 0) -> bool:
        """Whether the token stands first on its line."""
        index = self.at + offset
        return 0 <= index < len(self.tokens.kinds) and self.tokens.starts_line(index)

    def opener(self) -> int | None:
        """The innermost bracket that is open, as the number of its token."""
        for value in reversed(self.engine.values):
            if isinstance(value, int) and self.tokens.kinds[value] in OPENING:
                return value
        return None

    def inside(self) -> str:
        """The kind of the innermost open bracket, or ""."""
        opener = self.opener()
        return "" if opener is None else self.tokens.kinds[opener]

    def beginning(self) -> int:
        """The first token of the statement or line that the fault is in."""
        index = self.at
        kinds = self.tokens.kinds
        while index > 0 and kinds[index - 1] not in ("LEFT_BRACE", "RIGHT_BRACE"):
            if self.tokens.starts_line(index):
                break
            index -= 1
        return index

    def finding(
        self,
        code: str,
        message: str,
        hint: str | None = None,
        *,
        span: Span | None = None,
        labels: tuple[tuple[int, str], ...] = (),
        resume: int | None = None,
    ) -> Finding:
        """A finding at the fault, unless another span is given; labels are at numbered tokens."""
        source = self.tokens.source
        place = Location(source, span or self.tokens.span(self.at))
        placed = tuple(
            Label(Location(source, self.tokens.span(at)), text) for at, text in labels
        )
        return Finding(Diagnostic(code, message, place, placed, hint), resume)

    def put(self, kind: str) -> int:
        """Puts a token in before the fault; the number to go on with."""
        self.engine.feed(kind, self.at)
        return self.at

    def replace(self, kind: str) -> int:
        """Takes another token for the one at the fault; the number to go on with."""
        self.engine.feed(kind, self.at)
        return self.at + 1
