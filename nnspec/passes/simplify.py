"""`simplify`: operations that do nothing go."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from nnspec.ir.graph import Function, Node, Program
from nnspec.passes.base import Pass
from nnspec.passes.rewrite import without_nodes
from nnspec.records import dataclass

# They keep the order of the elements: with the type unchanged, they change nothing.
_KEEP_ORDER = frozenset(
    {"reshape", "flatten", "squeeze", "unsqueeze", "broadcast", "cast", "Identity"}
)
_DROPPING = frozenset({"Dropout", "ChannelDropout", "DropPath"})


@dataclass(frozen=True)
class Simplify(Pass):
    """Takes out shape changes that change nothing, conversions to the same type, dropping at rate 0."""

    name: ClassVar[str] = "simplify"

    def run(self, program: Program) -> Program:
        functions = {key: _simplified(each) for key, each in program.functions.items()}
        if all(functions[key] is each for key, each in program.functions.items()):
            return program
        return replace(program, functions=functions)


def _simplified(function: Function) -> Function:
    removed = [node for node in function.nodes if _is_idle(function, node)]
    instead: dict[int, int] = {}
    for node in removed:
        (value,) = node.values()
        instead[node.outputs[0]] = value
    return without_nodes(function, {node.id for node in removed}, instead)


def _is_idle(function: Function, node: Node) -> bool:
    if node.op is None or node.weight is not None or len(node.outputs) != 1:
        return False
    values = tuple(node.values())
    if len(values) != 1 or function.types[values[0]] != function.types[node.outputs[0]]:
        return False
    name = node.op.op_name()
    if name in _DROPPING:
        return getattr(node.op, "rate", None) == 0
    if name == "transpose":
        axes = tuple(int(axis) for axis in getattr(node.op, "order", None) or ())
        rank = function.types[values[0]].rank
        return bool(axes) and tuple(axis % rank for axis in axes) == tuple(range(rank))
    return name in _KEEP_ORDER
