"""Programs whose code runs on shares of what is divided as it runs on the whole.

Where heads are split off, their number is told from the tensor, and the width of a head is given. The model
is the same; a process that has some of the heads runs the same code.
"""

from __future__ import annotations

from dataclasses import replace

from nnspec.analysis.tensor_axes import with_share_open
from nnspec.analysis.tensor_parts import Part, tensor_parts
from nnspec.ir.graph import Function, Node, Program
from nnspec.ops.patterns import Rearrange


def shareable(program: Program) -> Program:
    """The same program with no size of the whole where tensor parallelism leaves a share."""
    parts = tensor_parts(program)
    functions = {
        key: _open(function, parts[key]) if parts[key] else function
        for key, function in program.functions.items()
    }
    return replace(program, functions=functions)


def _open(function: Function, parts: tuple[Part, ...]) -> Function:
    part_of = {number: part for part in parts for number in part.inner}
    nodes = (
        _opened(function, node, part_of[node.id]) if node.id in part_of else node
        for node in function.nodes
    )
    return replace(function, nodes=tuple(nodes))


def _opened(function: Function, node: Node, part: Part) -> Node:
    if not isinstance(node.op, Rearrange):
        return node
    kind = function.types[next(node.values())]
    op = with_share_open(node.op, kind, part.divided[node.outputs[0]])
    return node if op is node.op else replace(node, op=op)
