"""`checkpoint`: what `@checkpoint` says of a block is said of every call of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir.graph import Function, Node, Program
from nnspec.passes.base import Pass
from nnspec.records import dataclass


@dataclass(frozen=True)
class Checkpoint(Pass):
    """Marks calls of blocks whose activations are computed again in the backward pass.

    Those are the blocks that the spec annotates, and those that are named in `blocks`. Emitted PyTorch runs
    such calls in `torch.utils.checkpoint` (Chen et al., 2016), emitted Keras in `keras.remat`, and the
    figures count them so. Raises `SpecError` for a name that is no block that is called, and for a block
    that keeps statistics of batches, which would be updated twice.
    """

    name: ClassVar[str] = "checkpoint"

    blocks: tuple[str, ...] = ()

    def run(self, program: Program) -> Program:
        for name in self.blocks:
            _require(program, name)
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


def _require(program: Program, name: str) -> None:
    """Raises `SpecError` unless a name is that of a block that can be computed again."""
    found: dict[str, list[Function]] = {}
    for caller in program.functions.values():
        for callee in program.callees(caller):
            found.setdefault(callee.name, []).append(callee)
    if name not in found:
        raise SpecError(
            "E0908",
            f"`{program.name}` calls no block named `{name}`",
            hint=did_you_mean(name, found) or _listed(found),
        )
    if any(map(program.keeps_statistics, found[name])):
        raise SpecError(
            "E0908",
            f"`{name}` keeps statistics of batches, and cannot be computed again",
            hint="they would be updated twice; name the blocks in it that keep none",
        )


def _listed(names: Iterable[str]) -> str:
    known = ", ".join(f"`{name}`" for name in names)
    return f"it calls {known}" if known else "it calls no blocks"
