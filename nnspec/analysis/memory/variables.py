"""The variables of a function that is being run, as the emitter names them (`nnspec.targets.writing.variables`).

Which variable a value gets decides how long it lives: until the variable is written again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterable, Mapping, Sequence, Set
from contextlib import contextmanager
from itertools import chain, count

from nnspec.ir.graph import Binding, Branch, Function, Item, Loop, Node, values_of, walk
from nnspec.pycode.inlining import FARTHEST_NAME, TEMPORARIES, Extent
from nnspec.records import dataclass


@dataclass(frozen=True)
class Expression:
    """A node that is not evaluated yet, how much is written for it, and the values that it reads, in order."""

    node: Node
    extent: Extent
    reads: tuple[int, ...]


class Plan:
    """What is read how often in a function, and under which name."""

    def __init__(
        self,
        function: Function,
        left_out: Set[int],
        carried: Mapping[Loop, Collection[str]],
    ) -> None:
        """`carried` are the names that loops hand on: each begins by reading what they hold."""
        self.uses: dict[int, int] = {}
        self.consumers: dict[int, Node] = {}
        self.makers: dict[int, Node] = {}
        for node in function.nodes:
            self.makers |= dict.fromkeys(node.outputs, node)
            if node.id in left_out:
                continue
            for value in node.values():
                self.uses[value] = self.uses.get(value, 0) + 1
                self.consumers[value] = node
        histories = [
            loop.carried[name]
            for loop in walk(function.structure)
            if isinstance(loop, Loop)
            for name in carried.get(loop, ())
        ]
        begun = (history[0] for history in histories)
        for value in chain(values_of(function.outputs), begun):
            self.uses[value] = self.uses.get(value, 0) + 1
        # What turns leave in the variables of loops, whether the next turn reads it or not.
        self._handed_on = {value for history in histories for value in history[1:]}
        self.names: dict[int, str] = {}
        self._name(function.structure)

    def _name(self, items: Sequence[Item]) -> None:
        for item in items:
            match item:
                case Binding(name=name, value=value):
                    self.names.setdefault(value, name)
                case Branch(body=body):
                    self._name(body)
                case Loop(iterations=iterations):
                    for turn in iterations:
                        self._name(turn.body)
                case _:
                    pass

    def has_variable(self, value: int) -> bool:
        """Whether one of several results has a variable of its own."""
        return bool(self.uses.get(value)) or value in self._handed_on

    def is_shared(self, value: int) -> bool:
        """Whether an expression has a name by which several places read it."""
        return self.uses.get(value, 0) > 1 and value in self.names

    def hint(self, value: int) -> str | None:
        """The name that a value is on its way to."""
        for _ in range(FARTHEST_NAME):
            if value in self.names:
                return self.names[value]
            following = self.consumers.get(value)
            if following is None or len(following.outputs) != 1:
                return None
            (value,) = following.outputs
        return self.names.get(value)


class Variables:
    """Which variable holds which value, and how often each value is still to be read."""

    def __init__(self, function: Function, plan: Plan) -> None:
        self.plan = plan
        self.left = dict(plan.uses)
        self.values: dict[str, int] = {}
        # In how many variables each value lies.
        self.copies: Counter[int] = Counter()
        # The variable in which a value lies first.
        self.held: dict[int, str] = {}
        # The name that a value got when it was in a variable already.
        self.aliases: dict[int, str] = {}
        # What loops carry, and what they read from outside: no other value may lie there.
        self.carried: set[str] = set()
        self.pinned: set[int] = set()
        # Variables of their own by the place in the text that they are for: each turn of a loop has the same.
        self._own: dict[tuple[str, int | None, int], str] = {}
        # The number that was found last for such a variable, by its name.
        self._found: dict[str, int] = {}
        self._loop: int | None = None
        self._first = 0
        self._inputs = {port.name for port in function.inputs}
        outputs = {port.name for port in function.outputs}
        self._outputs = outputs if function.kind == "model" else set[str]()

    def hold(self, name: str, value: int) -> None:
        """Notes that a variable has a value from now on."""
        self.copies[value] += 1
        if name in self.values:
            self.copies[self.values[name]] -= 1
        self.values[name] = value
        self.held[value] = name

    def is_needed(self, value: int) -> bool:
        return value in self.pinned or self.left.get(value, 0) > 0

    def is_free(self, name: str) -> bool:
        """Whether the variable of that name holds nothing that is still needed."""
        value = self.values.get(name)
        if value is None:
            return True
        return name not in self.carried and not self.is_needed(value)

    def name_for(self, value: int, expression: Expression) -> str:
        """The variable of a value that was only an expression so far."""
        name = self.plan.hint(value)
        if name in self._outputs:
            name = self._source_of(expression.reads)
        if name is None or not self.is_free(name):
            return self.temporary(value)
        return name

    def name_of(self, value: int, expression: Expression) -> str:
        """That of one that is read before its name is bound."""
        name = self.plan.names[value]
        return name if self.is_free(name) else self.name_for(value, expression)

    def _source_of(self, reads: Iterable[int]) -> str:
        """The variable that an expression starts from, unless it is an input; else `x`."""
        for value in reads:
            name = self.held.get(value)
            if name is None or name in self._inputs or self.values[name] != value:
                continue
            if self.is_free(name):
                return name
        return "x"

    def temporary(self, value: int, apart: Iterable[str] = ()) -> str:
        """A variable for a value that the spec has no name for."""
        for name in TEMPORARIES:
            if name not in apart and self.is_free(name):
                return name
        return self.own("y", value)

    def own(self, name: str, value: int) -> str:
        """A variable that no other value gets."""
        maker = self.plan.makers.get(value)
        place = -value if maker is None else maker.id - self._first
        key = name, self._loop, place
        if key not in self._own:
            # A variable that was there once is never gone: the numbers up to the last one found stay taken.
            numbers = count(self._found.get(name, 1))
            self._found[name] = next(
                n for n in numbers if _numbered(name, n) not in self.values
            )
            self._own[key] = _numbered(name, self._found[name])
        return self._own[key]

    @property
    def in_loop(self) -> bool:
        return self._loop is not None

    @contextmanager
    def turn(self, loop: int, first: int) -> Generator[None]:
        """One turn of a loop, whose nodes begin with the `first`."""
        outer = self._loop, self._first
        self._loop, self._first = loop, first
        yield
        self._loop, self._first = outer

    def enter(
        self, names: Iterable[str], pinned: Iterable[int]
    ) -> tuple[set[str], set[int]]:
        """Begins a loop that carries names and reads values in each of its turns; gives what to `leave` it with."""
        outer = self.carried, self.pinned
        self.carried, self.pinned = self.carried | {*names}, self.pinned | {*pinned}
        return outer

    def leave(self, outer: tuple[set[str], set[int]]) -> None:
        """Ends a loop."""
        self.carried, self.pinned = outer


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"
