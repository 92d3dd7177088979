"""Expressions as a person would write them: the opposite of a condition, text with expressions in it."""

from __future__ import annotations

from nnspec.ir.signs import OPPOSITE
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal


def negated(condition: Expr) -> Expr:
    """The opposite of a condition, as a person would write it: `width % heads` for `width % heads == 0`."""
    if isinstance(condition, tree.Binary) and condition.operator in OPPOSITE:
        remainder = (
            isinstance(condition.left, tree.Binary) and condition.left.operator == "%"
        )
        if condition.operator == "==" and remainder and condition.right == Literal(0):
            return condition.left
        return tree.Binary(
            OPPOSITE[condition.operator], condition.left, condition.right
        )
    if isinstance(condition, tree.Unary) and condition.operator == "not":
        return condition.operand
    return tree.Unary("not", condition)


def text_of(parts: list[str | Expr]) -> Expr:
    """Text and expressions as a string literal or an f-string."""
    found: list[str | Expr] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    if all(isinstance(part, str) for part in found):
        return Literal("".join(str(part) for part in found))
    return tree.FString(tuple(found))
