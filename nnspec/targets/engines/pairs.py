"""Linear layers that can be split over devices: some by columns, the one behind them by rows.

Where nothing but functions of single elements stands between them, each device can have some of the
columns of the first ones and the same rows of the last, and the sum over devices is the result (Shoeybi et
al., "Megatron-LM", 2019). Gates have two layers in front: `silu(gate(x)) * up(x)`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from nnspec.ir.graph import Function, Node, Program, dotted
from nnspec.ops.base import Layout
from nnspec.ops.linear import Linear
from nnspec.ops.random import Dropout
from nnspec.passes.stages import values_of
from nnspec.records import dataclass


@dataclass(frozen=True)
class Pair:
    """The paths in the model of the layers in front and of the one behind, and the width between them."""

    columns: tuple[str, ...]
    rows: str
    width: int


def pairs(program: Program) -> list[Pair]:
    """All that a model has, each layer in one at most, in the order in which they run."""
    return list(_below(program, program.main, ""))


def _below(program: Program, function: Function, prefix: str) -> Iterator[Pair]:
    own = dict(_of_function(function))
    for node in function.nodes:
        if node.callee is not None and node.owns:
            path = _joined(prefix, dotted(node.path))
            yield from _below(program, program.functions[node.callee], path)
        elif node.id in own:
            front = own[node.id]
            assert isinstance(front[0].op, Linear)
            columns = tuple(_joined(prefix, dotted(each.path)) for each in front)
            rows = _joined(prefix, dotted(node.path))
            yield Pair(columns, rows, int(front[0].op.features))


def _joined(prefix: str, path: str) -> str:
    return f"{prefix}.{path}" if prefix else path


def _of_function(function: Function) -> Iterator[tuple[int, tuple[Node, ...]]]:
    """The layers of a function that can be split by rows, by number, with those in front of each."""
    makers = {value: node for node in function.nodes for value in node.outputs}
    readers: dict[int, int] = {}
    for node in function.nodes:
        for value in node.values():
            readers[value] = readers.get(value, 0) + 1
    kept = {value for value, count in readers.items() if count > 1}
    kept |= {value for port in function.outputs for value in values_of(port.values)}
    taken: set[int] = set()
    for node in function.nodes:
        if node.id in taken or not _is_plain(function, node):
            continue
        front = _front(function, makers, kept, next(node.values()))
        if front and not taken & {each.id for each in front}:
            taken |= {node.id, *(each.id for each in front)}
            yield node.id, front


def _is_plain(function: Function, node: Node) -> bool:
    """A linear layer with its own weight that no other node uses."""
    if not isinstance(node.op, Linear) or node.weight is not None:
        return False
    if len(list(node.values())) != 1:
        return False
    return sum(other.path == node.path for other in function.nodes) == 1


def _front(
    function: Function, makers: Mapping[int, Node], kept: Set[int], value: int
) -> tuple[Node, ...]:
    """The linear layers of which a value has the elements, if of nothing else; none if it has others."""
    found: dict[int, Node] = {}
    waiting = [value]
    while waiting:
        value = waiting.pop()
        node = makers.get(value)
        if node is None or value in kept:
            return ()
        if _is_plain(function, node):
            found[node.id] = node
        elif _is_elementwise(function, node):
            waiting.extend(reversed(list(node.values())))
        else:
            return ()
    return tuple(found[place] for place in sorted(found))


def _is_elementwise(function: Function, node: Node) -> bool:
    """A function of the elements in each place, of tensors of one shape, that draws nothing."""
    op = node.op
    if op is None or node.weight is not None or len(node.outputs) != 1:
        return False
    if isinstance(op, Dropout) and op.rate == 0:  # a layer that does nothing
        return True
    if node.owns or op.layout is not Layout.ELEMENTWISE or op.random:
        return False
    shapes = {function.types[value].shape for value in (*node.values(), *node.outputs)}
    return bool(list(node.values())) and len(shapes) == 1
