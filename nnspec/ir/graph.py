"""The typed program: functions of nodes, as hierarchical as the spec.

A `Program` holds `Function`s (a block specialised for its constants and input types; one for each
distinct specialisation) and names its entry. A function's nodes stand in the order in which they run;
each applies an operator or calls another function. Values are numbers local to their function.

Beside the nodes a function keeps its `structure`: the statements that made them, with conditions,
loops and names, from which emitted code takes its shape, and figures what hangs on that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim
from nnspec.ir.settling import Settling
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.ops.base import Operator, Weight
from nnspec.records import dataclass
from nnspec.source import Location

if TYPE_CHECKING:
    from nnspec.ir.arrangement import Arrangement

Path: TypeAlias = tuple[str | int, ...]
Argument: TypeAlias = "int | tuple[int, ...] | None"


def dotted(path: Path) -> str:
    """A path as people write it: `layers.0.3.conv1`."""
    return ".".join(str(part) for part in path)


def spread(argument: Argument) -> tuple[int, ...]:
    """The values of an argument: several of a list, none where it is missing."""
    if argument is None:
        return ()
    return argument if isinstance(argument, tuple) else (argument,)


@dataclass(frozen=True)
class Marks:
    """What annotations say of a node or function."""

    frozen: bool = False
    checkpoint: bool = False
    device: str | None = None


@dataclass(frozen=True, eq=False)
class Node:
    """One application of an operator, one call of a function, or one read of an instance's weight.

    `inputs` follow the operator's `inputs` (or the function's): a value, several for a list input, None
    where an optional one is missing. `path` names the instance inside the function; nodes with one path
    share one instance. Operators that own nothing have a path for display only (`owns` is False).

    `loops` says of each number in the path whether it is the number of a turn around the node, for any
    constants: the `uid` of that loop, if the instance was made in this turn or chosen by its number
    (`pool[i]`); None for a number that is what it is, as in `pool[0]`.

    `lists` says of list inputs, by their names, how loops grew them (see `Loop.lists`).
    """

    id: int
    inputs: tuple[Argument, ...]
    outputs: tuple[int, ...]
    path: Path
    location: Location
    loops: tuple[int | None, ...] = ()
    op: Operator | None = None
    callee: str | None = None
    weight: str | None = None
    owns: bool = False
    terms: Mapping[str, Term] = field(default_factory=dict[str, Term])
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    marks: Marks = Marks()
    lists: Mapping[str, Term] = field(default_factory=dict[str, Term])

    def values(self) -> Iterator[int]:
        """Every input value, list inputs spread out."""
        for argument in self.inputs:
            yield from spread(argument)


# ---- structure ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Step:
    """A node."""

    node: int


@dataclass(frozen=True, eq=False)
class Binding:
    """A name of the spec came to mean a value."""

    name: str
    value: int


@dataclass(frozen=True, eq=False)
class Branch:
    """An `if` whose condition was computed: which way it went, and what was done there."""

    condition: Term
    taken: bool
    body: tuple[Item, ...]


@dataclass(frozen=True, eq=False)
class Taken:
    """An element of a list of tensors that loops grew: the `value` at a `place` of `elements`.

    Its sizes are known as `at.0@uid`, ... in the turn in which it is taken.
    """

    uid: int
    value: int
    elements: Term
    place: Term


@dataclass(frozen=True, eq=False)
class Iteration:
    """One turn of a loop: the constants that its variables meant, what was done, and which elements of lists were taken in it."""

    values: Mapping[str, Any]
    body: tuple[Item, ...]
    taken: tuple[Taken, ...] = ()


@dataclass(frozen=True, eq=False)
class Loop:
    """A `for`, with every turn that it took.

    `variables` are the unique names of the loop's variables in the order of `pattern`'s leaves;
    `carried` are the outer names which the body rebinds, with their values before the first turn and
    after each; `lists` the same of names of lists of tensors, as terms of which `skips@uid` is the list before the
    turn (no terms where how they were made is not known). `constants` are those of the names that mean an integer
    before the first turn, with what they mean then and behind each turn, for as long as it is one; the twin of what
    they mean behind a turn speaks of that turn, of which `width@uid` is the one before. `elements` is the list of
    tensors that the loop goes through, if loops grew it.
    """

    uid: int
    pattern: Any
    variables: tuple[str, ...]
    iterable: Term | None
    iterations: tuple[Iteration, ...]
    carried: Mapping[str, tuple[int, ...]]
    lists: Mapping[str, tuple[Term, ...]] = field(
        default_factory=dict[str, "tuple[Term, ...]"]
    )
    elements: Term | None = None
    constants: Mapping[str, tuple[Dim, ...]] = field(
        default_factory=dict[str, "tuple[Dim, ...]"]
    )

    def key_of(self, name: str) -> str:
        """The symbol of an integer that the loop carries."""
        return f"{name}@{self.uid}"

    def without_lists(self) -> Loop:
        """The same without how lists were made, which is known to hang on it all the same."""
        return replace(self, lists=dict.fromkeys(self.lists, ()), elements=None)


@dataclass(frozen=True, eq=False)
class Requirement:
    """A `require` that was checked; emitted programs check it again.

    `symbols` are the run-time sizes that it speaks of: with none, constructors can check it.
    """

    condition: Term
    message: str | None
    symbols: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Result:
    """A `return`, or the end of a model: the values of the function's outputs."""

    values: tuple[Argument, ...]


Item: TypeAlias = Step | Binding | Branch | Loop | Requirement | Result


def walk(items: Iterable[Item]) -> Iterator[Item]:
    """Every item of a structure in order, those inside branches and loops too."""
    waiting = list(items)[::-1]
    while waiting:
        item = waiting.pop()
        yield item
        match item:
            case Branch(body=body):
                waiting.extend(reversed(body))
            case Loop(iterations=iterations):
                for turn in reversed(iterations):
                    waiting.extend(reversed(turn.body))
            case _:
                pass


def nodes_in(items: Iterable[Item]) -> Iterator[int]:
    """The numbers of the nodes of items, those in branches and in all turns of loops too."""
    return (item.node for item in walk(items) if isinstance(item, Step))


Turns: TypeAlias = tuple[tuple[int, int], ...]
"""The turns around a node, outermost first: the `uid` of each loop, and the number of its turn."""


def turns_around(
    items: Iterable[Item], outer: Turns = ()
) -> Iterator[tuple[int, Turns]]:
    """The number of each node of items, with the turns of loops around it."""
    for item in items:
        match item:
            case Step(node=node):
                yield node, outer
            case Branch(body=body):
                yield from turns_around(body, outer)
            case Loop(uid=uid, iterations=iterations):
                for place, turn in enumerate(iterations):
                    yield from turns_around(turn.body, (*outer, (uid, place)))
            case _:
                pass


def counted(
    path: Path,
    loops: Iterable[int | None],
    around: Collection[tuple[int | None, int]],
) -> tuple[int | None, ...]:
    """Of the loops that a path is said to count, those in whose turns `around` a place it does (`Node.loops`)."""
    return tuple(
        loop if loop is not None and (loop, number) in around else None
        for loop, number in zip(loops, path[1:], strict=True)
    )


# ---- functions ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Port:
    """An input or output of a function: a tensor, several for a list, none where it was not given."""

    name: str
    values: Argument
    listed: bool = False


def values_of(ports: Iterable[Port]) -> tuple[int, ...]:
    """The values of ports in a row, lists spread out and missing ones left out."""
    return tuple(value for port in ports for value in spread(port.values))


@dataclass(frozen=True)
class Parameter:
    """A constant that a block was specialised for."""

    name: str
    value: Any
    default: Any = None
    has_default: bool = False
    kind: str = "int"


@dataclass(frozen=True)
class Running:
    """A size that a loop carries, by its symbol: what it is at first, and after a turn.

    It is that of an `axis` of the tensor `name`, or that integer itself. `same` is the symbol of an integer that the
    loop carries and that is the size before every turn.
    """

    symbol: str
    name: str
    axis: int | None
    initial: Dim
    update: Dim
    constant: bool
    same: str | None = None


@dataclass(frozen=True, eq=False)
class Function:
    """A block, model or fn, specialised."""

    key: str
    name: str
    kind: str
    doc: str | None
    parameters: tuple[Parameter, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    nodes: tuple[Node, ...]
    types: Mapping[int, TensorType]
    structure: tuple[Item, ...]
    running: Mapping[str, Running]
    dims: Mapping[str, Dim]
    location: Location
    marks: Marks = Marks()

    def node_types(self, node: Node) -> tuple[Any, ...]:
        """The types of a node's inputs: tuples for lists, None where missing."""
        return tuple(
            tuple(self.types[value] for value in argument)
            if isinstance(argument, tuple)
            else None
            if argument is None
            else self.types[argument]
            for argument in node.inputs
        )

    def results(self, node: Node) -> tuple[TensorType, ...]:
        """The types of a node's results."""
        return tuple(self.types[value] for value in node.outputs)

    @cached_property
    def around(self) -> Mapping[int, Turns]:
        """The turns around each node, by its number."""
        return dict(turns_around(self.structure))

    @cached_property
    def settling(self) -> Settling:
        """What the names of the sizes that its loops carry settle to."""
        return Settling(self.running)

    @cached_property
    def loops(self) -> Mapping[int, Sequence[Loop]]:
        """The loops by their numbers: one inside of another is there for each turn of that."""
        found: dict[int, list[Loop]] = {}
        for item in walk(self.structure):
            if isinstance(item, Loop):
                found.setdefault(item.uid, []).append(item)
        return found

    @cached_property
    def conditions(self) -> frozenset[str]:
        """The names in conditions of branches."""
        branches = (i for i in walk(self.structure) if isinstance(i, Branch))
        found = (name for each in branches for name in each.condition.mentioned())
        return frozenset(found)

    @cached_property
    def readers(self) -> Mapping[int, Sequence[int]]:
        """The numbers of the nodes that read each value, in order; its results are read by one behind all of them."""
        found: dict[int, list[int]] = {}
        for node in self.nodes:
            for value in node.values():
                found.setdefault(value, []).append(node.id)
        for value in values_of(self.outputs):
            found.setdefault(value, []).append(len(self.nodes))
        return found

    @cached_property
    def instances(self) -> Mapping[Path, Node]:
        """The first use of each instance, by its path."""
        found: dict[Path, Node] = {}
        for node in self.nodes:
            if node.owns:
                found.setdefault(node.path, node)
        return found

    @cached_property
    def _uses(self) -> Mapping[Path, list[Turns]]:
        """The turns around each use of an instance, by its path."""
        found: dict[Path, list[Turns]] = {}
        for node in self.nodes:
            if node.owns or node.weight is not None:
                found.setdefault(node.path, []).append(self.around[node.id])
        return found

    def stays_in_turn(self, node: Node, level: int) -> bool:
        """Whether the instance of a node is used in one turn alone of the loop so many levels inside of the body."""
        uses = self._uses.get(node.path, [])
        return len({turns[: level + 1] for turns in uses}) <= 1

    def implied(self) -> Iterator[Dim]:
        """Sizes that its operators need to be at least 1, besides those of their results."""
        for node in self.nodes:
            if node.op is not None:
                yield from node.op.implied(*self.node_types(node))

    def node_weights(self, node: Node) -> Mapping[str, Weight]:
        """The weights that a node's operator owns."""
        if node.op is None or not node.owns:
            return {}
        return node.op.weights(*self.node_types(node))


@dataclass(frozen=True, eq=False)
class CostBudget:
    """What a model may cost: a figure, the sizes and assumptions it is taken at, and its bound.

    `unit` is that of the bound as written ("", "B", "FLOPs", "MACs"). The names are not checked here.
    """

    figure: str
    arguments: Mapping[str, int | str]
    operator: str
    limit: Fraction
    unit: str
    location: Location
    message: str | None = None


@dataclass(frozen=True, eq=False)
class Program:
    """A checked model: its functions by key, the entry, and what is assumed of its symbols."""

    name: str
    entry: str
    functions: Mapping[str, Function]
    symbols: tuple[str, ...]
    assumptions: Assumptions
    source_name: str
    doc: str | None = None
    requirements: tuple[tuple[str, Dim], ...] = ()
    budgets: tuple[CostBudget, ...] = ()
    # Tells how the program is arranged that is emitted for it; None where there is none.
    planned: Callable[[Program], Arrangement | None] | None = None

    @property
    def main(self) -> Function:
        """The function of the model itself."""
        return self.functions[self.entry]

    def recomputes(self, node: Node) -> bool:
        """Whether a call's activations are computed again in the backward pass (`@checkpoint`).

        Blocks that keep statistics of batches are not: these would be updated twice.
        """
        if node.callee is None:
            return False
        callee = self.functions[node.callee]
        marked = node.marks.checkpoint or callee.marks.checkpoint
        return marked and not self.keeps_statistics(callee)

    def is_frozen(self, node: Node) -> bool:
        """Whether the weights that a node owns are not trained, wherever its function is used (`@frozen`)."""
        if node.marks.frozen:
            return True
        return node.callee is not None and self.functions[node.callee].marks.frozen

    def frozen_paths(self, function: Function) -> frozenset[Path]:
        """The instances of a function whose weights are not trained, wherever these are read."""
        return frozenset(
            node.path for node in function.nodes if node.owns and self.is_frozen(node)
        )

    @cached_property
    def left_out(self) -> Mapping[str, frozenset[int]]:
        """The nodes that the emitted program does not compute, by the key of their function."""
        from nnspec.ir.arrangement import nodes_left_out

        return nodes_left_out(self)

    @cached_property
    def arrangement(self) -> Arrangement:
        """How the emitted program is arranged."""
        from nnspec.ir.arrangement import arrangement

        return arrangement(self)

    @property
    def recomputes_any(self) -> bool:
        """Whether anything is computed again in the backward pass."""
        functions = self.functions.values()
        return any(self.recomputes(node) for f in functions for node in f.nodes)

    def computed_once(self) -> Program:
        """The same program with `@checkpoint` nowhere; itself, if there is none."""
        marked = [each.marks for each in self.functions.values()]
        marked += [node.marks for f in self.functions.values() for node in f.nodes]
        if not any(marks.checkpoint for marks in marked):
            return self
        functions = {key: _once(each) for key, each in self.functions.items()}
        return replace(self, functions=functions)

    def keeps_statistics(self, function: Function) -> bool:
        """Whether a function, or one that it calls, has weights that change without being trained."""
        waiting, seen = [function], {function.key}
        while waiting:
            current = waiting.pop()
            for node in current.nodes:
                weights = current.node_weights(node).values()
                if any(not each.trainable for each in weights):
                    return True
                if node.callee is not None and node.callee not in seen:
                    seen.add(node.callee)
                    waiting.append(self.functions[node.callee])
        return False

    def has_weights(self, function: Function, node: Node) -> bool:
        """Whether what a node of a function applies, or something in it, has weights."""
        if node.callee is None:
            return bool(function.node_weights(node))
        callee = self.functions[node.callee]
        return any(self.has_weights(callee, part) for part in callee.instances.values())

    def callees(self, function: Function) -> Iterator[Function]:
        """The functions that a function calls, each once, in order of first call."""
        seen: set[str] = set()
        for node in function.nodes:
            if node.callee is not None and node.callee not in seen:
                seen.add(node.callee)
                yield self.functions[node.callee]


def _once(function: Function) -> Function:
    nodes = tuple(
        replace(node, marks=replace(node.marks, checkpoint=False))
        for node in function.nodes
    )
    marks = replace(function.marks, checkpoint=False)
    return replace(function, nodes=nodes, marks=marks)
