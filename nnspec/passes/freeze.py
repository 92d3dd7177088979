"""`freeze`: what `@frozen` says of a block is said of every layer in it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from nnspec.ir.graph import Function, Marks, Node, Program
from nnspec.passes.base import Pass
from nnspec.records import dataclass


@dataclass(frozen=True)
class Freeze(Pass):
    """Spreads `@frozen` from calls and functions to the layers inside.

    A block that is used both ways becomes two functions.
    """

    name: ClassVar[str] = "freeze"

    def run(self, program: Program) -> Program:
        modes = _modes(program)
        if not any(True in found for found in modes.values()):
            return program
        functions: dict[str, Function] = {}
        for key, function in program.functions.items():
            for frozen in sorted(modes.get(key, ())):
                made = _in_mode(program, function, modes, frozen)
                functions[made.key] = made
        return replace(program, functions=functions)


def _modes(program: Program) -> dict[str, set[bool]]:
    """How each function is used: trained, frozen, or both ways."""
    found: dict[str, set[bool]] = {}
    waiting = [(program.entry, program.main.marks.frozen)]
    while waiting:
        key, frozen = waiting.pop()
        if frozen in found.setdefault(key, set()):
            continue
        found[key].add(frozen)
        for node in program.functions[key].nodes:
            if node.callee is not None:
                waiting.append((node.callee, _call_frozen(program, node, frozen)))
    return found


def _call_frozen(program: Program, node: Node, frozen: bool) -> bool:
    assert node.callee is not None
    return frozen or node.marks.frozen or program.functions[node.callee].marks.frozen


def _in_mode(
    program: Program, function: Function, modes: dict[str, set[bool]], frozen: bool
) -> Function:
    return replace(
        function,
        key=_key(function.key, modes, frozen),
        nodes=tuple(_node(program, node, modes, frozen) for node in function.nodes),
        marks=_marks(function.marks, frozen),
    )


def _node(
    program: Program, node: Node, modes: dict[str, set[bool]], frozen: bool
) -> Node:
    marks = _marks(node.marks, frozen)
    if node.callee is None:
        return node if marks == node.marks else replace(node, marks=marks)
    inside = _call_frozen(program, node, frozen)
    callee = _key(node.callee, modes, inside)
    return replace(node, marks=_marks(node.marks, inside), callee=callee)


def _marks(marks: Marks, frozen: bool) -> Marks:
    return replace(marks, frozen=True) if frozen else marks


def _key(key: str, modes: dict[str, set[bool]], frozen: bool) -> str:
    return f"{key}:frozen" if frozen and len(modes[key]) > 1 else key
