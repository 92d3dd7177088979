"""Pairs of linear layers that can be split over devices: the first by columns, the second by rows.

Where nothing but functions of single elements stands between two linear layers, each device can have some
of the columns of the first and the same rows of the second, and the sum over devices is the result
(Shoeybi et al., "Megatron-LM", 2019).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nnspec.ir.graph import Function, Node, Program, dotted
from nnspec.ops.base import Layout
from nnspec.ops.linear import Linear
from nnspec.ops.random import Dropout


@dataclass(frozen=True)
class Pair:
    """The paths in the model of two linear layers, and the width between them."""

    columns: str
    rows: str
    width: int


def pairs(program: Program) -> list[Pair]:
    """All pairs of a model, each layer in one at most, in the order in which they run."""
    return list(_below(program, program.main, ""))


def _below(program: Program, function: Function, prefix: str) -> Iterator[Pair]:
    own = {columns.id: rows for columns, rows in _of_function(function)}
    for node in function.nodes:
        if node.callee is not None and node.owns:
            path = _joined(prefix, dotted(node.path))
            yield from _below(program, program.functions[node.callee], path)
        elif node.id in own:
            assert isinstance(node.op, Linear)
            columns, rows = dotted(node.path), dotted(own[node.id].path)
            width = int(node.op.features)
            yield Pair(_joined(prefix, columns), _joined(prefix, rows), width)


def _joined(prefix: str, path: str) -> str:
    return f"{prefix}.{path}" if prefix else path


def _of_function(function: Function) -> Iterator[tuple[Node, Node]]:
    """Pairs of the layers that a function itself makes, each used once."""
    taken: set[int] = set()
    for node in function.nodes:
        if node.id in taken or not _is_plain(function, node):
            continue
        second = _second(function, node)
        if second is not None and second.id not in taken:
            taken |= {node.id, second.id}
            yield node, second


def _is_plain(function: Function, node: Node) -> bool:
    """A linear layer with its own weight that no other node reads."""
    if not isinstance(node.op, Linear) or node.weight is not None:
        return False
    if len([v for v in node.inputs if v is not None]) != 1:
        return False
    return sum(other.path == node.path for other in function.nodes) == 1


def _second(function: Function, first: Node) -> Node | None:
    """The linear layer behind, through functions of single elements that nothing else reads."""
    value = first.outputs[0]
    while True:
        readers = [node for node in function.nodes if value in node.values()]
        if len(readers) != 1 or _is_output(function, value):
            return None
        (reader,) = readers
        if _is_plain(function, reader):
            return reader
        if not _is_elementwise(reader):
            return None
        value = reader.outputs[0]


def _is_output(function: Function, value: int) -> bool:
    return any(
        value == port.values
        or (isinstance(port.values, tuple) and value in port.values)
        for port in function.outputs
    )


def _is_elementwise(node: Node) -> bool:
    """A function of each element of one tensor, the same in every place, that draws nothing."""
    op = node.op
    if op is None or node.weight is not None:
        return False
    if isinstance(op, Dropout) and op.rate == 0:  # a layer that does nothing
        return True
    if node.owns or op.layout is not Layout.ELEMENTWISE or op.random:
        return False
    return len(list(node.values())) == 1 and len(node.outputs) == 1
