"""How much is written in one expression before a part of it is given a variable of its own.

What lives when in an emitted program depends on this, so the emitter and the count of the program's
memory both ask here. They ask with the operators' own expressions, before inputs, layers and constants are
put in: what a constant is spelled as, and what a variable is called, differs by the place in the program
and must not decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from nnspec.ir.graph import Node
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Call, Expr, Input, walk
from nnspec.records import dataclass

MOST_NESTED_CALLS = 3
"""Into a call no expression is written in which calls are nested as deeply as this."""
WIDEST = 72
"""Nor any with which it would be wider than so many characters."""
TEMPORARIES = ("y", "z", "h", "u", "v", "w")
"""The variables of values for which the spec has no name, in the order in which they are tried."""
FARTHEST_NAME = 64
"""A value takes the name to which its pipe leads, if so many operators lie between at most."""
VARIABLE_WIDTH = 1
"""The characters that a variable counts, whatever it is called."""
VALUE_WIDTH = 8
"""The characters that a constant or a size counts, however it is spelled."""


@dataclass(frozen=True)
class Extent:
    """How deeply the calls of an expression are nested, and about how many characters it takes."""

    calls: int = 0
    width: int = VARIABLE_WIDTH


VARIABLE = Extent()


def extent(results: Sequence[Expr], label: str, operands: Sequence[Extent]) -> Extent:
    """That of a step's results, with what is written for its inputs, and a layer of a label."""
    return Extent(
        max((_nested(each, operands) for each in results), default=0),
        max((_width(each, label, operands) for each in results), default=0),
    )


def is_too_long(operand: Extent, results: Sequence[Expr], label: str) -> bool:
    """Whether results would be hard to read with that expression in them."""
    if operand.calls >= MOST_NESTED_CALLS and any(
        isinstance(part, Call) for each in results for part in walk(each)
    ):
        return True
    widest = max((_width(each, label, ()) for each in results), default=0)
    return operand.width + widest > WIDEST


def times_read(results: Iterable[Expr], place: int) -> int:
    """How often results read one of their inputs: what is read twice is computed once."""
    return sum(
        isinstance(part, Input) and part.index == place
        for result in results
        for part in walk(result)
    )


def inputs_read(results: Iterable[Expr]) -> list[int]:
    """The inputs that results read, from left to right."""
    parts = (part for result in results for part in walk(result))
    return [part.index for part in parts if isinstance(part, Input)]


def call_of(node: Node, *, recomputes: bool) -> Expr:
    """A call of a block in PyTorch; `recomputes` what it computes in the backward pass."""
    layer, given = tree.Module(""), tensors_of(node)
    return tree.Helper("recomputed")(layer, *given) if recomputes else layer(*given)


def weight_of(node: Node) -> Expr:
    """A weight of another layer in PyTorch."""
    layer = tree.Module("")
    return layer.attribute(node.weight) if node.weight else layer


def tensors_of(node: Node) -> tuple[Expr, ...]:
    """The tensors that a block is called with, lists as lists; optional ones that are missing are left out."""
    found: list[Expr] = []
    place = 0
    for argument in node.inputs:
        if argument is None:
            continue
        count = len(argument) if isinstance(argument, tuple) else 1
        given = [Input(place + i) for i in range(count)]
        listed = isinstance(argument, tuple)
        found.append(tree.Display("list", tuple(given)) if listed else given[0])
        place += count
    return tuple(found)


def _operand(place: int, operands: Sequence[Extent]) -> Extent:
    return operands[place] if place < len(operands) else VARIABLE


def _nested(expression: Expr, operands: Sequence[Extent]) -> int:
    if isinstance(expression, Input):
        return _operand(expression.index, operands).calls
    inner = max((_nested(child, operands) for child in expression.children), default=0)
    return inner + isinstance(expression, Call)


def _width(expression: Expr, label: str, operands: Sequence[Extent]) -> int:
    """About how many characters an expression takes on one line."""

    def width(part: Expr) -> int:
        return _width(part, label, operands)

    match expression:
        case Input(index=index):
            return _operand(index, operands).width
        case tree.Module():
            return len("self.") + len(label)
        case tree.Name(id=name) | tree.Helper(name=name):
            return len(name)
        case tree.Attribute(object=owner, name=name):
            return width(owner) + 1 + len(name)
        case Call(function=function):
            return width(function) + 2 + _arguments_width(expression, width)
        case tree.Binary(operator=operator, left=left, right=right):
            return width(left) + width(right) + len(operator) + 2
        case tree.Unary(operator=operator, operand=operand):
            return len(operator) + width(operand)
        case tree.Subscript(object=owner, subscript=subscript):
            return width(owner) + 2 + width(subscript)
        case tree.Literal(value=value, given=False):
            return len(repr(value))
        case tree.Display(items=[tree.Input(), *_] as items):
            # The widest two, however many tensors there are: a long list has lines of its own.
            return sum(sorted(width(item) + 2 for item in items)[-2:])
        case tree.Display(items=items):
            return sum(width(item) + 2 for item in items)
        case _:
            return VALUE_WIDTH


def _arguments_width(call: Call, width: Callable[[Expr], int]) -> int:
    widths = [width(each) for each in call.arguments]
    for name, each in call.keywords:
        if not isinstance(each, tree.Default):  # it may be left out
            widths.append(len(name) + 1 + width(each))
    return sum(widths) + 2 * max(0, len(widths) - 1)
