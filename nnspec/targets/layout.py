"""The order of axes of every value in a backend that keeps channels last.

A permutation says for each physical place which logical axis lies there: (0, 2, 3, 1) for an image with
its channels last. Operators say what they want (`ops.base.Layout`); functions take their inputs in the
order that their first spatial use wants, or, where none does, in the order in which all callers have
them. So no axis moves inside a convolutional trunk; where orders conflict, the value is transposed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from nnspec.ir.graph import Function, Node, Program, values_of
from nnspec.ir.types import TensorType
from nnspec.ops.base import Layout
from nnspec.records import dataclass

Permutation = tuple[int, ...]


def logical(rank: int) -> Permutation:
    """The order that the spec means."""
    return tuple(range(rank))


def channels_last(rank: int) -> Permutation:
    """Axis 1 moved to the end."""
    return logical(rank) if rank < 3 else (0, *range(2, rank), 1)


@dataclass
class FunctionLayout:
    """The permutation of each value of a function, and of the inputs that each node wants."""

    values: dict[int, Permutation] = field(default_factory=dict[int, Permutation])
    wanted: dict[int, tuple[Permutation | None, ...]] = field(
        default_factory=dict[int, tuple[Permutation | None, ...]]
    )
    outputs: dict[str, Permutation] = field(default_factory=dict[str, Permutation])


def layouts(program: Program, *, moved: bool) -> Mapping[str, FunctionLayout]:
    """The layout of each function by key; the logical order everywhere unless `moved`."""
    if not moved:
        return {
            key: _logical_layout(function)
            for key, function in program.functions.items()
        }
    return _Planner(program).plan()


def _logical_layout(function: Function) -> FunctionLayout:
    values = {value: logical(kind.rank) for value, kind in function.types.items()}
    wanted: dict[int, tuple[Permutation | None, ...]] = {
        node.id: tuple(values[value] for value in node.values())
        for node in function.nodes
    }
    return FunctionLayout(values, wanted)


class _Planner:
    """Callees first: what each input of a function must be. Then callers first: what the free ones are."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.by_name: dict[str, list[Function]] = {}
        for function in program.functions.values():
            self.by_name.setdefault(_identity(function), []).append(function)
        # For each block: which of its inputs want channels last (None: whatever comes).
        self.demands: dict[str, list[bool | None]] = {}
        self.chosen: dict[str, list[bool]] = {}
        self.found: dict[str, FunctionLayout] = {}
        # What callers hand to the inputs of each block: whether all of them have channels last.
        self.offered: dict[tuple[str, int], bool] = {}

    def plan(self) -> Mapping[str, FunctionLayout]:
        for function in self.program.functions.values():  # callees come before callers
            self._demand(function)
        for function in self.program.functions.values():
            name = _identity(function)
            self.chosen.setdefault(name, [bool(each) for each in self.demands[name]])
        while True:
            self.offered = {}
            for function in self.program.functions.values():
                self.found[function.key] = self._lay_out(function)
            if not self._take_offers():
                return self.found

    def _take_offers(self) -> bool:
        """Lets inputs that take any order have channels last where every caller has them so."""
        taken = False
        for (name, place), moved in self.offered.items():
            if (
                moved
                and self.demands[name][place] is None
                and not self.chosen[name][place]
            ):
                self.chosen[name][place] = taken = True
        return taken

    def _demand(self, function: Function) -> None:
        values = _tensors(function)
        found = [self._wanted_of(function, value) for value in values]
        name = _identity(function)
        known = self.demands.get(name, found)
        self.demands[name] = [
            old if old is not None else new
            for old, new in zip(known, found, strict=True)
        ]

    def _wanted_of(self, function: Function, value: int) -> bool | None:
        """Whether the first use of a value that cares wants its channels last."""
        if function.types[value].rank < 3:
            return False
        reached = {value}
        for node in function.nodes:
            uses = [i for i, v in enumerate(node.values()) if v in reached]
            if not uses:
                continue
            demand = self._node_demand(function, node, uses[0])
            if demand is not None:
                return demand
            reached.update(
                v
                for v in node.outputs
                if function.types[v].rank == function.types[value].rank
            )
        return None

    def _node_demand(self, function: Function, node: Node, use: int) -> bool | None:
        if node.callee is not None:
            return self.demands[_identity(self.program.functions[node.callee])][use]
        if node.op is None:
            return None
        if node.op.layout is Layout.SPATIAL:
            return True
        if node.op.layout is Layout.LOGICAL:
            return False
        return None

    # ---- one function ----

    def _lay_out(self, function: Function) -> FunctionLayout:
        layout = FunctionLayout()
        chosen = self.chosen[_identity(function)]
        for value, moved in zip(_tensors(function), chosen, strict=True):
            rank = function.types[value].rank
            layout.values[value] = channels_last(rank) if moved else logical(rank)
        for node in function.nodes:
            self._node(function, node, layout)
        return layout

    def _node(self, function: Function, node: Node, layout: FunctionLayout) -> None:
        inputs = list(node.values())
        types = [function.types[value] for value in inputs]
        have = [layout.values[value] for value in inputs]
        results = [function.types[value] for value in node.outputs]
        if node.callee is not None:
            callee = self.program.functions[node.callee]
            inner = self.found[callee.key]
            self._offer(callee, have)
            layout.wanted[node.id] = tuple(
                inner.values[value] for value in _tensors(callee)
            )
            outs = [inner.values[v] for v in values_of(callee.outputs)]
            layout.values.update(zip(node.outputs, outs, strict=True))
            return
        free = moved_for_free(node, types, have)
        if free is not None:
            layout.wanted[node.id] = tuple(have)
            layout.values[node.outputs[0]] = free
            return
        wanted = self._op_wanted(node, types, have)
        layout.wanted[node.id] = wanted
        for value, kind in zip(node.outputs, results, strict=True):
            layout.values[value] = self._result(node, types, wanted, kind)

    def _offer(self, callee: Function, have: list[Permutation]) -> None:
        for place, order in enumerate(have):
            key = (_identity(callee), place)
            moved = len(order) > 2 and order == channels_last(len(order))
            self.offered[key] = self.offered.get(key, True) and moved

    def _op_wanted(
        self, node: Node, types: list[TensorType], have: list[Permutation]
    ) -> tuple[Permutation, ...]:
        kind = node.op.layout if node.op is not None else Layout.LOGICAL
        if kind is Layout.SPATIAL:
            return tuple(channels_last(t.rank) for t in types)
        if kind is Layout.LOGICAL or not types:
            return tuple(logical(t.rank) for t in types)
        rank = max(t.rank for t in types)
        moved = [
            h
            for t, h in zip(types, have, strict=True)
            if t.rank == rank and h != logical(rank)
        ]
        if not moved or any(1 < t.rank < rank for t in types):
            return tuple(logical(t.rank) for t in types)
        if any(t.rank == 1 for t in types) and rank > 1:
            return tuple(logical(t.rank) for t in types)
        return tuple(moved[0] if t.rank == rank else logical(t.rank) for t in types)

    def _result(
        self,
        node: Node,
        types: list[TensorType],
        wanted: tuple[Permutation, ...],
        kind: TensorType,
    ) -> Permutation:
        assert node.op is not None
        layout = node.op.layout
        if layout is Layout.SPATIAL:
            return channels_last(kind.rank)
        if layout is Layout.LOGICAL or not wanted:
            return logical(kind.rank)
        order = max(wanted, key=len)
        if kind.rank == len(order):
            return order
        removed = _removed_axes(node, len(order))
        if removed is None or len(order) - len(removed) != kind.rank:
            return logical(kind.rank)
        kept = [axis for axis in order if axis not in removed]
        ranks = {axis: place for place, axis in enumerate(sorted(kept))}
        return tuple(ranks[axis] for axis in kept)


def moved_for_free(
    node: Node, types: Sequence[TensorType], have: Sequence[Permutation | None]
) -> Permutation | None:
    """How the result of a node lies that only reorders axes, if nothing must move for that.

    That is so between images as the spec and as the backend orders their axes, and from the latter in
    sequences; other orders would only be moved back by what comes next.
    """
    order = node.op.reorders(*types) if node.op is not None else None
    if order is None or not have or have[0] is None:
        return None
    rank = len(order)
    lies = tuple(order.index(axis) for axis in have[0])
    orders = (have[0], lies)
    known = [(channels_last(rank), logical(rank))] if rank > 2 else []
    if rank > 3:
        known.append((logical(rank), channels_last(rank)))
    return lies if orders in known else None


def _removed_axes(node: Node, rank: int) -> set[int] | None:
    """The axes that a reduction takes away."""
    dims = getattr(node.op, "dim", None)
    if dims is None:
        return set(range(rank))
    given: tuple[Any, ...] = dims if isinstance(dims, tuple) else (dims,)  # pyright: ignore[reportUnknownVariableType]
    return {int(axis) % rank for axis in given}


def _identity(function: Function) -> str:
    """What the specialisations of one block have in common, if they take as many tensors."""
    return f"{function.name}@{function.location}#{len(_tensors(function))}"


def _tensors(function: Function) -> list[int]:
    return list(values_of(function.inputs))
