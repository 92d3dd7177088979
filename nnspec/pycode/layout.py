"""Documents and the printer that decides where their lines break.

A document is a text, a sequence of documents, or one of the elements below. A `Group`
is printed on one line if it fits up to the next possible break, else its own lines
break. The elements and the way of measuring are those that ruff's formatter is built
on, so that what is laid out here is what ruff would leave alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TypeAlias

from nnspec.records import dataclass

INDENT = 4
FLAT = False
BROKEN = True


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """A place where a line may break: `flat` is what stands there if it does not."""

    flat: str


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Content whose lines break together, or not at all.

    With `only_within`, it is a group only where that optional bracket is broken.
    """

    content: Document
    key: int | None = None
    only_within: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Indent:
    """Content that stands one level deeper, with `key` only if that group breaks."""

    content: Document
    key: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class If:
    """Content for broken (or unbroken) lines of the group `key`, or the group around."""

    content: Document
    broken: bool = True
    key: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Bracketed:
    """A bracket that may break without breaking the optional bracket `key` around."""

    content: Document
    key: int


@dataclass(frozen=True, slots=True, eq=False)
class BestFit:
    """Content without breaks, in parentheses on a line of its own if that makes it fit."""

    content: Document
    key: int


Element: TypeAlias = Line | Group | Indent | If | Bracketed | BestFit
Document: TypeAlias = "str | Sequence[Document] | Element"
Task: TypeAlias = tuple[int, bool, Document]

SOFT = Line("")
SPACE = Line(" ")


def width_of(text: str) -> int:
    """Columns that a text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    columns = 0
    for character in text:
        if unicodedata.combining(character):
            continue
        columns += 2 if unicodedata.east_asian_width(character) in "WF" else 1
    return columns


class Printer:
    """Prints one document; `limit` is the last column that may be used."""

    def __init__(self, limit: int, indent: int) -> None:
        self.limit = limit
        self.indent = indent
        self.column = indent
        self.lines: list[list[str]] = [[]]
        self.modes: dict[int, bool] = {}
        self.measured = False

    def print(self, document: Document, after: str = "") -> list[str]:
        """The lines of the document, followed at once by the text `after`."""
        stack: list[Task] = [(self.indent, BROKEN, [document, after])]
        while stack:
            indent, mode, element = stack.pop()
            if isinstance(element, str):
                self.lines[-1].append(element)
                self.column += width_of(element)
            elif isinstance(element, Line):
                self._line(element, indent, mode)
            elif isinstance(element, Group):
                self._group(element, indent, mode, stack)
            elif isinstance(element, Indent):
                deeper = element.key is None or self.modes[element.key] is BROKEN
                stack.append((indent + INDENT * deeper, mode, element.content))
            elif isinstance(element, If):
                if self._applies(element, mode):
                    stack.append((indent, mode, element.content))
            elif isinstance(element, Bracketed):
                if self.modes[element.key] is FLAT:
                    self.measured = False
                stack.append((indent, mode, element.content))
            elif isinstance(element, BestFit):
                self._best_fit(element, indent, mode, stack)
            else:
                stack += [(indent, mode, part) for part in reversed(element)]
        return ["".join(line).rstrip() for line in self.lines]

    def _line(self, line: Line, indent: int, mode: bool) -> None:
        if mode is FLAT:
            self.lines[-1].append(line.flat)
            self.column += len(line.flat)
            return
        self._break(indent)

    def _break(self, indent: int) -> None:
        self.lines.append([" " * indent])
        self.column = indent
        self.measured = False

    def _applies(self, element: If, mode: bool) -> bool:
        mode = mode if element.key is None else self.modes[element.key]
        return mode is BROKEN if element.broken else mode is FLAT

    def _is_group(self, group: Group) -> bool:
        within = group.only_within
        return within is None or self.modes[within] is BROKEN

    def _flat_fits(
        self, group: Group, indent: int, mode: bool, stack: list[Task]
    ) -> bool:
        if group.key is not None:
            self.modes[group.key] = FLAT
        if mode is FLAT and self.measured:
            return True
        self.measured = True
        return self.fits((indent, FLAT, group.content), stack)

    def _group(self, group: Group, indent: int, mode: bool, stack: list[Task]) -> None:
        if self._is_group(group):
            mode = FLAT if self._flat_fits(group, indent, mode, stack) else BROKEN
            if group.key is not None:
                self.modes[group.key] = mode
        stack.append((indent, mode, group.content))

    def _best_fit(
        self, element: BestFit, indent: int, mode: bool, stack: list[Task]
    ) -> None:
        self.modes[element.key] = FLAT
        plain = (indent, mode, element.content)
        deeper = indent + INDENT
        column = self.column
        if self.fits(plain, stack):
            stack.append(plain)
            return
        self.column = deeper
        helps = self.fits((deeper, mode, element.content), [])
        self.column = column
        if not helps:
            stack.append(plain)
            return
        self.modes[element.key] = BROKEN
        parts = ["(", Indent([SOFT, element.content]), SOFT, ")"]
        stack.append((indent, BROKEN, parts))

    def fits(self, first: Task, rest: Sequence[Task]) -> bool:
        """Whether a task and what follows fit, up to the first line that may break.

        Of a bracket that may break on its own, only what stands before and after it
        has to fit.
        """
        column, limit, modes = self.column, self.limit, self.modes
        following = len(rest)
        inside = False
        todo: list[tuple[int, bool, Document, bool]] = [(*first, False)]
        while True:
            if not todo:
                if not following:
                    return True
                following -= 1
                todo.append((*rest[following], False))
            indent, mode, element, whole = todo.pop()
            if isinstance(element, str):
                column += width_of(element)
                if column > limit and not (whole and inside):
                    return False
            elif isinstance(element, Line):
                if mode is FLAT:
                    column += len(element.flat)
                elif not whole:
                    return True
                else:
                    column, inside = indent, True
            elif isinstance(element, Group | BestFit):
                if element.key is not None:
                    modes[element.key] = mode
                todo.append((indent, mode, element.content, whole))
            elif isinstance(element, Indent):
                deeper = element.key is None or modes[element.key] is BROKEN
                todo.append((indent + INDENT * deeper, mode, element.content, whole))
            elif isinstance(element, If):
                if self._applies(element, mode):
                    todo.append((indent, mode, element.content, whole))
            elif isinstance(element, Bracketed):
                alone = mode is FLAT and modes[element.key] is FLAT
                inside = inside and not alone
                todo.append((indent, mode or alone, element.content, whole or alone))
            else:
                todo += [(indent, mode, part, whole) for part in reversed(element)]
