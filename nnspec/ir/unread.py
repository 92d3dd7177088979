"""Layers whose results nothing reads: they have weights and no part in what a model gives."""

from __future__ import annotations

from collections.abc import Iterator

from nnspec.diagnostics import Diagnostic, Severity
from nnspec.ir.graph import Function, Node, Path, Program, dotted, values_of


def unread_layers(program: Program) -> Iterator[Node]:
    """The first use of each layer with weights that no output of its block hangs on, by any use."""
    for function in program.functions.values():
        alive = _alive(function)
        for node in function.instances.values():
            if node.path not in alive and program.has_weights(function, node):
                yield node


def unread_nodes(function: Function) -> list[Node]:
    """The nodes that no output of a function hangs on, in order."""
    read = set(values_of(function.outputs))
    found: list[Node] = []
    for node in reversed(function.nodes):
        if read.isdisjoint(node.outputs):
            found.append(node)
        else:
            read.update(node.values())
    return found[::-1]


def _alive(function: Function) -> set[Path]:
    """The paths of the layers that outputs hang on."""
    unread = {node.id for node in unread_nodes(function)}
    return {node.path for node in function.nodes if node.id not in unread}


def warnings(program: Program) -> tuple[Diagnostic, ...]:
    """What to tell whoever compiles a program for Keras, which makes weights where a layer is applied: each place once."""
    places = {node.location.span: node for node in reversed([*unread_layers(program)])}
    return tuple(
        Diagnostic(
            "W0602",
            f"nothing reads what `{dotted(node.path)}` gives, so the Keras program lacks its weights",
            node.location,
            hint="use it, or delete it",
            severity=Severity.WARNING,
        )
        for node in reversed(places.values())
    )
