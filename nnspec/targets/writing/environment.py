"""What is known of a body's values where its next statement is written: which variable holds which of them.

It writes nothing: `variables.py` does, and keeps this true.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.inlining import TEMPORARIES
from nnspec.pycode.pending import Pending
from nnspec.targets.contents import reads_in, written_names
from nnspec.targets.names import Names, safe_local

State: TypeAlias = tuple[
    dict[merged.Value, Expr], dict[merged.Value, int], dict[str, list[merged.Value]]
]
"""What each value is written as, how often it is still read, and what each variable holds."""


class Environment:
    """The variables of a body and the values in them.

    A value is `pending` while it is an expression that waits for its reader, and `held` once something that
    can be read again stands for it, mostly a variable.
    """

    def __init__(self, names: Names, kept: Collection[str] = ()) -> None:
        """`names` are those of the method; the variables `kept` are given no other value."""
        self.names = names
        self._kept = frozenset(kept)
        self.pending = Pending[merged.Value, Expr](_variables_of)
        self.held: dict[merged.Value, Expr] = {}
        # The variables by the spec's names, and the values that each holds by its own.
        self.variables: dict[str, Name] = {}
        self.holders: dict[str, list[merged.Value]] = {}
        # How often each value is still read, and those that every turn of a loop reads.
        self.left: dict[merged.Value, int] = {}
        self.pinned: set[merged.Value] = set()
        # What the loops around carry: the names, and what they hold when a turn starts.
        self._carried: set[str] = set()
        self._entries: dict[tuple[str, int], merged.Value] = {}

    # ---- variables ----

    def variable(self, name: str) -> Name:
        """The variable of a name of the spec."""
        if name not in self.variables:
            local = safe_local(name, self.names.target)
            self.names.taken.add(local)
            self.variables[name] = Name(local)
        return self.variables[name]

    def is_free(self, wanted: str) -> bool:
        """Whether the variable of that name holds nothing that is still needed."""
        name = self.variables.get(wanted)
        if name is None:
            local = safe_local(wanted, self.names.target)
            return local not in self.names.taken and local not in self._kept
        if wanted in self._carried or name.id in self._kept:
            return False
        return not any(self.needs(value) for value in self.holders.get(name.id, ()))

    def temporary(self, apart: Sequence[Expr] = ()) -> Name:
        """A variable for what has no name, none of those `apart`."""
        for candidate in TEMPORARIES:
            known = self.variables.get(candidate)
            if known is None and candidate not in self.names.taken:
                self.names.taken.add(candidate)
                self.variables[candidate] = Name(candidate)
                return Name(candidate)
            if known is not None and known not in apart and self.is_free(candidate):
                return known
        return Name(self.names.free("y", of_value=True))

    # ---- values ----

    def hold(self, value: merged.Value, given: Expr) -> None:
        """Notes what a value is read as: an input's own variable, or what needs none."""
        self.held[value] = given
        self.left.setdefault(value, value.uses)
        if isinstance(given, Name):
            self.holders.setdefault(given.id, []).append(value)
            if value.name is not None and given.id == safe_local(
                value.name, self.names.target
            ):
                self.variables[value.name] = given

    def put(self, value: merged.Value, name: Name) -> None:
        """Notes that a variable holds a value, and nothing else."""
        self.holders[name.id] = [value]
        self.held[value] = name

    def put_too(self, value: merged.Value, name: Name) -> None:
        """Notes that a variable holds a value besides what it is known to hold."""
        self.held[value] = name
        self.holders.setdefault(name.id, []).append(value)

    def is_in(self, name: str, value: merged.Value) -> None:
        """Notes that a value, which is one or another, lies in the variable of a name."""
        self.put_too(value, self.variable(name))
        self.left.setdefault(value, value.uses)

    def needs(self, value: merged.Value) -> bool:
        """Whether a value is read later."""
        return value in self.pinned or self.left.get(value, 0) > 0

    def in_another(self, value: merged.Value, name: Name) -> Name | None:
        """Another variable that holds a value."""
        for known, values in self.holders.items():
            if known != name.id and value in values:
                return Name(known)
        return None

    def read_once(self, value: merged.Value) -> None:
        """Counts a reader of a value."""
        self.left[value] = self.left.get(value, value.uses) - 1

    # ---- branches and loops ----

    def state(self) -> State:
        """What is known, to `restore` it where another way of a branch begins."""
        holders = {name: list(values) for name, values in self.holders.items()}
        return dict(self.held), dict(self.left), holders

    def restore(self, state: State) -> None:
        """Knows again what was known."""
        held, left, holders = state
        self.held, self.left = dict(held), dict(left)
        self.holders = {name: list(values) for name, values in holders.items()}
        self.pending = Pending[merged.Value, Expr](_variables_of)

    def spend(
        self, items: Sequence[merged.Item], ends: Iterable[merged.Value | None] = ()
    ) -> None:
        """Counts what items read, and what lies in variables at their end, without going through them."""
        for value, count in reads_in(items).items():
            if value in self.left:
                self.left[value] -= count
        for value in ends:
            if value is not None and value in self.left:
                self.left[value] -= 1

    def forget(self, items: Sequence[merged.Item]) -> None:
        """Variables that items may have written hold nothing that is known."""
        for name in dict.fromkeys(written_names(items)):
            if name in self.variables:
                self.holders[self.variables[name].id] = []

    @contextmanager
    def turning(self, loop: merged.Loop) -> Generator[None]:
        """Inside, what a loop reads from outside is needed in every turn, and the names that it carries are taken."""
        pinned, carried = set(self.pinned), set(self._carried)
        entries = {each.entry for each in loop.carried.values()}
        reads = reads_in(loop.body)
        self.pinned |= {v for v in reads if v in self.held and v not in entries}
        self._carried |= set(loop.carried)
        try:
            yield
        finally:
            self.pinned, self._carried = pinned, carried

    def begin_turn(self, loop: merged.Loop) -> None:
        """Notes what the names that a loop carries hold when a turn starts."""
        for name, carried in loop.carried.items():
            self._entries[name, loop.uid] = carried.entry

    def leave(self, loop: merged.Loop) -> None:
        """Behind a loop, the variables of what it carries hold what the last turn has left."""
        self.forget(loop.body)
        for name, carried in loop.carried.items():
            self.holders[self.variable(name).id] = []
            self.is_in(name, carried.exit)

    def at_start(self, name: str, uid: int) -> tuple[merged.Value, Name] | None:
        """What a loop carries by a name into its turn, and the variable; None once that has moved on."""
        entry = self._entries.get((name, uid))
        variable = self.held.get(entry) if entry is not None else None
        if entry is None or not isinstance(variable, Name):
            return None
        if entry not in self.holders.get(variable.id, ()):
            return None
        return entry, variable


def _variables_of(expression: Expr) -> Iterator[str]:
    """The names in an expression."""
    return (part.id for part in tree.walk(expression) if isinstance(part, Name))
