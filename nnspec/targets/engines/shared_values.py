"""What stands in front of operators that work on shares: the share of a value, of a weight, or of chance.

`nnspec.analysis.sharding.walk` says which values those are. Each is a node of its own, before each of its readers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace

from nnspec.analysis.sharding.parts import Part
from nnspec.ir.dims import dim
from nnspec.ir.graph import (
    Argument,
    Branch,
    Function,
    Item,
    Iteration,
    Loop,
    Node,
    Step,
    counted,
)
from nnspec.ir.types import TensorType
from nnspec.ops.attention import Attention
from nnspec.ops.base import Operator, field_terms
from nnspec.ops.random import Dropout
from nnspec.records import dataclass
from nnspec.targets.engines.split_operators import (
    ApartAttention,
    ApartDropout,
    OwnShare,
    OwnTable,
    Summed,
)


def with_shared_values(function: Function, parts: Sequence[Part]) -> Function:
    """The function with what its parts take, sum, hold and draw, as operators of the engine."""
    if not any(p.taken or p.summed or p.tables or p.apart for p in parts):
        return function
    adding = _Adding(function, max(function.types, default=0) + 1)
    for part in parts:
        adding.part(part)
    return adding.result()


@dataclass(slots=True)
class _Adding:
    """Nodes in front of those of a function, and those that stand in their place."""

    function: Function
    free: int
    """The next number of a value."""
    before: dict[int, list[Node]] = field(default_factory=dict[int, list[Node]])
    instead: dict[int, Node] = field(default_factory=dict[int, Node])
    types: dict[int, TensorType] = field(default_factory=dict[int, TensorType])

    def part(self, part: Part) -> None:
        layer = self.function.nodes[min(part.columns)]
        held = {self.function.nodes[number].outputs[0] for number in part.tables}
        for number in sorted(part.inner):
            for value in dict.fromkeys(self.function.nodes[number].values()):
                if value in part.taken:
                    axis = part.taken[value].axis
                    self._replace(number, value, OwnShare(axis=dim(axis)), layer)
                elif value in part.summed:
                    self._replace(number, value, Summed(), layer)
                elif value in held:
                    self._replace(number, value, OwnTable(), None)
            if number in part.apart:
                self._draw_apart(number, layer)

    def _replace(
        self, number: int, value: int, op: Operator, layer: Node | None
    ) -> None:
        """Lets a node read what an operator makes of a value."""
        reader = self.instead.get(number, self.function.nodes[number])
        like = () if layer is None else (self._weight_of(layer, number),)
        own = self._add(number, op, (value, *like), self.function.types[value])
        inputs = tuple(_renamed(each, value, own) for each in reader.inputs)
        self.instead[number] = replace(reader, inputs=inputs)

    def _draw_apart(self, number: int, layer: Node) -> None:
        node = self.instead.get(number, self.function.nodes[number])
        op = node.op
        assert isinstance(op, Attention | Dropout)
        made = ApartAttention if isinstance(op, Attention) else ApartDropout
        inputs = (*node.inputs, self._weight_of(layer, number))
        self.instead[number] = replace(node, op=made(**field_terms(op)), inputs=inputs)

    def _weight_of(self, layer: Node, number: int) -> int:
        """The weight of a layer, read in front of a node."""
        assert layer.op is not None
        kind = TensorType(self.function.node_weights(layer)["weight"].shape)
        loops = counted(layer.path, layer.loops, self.function.around[number])
        read = replace(layer, inputs=(), loops=loops, weight="weight", owns=False)
        return self._put(number, read, kind)

    def _add(
        self, number: int, op: Operator, inputs: tuple[int, ...], kind: TensorType
    ) -> int:
        reader = self.function.nodes[number]
        path = (type(op).__name__.lower(),)
        node = Node(reader.id, inputs, (), path, reader.location, op=op)
        return self._put(number, node, kind)

    def _put(self, number: int, node: Node, kind: TensorType) -> int:
        value, self.free = self.free, self.free + 1
        self.before.setdefault(number, []).append(replace(node, outputs=(value,)))
        self.types[value] = kind
        return value

    def result(self) -> Function:
        """The function, its nodes numbered anew."""
        nodes: list[Node] = []
        steps: dict[int, list[int]] = {}
        for node in self.function.nodes:
            own = self.instead.get(node.id, node)
            for each in (*self.before.get(node.id, ()), own):
                steps.setdefault(node.id, []).append(len(nodes))
                nodes.append(replace(each, id=len(nodes)))
        return replace(
            self.function,
            nodes=tuple(nodes),
            types={**self.function.types, **self.types},
            structure=tuple(_items(self.function.structure, steps)),
        )


def _renamed(argument: Argument, value: int, other: int) -> Argument:
    if isinstance(argument, tuple):
        return tuple(other if each == value else each for each in argument)
    return other if argument == value else argument


def _items(items: Sequence[Item], steps: Mapping[int, Sequence[int]]) -> Iterator[Item]:
    """A structure with the new numbers of nodes, several in place of one."""
    for item in items:
        match item:
            case Step(node=node):
                yield from map(Step, steps[node])
            case Branch(body=body):
                yield replace(item, body=tuple(_items(body, steps)))
            case Loop(iterations=turns):
                made = (
                    Iteration(t.values, tuple(_items(t.body, steps))) for t in turns
                )
                yield replace(item, iterations=tuple(made))
            case _:
                yield item
