"""What an operator looks like on a card: its family, its text, and whether it only follows another.

Nothing here knows an operator by name: all is read from what operators say of themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from nnspec.ir.dims import Dim, Size
from nnspec.ir.graph import Function, Node
from nnspec.ir.show import show_operator, show_value
from nnspec.ir.slices import Range
from nnspec.ir.terms import Traced
from nnspec.ops.base import Initializer, Layout, Operator
from nnspec.ops.checked import fields_of
from nnspec.ops.initializers import Number
from nnspec.records import dataclass

LONGEST_DETAIL, MOST_LINES = 30, 3
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
    """A line of a card: what it is, with which arguments, and both in full.

    `more` are further lines, of arguments that do not fit.
    """

    text: str
    detail: str = ""
    full: str = ""
    more: tuple[str, ...] = ()


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


def row_of(operator: Operator, symbols: Mapping[str, Size], *, lead: bool) -> Row:
    """The line of an operator, with what is known of sizes put in. One that leads a card says more."""
    full = show_operator(operator, lambda value: show_value(_at(value, symbols)))
    symbol: str = getattr(type(operator), "symbol", "")
    if symbol:
        return Row(_infix(operator, symbol, symbols), "", full)
    first, *more = _details(operator, symbols, MOST_LINES if lead else 1)
    return Row(operator.op_name(), first, full, tuple(more))


def _at(value: Any, symbols: Mapping[str, Size]) -> Any:
    """A constant with what is known of sizes put in."""
    if not symbols:
        return value
    match value:
        case Dim():
            return value.at(symbols)
        case Range(start=start, stop=stop, step=step):
            return Range(_at(start, symbols), _at(stop, symbols), _at(step, symbols))
        case tuple() | list():
            return tuple(_at(item, symbols) for item in value)  # pyright: ignore[reportUnknownVariableType]
        case _:
            return value


def _infix(operator: Operator, symbol: str, symbols: Mapping[str, Size]) -> str:
    """`x + 1` as `+ 1`, and `1 - x` as `1 -`."""
    left = _at(getattr(operator, "x_value", None), symbols)
    right = _at(getattr(operator, "y_value", None), symbols)
    sign = SIGNS.get(symbol, symbol)
    if right is not None:
        return f"{sign} {_brief(right)}"
    return f"{_brief(left)} {sign}" if left is not None else sign


def _details(operator: Operator, symbols: Mapping[str, Size], most: int) -> list[str]:
    """The arguments that were given, those that must be without their names, on at most so many lines."""
    texts: list[str] = []
    for name, field in fields_of(type(operator)).items():
        value: Any = _at(getattr(operator, name), symbols)
        if name not in operator.given or isinstance(value, Initializer):
            continue
        if value is not None and value != ():
            needed = field.is_required and name not in NAMED
            plain = needed or name == type(operator).open
            texts.append(_brief(value) if plain else f"{name}={_brief(value)}")
    return _on_lines(texts, most)


def _brief(value: Any) -> str:
    """A constant, fractions to four digits; the full text is in the row's `full`."""
    if isinstance(value, Traced):
        return _brief(value.value)
    number = value.value if isinstance(value, Number) else value
    if isinstance(number, float):
        return f"{number:.4g}"
    return show_value(number).strip('"')


def _on_lines(texts: list[str], most: int) -> list[str]:
    """Arguments on lines, each whole where it fits a line; what does not fit the lines is left out."""
    more = "\N{HORIZONTAL ELLIPSIS}"
    lines = [""]
    for text in texts:
        if len(text) > LONGEST_DETAIL:
            text = f"{text[: LONGEST_DETAIL - 1]}{more}"
        longer = f"{lines[-1]}, {text}" if lines[-1] else text
        if len(longer) <= LONGEST_DETAIL:
            lines[-1] = longer
        elif len(lines) < most:
            lines[-1] += ","
            lines.append(text)
        else:
            lines[-1] += f", {more}"
            break
    return lines
