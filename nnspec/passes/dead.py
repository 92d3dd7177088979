"""`dead`: operations whose results nobody uses go."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from nnspec.ir.graph import Function, Node, Program, values_of
from nnspec.passes.base import Pass
from nnspec.passes.rewrite import without_nodes
from nnspec.records import dataclass


@dataclass(frozen=True)
class Dead(Pass):
    """Takes out operations without a use.

    Layers and calls stay: their weights are part of the model and of its checkpoints. Random operations
    stay, so that the others draw the numbers that they drew before.
    """

    name: ClassVar[str] = "dead"

    def run(self, program: Program) -> Program:
        functions = {key: _living(each) for key, each in program.functions.items()}
        if all(functions[key] is each for key, each in program.functions.items()):
            return program
        return replace(program, functions=functions)


def _living(function: Function) -> Function:
    used = set(values_of(function.outputs))
    removed: set[int] = set()
    for node in reversed(function.nodes):
        if _stays(node) or not used.isdisjoint(node.outputs):
            used.update(node.values())
        else:
            removed.add(node.id)
    return without_nodes(function, removed, {})


def _stays(node: Node) -> bool:
    return node.owns or (node.op is not None and node.weight is None and node.op.random)
