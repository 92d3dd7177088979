"""Below what the integer inputs of a model must be, found from what looks them up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from nnspec.ir.dims import Dim
from nnspec.ir.graph import Function, Node, Program, spread, values_of
from nnspec.ir.types import TensorType
from nnspec.ops.indexing import Gather, OneHot, ScatterAdd, Take
from nnspec.ops.linear import Embedding
from nnspec.records import dataclass


@dataclass
class _Facts:
    """Of each input of a function: the limits on its way, and the outputs that it reaches."""

    limits: dict[int, list[Dim]] = field(default_factory=dict[int, list[Dim]])
    outputs: list[frozenset[int]] = field(default_factory=list[frozenset[int]])


def index_limits(program: Program) -> Mapping[int, Sequence[Dim]]:
    """For each input of the model by its place: the sizes that its elements must be less than."""
    known: dict[str, _Facts] = {}
    for function in program.functions.values():  # callees come before callers
        known[function.key] = _facts(function, known)
    found = known[program.entry].limits
    return {place: found.get(place, []) for place in range(len(program.main.inputs))}


def _facts(function: Function, known: Mapping[str, _Facts]) -> _Facts:
    facts = _Facts()
    reached: dict[int, frozenset[int]] = {}
    for place, value in enumerate(values_of(function.inputs)):
        if function.types[value].dtype.is_integer:
            reached[value] = frozenset({place})
    for node in function.nodes:
        given = list(node.values())
        origins = [reached.get(value, frozenset()) for value in given]
        if not any(origins):
            continue
        if node.callee is not None:
            _through(facts, known[node.callee], origins, node, reached)
        else:
            _at(facts, function, node, reached)
    facts.outputs = [
        reached.get(value, frozenset()) for value in values_of(function.outputs)
    ]
    return facts


def _through(
    facts: _Facts,
    callee: _Facts,
    origins: Sequence[frozenset[int]],
    node: Node,
    reached: dict[int, frozenset[int]],
) -> None:
    for place, limits in callee.limits.items():
        for origin in origins[place]:
            facts.limits.setdefault(origin, []).extend(limits)
    for value, places in zip(node.outputs, callee.outputs, strict=True):
        reached[value] = frozenset().union(*(origins[place] for place in places))


def _at(
    facts: _Facts, function: Function, node: Node, reached: dict[int, frozenset[int]]
) -> None:
    assert node.op is not None
    limit = _looked_up(node.op, function.node_types(node))
    if limit is not None:
        name, size = limit
        argument = node.inputs[type(node.op).inputs.index(name)]
        for value in spread(argument):
            for origin in reached.get(value, frozenset()):
                facts.limits.setdefault(origin, []).append(size)
        return
    origins = frozenset[int]().union(
        *(reached.get(value, frozenset()) for value in node.values())
    )
    for value in node.outputs:
        if function.types[value].dtype.is_integer:
            reached[value] = origins


def _looked_up(op: Any, types: tuple[Any, ...]) -> tuple[str, Dim] | None:
    """The input of an operator that holds places, and how many places there are."""
    match op:
        case Embedding():
            return "ids", op.entries
        case OneHot():
            return "index", op.classes
        case Gather() | Take() | ScatterAdd():
            x: TensorType = types[0]
            return "index", x.shape[int(op.dim) % x.rank]
        case _:
            return None
