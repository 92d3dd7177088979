"""Statements as the text of a Python file, laid out as ruff's formatter would.

Nothing is glued together from templates: every name is checked, every value is a
literal, and text of the spec's author stands in docstrings and comments that do
nothing (see `inert`).
"""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.pycode import brackets, inert, phrases
from nnspec.pycode.expressions import Binary, Display, Expr
from nnspec.pycode.layout import SOFT, Document, Group, Indent, Printer, width_of
from nnspec.pycode.phrases import INSIDE, OPEN
from nnspec.pycode.statements import (
    Argument,
    Assign,
    Blank,
    Class,
    Comment,
    Evaluate,
    File,
    For,
    Function,
    Import,
    Raise,
    Return,
    Statement,
    Verbatim,
    With,
)
from nnspec.pycode.statements import (
    If as IfStatement,
)
from nnspec.pycode.structure import TooDeep

__all__ = ["TooDeep", "expression_text", "write"]

LIMIT = inert.LIMIT
_MOST_INDENTED = 90
_MOST_BLOCKS = 20
_MOST_BRANCHES = 400


def write(file: File) -> str:
    """The whole file, ending with a line feed.

    Raises TypeError for a placeholder that was left in a tree, and TooDeep for a
    program that Python could not compile.
    """
    writer = _Writer()
    writer.lines += inert.docstring(file.header, 0)
    writer.body(file.body, 0, bool(writer.lines))
    return "\n".join(writer.lines).strip("\n") + "\n"


def expression_text(expr: Expr, width: int | None = None) -> str:
    """An expression as text: on one line, or laid out within `width` columns."""
    ready = phrases.prepared(expr)
    if width is None:
        return phrases.flat(ready)
    return "\n".join(Printer(width, 0).print(brackets.optional(ready)))


def _is_definition(statement: Statement) -> bool:
    return isinstance(statement, Function | Class | Verbatim)


def _ends_in_definition(statement: Statement) -> bool:
    while not _is_definition(statement):
        if isinstance(statement, IfStatement):
            body = statement.otherwise or statement.then
        elif isinstance(statement, For | With):
            body = statement.body
        else:
            return False
        if not body:
            return False
        statement = body[-1]
    return True


class _Writer:
    """Collects lines; `blocks` counts loops and contexts that are open."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.blocks = 0

    # ---- bodies -------------------------------------------------------------------

    def body(
        self, body: Sequence[Statement], indent: int, after_doc: bool = False
    ) -> None:
        """Statements with the blank lines between them."""
        if indent > 4 * _MOST_INDENTED:
            raise TooDeep(f"blocks are nested more than {_MOST_INDENTED} levels deep")
        before: Statement | None = None
        gap = int(after_doc and indent == 0)
        for place, statement in enumerate(body):
            if isinstance(statement, Blank):
                gap = max(gap, 1)
                continue
            if before is not None or gap:
                gap = max(gap, self._gap(before, body[place:], indent))
                allowed = before is not None or after_doc
                self.lines += [""] * (gap if allowed else 0)
            self.statement(statement, indent)
            before, gap = statement, 0
        if (
            indent
            and all(isinstance(item, Blank | Comment) for item in body)
            and not after_doc
        ):
            self.lines.append(" " * indent + "pass")

    def _gap(
        self, before: Statement | None, rest: Sequence[Statement], indent: int
    ) -> int:
        most = 1 if indent else 2
        if before is not None and _ends_in_definition(before):
            return most
        following = next((item for item in rest if not isinstance(item, Comment)), None)
        ahead = following is not None and _is_definition(following)
        if ahead and not isinstance(before, Comment):
            return most
        if isinstance(before, Import) and not isinstance(rest[0], Import):
            return 1
        return 0

    def _suite(self, body: Sequence[Statement], indent: int) -> None:
        """The body of a block, where a definition keeps its distance from the head."""
        body = _without_leading_blanks(body)
        if body and _is_definition(body[0]):
            self.lines.append("")
        self.body(body, indent)

    def statement(self, statement: Statement, indent: int) -> None:
        """One statement with its lines."""
        if isinstance(statement, Assign):
            self._assign(statement, indent)
        elif isinstance(statement, Evaluate):
            self._evaluate(statement, indent)
        elif isinstance(statement, Return):
            self._return(statement, indent)
        elif isinstance(statement, IfStatement):
            self._if(statement, indent)
        elif isinstance(statement, For | With):
            self._block(statement, indent)
        elif isinstance(statement, Raise):
            value = phrases.prepared(statement.value)
            self._put(["raise ", brackets.optional(value, fit=False)], indent)
        elif isinstance(statement, Comment):
            self.lines += inert.comment(statement.text, indent)
        elif isinstance(statement, Import):
            self._import(statement, indent)
        elif isinstance(statement, Function):
            self._function(statement, indent)
        elif isinstance(statement, Class):
            self._class(statement, indent)
        elif isinstance(statement, Verbatim):
            margin = " " * indent
            text = statement.text.strip("\n").split("\n")
            self.lines += [margin + line if line else "" for line in text]
        else:
            raise TypeError(f"{type(statement).__name__} is no statement to be written")

    def _put(
        self,
        document: Document,
        indent: int,
        after: str = "",
        comment: str | None = None,
    ) -> None:
        printed = Printer(LIMIT, indent).print(document, after)
        printed[0] = " " * indent + printed[0]
        remark = inert.comment_text(comment or "")
        if remark and len(printed) == 1:
            together = f"{printed[0]}  # {remark}"
            if width_of(together) <= LIMIT:
                self.lines.append(together)
                return
        if remark:
            self.lines += inert.comment(remark, indent)
        self.lines += printed

    # ---- simple statements ----------------------------------------------------------

    def _assign(self, statement: Assign, indent: int) -> None:
        targets = [phrases.prepared(target) for target in statement.targets]
        if (
            len(targets) == 1
            and isinstance(targets[0], Display)
            and len(targets[0].items) > 1
        ):
            targets = list(targets[0].items)
        if len(targets) == 1:
            left = phrases.document(targets[0], OPEN)
        else:
            left = brackets.if_broken(phrases.joined(phrases.items_of(targets)))
        value = brackets.assigned(phrases.prepared(statement.value))
        self._put([left, " = ", value], indent, comment=statement.comment)

    def _evaluate(self, statement: Evaluate, indent: int) -> None:
        value = phrases.prepared(statement.value)
        if isinstance(value, Binary):
            document = brackets.optional(value)
        else:
            document = phrases.document(value, OPEN)
        self._put(document, indent, comment=statement.comment)

    def _return(self, statement: Return, indent: int) -> None:
        values = [phrases.prepared(value) for value in statement.values]
        if (
            len(values) == 1
            and isinstance(values[0], Display)
            and values[0].kind == "tuple"
        ):
            values = list(values[0].items) if len(values[0].items) > 1 else values
        if not values:
            self._put("return", indent, comment=statement.comment)
            return
        single = len(values) == 1
        value = brackets.assigned(values[0]) if single else brackets.tuple_of(values)
        self._put(["return ", value], indent, comment=statement.comment)

    def _import(self, statement: Import, indent: int) -> None:
        module = ".".join(phrases.name(part) for part in statement.module.split("."))
        if not statement.names:
            alias = f" as {phrases.name(statement.alias)}" if statement.alias else ""
            self._put(f"import {module}{alias}", indent)
            return
        names: list[Document] = []
        for text in statement.names:
            parts = [phrases.name(part) for part in text.split(" as ")]
            names.append(" as ".join(parts))
        listed = brackets.if_broken(phrases.joined(names, always=True))
        self._put([f"from {module} import ", listed], indent)

    # ---- blocks -----------------------------------------------------------------------

    def _if(self, statement: IfStatement, indent: int) -> None:
        keyword = "if "
        for _ in range(_MOST_BRANCHES):
            condition = brackets.optional(phrases.prepared(statement.condition))
            self._put([keyword, condition], indent, ":")
            self._suite(statement.then, indent + 4)
            rest = statement.otherwise
            if not rest:
                return
            if len(rest) != 1 or not isinstance(rest[0], IfStatement):
                self.lines.append(" " * indent + "else:")
                self._suite(rest, indent + 4)
                return
            keyword, statement = "elif ", rest[0]
        raise TooDeep(f"one condition has more than {_MOST_BRANCHES} branches")

    def _block(self, statement: For | With, indent: int) -> None:
        if isinstance(statement, For):
            target = phrases.prepared(statement.target)
            listed = isinstance(target, Display) and len(target.items) > 1
            names = (
                target.items if listed and isinstance(target, Display) else (target,)
            )
            spelled = ", ".join(phrases.flat(item) for item in names)
            iterable = brackets.optional(phrases.prepared(statement.iterable))
            self._put([f"for {spelled} in ", iterable], indent, ":")
        else:
            context = phrases.prepared(statement.context)
            self._put(["with ", brackets.optional(context, always=True)], indent, ":")
        if self.blocks == _MOST_BLOCKS:
            raise TooDeep(f"loops are nested more than {_MOST_BLOCKS} levels deep")
        self.blocks += 1
        self._suite(statement.body, indent + 4)
        self.blocks -= 1

    # ---- definitions --------------------------------------------------------------------

    def _decorators(self, decorators: Sequence[Expr], indent: int) -> None:
        for decorator in decorators:
            self._put(["@", brackets.optional(phrases.prepared(decorator))], indent)

    def _function(self, statement: Function, indent: int) -> None:
        self._decorators(statement.decorators, indent)
        header: list[Document] = [f"def {phrases.name(statement.name)}"]
        signature: list[Document] = [_parameters(statement.arguments)]
        if statement.returns is not None:
            returns = phrases.prepared(statement.returns)
            signature += [" -> ", brackets.optional(returns)]
        self._put([*header, Group(signature)], indent, ":")
        blocks, self.blocks = self.blocks, 0
        doc = inert.docstring(statement.doc or "", indent + 4)
        self.lines += doc
        body = _without_leading_blanks(statement.body)
        if doc and body and _is_definition(body[0]):
            self.lines.append("")
        self.body(body, indent + 4, bool(doc))
        self.blocks = blocks

    def _class(self, statement: Class, indent: int) -> None:
        self._decorators(statement.decorators, indent)
        bases = phrases.items_of([phrases.prepared(base) for base in statement.bases])
        listed = phrases.bracketed("(", Group(phrases.joined(bases)), ")", OPEN)
        self._put(
            [f"class {phrases.name(statement.name)}", listed if bases else ""],
            indent,
            ":",
        )
        doc = inert.docstring(statement.doc or "", indent + 4)
        self.lines += doc
        body = _without_leading_blanks(statement.body)
        if doc and body:
            self.lines.append("")
        self.body(body, indent + 4, bool(doc))


def _without_leading_blanks(body: Sequence[Statement]) -> Sequence[Statement]:
    start = 0
    while start < len(body) and isinstance(body[start], Blank):
        start += 1
    return body[start:]


def _parameters(arguments: Sequence[Argument]) -> Document:
    if not arguments:
        return "()"
    items = [_parameter(argument) for argument in arguments]
    content: Document = phrases.joined(items, always=True)
    if len(items) > 1:
        content = Group(content)
    return ["(", Indent([SOFT, content]), SOFT, ")"]


def _parameter(argument: Argument) -> Document:
    if argument.kind not in ("", "*", "**"):
        raise TypeError(f"{argument.kind!r} is no kind of parameter")
    if not argument.name and argument.kind == "*":
        return "*"
    parts: list[Document] = [argument.kind + phrases.name(argument.name)]
    if argument.annotation is not None:
        annotation = phrases.prepared(argument.annotation)
        parts += [": ", phrases.document(annotation, INSIDE)]
    if argument.default is not None:
        value = phrases.prepared(argument.default)
        parts.append("=" if argument.annotation is None else " = ")
        parts.append(phrases.document(value, INSIDE))
    return parts
