"""What the explanations of syntax errors look at: the tokens around a fault and the state of the machine."""

from __future__ import annotations

from nnspec.diagnostics import Diagnostic, Label
from nnspec.records import dataclass
from nnspec.source import Location, Span
from nnspec.syntax.brackets import CLOSING, OPENING, Repairs, begins_statement
from nnspec.syntax.engine import Engine
from nnspec.syntax.lexer import END, Tokens
from nnspec.syntax.tables import SIGNS, WORDS

WRITTEN = {kind: text for text, kind in (SIGNS | WORDS).items()}
KEYWORDS = frozenset(WORDS.values())
OPERAND_ENDS = frozenset(
    [
        "NAME",
        "NUMBER",
        "STRING",
        "TRUE",
        "FALSE",
        "NONE",
        "ELLIPSIS",
        "RIGHT_PARENTHESIS",
        "RIGHT_BRACKET",
    ]
)
OPERAND_STARTS = frozenset(
    [
        "NAME",
        "NUMBER",
        "STRING",
        "TRUE",
        "FALSE",
        "NONE",
        "LEFT_PARENTHESIS",
        "LEFT_BRACKET",
        "NOT",
        "MINUS",
    ]
)

MOST_LOOKED_AT = 400
HEADERS = frozenset(("FOR", "IF", "ELSE", "BLOCK", "FN", "MODEL"))


@dataclass(frozen=True, slots=True)
class Finding:
    """What to report, and the token to go on with where the slip was mended.

    Without `resume`, the parser skips to the next statement, from `skip` or from the fault on.
    """

    diagnostic: Diagnostic
    resume: int | None = None
    skip: int | None = None


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
        return (
            f"`{text}`"
            if len(text) <= 40 and text.isprintable()
            else f"`{text[:20]!r}...`"
        )

    def accepts(self, *kinds: str) -> bool:
        """Whether these tokens could stand here instead."""
        return self.engine.accepts(*kinds)

    def new_line(self, offset: int = 0) -> bool:
        """Whether the token stands first on its line."""
        index = self.at + offset
        return 0 <= index < len(self.tokens.kinds) and self.tokens.starts_line(index)

    def opener(self) -> int | None:
        """The innermost bracket that is open, as the number of its token."""
        closed = 0
        for value in reversed(self.engine.values):
            kind = self.tokens.kinds[value] if isinstance(value, int) else ""
            closed += kind in CLOSING
            if kind in OPENING:
                if not closed:
                    return value
                closed -= 1
        return None

    def inside(self) -> str:
        """The kind of the innermost open bracket, or ""."""
        opener = self.opener()
        return "" if opener is None else self.tokens.kinds[opener]

    def tokens_before(self) -> list[str]:
        """The kinds of the tokens of this statement before the fault, outside of inner brackets."""
        kinds: list[str] = []
        depth = 0
        for index in range(self.at - 1, max(-1, self.at - MOST_LOOKED_AT), -1):
            kind = self.tokens.kinds[index]
            depth += (kind in CLOSING) - (kind in OPENING)
            if depth < 0 or (depth == 0 and kind == "RIGHT_BRACE"):
                break
            if depth == 0:
                kinds.append(kind)
                if begins_statement(self.tokens, index):
                    break
        return kinds

    def next_line(self) -> int:
        """The first token after the line of the fault."""
        index = self.at + 1
        while index < len(self.tokens.kinds) - 1 and not self.tokens.starts_line(index):
            index += 1
        return min(index, len(self.tokens.kinds) - 1)

    def dedent(self, header: int, begin: int | None = None) -> int:
        """The first token from `begin` on whose line is indented no deeper than that of `header`.

        Without `begin`, the search begins on the line after the fault.
        """
        indent = self.tokens.indent(header)
        index = self.next_line() if begin is None else begin
        while self.tokens.kinds[index] != END:
            if self.tokens.starts_line(index) and self.tokens.indent(index) <= indent:
                break
            index += 1
        return index

    def open_by_indent(self) -> None:
        """Opens a body at the fault, to be closed where the indentation ends.

        A brace that stands there is taken for the one that the person wrote for this body.
        """
        header = self.header()
        end = self.dedent(header, self.at)
        own = self.kind(end - self.at) == "RIGHT_BRACE"
        if not own or self.tokens.indent(end) < self.tokens.indent(header):
            self.repairs.insert(end, "RIGHT_BRACE")
        self.engine.feed("LEFT_BRACE", self.at)

    def header(self) -> int:
        """The token that begins what the body at the fault belongs to: `for`, `if`, `model`, ..."""
        for index in range(self.at - 1, max(-1, self.at - MOST_LOOKED_AT), -1):
            if self.tokens.kinds[index] in HEADERS:
                return index
        return self.at - 1

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
        skip: int | None = None,
    ) -> Finding:
        """A finding at the fault, unless another span is given; labels are at numbered tokens."""
        source = self.tokens.source
        place = Location(source, span or self.tokens.span(self.at))
        placed = tuple(
            Label(Location(source, self.tokens.span(at)), text) for at, text in labels
        )
        return Finding(Diagnostic(code, message, place, placed, hint), resume, skip)

    def put(self, kind: str) -> int:
        """Puts a token in before the fault; the number to go on with."""
        self.engine.feed(kind, self.at)
        return self.at

    def replace(self, kind: str) -> int:
        """Takes another token for the one at the fault; the number to go on with."""
        self.tokens.kinds[self.at] = kind
        self.engine.feed(kind, self.at)
        return self.at + 1
