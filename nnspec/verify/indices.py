"""Below what the integer inputs of a model must be, found from what looks them up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any, TypeAlias

from nnspec.ir.dims import Dim
from nnspec.ir.graph import Function, Node, Program, spread, values_of
from nnspec.ir.types import TensorType
from nnspec.ops.arithmetic import Add
from nnspec.ops.creation import LiteralTensor
from nnspec.ops.indexing import Gather, OneHot, ScatterAdd, Take
from nnspec.ops.linear import Embedding
from nnspec.records import dataclass

Reached: TypeAlias = Mapping[int, int]
"""The inputs, by their places, that reach a value, each with the most that was added on its way."""


@dataclass
class _Facts:
    """Of each input of a function: the limits on its way, and of each output what reaches it."""

    limits: dict[int, list[Dim]] = field(default_factory=dict[int, list[Dim]])
    outputs: list[Reached] = field(default_factory=list["Reached"])


def index_limits(program: Program) -> Mapping[int, Sequence[Dim]]:
    """For each input of the model by its place: the sizes that its elements must be less than."""
    known: dict[str, _Facts] = {}
    for function in program.functions.values():  # callees come before callers
        known[function.key] = _facts(function, known)
    found = known[program.entry].limits
    return {place: found.get(place, []) for place in range(len(program.main.inputs))}


def _facts(function: Function, known: Mapping[str, _Facts]) -> _Facts:
    facts = _Facts()
    reached: dict[int, Reached] = {}
    for place, value in enumerate(values_of(function.inputs)):
        if function.types[value].dtype.is_integer:
            reached[value] = {place: 0}
    for node in function.nodes:
        given = list(node.values())
        origins = [reached.get(value, {}) for value in given]
        if not any(origins):
            continue
        if node.callee is not None:
            _through(facts, known[node.callee], origins, node, reached)
        else:
            _at(facts, function, node, reached)
    facts.outputs = [reached.get(value, {}) for value in values_of(function.outputs)]
    return facts


def _through(
    facts: _Facts,
    callee: _Facts,
    origins: Sequence[Reached],
    node: Node,
    reached: dict[int, Reached],
) -> None:
    for place, limits in callee.limits.items():
        for limit in limits:
            _limit(facts, origins[place], limit)
    for value, places in zip(node.outputs, callee.outputs, strict=True):
        reached[value] = _most(
            _further(origins[place], added) for place, added in places.items()
        )


def _limit(facts: _Facts, origins: Reached, limit: Dim) -> None:
    for place, added in origins.items():
        facts.limits.setdefault(place, []).append(limit - added)


def _further(origins: Reached, added: int) -> Reached:
    return {place: before + added for place, before in origins.items()}


def _most(several: Iterable[Reached]) -> Reached:
    found: dict[int, int] = {}
    for origins in several:
        for place, added in origins.items():
            found[place] = max(added, found.get(place, added))
    return found


def _at(
    facts: _Facts, function: Function, node: Node, reached: dict[int, Reached]
) -> None:
    assert node.op is not None
    limit = _looked_up(node.op, function.node_types(node))
    if limit is not None:
        name, size = limit
        argument = node.inputs[type(node.op).inputs.index(name)]
        for value in spread(argument):
            _limit(facts, reached.get(value, {}), size)
        return
    origins = _most(reached.get(value, {}) for value in node.values())
    for value in node.outputs:
        if function.types[value].dtype.is_integer:
            reached[value] = _further(origins, _added(function, node))


def _added(function: Function, node: Node) -> int:
    """The most that an operator adds to ids: offsets into one table that serves several columns."""
    if not isinstance(node.op, Add):
        return 0
    given = (node.op.x_value, node.op.y_value)
    scalars = [int(s) for s in given if isinstance(s, Dim) and s.is_constant]
    read = set(node.values())
    lists = [
        int(max(other.op.numbers))
        for other in function.nodes
        if isinstance(other.op, LiteralTensor) and not read.isdisjoint(other.outputs)
    ]
    return max((0, *scalars, *lists))


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
