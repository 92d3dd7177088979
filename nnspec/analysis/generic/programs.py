"""A traced program as a program again, whose sizes are formulas in the constants of the model.

Nodes and loops are those that elaboration left, so it has as many turns as the constants say; of loops that
may take any number of turns it is known how many they stand for (`Turns`), and of stacks of layers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nnspec.analysis.generic.loops import ROUND, TURN
from nnspec.analysis.generic.parts import Part, restored
from nnspec.analysis.generic.quotients import Quotients
from nnspec.analysis.memory.rolling import Turns, Unlike
from nnspec.analysis.memory.turns import RUN
from nnspec.ir.dims import Dim, dim
from nnspec.ir.graph import Function, Loop, Node, Program
from nnspec.ir.slices import Range
from nnspec.ir.types import TensorType
from nnspec.ops.base import Operator, replaced
from nnspec.ops.checked import fields_of
from nnspec.ops.random import RandomDrop

if TYPE_CHECKING:
    from nnspec.analysis.generic.trace import Outcome


RATES = "a rate is 0 in some turns of its loop"

LAYERS = 1 + RUN
"""How many layers are run of a stack of any number: one that the others may be unlike, and these."""


class Undecided(Exception):
    """What the program does hangs on the values of some constants, the `names`."""

    def __init__(self, message: str, names: frozenset[str]) -> None:
        super().__init__(message)
        self.names = names


class Symbolic:
    """The program of an outcome, and the loops that stand for more turns than they take.

    Unless it `drops`, rates of dropout do not matter.
    """

    def __init__(
        self,
        program: Program,
        outcome: Outcome,
        quotients: Quotients,
        parts: Sequence[Part],
        *,
        drops: bool,
    ) -> None:
        self._quotients = quotients
        self._parts = parts
        self._drops = drops
        self._functions: dict[str, Function] = {}
        self.turns: dict[str, Mapping[Loop, Turns]] = {}
        # How many layers nodes have that are stacks of any number, by function and number of the node.
        self.stacks: dict[str, dict[int, Dim]] = {}
        for each in outcome.reached():
            self._functions[each.name] = self._function(each)
            self.turns[each.name] = self._turns(each)
        self.program = replace(
            program, entry=outcome.name, functions=self._functions, budgets=()
        )

    def _function(self, outcome: Outcome) -> Function:
        made = outcome.made
        listed = [r.loop for loop, r in made.repeated.items() if loop.lists]
        listed += [r.loop for loop, r in made.repeated.items() if loop.elements]
        if listed:
            raise Unlike("what its turns make is in a list", frozenset(listed))
        for node, loops in made.unsteady.items():
            if self._drops or not isinstance(made.operators[node], RandomDrop):
                raise Unlike(RATES, loops)
        function = made.function
        types = {v: self._said(k, function.types[v]) for v, k in made.given.items()}
        return replace(
            function,
            key=outcome.name,
            nodes=tuple(self._node(node, outcome) for node in function.nodes),
            types={**function.types, **types},
        )

    def _node(self, node: Node, outcome: Outcome) -> Node:
        if node.callee is not None:
            return replace(node, callee=outcome.made.called[node.id].name)
        made = outcome.made
        owner = node
        if node.id not in made.operators and node.weight is not None:
            # A read of a weight has the operator of the layer that owns it.
            owners = (n for n in made.function.nodes if n.path == node.path)
            owner = next((n for n in owners if n.id in made.operators), node)
        op = made.operators.get(owner.id, node.op)
        if op is None:
            return node
        said = self._operator(op, owner.op)
        return replace(node, op=self._stacked(node, said, outcome))

    def _stacked(self, node: Node, op: Operator, outcome: Outcome) -> Operator:
        """An operator that is a stack of any number of layers, with as many as are run for them.

        Not where a layer's weights are read besides: then it is not like the others.
        """
        name = op.stacked
        count = None if name is None else getattr(op, name)
        nodes = outcome.made.function.nodes
        if not isinstance(count, Dim) or count.is_constant or name is None:
            return op
        if any(each.path == node.path and each.weight is not None for each in nodes):
            return op
        self.stacks.setdefault(outcome.name, {})[node.id] = count.value
        return replaced(op, **{name: dim(LAYERS).named(count.generic)})

    def _operator(self, op: Operator, own: Operator | None) -> Operator:
        fields = {
            name: self._said(getattr(op, name), getattr(own, name, None))
            for name in fields_of(type(op))
        }
        return replaced(op, **fields)

    def _turns(self, outcome: Outcome) -> Mapping[Loop, Turns]:
        return {
            loop: Turns(
                each.first, each.last, self._said(each.count), each.period, each.loop
            )
            for loop, each in outcome.made.repeated.items()
        }

    def _said(self, value: Any, own: Any = None) -> Any:
        """A value in the constants of the model; what is emitted hangs on how its block calls it as its `own`."""
        return mapped(value, own, self._size)

    def _size(self, size: Dim) -> Dim:
        found = self._quotients.multiplied(size.generic)
        turns = [name for name in found.symbols() if name.startswith((TURN, ROUND))]
        if turns:
            loops = frozenset(name.partition("@")[2] for name in turns)
            raise Unlike("a size changes from turn to turn of its loop", loops)
        for part in self._parts:
            if part.symbol in found.symbols() and part.divisor.constant is None:
                names = frozenset(part.divisor.symbols())
                raise Undecided("a size is a multiple of a power", names)
        return restored(found, self._parts)


def mapped(value: Any, own: Any, change: Callable[[Dim], Dim]) -> Any:
    """A value with each size in it changed, and known in its block as the same size of its `own` value is."""
    match value:
        case Dim():
            changed = change(value)
            return changed.named(own.generic) if isinstance(own, Dim) else changed
        case TensorType():
            shape = mapped(value.shape, own.shape if own else None, change)
            return TensorType(shape, value.dtype)
        case Range():
            bounds = (value.start, value.stop, value.step)
            known = (own.start, own.stop, own.step) if own else None
            return Range(*mapped(bounds, known, change))
        case tuple():
            items: Any = value  # pyright: ignore[reportUnknownVariableType]
            pairs = zip(items, own or (None,) * len(items), strict=True)
            return tuple(mapped(item, each, change) for item, each in pairs)
        case dict():
            table: Any = value  # pyright: ignore[reportUnknownVariableType]
            known: Any = own or {}
            return {n: mapped(v, known.get(n), change) for n, v in table.items()}
        case _:
            return value
