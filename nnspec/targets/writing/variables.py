"""Which variable of a forward pass holds what, and what is still only an expression.

The spec's names become variables. A variable that is written again while its old value is still needed
is saved first, so that the statements mean what the graph means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field
from typing import Protocol, TypeAlias

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim, symbol
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.inlining import TEMPORARIES, WIDEST
from nnspec.pycode.statements import Assign, Statement
from nnspec.pycode.writer import expression_text
from nnspec.records import dataclass
from nnspec.targets.contents import reads_in, written_names
from nnspec.targets.lowering import Anchor, RunTimeSize
from nnspec.targets.names import Names, safe_local
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Unspellable

WIDEST_COMMENT = 40


class ForwardDialect(Protocol):
    """How a target says the few things that the two say differently."""

    @property
    def target(self) -> str: ...

    @property
    def nested_lists(self) -> bool: ...

    @property
    def traces_sizes(self) -> bool:
        """Whether a size may be a tensor of a traced graph, which no `if` can decide on."""
        ...

    def shape(self, tensor: Expr) -> Expr:
        """All the sizes of a tensor."""
        ...

    def tensor(self, parameter: Expr) -> Expr:
        """A parameter as a tensor."""
        ...


@dataclass(eq=False)
class Variables:
    """The variables of a forward pass, and the statements that give them their values."""

    plan: ClassPlan
    dialect: ForwardDialect
    names: Names
    statements: list[Statement] = field(default_factory=list[Statement])
    # What is written for a value: the variable that holds it, or the expression still to be written.
    _held: dict[merged.Value, Expr] = field(default_factory=dict[merged.Value, Expr])
    _pending: dict[merged.Value, Expr] = field(default_factory=dict[merged.Value, Expr])
    _variables: dict[str, Name] = field(default_factory=dict[str, Name])
    _holders: dict[str, list[merged.Value]] = field(
        default_factory=dict[str, list[merged.Value]]
    )
    _aliases: dict[merged.Value, str] = field(default_factory=dict[merged.Value, str])
    _pinned: set[merged.Value] = field(default_factory=set[merged.Value])
    _left: dict[merged.Value, int] = field(default_factory=dict[merged.Value, int])
    _sizes: dict[str, Expr] = field(default_factory=dict[str, Expr])
    _hints: dict[merged.Value, str] = field(default_factory=dict[merged.Value, str])
    # Lists of layers that inner loops take one by one, by their labels.
    _streams: dict[str, Name] = field(default_factory=dict[str, Name])
    _elements: dict[str, Expr] = field(default_factory=dict[str, Expr])
    _loop_names: dict[str, Expr] = field(default_factory=dict[str, Expr])
    _counts: dict[int, Expr] = field(default_factory=dict[int, Expr])
    _used_sizes: dict[str, None] = field(default_factory=dict[str, None])
    _used_attributes: dict[str, None] = field(default_factory=dict[str, None])
    _indent: int = 2
    _input_names: dict[merged.Value, Expr] = field(
        default_factory=dict[merged.Value, Expr]
    )
    _raised: list[Statement] = field(default_factory=list[Statement])
    _carried_names: set[str] = field(default_factory=set[str])
    _entries: dict[str, merged.Value] = field(default_factory=dict[str, merged.Value])

    def _hold(self, value: merged.Value, given: Expr) -> None:
        self._held[value] = given
        self._left.setdefault(value, value.uses)
        self._input_names.setdefault(value, given)
        if isinstance(given, Name):
            self._holders.setdefault(given.id, []).append(value)
            if value.name is not None and given.id == safe_local(
                value.name, self.dialect.target
            ):
                self._variables[value.name] = given

    def _read(self, reference: merged.Value) -> Expr:
        if reference in self._pending:
            if reference.uses == 1 or reference.name is None:
                return self._pending.pop(reference)
            self._settle_as(reference.name, reference)
        if reference not in self._held:  # the block is then written out as it is
            raise Unspellable(reference.name or "a value")
        self._left[reference] = self._left.get(reference, reference.uses) - 1
        return self._held[reference]

    def _variable(self, name: str) -> Name:
        if name not in self._variables:
            local = safe_local(name, self.dialect.target)
            self.names.taken.add(local)
            self._variables[name] = Name(local)
        return self._variables[name]

    def _settle_as(self, name: str, value: merged.Value) -> None:
        """Gives a value that is read before its name is bound its variable already."""
        if self._is_free(name):
            self._assign(self._variable(name), self._pending.pop(value), value)
        else:
            self._settle(value)

    def _settle(self, value: merged.Value) -> Name:
        """Gives a value that is only an expression so far a variable of its own."""
        wanted = self._hints.get(value)
        if wanted in self._output_names():
            wanted = self._source_of(self._pending[value])
        if wanted is not None and self._is_free(wanted):
            name = self._variable(wanted)
        else:
            name = self._temporary()
        self._assign(name, self._pending.pop(value), value)
        return name

    def _output_names(self) -> set[str]:
        """Names that only a finished result should have."""
        function = self.plan.function
        return (
            {port.name for port in function.outputs}
            if function.kind == "model"
            else set()
        )

    def _source_of(self, expression: Expr) -> str | None:
        """The spec's variable that an expression starts from, unless it is an input; else `x`."""
        inputs = {value.name for value in self.plan.inputs}
        for part in tree.walk(expression):
            for name, variable in self._variables.items():
                if part == variable and name not in inputs and self._is_free(name):
                    return name
        return "x"

    def _is_free(self, wanted: str) -> bool:
        """Whether the variable of that name holds nothing that is still needed."""
        name = self._variables.get(wanted)
        if name is None:
            return safe_local(wanted, self.dialect.target) not in self.names.taken
        if wanted in self._carried_names:
            return False
        return not any(self._needed(value) for value in self._holders.get(name.id, ()))

    def _needed(self, value: merged.Value) -> bool:
        return value in self._pinned or self._left.get(value, 0) > 0

    def _temporary(self, apart: Sequence[Expr] = ()) -> Name:
        for candidate in TEMPORARIES:
            known = self._variables.get(candidate)
            if known is None and candidate not in self.names.taken:
                self.names.taken.add(candidate)
                self._variables[candidate] = Name(candidate)
                return Name(candidate)
            if known is not None and known not in apart and self._is_free(candidate):
                return known
        return Name(self.names.free("y"))

    def _assign(self, name: Name, expression: Expr, value: merged.Value) -> None:
        """`name = expression`, once whatever the name holds is safe."""
        self._save(name, expression)
        if expression != name:
            comment = self._comment(
                value, len(name.id) + 3 + expression_width(expression)
            )
            self.statements.append(Assign((name,), expression, comment))
        self._holders[name.id] = []
        self._held[value] = name
        self._left.setdefault(value, value.uses)
        self._holders[name.id].append(value)

    def _save(self, name: Name, expression: Expr) -> None:
        """Keeps what a variable holds, if it is needed after the variable is written."""
        for value, pending in list(self._pending.items()):
            if _reads(pending, name):
                kept = Name(self.names.free(value.name or f"{name.id}_then"))
                self.statements.append(Assign((kept,), self._pending.pop(value)))
                self._held[value] = kept
                self._left[value] = value.uses
                self._holders.setdefault(kept.id, []).append(value)
        for value in self._holders.get(name.id, ()):
            if expression == name or self._held.get(value) != name:
                continue
            if not self._needed(value):
                continue
            other = self._other_holder(value, name)
            if other is not None:
                self._held[value] = other
            else:
                self._keep(value, name)

    def _other_holder(self, value: merged.Value, name: Name) -> Name | None:
        """Another variable that holds the same."""
        for known, values in self._holders.items():
            if known != name.id and value in values:
                return Name(known)
        return None

    def _keep(self, value: merged.Value, variable: Name) -> None:
        """Copies what a variable holds to one that nothing else writes."""
        kept = Name(self.names.free(self._aliases.get(value, f"{variable.id}_before")))
        self.statements.append(Assign((kept,), variable))
        self._held[value] = kept
        self._holders.setdefault(kept.id, []).append(value)

    def _lies_in(self, name: str, value: merged.Value) -> None:
        """Sees to it that a value lies in the variable of a name."""
        variable = self._variable(name)
        if value in self._pending:
            self._assign(variable, self._pending.pop(value), value)
        elif value not in self._holders.get(variable.id, ()):
            if value not in self._held:
                raise Unspellable(name)
            held = self._held[value]
            self._save(variable, held)
            self.statements.append(Assign((variable,), self._held[value]))
            self._holders[variable.id] = [value]
        self._left[value] = self._left.get(value, value.uses) - 1

    def _is_in(self, name: str, value: merged.Value) -> None:
        """Notes that a value, which is one or another, lies in the variable of a name."""
        variable = self._variable(name)
        self._held[value] = variable
        self._left.setdefault(value, value.uses)
        self._holders.setdefault(variable.id, []).append(value)

    def _state(self) -> _State:
        holders = {name: list(values) for name, values in self._holders.items()}
        return dict(self._held), dict(self._left), holders

    def _restore(self, state: _State) -> None:
        held, left, holders = state
        self._held, self._left = dict(held), dict(left)
        self._holders = {name: list(values) for name, values in holders.items()}
        self._pending = {}

    def _spent(self, items: Sequence[merged.Item]) -> None:
        """Counts what was read inside."""
        for value, count in reads_in(items).items():
            if value in self._left:
                self._left[value] -= count

    def _settle_all(self) -> None:
        """What is still to be written stands before a branch or loop."""
        for value in list(self._pending):
            if value in self._pending:
                self._settle(value)

    def _protect(self, items: Sequence[merged.Item], *, again: bool = False) -> None:
        """Saves what is needed behind a branch or loop from being written over inside it."""
        inside = reads_in([] if again else items)
        for name in dict.fromkeys(written_names(items)):
            variable = self._variables.get(name)
            if variable is None:
                continue
            for value in list(self._holders.get(variable.id, ())):
                behind = self._left.get(value, 0) > inside[value]
                if self._held.get(value) == variable and (
                    behind or value in self._pinned
                ):
                    self._move(value, variable, items)

    def _move(
        self, value: merged.Value, variable: Name, items: Sequence[merged.Item]
    ) -> None:
        """Finds what a variable holds another one that items do not write, or makes one."""
        names = (self._variables.get(name) for name in written_names(items))
        written = {name.id for name in names if name is not None}
        other = self._other_holder(value, variable)
        if other is not None and other.id not in written:
            self._held[value] = other
        else:
            self._keep(value, variable)

    def _comment(self, value: merged.Value, width: int) -> str | None:
        """The shape of a value, where it says something in few words and fits behind the statement."""
        if value.type.rank < 2:
            return None
        sizes = [self._size_text(value.type.shape[axis]) for axis in value.order]
        text = f"[{', '.join(sizes)}]"
        room = 88 - 4 * self._indent - width - 4
        fits = len(text) <= min(WIDEST_COMMENT, room)
        return text if fits and "_" not in sizes else None

    def _size_text(self, size: Dim) -> str:
        """A size as the constructor spells it, where it takes sizes by the same names."""
        twin = size.generic
        if any(atom.opaque is not None for atom in twin.atoms()):
            return "_"
        known = {p.symbol: symbol(p.name) for p in self.plan.parameters if p.is_size}
        known.pop("C", None)
        text = str(twin.at(known)) if known else str(twin)
        return "_" if "@" in twin.key or "?" in twin.key else text.replace("^", "**")


_State: TypeAlias = tuple[
    dict[merged.Value, Expr], dict[merged.Value, int], dict[str, list[merged.Value]]
]
"""What each value is written as, how often it is still read, and what each variable holds."""


def expression_width(expression: Expr) -> int:
    """The width of an expression on one line, as far as it is known."""
    try:
        return len(expression_text(_printable(expression)))
    except (TypeError, ValueError):
        return WIDEST


def _printable(expression: Expr) -> Expr:
    """An expression with short stand-ins for what is not spelled yet."""
    kinds = (
        tree.Size,
        tree.Constant,
        tree.Input,
        tree.Module,
        tree.Helper,
        tree.Shape,
        Anchor,
        RunTimeSize,
    )
    return tree.transform(
        expression, lambda part: Name("xx") if isinstance(part, kinds) else None
    )


def _reads(expression: Expr, name: Name) -> bool:
    return any(part == name for part in tree.walk(expression))
