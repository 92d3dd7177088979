"""Cutting a program into stages: programs of their own, each with some of the nodes of the model.

Stages stand in a line. Each takes what comes out of the one before it, and what later ones need of
earlier ones goes through those between (it is relayed). An instance that several stages use is made in
each of them; its copies have to be kept alike by whoever runs the stages (`tied`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from nnspec.elaboration.escaping import constants_outside
from nnspec.ir.dims import dim
from nnspec.ir.graph import (
    Binding,
    Branch,
    Function,
    Item,
    Iteration,
    Loop,
    Node,
    Parameter,
    Path,
    Port,
    Program,
    Requirement,
    Result,
    Step,
    counted,
    dotted,
    nodes_in,
    spread,
    turns_around,
    values_of,
    walk,
)
from nnspec.ir.names_read import (
    changing_constants,
    names_of_function,
    names_of_turn,
)
from nnspec.ir.terms import Term, literal
from nnspec.ops.creation import Param
from nnspec.records import dataclass


@dataclass(frozen=True)
class Copy:
    """A weight in one of the stages: the stage, and its path there."""

    stage: int
    path: str


@dataclass(frozen=True)
class Stages:
    """The stages of a program.

    `paths` gives for each stage where its instances stand in the model, by where they stand in the
    stage. `tied` gives the copies of each weight that several stages hold, by its path in the model.
    """

    programs: tuple[Program, ...]
    paths: tuple[Mapping[str, str], ...]
    tied: Mapping[str, tuple[Copy, ...]]


def staged(program: Program, stage_of: Sequence[int]) -> Stages:
    """The stages of a program, given the stage of each node of its main function, by number.

    No node may read from a later stage. Every stage up to the last must have a node.
    """
    borders = _borders(program.main, stage_of)
    makers = [
        _Stage(program, stage_of, number, *border)
        for number, border in enumerate(borders)
    ]
    programs = tuple(maker.program_of_stage() for maker in makers)
    paths = tuple(maker.paths for maker in makers)
    return Stages(programs, paths, _tied(program, makers))


def _borders(
    main: Function, stage_of: Sequence[int]
) -> list[tuple[list[int], list[int]]]:
    """For each stage the values that come in and those that go out, in order."""
    count = max(stage_of) + 1
    made = dict.fromkeys(values_of(main.inputs), 0)
    needed = dict.fromkeys(values_of(main.outputs), count - 1)
    for node in main.nodes:
        stage = stage_of[node.id]
        made.update((value, stage) for value in node.outputs)
        for value in node.values():
            needed[value] = max(needed.get(value, 0), stage)
    passed = [
        [v for v in made if made[v] <= border < needed.get(v, -1)]
        for border in range(count - 1)
    ]
    first, last = list(values_of(main.inputs)), list(values_of(main.outputs))
    return list(zip([first, *passed], [*passed, last], strict=True))


def _tied(program: Program, makers: Sequence[_Stage]) -> dict[str, tuple[Copy, ...]]:
    """The weights of instances that more than one stage makes."""
    found: dict[str, list[Copy]] = {}
    for maker in makers:
        for path, weights in maker.weights.items():
            for name in weights:
                whole, here = _joined(maker.paths[path], name), _joined(path, name)
                found.setdefault(whole, []).append(Copy(maker.number, here))
    return {path: tuple(copies) for path, copies in found.items() if len(copies) > 1}


def _joined(*parts: str) -> str:
    return ".".join(part for part in parts if part)


class _Stage:
    """The program of one stage."""

    def __init__(
        self,
        program: Program,
        stage_of: Sequence[int],
        number: int,
        inputs: list[int],
        outputs: list[int],
    ) -> None:
        self.program = program
        self.main = program.main
        self.number = number
        self.inputs, self.outputs = inputs, outputs
        self.kept = [node for node in self.main.nodes if stage_of[node.id] == number]
        self.places = {node.id: place for place, node in enumerate(self.kept)}
        self.known = set(inputs) | {v for node in self.kept for v in node.outputs}
        self.paths: dict[str, str] = {}
        self.weights: dict[str, tuple[str, ...]] = {}

    def program_of_stage(self) -> Program:
        """The stage as a program."""
        name = f"{self.program.name}Stage{self.number}"
        structure = (*self._items(self.main.structure), self._result())
        around = dict(turns_around(structure))
        nodes = (self._node(node) for node in self.kept)
        nodes = tuple(
            replace(node, loops=counted(node.path, node.loops, around[node.id]))
            for node in nodes
        )
        kinds = {v: self.main.types[v] for v in sorted(self.known)}
        main = replace(
            self.main,
            key=f"{self.main.key}:stage{self.number}",
            name=f"{self.main.name}Stage{self.number}",
            inputs=self._in_ports(),
            outputs=self._out_ports(),
            nodes=nodes,
            types=kinds,
            structure=structure,
        )
        main = replace(main, parameters=_read(main))
        functions = {
            key: each
            for key, each in self.program.functions.items()
            if key != self.main.key
        }
        symbols = {
            s for kind in kinds.values() for d in kind.shape for s in d.symbols()
        }
        return replace(
            self.program,
            name=name,
            entry=main.key,
            functions=_reachable({**functions, main.key: main}, main.key),
            symbols=tuple(s for s in self.program.symbols if s in symbols),
            budgets=(),
        )

    # ---- ports ---------------------------------------------------------------------------

    def _in_ports(self) -> tuple[Port, ...]:
        if self.number == 0:
            return self.main.inputs
        return self._named(self.inputs)

    def _out_ports(self) -> tuple[Port, ...]:
        if self.outputs == list(values_of(self.main.outputs)) and all(
            not port.listed for port in self.main.outputs
        ):
            return self.main.outputs
        return self._named(self.outputs)

    def _named(self, values: Sequence[int]) -> tuple[Port, ...]:
        """A port for each value, called as the spec calls it, each name once."""
        names = _bound(self.main)
        for node in self.main.nodes:
            if node.weight is not None:
                names.setdefault(
                    node.outputs[0], "_".join(map(str, (*node.path, node.weight)))
                )
        taken: dict[str, int] = {}
        ports: list[Port] = []
        for value in values:
            name = names.get(value, "hidden")
            taken[name] = taken.get(name, 0) + 1
            ports.append(
                Port(name if taken[name] == 1 else f"{name}_{taken[name]}", value)
            )
        return tuple(ports)

    def _result(self) -> Result:
        return Result(tuple(port.values for port in self._out_ports()))

    # ---- nodes ---------------------------------------------------------------------------

    def _node(self, node: Node) -> Node:
        path = self._path(node.path)
        place = self.places[node.id]
        owned = {other.path for other in self.kept if other.owns}
        if node.weight is not None and node.path not in owned:
            return self._copied(node, place, path)
        if node.owns or node.weight is not None:
            self.paths[dotted(path)] = dotted(node.path)
            if node.owns:
                self.weights[dotted(path)] = tuple(
                    _weights_below(self.program, self.main, node)
                )
        return replace(node, id=place, path=path, lists={})

    def _copied(self, node: Node, place: int, path: Path) -> Node:
        """A weight of an instance that another stage makes: a parameter of the stage's own."""
        assert node.op is not None
        assert node.weight is not None
        (kind,) = self.main.results(node)
        weights = self._owner_weights(node)
        param = Param(shape=kind.shape, init=weights[node.weight].init)
        label, *turns = path
        path = (f"{label}_{node.weight}", *turns)
        self.paths[dotted(path)] = f"{dotted(node.path)}.{node.weight}"
        self.weights[dotted(path)] = ("",)
        return Node(
            id=place,
            inputs=(),
            outputs=node.outputs,
            path=path,
            location=node.location,
            loops=node.loops,
            op=param,
            owns=True,
            marks=node.marks,
        )

    def _owner_weights(self, node: Node) -> Mapping[str, Any]:
        owner = next(n for n in self.main.nodes if n.owns and n.path == node.path)
        return self.main.node_weights(owner)

    def _path(self, path: Path) -> Path:
        """Turns of a loop whose first ones lie in earlier stages are numbered from 0."""
        if len(path) < 2 or not isinstance(path[1], int):
            return path
        same = sorted(
            {
                node.path[1]
                for node in self.kept
                if len(node.path) > 1
                and node.path[0] == path[0]
                and isinstance(node.path[1], int)
            }
        )
        return (path[0], same.index(path[1]), *path[2:])

    # ---- structure -----------------------------------------------------------------------

    def _items(self, items: Sequence[Item]) -> tuple[Item, ...]:
        return tuple(found for item in items for found in self._item(item))

    def _item(self, item: Item) -> Iterator[Item]:
        match item:
            case Step(node=node):
                if node in self.places:
                    yield Step(self.places[node])
            case Binding(value=value):
                if value in self.known:
                    yield item
            case Branch(body=body):
                inside = self._items(body)
                if any(isinstance(each, Step | Loop | Branch) for each in inside):
                    yield replace(item, body=inside)
                else:
                    yield from inside
            case Loop():
                yield from self._loop(item)
            case Requirement():
                if self.number == 0 or not item.symbols:
                    yield item
            case Result():
                pass

    def _loop(self, loop: Loop) -> Iterator[Item]:
        bodies = [self._items(turn.body) for turn in loop.iterations]
        here = [place for place, body in enumerate(bodies) if _does(body)]
        if not here:
            yield from (item for body in bodies for item in body)
            return
        whole = [
            len(list(nodes_in(t.body))) == len(list(nodes_in(b)))
            for t, b in zip(loop.iterations, bodies, strict=True)
        ]
        if len(here) == len(bodies) and all(whole):
            yield self._turns_of(loop, loop.iterable, here, bodies)
        elif self._is_uniform(loop) and all(whole[place] for place in here):
            count = Term("call", ("range", literal(dim(len(here)))))
            yield self._turns_of(loop, count, here, bodies)
        else:  # some turns of a loop whose turns are unlike are written out
            yield from (item for body in bodies for item in body)

    def _turns_of(
        self,
        loop: Loop,
        iterable: Term | None,
        here: Sequence[int],
        bodies: Sequence[tuple[Item, ...]],
    ) -> Loop:
        first, last = here[0], here[-1] + 1
        starts = constants_outside(loop) if loop.constants else {}
        return replace(
            loop.without_lists(),
            iterable=iterable,
            iterations=tuple(
                Iteration(loop.iterations[place].values, bodies[place])
                for place in here
            ),
            carried={
                name: values[first : last + 1]
                for name, values in loop.carried.items()
                if all(value in self.known for value in values[first : last + 1])
            },
            constants={
                name: (starts[name][first], *values[first + 1 : last + 1])
                for name, values in loop.constants.items()
                if first < len(values)
            },
        )

    def _is_uniform(self, loop: Loop) -> bool:
        """Whether no turn reads which one it is."""
        telling = {*loop.variables, *changing_constants(self.main, loop)}
        return telling.isdisjoint(names_of_turn(self.main, loop))


def _read(main: Function) -> tuple[Parameter, ...]:
    """The constants that the stage's constructor needs."""
    read = set(names_of_function(main))
    return tuple(each for each in main.parameters if each.name in read)


def _bound(main: Function) -> dict[int, str]:
    """The last name of each value."""
    found = {v: port.name for port in main.inputs for v in spread(port.values)}
    for item in walk(main.structure):
        if isinstance(item, Binding):
            found[item.value] = item.name
    return found


def _weights_below(program: Program, function: Function, node: Node) -> Iterator[str]:
    """The weights of an instance, by their paths below it."""
    if node.callee is None:
        yield from function.node_weights(node)
        return
    inner = program.functions[node.callee]
    for each in {
        each.path: each for each in reversed(inner.nodes) if each.owns
    }.values():
        for name in _weights_below(program, inner, each):
            yield _joined(dotted(each.path), name)


def _does(items: Sequence[Item]) -> bool:
    return any(True for _ in nodes_in(items))


def _reachable(functions: Mapping[str, Function], entry: str) -> dict[str, Function]:
    """The functions that the entry needs, callees before callers, as they stand."""
    needed = {entry}
    for key in reversed(list(functions)):
        if key in needed:
            called = (node.callee for node in functions[key].nodes)
            needed.update(callee for callee in called if callee is not None)
    return {key: each for key, each in functions.items() if key in needed}
