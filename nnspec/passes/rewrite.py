"""Functions with some of their nodes taken out, structure and all."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from nnspec.ir.graph import (
    Argument,
    Binding,
    Branch,
    Function,
    Item,
    Iteration,
    Loop,
    Port,
    Result,
    Step,
)
from nnspec.records import dataclass


def without_nodes(
    function: Function, removed: Collection[int], instead: Mapping[int, int]
) -> Function:
    """The function without some nodes (by id), their results replaced by other values.

    A result that has no replacement must have no use. Nodes are numbered anew; values keep their numbers.
    """
    if not removed:
        return function
    gone = {v for node in function.nodes if node.id in removed for v in node.outputs}
    kept = [node for node in function.nodes if node.id not in removed]
    places = {node.id: place for place, node in enumerate(kept)}
    rewriting = _Rewriting(places, gone, instead)
    nodes = tuple(
        replace(
            node,
            id=places[node.id],
            inputs=rewriting.arguments(node.inputs),
            lists={},
        )
        for node in kept
    )
    return replace(
        function,
        nodes=nodes,
        outputs=tuple(rewriting.port(port) for port in function.outputs),
        types={v: kind for v, kind in function.types.items() if v not in gone},
        structure=rewriting.items(function.structure),
    )


@dataclass(frozen=True)
class _Rewriting:
    """The new numbers of nodes, the values that are gone, and what stands in for them."""

    places: Mapping[int, int]
    gone: Collection[int]
    instead: Mapping[int, int]

    def value(self, value: int) -> int:
        """What stands for a value; several removed nodes may stand in a row."""
        while value in self.instead:
            value = self.instead[value]
        return value

    def arguments(self, arguments: tuple[Argument, ...]) -> tuple[Argument, ...]:
        return tuple(self._argument(argument) for argument in arguments)

    def _argument(self, argument: Argument) -> Argument:
        if isinstance(argument, tuple):
            return tuple(self.value(value) for value in argument)
        return None if argument is None else self.value(argument)

    def port(self, port: Port) -> Port:
        return replace(port, values=self._argument(port.values))

    def items(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """The items of a structure; those of what is gone are dropped."""
        found = (self._item(item) for item in items)
        return tuple(item for item in found if item is not None)

    def _item(self, item: Item) -> Item | None:
        match item:
            case Step(node=node):
                return Step(self.places[node]) if node in self.places else None
            case Binding(name=name, value=value):
                known = self.value(value)
                return None if known in self.gone else Binding(name, known)
            case Branch(body=body):
                return replace(item, body=self.items(body))
            case Loop():
                return self._loop(item)
            case Result(values=values):
                return Result(self.arguments(values))
            case _:
                return item

    def _loop(self, loop: Loop) -> Loop:
        carried = {
            name: tuple(self.value(value) for value in values)
            for name, values in loop.carried.items()
        }
        return replace(
            loop.without_lists(),
            iterations=tuple(
                Iteration(turn.values, self.items(turn.body))
                for turn in loop.iterations
            ),
            carried={
                name: values
                for name, values in carried.items()
                if not any(value in self.gone for value in values)
            },
        )
