"""What Python's grammar says of an expression: precedence, parentheses, depth."""

from __future__ import annotations

import math
from collections.abc import Iterator

from nnspec.pycode.expressions import (
    Attribute,
    Binary,
    Call,
    Choice,
    Dict,
    Display,
    Expr,
    Generator,
    Literal,
    Star,
    Subscript,
    Unary,
)
from nnspec.records import dataclass

MOST_NESTED = 90
CHOICE, NOT, COMPARISON, UNARY, POWER, PRIMARY = 0, 3, 4, 11, 12, 14
_LEVELS = {
    "or": 1,
    "and": 2,
    "|": 5,
    "^": 6,
    "&": 7,
    "<<": 8,
    ">>": 8,
    "+": 9,
    "-": 9,
    "*": 10,
    "@": 10,
    "/": 10,
    "//": 10,
    "%": 10,
    "**": POWER,
}
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "in", "not in", "is", "is not")
_LEVELS.update(dict.fromkeys(_COMPARISONS, COMPARISON))


class TooDeep(ValueError):
    """The program is nested deeper than Python can compile."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an expression, and whether it needs parentheses there."""

    expr: Expr
    wrapped: bool = False


def operator_level(operator: str) -> int:
    """How strongly a binary operator binds; raises TypeError for another text."""
    if operator not in _LEVELS:
        raise TypeError(f"{operator!r} is no binary operator")
    return _LEVELS[operator]


def is_negative(expr: Expr) -> bool:
    """Whether this is a number that is spelled with a minus."""
    if not isinstance(expr, Literal) or isinstance(expr.value, bool):
        return False
    value = expr.value
    return isinstance(value, int | float) and str(value).startswith("-")


def precedence(expr: Expr) -> int:
    """How strongly the outermost operator of an expression binds."""
    if isinstance(expr, Binary):
        return operator_level(expr.operator)
    if isinstance(expr, Unary):
        return NOT if expr.operator == "not" else UNARY
    if isinstance(expr, Choice | Star):
        return CHOICE
    if isinstance(expr, Generator) and expr.kind == "call":
        return CHOICE
    return UNARY if is_negative(expr) else PRIMARY


def part(expr: Expr, least: int) -> Part:
    """A part that must bind at least as strongly as `least`."""
    return Part(expr, precedence(expr) < least)


def _is_number(expr: Expr) -> bool:
    if not isinstance(expr, Literal) or isinstance(expr.value, bool):
        return False
    value = expr.value
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def base(expr: Expr) -> Part:
    """The object of an attribute, subscript or call."""
    return Part(expr, precedence(expr) < PRIMARY or _is_number(expr))


def operands(binary: Binary) -> tuple[Part, Part]:
    """Left and right operand. Comparisons never chain."""
    level = operator_level(binary.operator)
    left = level + (level in (POWER, COMPARISON))
    right = UNARY if level == POWER else level + 1
    return part(binary.left, left), part(binary.right, right)


def operand(unary: Unary) -> Part:
    """What a unary operator applies to; a power there stands in parentheses."""
    level = precedence(unary.operand)
    least = NOT if unary.operator == "not" else UNARY
    return Part(unary.operand, level < least or level == POWER)


def chain(binary: Binary) -> tuple[list[Part], list[str]]:
    """Operands and operators in the order of the text, without parenthesised ones."""
    found: list[Part] = []
    operators: list[str] = []
    stack: list[Part | str] = [Part(binary)]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            operators.append(item)
        elif isinstance(item.expr, Binary) and not item.wrapped:
            left, right = operands(item.expr)
            stack += [right, item.expr.operator, left]
        else:
            found.append(item)
    return found, operators


def bracket_size(inner: Part) -> int | None:
    """How many things stand in the brackets of this part; None if it has none."""
    expr = inner.expr
    own: int | None = None
    if isinstance(expr, Call):
        own = len(expr.arguments) + len(expr.keywords)
    elif isinstance(expr, Subscript):
        own = 1
    elif isinstance(expr, Generator):
        own = 1 if expr.kind == "list" else None
    elif isinstance(expr, Display):
        own = len(expr.items)
    elif isinstance(expr, Dict):
        own = len(expr.entries)
    return 1 if inner.wrapped and not own else own


def check_depth(expr: Expr) -> None:
    """Raise TooDeep for an expression that Python could not compile."""
    stack = [(expr, 0)]
    while stack:
        node, depth = stack.pop()
        if depth > MOST_NESTED:
            raise TooDeep(
                f"an expression is nested more than {MOST_NESTED} levels deep"
            )
        stack.extend(_deeper(node, depth))


def _deeper(node: Expr, depth: int) -> Iterator[tuple[Expr, int]]:
    if isinstance(node, Binary):
        left, right = operands(node)
        yield node.left, depth + left.wrapped
        yield node.right, depth + 1 + right.wrapped
        return
    if isinstance(node, Attribute):
        yield node.object, depth + 1
        return
    for child in node.children:
        yield child, depth + 1
