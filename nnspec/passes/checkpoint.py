"""`checkpoint`: what `@checkpoint` says of a block is said of every call of it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from nnspec.ir.graph import Function, Node, Program
from nnspec.passes.base import Pass
from nnspec.records import dataclass


@dataclass(frozen=True)
class Checkpoint(Pass):
    """Marks calls of blocks whose activations are computed again in the backward pass.

    Those are the blocks that the spec annotates, and those that are named in `blocks`. Emitted PyTorch runs
    such calls in `torch.utils.checkpoint` (Chen et al., 2016), and the figures of memory count them so.
    """

    name: ClassVar[str] = "checkpoint"

    blocks: tuple[str, ...] = ()

    def run(self, program: Program) -> Program:
        functions = {
            key: self._marked(program, each) for key, each in program.functions.items()
        }
        if all(functions[key] is each for key, each in program.functions.items()):
            return program
        return replace(program, functions=functions)

    def _marked(self, program: Program, function: Function) -> Function:
        nodes = tuple(self._node(program, node) for node in function.nodes)
        if all(new is old for new, old in zip(nodes, function.nodes, strict=True)):
            return function
        return replace(function, nodes=nodes)

    def _node(self, program: Program, node: Node) -> Node:
        if node.callee is None or node.marks.checkpoint:
            return node
        callee = program.functions[node.callee]
        if not (callee.marks.checkpoint or callee.name in self.blocks):
            return node
        return replace(node, marks=replace(node.marks, checkpoint=True))
