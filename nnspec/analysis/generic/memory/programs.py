"""A traced program as a program again, whose sizes are formulas in the constants of the model.

Nodes and loops are those that elaboration left, so it has as many turns as the constants say; of loops that
may take any number of turns it is known how many they stand for (`Turns`), and of stacks of layers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import field, replace
from dataclasses import fields as fields_in
from typing import TYPE_CHECKING, Any

from nnspec.analysis.generic.loops.plans import ROUND, TURN
from nnspec.analysis.generic.memory.following import Courses, Numbers
from nnspec.analysis.generic.names.conditions import Turns as Places
from nnspec.analysis.generic.names.even import names_in_quotients
from nnspec.analysis.generic.names.parts import Part, restored
from nnspec.analysis.generic.names.powers import canonical
from nnspec.analysis.generic.names.quotients import Quotients
from nnspec.analysis.generic.reasons import GROWING, RATES
from nnspec.analysis.memory.rolling import Turns, Unlike
from nnspec.analysis.memory.turns import RUN
from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.graph import Function, Loop, Node, Program, nodes_in
from nnspec.ir.slices import Range
from nnspec.ir.types import TensorType
from nnspec.ops.base import Operator, replaced
from nnspec.ops.checked import fields_of
from nnspec.ops.random import RandomDrop
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.changing import Course
    from nnspec.analysis.generic.tracing.trace import Outcome
    from nnspec.ir.arrangement import Arrangement


MANY = 60
"""Stands for a number of turns whose sizes change, where magnitudes are compared."""

LAYERS = 1 + RUN
"""How many layers are run of a stack of any number: one that the others may be unlike, and these."""


@dataclass(frozen=True, eq=False)
class Numbered(Function):
    """A function in whose turns values have other sizes than where they were made: as `seen` by nodes, by their numbers."""

    seen: Mapping[int, Mapping[int, TensorType]] = field(
        default_factory=dict[int, Mapping[int, TensorType]]
    )

    def node_types(self, node: Node) -> tuple[Any, ...]:
        """The types of a node's inputs: tuples for lists, None where missing."""
        seen = self.seen.get(node.id)
        if not seen:
            return super().node_types(node)
        return replace(self, types={**self.types, **seen}, seen={}).node_types(node)


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
        known: Mapping[str, Dim],
        *,
        drops: bool,
    ) -> None:
        self.parts = parts
        self._arranged = program
        self._drops = drops
        self._functions: dict[str, Function] = {}
        self.turns: dict[str, Mapping[Loop, Turns]] = {}
        # Loops whose sizes change from turn to turn, by function.
        self.courses: dict[str, Mapping[Loop, Course]] = {}
        # How many layers nodes have that are stacks of any number, by function and number of the node.
        self.stacks: dict[str, dict[int, Dim]] = {}
        self._symbols: dict[str, frozenset[str]] = {}
        for each in outcome.reached():
            self._expect_steady(each)
        self._changing = {
            loop: each.made.repeated[loop]
            for each in outcome.reached()
            for loop in each.made.repeated
            if self._changes(each, loop)
        }
        counts = {r.count.generic for r in self._changing.values()}
        # Written from the number of turns that are run, sizes have no negative exponents.
        self.quotients = quotients.counted_from(counts, known)
        self._waiting: list[tuple[Outcome, Numbers]] = [(outcome, {})]
        while self._waiting:
            self._enter(*self._waiting.pop())
        self.program = replace(
            program,
            entry=outcome.name,
            functions=self._functions,
            budgets=(),
            planned=self._planned,
        )

    def _planned(self, program: Program) -> Arrangement:
        """It has the items that the program itself has."""
        return self._arranged.arrangement

    def _expect_steady(self, outcome: Outcome) -> None:
        """Raises `Unlike` where a size grows by more from turn to turn.

        It has a quotient in it, and a machine that does not see that sizes are equal does something else with them.
        """
        made = outcome.made
        fields = (
            [getattr(op, name) for name in fields_of(type(op))]
            for op in made.operators.values()
        )
        for value in (*made.given.values(), *map(tuple, fields)):
            turns = _turns_in(value, names_in_quotients)
            if turns:
                loops = frozenset(name.partition("@")[2] for name in turns)
                raise Unlike(GROWING, loops)

    def _enter(self, outcome: Outcome, numbers: Numbers) -> None:
        """One function, in turns of these numbers."""
        key = _key(outcome, numbers)
        if key in self._functions:
            return
        changing = self._changing.keys() & outcome.made.repeated.keys()
        courses = Courses(outcome, changing, lambda size: self._size(size, numbers))
        self.courses[key] = courses.found
        self.turns[key] = self._turns(outcome, numbers, changing)
        self._functions[key] = self._function(key, outcome, numbers, courses)

    # ---- what changes from turn to turn ----------------------------------------------------------

    def _changes(self, outcome: Outcome, loop: Loop) -> bool:
        """Whether sizes in a loop speak of the number of its turn, or its turns make a list or take what one has."""
        if loop.lists or loop.elements or any(t.taken for t in loop.iterations):
            return True
        turn = f"@{outcome.made.repeated[loop].loop}"
        return any(
            name.endswith(turn)
            for iteration in loop.iterations
            for number in nodes_in(iteration.body)
            for name in self._speaks_of(outcome, number)
        )

    def _speaks_of(self, outcome: Outcome, number: int) -> frozenset[str]:
        """The numbers of turns that sizes of a node, and in what it calls, speak of."""
        made = outcome.made
        node = made.function.nodes[number]
        found: set[str] = set()
        for value in node.outputs:
            found |= _turns_in(made.given.get(value))
        if number in made.operators:
            op = made.operators[number]
            found |= _turns_in(
                {name: getattr(op, name) for name in fields_of(type(op))}
            )
        if number in made.called:
            found |= self._speaks(made.called[number])
        return frozenset(found)

    def _speaks(self, outcome: Outcome) -> frozenset[str]:
        """The same of all of a function."""
        if outcome.name not in self._symbols:
            numbers = range(len(outcome.made.function.nodes))
            found = (self._speaks_of(outcome, number) for number in numbers)
            inputs = (_turns_in(kind) for kind in outcome.made.given.values())
            self._symbols[outcome.name] = frozenset[str]().union(*found, *inputs)
        return self._symbols[outcome.name]

    def places(self) -> list[Places]:
        """The places among turns that one stands for."""
        every = {c.turn: c for each in self.courses.values() for c in each.values()}
        return [Places(each.turn, 1, each.stop) for each in every.values()]

    def magnitudes(self) -> dict[str, int]:
        """What numbers of turns stand for where magnitudes are compared: powers of them are far apart, and not too large."""
        found: dict[str, int] = {}
        for courses in self.courses.values():
            for course in courses.values():
                found |= dict.fromkeys(course.count.symbols(), MANY)
                found[course.turn] = MANY // 2
        return found

    # ---- functions -------------------------------------------------------------------------------

    def _function(
        self, key: str, outcome: Outcome, numbers: Numbers, courses: Courses
    ) -> Function:
        made = outcome.made
        for node, loops in made.unsteady.items():
            if self._drops or not isinstance(made.operators[node], RandomDrop):
                raise Unlike(RATES, loops)
        function = made.function
        own = courses.numbers
        types = dict(function.types)
        makers = {v: node.id for node in function.nodes for v in node.outputs}
        for value, kind in made.given.items():
            within = {**numbers, **own.get(makers.get(value, -1), {})}
            types[value] = self._said(kind, within, function.types[value])
        nodes = tuple(
            self._node(node, outcome, key, {**numbers, **own.get(node.id, {})})
            for node in function.nodes
        )
        said = replace(function, key=key, nodes=nodes, types=types)
        return self._as_seen(said, outcome, numbers, courses) if own else said

    def _as_seen(
        self, function: Function, outcome: Outcome, numbers: Numbers, courses: Courses
    ) -> Function:
        """A function whose values have the sizes in turns that these have there."""
        seen: dict[int, dict[int, TensorType]] = {}
        for loop, course in courses.found.items():
            here, later = (
                [*nodes_in(loop.iterations[turn].body)]
                for turn in (course.generic, course.generic + 1)
            )
            place = symbol(course.turn)
            for values in loop.carried.values():
                before, behind = values[course.generic : course.generic + 2]
                kind = function.types[behind]
                for n in here:
                    known = seen.setdefault(n, {})
                    known[before] = _at(kind, {course.turn: place - 1})
                for n in later:
                    known = seen.setdefault(n, {})
                    known[behind] = _at(kind, {course.turn: course.stop - 1})
            taken = outcome.made.taken.get((loop, course.generic), {})
            for value, kind in taken.items():
                for n in here:
                    within = {**numbers, **courses.numbers[n]}
                    seen.setdefault(n, {})[value] = self._said(
                        kind, within, outcome.made.function.types[value]
                    )
        fields = {
            each.name: getattr(function, each.name) for each in fields_in(function)
        }
        return Numbered(**fields, seen=seen)

    def _node(self, node: Node, outcome: Outcome, key: str, numbers: Numbers) -> Node:
        if node.callee is not None:
            called = outcome.made.called[node.id]
            speaks = self._speaks(called)
            within = {turn: n for turn, n in numbers.items() if turn in speaks}
            self._waiting.append((called, within))
            return replace(node, callee=_key(called, within))
        made = outcome.made
        owner = node
        if node.id not in made.operators and node.weight is not None:
            # A read of a weight has the operator of the layer that owns it.
            owners = (n for n in made.function.nodes if n.path == node.path)
            owner = next((n for n in owners if n.id in made.operators), node)
        op = made.operators.get(owner.id, node.op)
        if op is None:
            return node
        said = self._operator(op, numbers, owner.op)
        return replace(node, op=self._stacked(node, said, outcome, key))

    def _stacked(
        self, node: Node, op: Operator, outcome: Outcome, key: str
    ) -> Operator:
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
        self.stacks.setdefault(key, {})[node.id] = count.value
        return replaced(op, **{name: dim(LAYERS).named(count.generic)})

    def _operator(
        self, op: Operator, numbers: Numbers, own: Operator | None
    ) -> Operator:
        fields = {
            name: self._said(getattr(op, name), numbers, getattr(own, name, None))
            for name in fields_of(type(op))
        }
        return replaced(op, **fields)

    def _turns(
        self, outcome: Outcome, numbers: Numbers, changing: Set[Loop]
    ) -> Mapping[Loop, Turns]:
        return {
            loop: Turns(
                each.first,
                each.last,
                self._said(each.count, numbers),
                each.period,
                each.loop,
            )
            for loop, each in outcome.made.repeated.items()
            if loop not in changing
        }

    def _said(self, value: Any, numbers: Numbers, own: Any = None) -> Any:
        """A value in the constants of the model; what is emitted hangs on how its block calls it as its `own`."""
        return mapped(value, own, lambda size: self._size(size, numbers))

    def _size(self, size: Dim, numbers: Numbers) -> Dim:
        found = self.quotients.multiplied(size.generic)
        if numbers and not numbers.keys().isdisjoint(found.symbols()):
            found = canonical(found.at(numbers))
        known = [part for part in self.parts if part.divisor.constant is not None]
        return restored(found, known)


def _at(kind: TensorType, numbers: Numbers) -> TensorType:
    """A type in turns of other numbers."""
    shape = (s.value.at(numbers) for s in kind.shape)
    sizes = (
        canonical(v).named(s.generic) for v, s in zip(shape, kind.shape, strict=True)
    )
    return TensorType(tuple(sizes), kind.dtype)


def _key(outcome: Outcome, numbers: Numbers) -> str:
    """What a function is called in turns of these numbers."""
    within = ",".join(f"{turn}={number}" for turn, number in sorted(numbers.items()))
    return f"{outcome.name}[{within}]" if within else outcome.name


def _turns_in(
    value: Any, names_in: Callable[[Dim], set[str]] = Dim.symbols
) -> set[str]:
    """The numbers of turns that a value speaks of."""
    found: set[str] = set()

    def note(size: Dim) -> Dim:
        names = names_in(size.generic)
        found.update(name for name in names if name.startswith((TURN, ROUND)))
        return size

    mapped(value, None, note)
    return found


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
