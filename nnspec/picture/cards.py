"""What an operator looks like on a card: its family, its text, and whether it only follows another.

Nothing here knows an operator by name: all is read from what operators say of themselves.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from nnspec.ir.graph import Function, Node
from nnspec.ir.show import show_operator, show_value
from nnspec.ir.terms import Traced
from nnspec.ops.base import Initializer, Layout, Operator
from nnspec.ops.checked import fields_of
from nnspec.ops.initializers import Number
from nnspec.records import dataclass

LONGEST_DETAIL = 30
NAMED = {"dim"}
"""Arguments that say little without their names."""
SIGNS = {
    "*": "\N{MULTIPLICATION SIGN}",
    "-": "\N{MINUS SIGN}",
    "/": "\N{DIVISION SIGN}",
}


class Family(StrEnum):
    """What a card is, and so how it is coloured."""

    INPUT = "input"
    OUTPUT = "output"
    BLOCK = "block"
    LOOP = "loop"
    WEIGHT = "weight"
    LAYER = "layer"
    NORM = "norm"
    PRODUCT = "product"
    SPATIAL = "spatial"
    PLAIN = "plain"


@dataclass(frozen=True)
class Row:
    """A line of a card: what it is, with which arguments, and both in full."""

    text: str
    detail: str = ""
    full: str = ""


def family_of(function: Function, node: Node) -> Family:
    """Layers by their weights, products by their work, and what works on images."""
    assert node.op is not None
    works = node.op.flops(*function.node_types(node)) != 0
    if node.owns:
        light = not works and _owns_vectors(function, node)
        return Family.NORM if light else Family.LAYER
    if works:
        return Family.PRODUCT
    if node.op.layout is Layout.SPATIAL:
        return Family.SPATIAL
    return Family.PLAIN


def follows(function: Function, node: Node) -> bool:
    """Whether a node may stand as a line below what it continues: it has no matrix of weights,
    multiplies no matrices, and does not walk over an image.
    """
    family = family_of(function, node)
    return family is Family.NORM or family is Family.PLAIN


def _owns_vectors(function: Function, node: Node) -> bool:
    return all(len(w.shape) <= 1 for w in function.node_weights(node).values())


def sign_of(node: Node, operands: int) -> str:
    """The sign of arithmetic on several tensors (`+`), or nothing."""
    symbol: str = getattr(type(node.op), "symbol", "")
    return SIGNS.get(symbol, symbol) if operands > 1 and len(symbol) == 1 else ""


def row_of(operator: Operator, *, lead: bool) -> Row:
    """The line of an operator. One that leads a card says more of its arguments."""
    full = show_operator(operator)
    symbol: str = getattr(type(operator), "symbol", "")
    if symbol:
        return Row(_infix(operator, symbol), "", full)
    return Row(operator.op_name(), _details(operator), full)


def _infix(operator: Operator, symbol: str) -> str:
    """`x + 1` as `+ 1`, and `1 - x` as `1 -`."""
    left = getattr(operator, "x_value", None)
    right = getattr(operator, "y_value", None)
    sign = SIGNS.get(symbol, symbol)
    if right is not None:
        return f"{sign} {_brief(right)}"
    return f"{_brief(left)} {sign}" if left is not None else sign


def _details(operator: Operator) -> str:
    """The arguments that were given, those that must be without their names, as far as they fit."""
    texts: list[str] = []
    for name, field in fields_of(type(operator)).items():
        value: Any = getattr(operator, name)
        if name not in operator.given or isinstance(value, Initializer):
            continue
        if value is not None and value != ():
            needed = field.is_required and name not in NAMED
            plain = needed or name == type(operator).open
            texts.append(_brief(value) if plain else f"{name}={_brief(value)}")
    return _fitting(texts)


def _brief(value: Any) -> str:
    """A constant, fractions to four digits; the full text is in the row's `full`."""
    if isinstance(value, Traced):
        return _brief(value.value)
    number = value.value if isinstance(value, Number) else value
    if isinstance(number, float):
        return f"{number:.4g}"
    return show_value(number).strip('"')


def _fitting(texts: list[str]) -> str:
    shown = ""
    for text in texts:
        longer = f"{shown}, {text}" if shown else text
        if len(longer) > LONGEST_DETAIL:
            more = "\N{HORIZONTAL ELLIPSIS}"
            return (
                f"{shown}, {more}" if shown else f"{text[: LONGEST_DETAIL - 1]}{more}"
            )
        shown = longer
    return shown
