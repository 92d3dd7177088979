"""Lays out one run of tokens (a statement without its bodies) in lines of at most `WIDTH` columns.

Lines break where the author broke them, if a line may break there, and else only where one would be too long:
at the outermost place that still fits. The same breaks always give the same lines, so laying out twice
changes nothing.
"""

from __future__ import annotations

from dataclasses import field

from nnspec.records import dataclass
from nnspec.syntax.brackets import CLOSING, OPENING
from nnspec.syntax.lexer import Tokens
from nnspec.syntax.spacing import Spacing

WIDTH = 100
MOST_FITTED = 2000
STEP = 2
FURTHEST_ARROW = 40
FURTHEST_BRACKET = 60

_BINARY = frozenset(
    (
        *("PLUS", "MINUS", "TIMES", "DIVIDE", "FLOOR_DIVIDE", "MODULO", "AND", "OR"),
        *("EQUALS", "DIFFERS", "AT_MOST", "AT_LEAST", "BELOW", "ABOVE", "IN"),
    )
)
_CLAUSES = frozenset(("FOR", "IF", "ELSE"))


@dataclass(slots=True)
class Frame:
    """An open bracket: where its lines are indented to, and where the arrows of its pipe stand."""

    column: int
    closing: int
    arrow: int | None = None


@dataclass(slots=True)
class Run:
    """The tokens from `first` to `last`, and the comments that stand among them."""

    tokens: Tokens
    spacing: Spacing
    first: int
    last: int
    indent: int
    comments: dict[int, list[tuple[bool, str]]] = field(
        default_factory=dict[int, list[tuple[bool, str]]]
    )
    depths: dict[int, int] = field(default_factory=dict[int, int])
    partners: dict[int, int] = field(default_factory=dict[int, int])

    def lines(self) -> list[str]:
        """The laid-out lines."""
        self._measure_depths()
        breaks = {index for index in self._inner() if self._is_kept(index)}
        if self.last - self.first > MOST_FITTED:
            breaks.update(filter(self._is_outer_item, self._inner()))
            return [text for text, _ in self._render(breaks)[0]]
        while True:
            rows, starts = self._render(breaks)
            added = self._break_further(rows, starts, breaks)
            if added is None:
                return [text for text, _ in rows]
            if self.tokens.kinds[added - 1] == "COMMA":
                self._refill(added, breaks)
            breaks.add(added)

    def _is_outer_item(self, index: int) -> bool:
        return self.tokens.kinds[index - 1] == "COMMA" and self.depths[index] == 1

    def _refill(self, index: int, breaks: set[int]) -> None:
        """Lets go of the author's breaks between the items that follow in the same bracket."""
        depth = self.depths[index]
        for later in range(index + 1, self.last + 1):
            if self.depths[later] < depth:
                break
            is_item = (
                self.depths[later] == depth and self.tokens.kinds[later - 1] == "COMMA"
            )
            if is_item and not self.comments.get(later):
                breaks.discard(later)

    def flat(self) -> str:
        """All in one line."""
        text = ""
        for index in range(self.first, self.last + 1):
            text += self.tokens.text(index)
            if index < self.last and self.spacing.between(index):
                text += " "
        return text

    def _inner(self) -> range:
        return range(self.first + 1, self.last + 1)

    def _measure_depths(self) -> None:
        depth = 0
        opened: list[int] = []
        for index in range(self.first, self.last + 1):
            kind = self.tokens.kinds[index]
            if kind in CLOSING and opened:  # `} else {` begins with another's end
                depth -= 1
                opener = opened.pop()
                self.partners[opener], self.partners[index] = index, opener
            self.depths[index] = depth
            if kind in OPENING:
                depth += 1
                opened.append(index)

    def _may_break(self, index: int) -> int | None:
        """How much a line would rather break elsewhere than before this token; None where it may not."""
        kinds = self.tokens.kinds
        kind, before = kinds[index], kinds[index - 1]
        inside = 8 * max(0, self.depths[index])
        if kind == "LEFT_BRACE" or index == self.first:
            return None
        if kind == "ARROW":
            return inside
        if kind in CLOSING:
            return inside + 12 if kind != "RIGHT_BRACE" else None
        if before == "COMMA":
            return inside + 1
        if before in OPENING and before != "LEFT_BRACE":
            return inside + 5
        if kind in ("AND", "OR"):
            return inside + 2
        if kind in _CLAUSES and self.depths[index]:
            return inside + 2
        if kind in _BINARY and index not in self.spacing.unary:
            return inside + 3
        if before == "ASSIGN" and not self.depths[index]:
            return 4
        return None

    def _is_kept(self, index: int) -> bool:
        if self.comments.get(index):
            return True
        kind, before = self.tokens.kinds[index], self.tokens.kinds[index - 1]
        if kind in CLOSING:
            return self._opener_ends_line(index)
        if not self.tokens.starts_line(index) or self._may_break(index) is None:
            return False
        return before not in OPENING or self._closing_starts_line(index - 1)

    def _closing_starts_line(self, opener: int) -> bool:
        closing = self.partners.get(opener)
        return closing is not None and self.tokens.starts_line(closing)

    def _opener_ends_line(self, closing: int) -> bool:
        """A closing bracket stands on a line of its own exactly where its opening one ends a line."""
        opener = self.partners.get(closing)
        if (
            opener is None
            or opener + 1 == closing
            or not self.tokens.starts_line(closing)
        ):
            return False
        return self.tokens.starts_line(opener + 1)

    def _break_further(
        self,
        rows: list[tuple[str, int]],
        starts: list[tuple[int, int]],
        breaks: set[int],
    ) -> int | None:
        """The best place for one more break in the first line that is too long and can be broken."""
        for (text, code_width), (begin, end) in zip(rows, starts, strict=True):
            if code_width <= WIDTH or begin > end:
                continue
            best: tuple[int, int] | None = None
            column = len(text) - len(text.lstrip())
            for index in range(begin, end + 1):
                cost = self._cost(index, code_width - column) if index > begin else None
                if cost is not None and column <= WIDTH:
                    best = min(best or (cost, -index), (cost, -index))
                column += len(self.tokens.text(index)) + self.spacing.between(index)
            if best is not None:
                return -best[1]
        return None

    def _cost(self, index: int, rest: int) -> int | None:
        """As `_may_break`, for a break that no author asked for; `rest` columns would go down."""
        cost = self._may_break(index)
        kinds = self.tokens.kinds
        if cost is None or kinds[index] in CLOSING or kinds[index - 1] in OPENING:
            return None
        fits = self.indent + 2 * STEP + rest <= WIDTH
        if kinds[index] == "ARROW" and self._is_first_arrow(index):
            return cost + 1 if fits else cost + 10
        if kinds[index - 1] == "ASSIGN" and not fits:
            return cost + 20
        return cost

    def _is_first_arrow(self, index: int) -> bool:
        depth = self.depths[index]
        for earlier in range(index - 1, self.first, -1):
            if self.depths[earlier] < depth or (
                self.depths[earlier] == depth and self.tokens.kinds[earlier] == "COMMA"
            ):
                return True
            if self.depths[earlier] == depth and self.tokens.kinds[earlier] == "ARROW":
                return False
        return True

    def _render(
        self, breaks: set[int]
    ) -> tuple[list[tuple[str, int]], list[tuple[int, int]]]:
        """Each line with the width of its code, and the tokens that it holds."""
        rows: list[tuple[str, int]] = []
        held: list[tuple[int, int]] = []
        frames = [Frame(self.indent, self.indent)]
        line, begin = " " * self.indent, self.first
        for index in range(self.first, self.last + 1):
            kind = self.tokens.kinds[index]
            if index in breaks and index > self.first:
                rows.append((line.rstrip(), len(line.rstrip())))
                held.append((begin, index - 1))
                column = self._column(kind, index, frames)
                self._put_comments(index, column, rows, held)
                line, begin = " " * column, index
            self._enter(kind, index, len(line), breaks, frames, line)
            line += self.tokens.text(index)
            if index < self.last and self.spacing.between(index):
                line += " "
        rows.append((line.rstrip(), len(line.rstrip())))
        held.append((begin, self.last))
        return rows, held

    def _put_comments(
        self,
        index: int,
        column: int,
        rows: list[tuple[str, int]],
        held: list[tuple[int, int]],
    ) -> None:
        for trailing, text in self.comments.get(index, ()):
            if trailing:
                code, width = rows[-1]
                rows[-1] = (f"{code}  {text}", width)
            else:
                rows.append((" " * column + text, 0))
                held.append((index, index - 1))

    def _column(self, kind: str, index: int, frames: list[Frame]) -> int:
        """Where a line begins."""
        frame = frames[-1]
        if kind in CLOSING:
            return frame.closing
        if (
            kind == "ARROW"
            and frame.arrow is not None
            and frame.arrow <= FURTHEST_ARROW
        ):
            return frame.arrow
        if len(frames) == 1:
            steps = {"ELSE": 0, "ARROW": 1}.get(kind, 2)  # `else` behind a comment
            return self.indent + steps * STEP
        return frame.column

    def _enter(
        self,
        kind: str,
        index: int,
        column: int,
        breaks: set[int],
        frames: list[Frame],
        line: str,
    ) -> None:
        """Keeps account of brackets and arrows as a token is put down at `column`."""
        if kind in OPENING:
            margin = len(line) - len(line.lstrip())
            ends_line = index + 1 in breaks
            inner = margin + STEP if ends_line else column + 1
            if not ends_line and inner > FURTHEST_BRACKET:
                inner = margin + 2 * STEP
            frames.append(Frame(inner, margin if ends_line else column))
        elif kind in CLOSING and len(frames) > 1:
            frames.pop()
        elif kind == "ARROW" and frames[-1].arrow is None:
            frames[-1].arrow = column
        elif kind == "COMMA":
            frames[-1].arrow = None
