"""The canonical layout of a spec: two columns for each level, at most 100 columns, comments where they were.

Only blanks and line ends change: the tokens stay what they are, so the meaning does, too. A pipe keeps its
stages together in lines as the author grouped them, and a body of one statement may stay on one line.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from nnspec.diagnostics import Diagnostics
from nnspec.source import Source, Span
from nnspec.syntax import ast
from nnspec.syntax.layout import STEP, WIDTH, Run
from nnspec.syntax.lexer import Tokens, tokenize
from nnspec.syntax.parser import parse
from nnspec.syntax.spacing import Spacing

_LINE_END = re.compile(r"\r\n?|\n")


def format_file(source: Source) -> str:
    """The text in canonical layout. Raises `SpecErrors` where the text cannot be parsed."""
    diagnostics = Diagnostics()
    file = parse(source, diagnostics)
    diagnostics.raise_errors()
    return Formatter(tokenize(source, diagnostics), file).text()


class Formatter:
    """Writes the lines of one file."""

    def __init__(self, tokens: Tokens, file: ast.File) -> None:
        self.tokens = tokens
        self.file = file
        self.spacing = Spacing(tokens)
        self.lines: list[str] = []
        self.comments = self._comments()
        self.open_body = True

    def _comments(self) -> dict[int, list[Span]]:
        """The comments before each token."""
        found: dict[int, list[Span]] = {}
        for span in self.tokens.comments:
            found.setdefault(bisect_left(self.tokens.starts, span.start), []).append(
                span
            )
        return found

    def text(self) -> str:
        """The whole file."""
        at = 0
        if self.file.doc is not None:
            self._lead(0, 0)
            self._doc(0, 0)
            at = 1
        items = [*self.file.uses, *self.file.declarations]
        for item in sorted(items, key=lambda item: item.span.start):
            self._declaration(item)
        end = len(self.tokens.kinds) - 1
        self._lead(max(at, end), 0, at_end=True)
        return "".join(line + "\n" for line in self.lines)

    # ---- places --------------------------------------------------------------------------------

    def _first(self, span: Span) -> int:
        return bisect_left(self.tokens.starts, span.start)

    def _last(self, span: Span) -> int:
        return bisect_left(self.tokens.starts, span.end) - 1

    def _blank_before(self, offset: int) -> bool:
        """Whether an empty line stands before this place."""
        text = self.tokens.source.text
        at = offset
        while at > 0 and text[at - 1] in " \t\r\n":
            at -= 1
        return len(_LINE_END.findall(text, at, offset)) > 1

    def _is_trailing(self, comment: Span) -> bool:
        text, at = self.tokens.source.text, comment.start - 1
        while at >= 0 and text[at] in " \t":
            at -= 1
        return at >= 0 and text[at] not in "\r\n"

    def _comment_text(self, span: Span) -> str:
        return self.tokens.source.text[span.start : span.end].rstrip()

    # ---- lines ---------------------------------------------------------------------------------

    def _blank(self, offset: int) -> None:
        """Keeps one of the empty lines before a place, but none at the beginning of a body."""
        if self._blank_before(offset) and self.lines and not self.open_body:
            self.lines.append("")
        self.open_body = False

    def _lead(self, index: int, indent: int, *, at_end: bool = False) -> None:
        """Writes the comments before a token, and the empty line that may come before it."""
        for span in self.comments.get(index, ()):
            text = self._comment_text(span)
            if self._is_trailing(span) and self.lines:
                self.lines[-1] += "  " + text
            else:
                self._blank(span.start)
                self.lines.append(" " * indent + text)
        if not at_end:
            self._blank(self.tokens.starts[index])

    def _run(self, first: int, last: int, indent: int) -> Run:
        comments = {
            index: [
                (self._is_trailing(span), self._comment_text(span)) for span in spans
            ]
            for index in range(first + 1, last + 1)
            if (spans := self.comments.get(index))
        }
        return Run(self.tokens, self.spacing, first, last, indent, comments)

    def _put(self, first: int, last: int, indent: int) -> None:
        self.lines.extend(self._run(first, last, indent).lines())

    def _doc(self, index: int, indent: int) -> None:
        margin = " " * indent
        first, *rest = [
            line.rstrip(" \t") for line in _LINE_END.split(self.tokens.text(index))
        ]
        indents = [len(line) - len(line.lstrip(" \t")) for line in rest[:-1] if line]
        if rest and rest[-1].lstrip(" \t") != '"""':
            indents.append(len(rest[-1]) - len(rest[-1].lstrip(" \t")))
        common = min(indents, default=0)
        self.lines.append(margin + first)
        for line in rest:
            shown = line.lstrip(" \t") if line.lstrip(" \t") == '"""' else line[common:]
            self.lines.append(margin + shown if shown else "")

    # ---- declarations and statements -----------------------------------------------------------

    def _declaration(self, item: ast.Declaration | ast.Use) -> None:
        if isinstance(item, ast.Use):
            self._simple(item.span, 0)
            return
        first = self._annotations(item.annotations, item.span, 0)
        bodies = [item.body] if isinstance(item, ast.Block | ast.Fn | ast.Model) else []
        self._compound(first, item.span, bodies, 0)

    def _simple(self, span: Span, indent: int) -> None:
        first = self._first(span)
        self._lead(first, indent)
        self._put(first, self._last(span), indent)

    def _annotations(
        self, annotations: tuple[ast.Annotation, ...], span: Span, indent: int
    ) -> int:
        """Writes each annotation on its line; the first token after them."""
        for annotation in annotations:
            self._simple(annotation.span, indent)
        if not annotations:
            return self._first(span)
        return self._last(annotations[-1].span) + 1

    def _statement(self, statement: ast.Stmt, indent: int) -> None:
        first = self._annotations(statement.annotations, statement.span, indent)
        self._compound(first, statement.span, _bodies(statement), indent)

    def _compound(
        self, first: int, span: Span, bodies: list[ast.Body], indent: int
    ) -> None:
        """A header, and for each body its statements and the line that closes it."""
        self._lead(first, indent)
        last = self._last(span)
        if not bodies or self._fits(first, last, bodies, indent):
            self._put_flat_or_run(first, last, indent, flat=bool(bodies))
            return
        for at, body in enumerate(bodies):
            opening, closing = self._first(body.span), self._last(body.span)
            self._put(first, opening, indent)
            self._body(body, opening, closing, indent + STEP)
            first = closing
            if at == len(bodies) - 1:
                self._put(closing, closing, indent)

    def _put_flat_or_run(
        self, first: int, last: int, indent: int, *, flat: bool
    ) -> None:
        if flat:
            self.lines.append(" " * indent + self._run(first, last, indent).flat())
        else:
            self._put(first, last, indent)

    def _fits(self, first: int, last: int, bodies: list[ast.Body], indent: int) -> bool:
        """Whether the author put each body on one line, and all fits on one."""
        if any(self.comments.get(index) for index in range(first + 1, last + 1)):
            return False
        if not all(self._is_short(body) for body in bodies):
            return False
        return indent + len(self._run(first, last, indent).flat()) <= WIDTH

    def _is_short(self, body: ast.Body) -> bool:
        if body.doc is not None or len(body.statements) > 1:
            return False
        text = self.tokens.source.text[body.span.start : body.span.end]
        if _LINE_END.search(text):
            return False
        return not any(statement.annotations for statement in body.statements)

    def _body(self, body: ast.Body, opening: int, closing: int, indent: int) -> None:
        self.open_body = True
        if body.doc is not None:
            self._lead(opening + 1, indent)
            self._doc(opening + 1, indent)
        for statement in body.statements:
            self._statement(statement, indent)
        self._lead(closing, indent, at_end=True)
        self.open_body = False


def _bodies(statement: ast.Stmt) -> list[ast.Body]:
    """The bodies of a statement that are written in braces, in order."""
    if isinstance(statement, ast.For):
        return [statement.body]
    bodies: list[ast.Body] = []
    while isinstance(statement, ast.If):
        bodies.append(statement.then)
        otherwise = statement.otherwise
        if otherwise is None:
            break
        inner = otherwise.statements[0] if otherwise.statements else None
        if isinstance(inner, ast.If) and inner.span == otherwise.span:
            statement = inner
            continue
        bodies.append(otherwise)
        break
    return bodies
