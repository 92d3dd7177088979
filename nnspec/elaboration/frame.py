"""Where a body is being elaborated: its names, and the function that grows from it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import field
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Label, SpecError
from nnspec.ir.dims import Dim, symbol
from nnspec.ir.graph import (
    Argument,
    Branch,
    Item,
    Marks,
    Node,
    Path,
    Port,
    Running,
    Step,
    Taken,
    counted,
    dotted,
)
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.ir.values import Module, Tensor, Value
from nnspec.records import dataclass
from nnspec.source import Location, Span
from nnspec.syntax import ast

if TYPE_CHECKING:
    from nnspec.elaboration.elaboration import Elaboration
    from nnspec.ops.base import Operator


class NoNodes(Exception):
    """A branch that is only looked at for its term would have made a node."""


def _clash(name: str, location: Location, other: Location) -> SpecError:
    return SpecError(
        "E0207",
        f"two layers are named `{name}`",
        location,
        labels=[Label(other, "the other one")],
        hint="give one of them another label",
    )


@dataclass(eq=False)
class Builder:
    """The function that is being built."""

    nodes: list[Node] = field(default_factory=list[Node])
    types: dict[int, TensorType] = field(default_factory=dict[int, TensorType])
    items: list[Item] = field(default_factory=list[Item])
    running: dict[str, Running] = field(default_factory=dict[str, Running])
    # Carried sizes that are not the same as an integer each time that their loop is run.
    apart: set[str] = field(default_factory=set[str])
    paths: dict[Path, tuple[object, Location]] = field(
        default_factory=dict[Path, tuple[object, Location]]
    )
    depths: dict[str | int, tuple[int, Location]] = field(
        default_factory=dict[str | int, tuple[int, Location]]
    )
    origins: dict[int, Location] = field(default_factory=dict[int, Location])
    # The turns around: of each loop its `uid` and the number of its turn, None and a place in a comprehension.
    turns: tuple[tuple[int | None, int], ...] = ()
    # The loops whose turns variables count from 0, by the variable.
    counters: dict[str, int] = field(default_factory=dict[str, int])
    # What goes in and what comes out, by name.
    inputs: dict[str, Port] = field(default_factory=dict[str, Port])
    outputs: dict[str, Port] = field(default_factory=dict[str, Port])
    # What a caller gives a model, by the names of its inputs.
    given: dict[str, Tensor] = field(default_factory=dict[str, Tensor])
    # The sizes that the names in the types of inputs were bound to.
    dims: dict[str, Dim] = field(default_factory=dict[str, Dim])
    # What the loops go through that lists of these names hang on (see `grown`).
    grown: dict[str, tuple[Term, ...]] = field(
        default_factory=dict[str, tuple[Term, ...]]
    )
    # The elements of such lists that were taken, with their types, in each of the turns that are gone through.
    taken: list[dict[int, tuple[Taken, TensorType]]] = field(
        default_factory=list["dict[int, tuple[Taken, TensorType]]"]
    )
    closed: bool = False

    def value(self, type: TensorType, origin: Location) -> Tensor:
        """A new value of the function."""
        number = len(self.types)
        self.types[number] = type
        return Tensor(number, type, origin)

    def add(
        self,
        inputs: tuple[Argument, ...],
        results: tuple[TensorType, ...],
        path: Path,
        location: Location,
        *,
        loops: tuple[int | None, ...] | None = None,
        op: Operator | None = None,
        callee: str | None = None,
        weight: str | None = None,
        owns: bool = False,
        terms: Mapping[str, Term] | None = None,
        arguments: Mapping[str, Any] | None = None,
        marks: Marks | None = None,
        lists: Mapping[str, Term] | None = None,
    ) -> tuple[Tensor, ...]:
        """A new node; gives its results. `loops` are those of its instance; without, it is made here."""
        if self.closed:
            raise NoNodes
        outputs = tuple(self.value(type, location) for type in results)
        node = Node(
            id=len(self.nodes),
            inputs=inputs,
            outputs=tuple(tensor.id for tensor in outputs),
            path=path,
            location=location,
            loops=self.loops if loops is None else counted(path, loops, self.turns),
            op=op,
            callee=callee,
            weight=weight,
            owns=owns,
            terms=terms or {},
            arguments=arguments or {},
            marks=marks or Marks(),
            lists=lists or {},
        )
        self.nodes.append(node)
        self.items.append(Step(node.id))
        return outputs

    @contextmanager
    def turn(self, loop: int | None, number: int) -> Generator[None]:
        """Inside, what is made is made in this turn of a loop, or in this place of a comprehension."""
        outer, self.turns = self.turns, (*self.turns, (loop, number))
        try:
            yield
        finally:
            self.turns = outer

    def place(self, label: str) -> Path:
        """The path of a layer made here: its label and the turn of each enclosing loop."""
        return (label, *(number for _, number in self.turns))

    @property
    def loops(self) -> tuple[int | None, ...]:
        """The loops whose turns the path of a layer counts that is made here."""
        return tuple(loop for loop, _ in self.turns)

    def turn_of(self, number: Dim) -> int | None:
        """The loop around here whose turn has this number for any constants; None if there is none."""
        for name in number.generic.symbols():
            loop = self.counters.get(name)
            if number.generic == symbol(name) and (loop, number.value) in self.turns:
                return loop
        return None

    def claim(self, path: Path, owner: object, location: Location) -> None:
        """Takes a path for an instance. Raises `SpecError` if another instance has it."""
        known = self.paths.setdefault(path, (owner, location))
        if known[0] is not owner:
            raise _clash(dotted(path), location, known[1])
        # One name is a layer, or a list of them for a loop, or lists of lists: nothing of both.
        depth, other = self.depths.setdefault(path[0], (len(path), location))
        if depth != len(path):
            raise _clash(str(path[0]), location, other)

    @contextmanager
    def branch(
        self, condition: Term | None, taken: bool
    ) -> Generator[None, None, None]:
        """Collects what is done inside as a branch; nothing special where the condition is literal."""
        if condition is None:
            yield
            return
        outer, self.items = self.items, []
        try:
            yield
        finally:
            outer.append(Branch(condition, taken, tuple(self.items)))
            self.items = outer

    def decide(self, *terms: Term) -> None:
        """Notes that more hangs on the values of these terms than what is computed from them says.

        It stands in the structure as an `if` that does nothing: what is emitted, and formulas, hold
        for these values alone.
        """
        self.items.append(Branch(Term("list", terms), True, ()))

    @contextmanager
    def without_nodes(self) -> Generator[None, None, None]:
        """Inside, making a node raises `NoNodes`."""
        outer, self.closed = self.closed, True
        try:
            yield
        finally:
            self.closed = outer


@dataclass(eq=False)
class Frame:
    """A body's names, with the builder of the function that it belongs to.

    A `fn` has a frame of its own over the builder of its caller, since what it does is inlined.
    """

    elaboration: Elaboration
    builder: Builder
    module: Module
    names: dict[str, Value]
    labels: dict[ast.Node, str]
    kind: str
    prefix: str = ""
    marks: Marks = Marks()
    exact: bool = False
    in_loop: int = 0

    def at(self, span: Span) -> Location:
        """A place in this frame's file."""
        return Location(self.module.file.source, span)

    def error(
        self,
        code: str,
        message: str,
        where: ast.Node | Span,
        *,
        hint: str | None = None,
        labels: tuple[Label, ...] = (),
    ) -> SpecError:
        """A fault at a place of this frame's file, to be raised."""
        span = where.span if isinstance(where, ast.Node) else where
        return SpecError(code, message, self.at(span), hint=hint, labels=labels)

    @contextmanager
    def exactly(self, exact: bool = True) -> Generator[None, None, None]:
        """Inside, decimal literals are exact fractions."""
        outer, self.exact = self.exact, exact
        try:
            yield
        finally:
            self.exact = outer
