"""The flat view of a program: one graph of operators, calls spread out, for drawing and placement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from nnspec.diagnostics import SpecError
from nnspec.ir.graph import (
    Argument,
    Function,
    Marks,
    Node,
    Path,
    Program,
    dotted,
    spread,
)
from nnspec.records import dataclass

if TYPE_CHECKING:
    from networkx import MultiDiGraph

    Graph: TypeAlias = MultiDiGraph[str]

MOST_NODES = 200_000


@dataclass(frozen=True)
class _Source:
    """Where a value comes from: a node of the graph, and which of its results."""

    node: str
    result: int


_Given: TypeAlias = "_Source | tuple[_Source, ...] | None"


def flat_view(program: Program) -> Graph:
    """A directed graph whose nodes are inputs, operators and outputs, by unique names.

    Attributes of nodes: `kind` (input, operator, weight, output), `path` (dotted, "" for inputs), `op`
    (the operator or None), `types` (of the results), `marks`. Attributes of edges: `result` (which
    result of the source), `input` (which input of the target). Raises `SpecError` (E0502) for a program
    that spreads out to too many nodes.
    """
    from networkx import MultiDiGraph

    view = _View(program, MultiDiGraph())
    main = program.main
    given: list[_Given] = []
    for port in main.inputs:
        name = f"input:{port.name}"
        types = tuple(main.types[value] for value in spread(port.values))
        view.graph.add_node(
            name, kind="input", path="", op=None, types=types, marks=main.marks
        )
        given.append(_Source(name, 0))
    results = view.spread(main, given, (), main.marks)
    for port, result in zip(main.outputs, results, strict=True):
        name = f"output:{port.name}"
        types = tuple(main.types[value] for value in spread(port.values))
        view.graph.add_node(
            name, kind="output", path="", op=None, types=types, marks=main.marks
        )
        view.connect(result, name, 0)
    return view.graph


class _View:
    """The graph while it grows."""

    def __init__(self, program: Program, graph: Graph) -> None:
        self.program = program
        self.graph = graph

    def spread(
        self, function: Function, given: Sequence[_Given], prefix: Path, marks: Marks
    ) -> tuple[_Given, ...]:
        """Adds the nodes of one call; gives the sources of the function's outputs."""
        sources: dict[int, _Source] = {}
        for port, source in zip(function.inputs, given, strict=True):
            items = source if isinstance(source, tuple) else (source,)
            for value, item in zip(spread(port.values), items, strict=False):
                if item is not None:
                    sources[value] = item
        for node in function.nodes:
            self._node(function, node, sources, prefix, marks)
        return tuple(_picked(port.values, sources) for port in function.outputs)

    def _node(
        self,
        function: Function,
        node: Node,
        sources: dict[int, _Source],
        prefix: Path,
        marks: Marks,
    ) -> None:
        path = (*prefix, *node.path)
        inner = _joined(marks, node.marks)
        given = [_picked(argument, sources) for argument in node.inputs]
        if node.callee is not None:
            callee = self.program.functions[node.callee]
            results = self.spread(callee, given, path, _joined(inner, callee.marks))
            for value, result in zip(node.outputs, results, strict=True):
                if isinstance(result, _Source):
                    sources[value] = result
            return
        name = self._add(function, node, path, inner)
        for place, source in enumerate(given):
            self.connect(source, name, place)
        for place, value in enumerate(node.outputs):
            sources[value] = _Source(name, place)

    def _add(self, function: Function, node: Node, path: Path, marks: Marks) -> str:
        number = self.graph.number_of_nodes()
        if number >= MOST_NODES:
            message = f"this model spreads out to more than {MOST_NODES:,} operations"
            raise SpecError("E0502", message, node.location)
        name = f"{number}:{dotted(path)}"
        self.graph.add_node(
            name,
            kind="operator" if node.weight is None else "weight",
            path=dotted(path),
            op=node.op,
            types=function.results(node),
            marks=marks,
        )
        return name

    def connect(self, source: _Given, target: str, place: int) -> None:
        """Edges from one source or several to an input of a node."""
        for item in source if isinstance(source, tuple) else (source,):
            if item is not None:
                self.graph.add_edge(item.node, target, result=item.result, input=place)


def _picked(argument: Argument, sources: dict[int, _Source]) -> _Given:
    if isinstance(argument, tuple):
        return tuple(sources[value] for value in argument)
    return None if argument is None else sources[argument]


def _joined(outer: Marks, inner: Marks) -> Marks:
    """The marks inside of a call: its own, and those of what is around it."""
    return Marks(
        outer.frozen or inner.frozen,
        outer.checkpoint or inner.checkpoint,
        inner.device or outer.device,
    )


__all__ = ["MOST_NODES", "flat_view"]
