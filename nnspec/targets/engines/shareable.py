"""Programs whose code runs on shares of what is divided as it runs on the whole.

Where heads are split off, their number is told from the tensor, and the width of a head is given. A last
layer that is tied to a split embedding gathers its result. What a share is added to, as biases and masks are,
is a share as well. The model is the same; a process that has its share of the layers runs the same code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from nnspec.analysis.sharding.parts import Part
from nnspec.analysis.sharding.plan import TensorPlan
from nnspec.analysis.sharding.shapes import with_share_open
from nnspec.ir.graph import Function, Node, Program
from nnspec.ops.base import Operator, field_terms
from nnspec.ops.linear import Linear
from nnspec.targets.engines.shared_values import with_shared_values
from nnspec.targets.engines.split_operators import SplitLinear


def shareable(plan: TensorPlan) -> Program:
    """The program of a plan with no size of the whole where a device has a share."""
    program = plan.program
    if plan.devices == 1:
        return program
    parts = plan.parts
    functions = {
        key: _open(function, parts[key].parts) if parts[key].parts else function
        for key, function in program.functions.items()
    }
    heads = plan.functions[program.entry].heads
    main = functions[program.entry]
    nodes = tuple(
        replace(node, op=_split_head(node.op)) if _is_tied(node, heads) else node
        for node in main.nodes
    )
    functions[program.entry] = replace(main, nodes=nodes)
    functions = {
        key: with_shared_values(function, plan.functions[key].parts)
        for key, function in functions.items()
    }
    return replace(program, functions=functions)


def _is_tied(node: Node, heads: Sequence[int]) -> bool:
    return node.id in heads and len(list(node.values())) == 2


def _split_head(op: Operator | None) -> SplitLinear:
    assert isinstance(op, Linear)
    return SplitLinear(**field_terms(op))


def _open(function: Function, parts: tuple[Part, ...]) -> Function:
    part_of = {number: part for part in parts for number in part.inner}
    nodes = (
        _opened(function, node, part_of[node.id]) if node.id in part_of else node
        for node in function.nodes
    )
    return replace(function, nodes=tuple(nodes))


def _opened(function: Function, node: Node, part: Part) -> Node:
    if node.op is None or not any(True for _ in node.values()):
        return node
    kind = function.types[next(node.values())]
    op = with_share_open(node.op, kind, part.divided[node.outputs[0]])
    return node if op is node.op else replace(node, op=op)
