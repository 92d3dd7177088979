"""When a long expression gets parentheses that a short one does without."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from nnspec.pycode.expressions import (
    Attribute,
    Binary,
    Call,
    Choice,
    Dict,
    Display,
    Expr,
    FString,
    Generator,
    Literal,
    Name,
    Star,
    Subscript,
    Unary,
)
from nnspec.pycode.layout import (
    SOFT,
    SPACE,
    BestFit,
    Document,
    Group,
    If,
    Indent,
)
from nnspec.pycode.phrases import (
    INSIDE,
    document,
    flat,
    is_fluent,
    items_of,
    joined,
    links,
    new_key,
)
from nnspec.pycode.structure import (
    Part,
    bracket_size,
    chain,
    is_negative,
    operand,
    operator_level,
    part,
)

_LONGEST_FIT = 84


class Need(Enum):
    """Whether an expression needs parentheses to stand on several lines."""

    NEVER = 0
    LINES = 1
    FIT = 2


def need(expr: Expr) -> Need:
    """What helps an expression that does not fit."""
    while True:
        if isinstance(expr, Binary | Choice):
            return Need.LINES
        if isinstance(expr, Unary):
            inner = operand(expr)
            if inner.wrapped:
                return Need.NEVER
            expr = inner.expr
        elif isinstance(expr, Attribute | Call | Subscript):
            return _need_of_link(expr)
        elif isinstance(expr, Name | Literal | FString):
            width = len(flat(expr).encode())
            return Need.FIT if 5 < width <= _LONGEST_FIT else Need.NEVER
        else:
            return Need.NEVER


def _need_of_link(expr: Attribute | Call | Subscript) -> Need:
    if is_fluent(expr):
        return Need.LINES
    before = links(expr)
    if before.wrapped:
        return Need.NEVER
    return need(before.expr)


def if_broken(content: Document) -> Document:
    """Content in parentheses if its lines break."""
    return Group([If("("), Indent([SOFT, content]), SOFT, If(")")])


def _optional(content: Document, key: int) -> Document:
    parts = [If("("), Indent([SOFT, content], key), SOFT, If(")")]
    return Group(parts, key)


def optional(expr: Expr, always: bool = False, fit: bool = True) -> Document:
    """An expression on the right of `=`, after `return`, `if` and the like.

    With `always`, breaking lines stand in parentheses even where brackets could break;
    without `fit`, no name is put in parentheses to make it fit.
    """
    found = need(expr)
    if always and not isinstance(expr, Display | Dict | Generator):
        found = Need.LINES
    if found is Need.LINES:
        if not can_omit(expr):
            return if_broken(document(expr, INSIDE))
        key = new_key()
        return _optional(document(expr, key), key)
    if found is Need.FIT and fit:
        key = new_key()
        return BestFit(document(expr, key), key)
    return document(expr, -1)


def assigned(expr: Expr) -> Document:
    """The last expression of an assignment or a return."""
    atom = isinstance(expr, Name) or (
        isinstance(expr, Literal)
        and not isinstance(expr.value, str)
        and not is_negative(expr)
    )
    if not atom:
        return optional(expr)
    key = new_key()
    return BestFit(document(expr, key), key)


def tuple_of(items: Sequence[Expr]) -> Document:
    """`a, b` without brackets as long as it fits."""
    content = joined(items_of(items))
    if len(items) != 2:
        return if_broken(content)
    key = new_key()
    pair: list[Document] = []
    first, second = (document(item, key) for item in items)
    pair += [first, ",", SPACE, second, If(",", key=key)]
    return _optional(pair, key)


class _Survey:
    """What stands unparenthesised in an expression, and what it begins and ends with."""

    def __init__(self) -> None:
        self.weakest = 99
        self.count = 0
        self.brackets = False
        self.first: Part | None = None
        self.token_first = False
        self.last: Part | None = None

    def operator(self, level: int, count: int = 1) -> None:
        if level < self.weakest:
            self.weakest, self.count = level, 0
        if level == self.weakest:
            self.count += count

    def visit(self, this: Part) -> None:
        self.last = this
        if this.wrapped:
            self.brackets = True
        else:
            self.inside(this.expr)
        if self.first is None and not self.token_first:
            self.first = this

    def token(self) -> None:
        self.token_first = self.token_first or self.first is None

    def inside(self, expr: Expr) -> None:
        if isinstance(expr, Display | Dict | Generator):
            self.brackets = True
        elif isinstance(expr, Binary):
            self._chain(expr)
        elif isinstance(expr, Choice):
            self._choice(expr)
        elif isinstance(expr, Call | Subscript | Attribute):
            self._link(expr)
        elif isinstance(expr, Unary):
            if expr.operator == "~":
                self.operator(11)
            self.token()
            self.visit(operand(expr))
        elif isinstance(expr, Star):
            self.token()
            self.visit(Part(expr.value))
        elif is_negative(expr):
            self.token()

    def _chain(self, expr: Binary) -> None:
        found, operators = chain(expr)
        for operator in operators:
            self.operator(1 if operator in ("and", "or") else operator_level(operator))
        for this in found:
            self.visit(this)

    def _choice(self, expr: Choice) -> None:
        self.operator(0, 2)
        self.visit(part(expr.then, 1))
        self.visit(part(expr.condition, 1))
        self.visit(Part(expr.otherwise))

    def _link(self, expr: Call | Subscript | Attribute) -> None:
        before = links(expr)
        self.brackets = self.brackets or not isinstance(expr, Attribute)
        self.visit(before)
        if isinstance(expr, Attribute) and bracket_size(before) is not None:
            self.operator(13)
        self.last = Part(expr)


def can_omit(expr: Expr) -> bool:
    """Whether an inner bracket at either end may break instead of the whole."""
    survey = _Survey()
    survey.inside(expr)
    if not survey.brackets or survey.count > 1:
        return False
    if survey.weakest >= 13:
        return True
    first = None if survey.token_first else survey.first
    return _splits(survey.last) or _splits(first)


def _splits(this: Part | None) -> bool:
    if this is None or isinstance(this.expr, Subscript):
        return False
    return bool(bracket_size(this))
