"""Python statements as trees: what `writer` lays out as text."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.pycode.expressions import Expr
from nnspec.records import dataclass


@dataclass(frozen=True)
class Statement:
    """Any statement."""


@dataclass(frozen=True)
class Assign(Statement):
    """`a = value`, `a, b = value`; an optional comment stands behind it."""

    targets: tuple[Expr, ...]
    value: Expr
    comment: str | None = None


@dataclass(frozen=True)
class Evaluate(Statement):
    """An expression for its effect."""

    value: Expr
    comment: str | None = None


@dataclass(frozen=True)
class Return(Statement):
    """`return a, b`"""

    values: tuple[Expr, ...]
    comment: str | None = None


@dataclass(frozen=True)
class If(Statement):
    """`if`, with `else` where there are statements for it (one nested `If` there gives `elif`)."""

    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...] = ()


@dataclass(frozen=True)
class For(Statement):
    """`for a, b in iterable:`"""

    target: Expr
    iterable: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class With(Statement):
    """`with context:`"""

    context: Expr
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Raise(Statement):
    """`raise value`"""

    value: Expr


@dataclass(frozen=True)
class Comment(Statement):
    """A comment on lines of its own; any text is made safe."""

    text: str


@dataclass(frozen=True)
class Blank(Statement):
    """An empty line between statements of a body."""


@dataclass(frozen=True)
class Import(Statement):
    """`import module`, `import module as alias`, or `from module import names`.

    A name may be written `name as alias`.
    """

    module: str
    names: tuple[str, ...] = ()
    alias: str | None = None


@dataclass(frozen=True)
class Argument:
    """A parameter of a function: name, annotation, default; `kind` "", "*" or "**".

    A bare `*` separator is `Argument("", kind="*")`.
    """

    name: str
    annotation: Expr | None = None
    default: Expr | None = None
    kind: str = ""


@dataclass(frozen=True)
class Function(Statement):
    """`def name(arguments) -> returns:`"""

    name: str
    arguments: tuple[Argument, ...]
    returns: Expr | None
    body: tuple[Statement, ...]
    doc: str | None = None
    decorators: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Class(Statement):
    """`class name(bases):`"""

    name: str
    bases: tuple[Expr, ...]
    body: tuple[Statement, ...]
    doc: str | None = None
    decorators: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Verbatim(Statement):
    """A function written by us, as text: a helper that emitted files carry. Never made from spec text."""

    text: str


@dataclass(frozen=True)
class File:
    """A whole emitted file. `header` is a docstring of any text, made safe by the writer."""

    header: str
    body: tuple[Statement, ...]


def expressions_of(statement: Statement) -> Iterator[Expr]:
    """Every expression of a statement, those of statements inside it too; none of text (`Verbatim`)."""
    match statement:
        case Assign(targets=targets, value=value):
            yield from (*targets, value)
        case Evaluate(value=value) | Raise(value=value):
            yield value
        case Return(values=values):
            yield from values
        case If(condition=condition, then=then, otherwise=otherwise):
            yield condition
            yield from _expressions_in((*then, *otherwise))
        case For(target=target, iterable=iterable, body=body):
            yield from (target, iterable)
            yield from _expressions_in(body)
        case With(context=context, body=body):
            yield context
            yield from _expressions_in(body)
        case Function():
            yield from _of_signature(statement)
            yield from _expressions_in(statement.body)
        case Class(body=body, bases=bases, decorators=decorators):
            yield from (*bases, *decorators)
            yield from _expressions_in(body)
        case _:
            pass


def _expressions_in(body: tuple[Statement, ...]) -> Iterator[Expr]:
    for statement in body:
        yield from expressions_of(statement)


def _of_signature(function: Function) -> Iterator[Expr]:
    yield from function.decorators
    for argument in function.arguments:
        found = (argument.annotation, argument.default)
        yield from (each for each in found if each is not None)
    if function.returns is not None:
        yield function.returns
