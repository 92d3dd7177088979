"""Frozen parts that hold batch statistics, which must stay as they are in training as well."""

from __future__ import annotations

from nnspec.ir.graph import Function, Node, Program


def frozen_statistics(program: Program, function: Function) -> frozenset[str]:
    """The labels of such parts of a function; "" for all of it."""
    if function.marks.frozen:
        return frozenset({""} if _has_statistics(program, function) else ())
    return frozenset(
        str(node.path[0])
        for node in function.nodes
        if node.marks.frozen
        and node.owns
        and _node_has_statistics(program, function, node)
    )


def _has_statistics(program: Program, function: Function) -> bool:
    return any(_node_has_statistics(program, function, n) for n in function.nodes)


def _node_has_statistics(program: Program, function: Function, node: Node) -> bool:
    if node.callee is not None:
        return _has_statistics(program, program.functions[node.callee])
    weights = function.node_weights(node).values()
    return any(not weight.trainable for weight in weights)
