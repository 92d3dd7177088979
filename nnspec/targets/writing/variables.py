"""Gives values their variables, and the statements for that.

The spec's names become variables. A variable that is written again while its old value is still needed
is saved first, so that the statements mean what the graph means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.inlining import FARTHEST_NAME, WIDEST
from nnspec.pycode.statements import Assign
from nnspec.pycode.writer import expression_text
from nnspec.targets.contents import reads_in, steps_of, written_names
from nnspec.targets.lowering import RunTimeSize
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.environment import Environment
from nnspec.targets.writing.written import Written, shape_comment


class Variables:
    """Writes what gives variables their values, and keeps the environment true."""

    def __init__(
        self, plan: ClassPlan, environment: Environment, written: Written
    ) -> None:
        self._plan = plan
        self._known = environment
        self._written = written
        # The spec's names for values: those that they are on their way to, and those besides their variable's.
        self._hints = _destinations(plan.items)
        self._aliases: dict[merged.Value, str] = {}

    # ---- values ----

    def wait(self, value: merged.Value, expression: Expr) -> None:
        """A value is an expression that is written where it is read; at once if it is read twice and has no name."""
        self._known.pending[value] = expression
        if value.uses > 1 and value.name is None:
            self.settle(value)

    def waiting(self, value: merged.Value) -> Expr | None:
        """The expression of a value that is still to be written."""
        return self._known.pending.get(value)

    def is_inlined(self, value: merged.Value) -> bool:
        """Whether an expression is written where it is read; one with a name is that of all its readers."""
        once = value.uses == 1 or value.name is None
        return once and value in self._known.pending

    def read(self, value: merged.Value) -> Expr:
        """What a reader of a value says. Raises `Unspellable` where nothing holds it."""
        known = self._known
        if value in known.pending:
            if value.uses == 1 or value.name is None:
                return known.pending.pop(value)
            self._settle_as(value.name, value)
        if value not in known.held:  # the block is then written out as it is
            raise Unspellable(value.name or "a value")
        known.read_once(value)
        return known.held[value]

    def bind(self, name: str, value: merged.Value) -> None:
        """Gives a value that is only an expression so far the variable of a name."""
        self._assign_pending(self._known.variable(name), value)

    def alias(self, name: str, value: merged.Value) -> None:
        """Notes a name for a value that has a variable: it is for a copy, should there be one."""
        if value in self._known.held:
            self._aliases[value] = name

    def bind_all(
        self,
        values: Sequence[merged.Value],
        names: Mapping[merged.Value, str],
        result: Expr,
    ) -> None:
        """`q, k, v = ...`: a variable for each value of a result, by its name where it has one."""
        known = self._known
        targets: list[Name] = []
        for value in values:
            if not value.uses:
                targets.append(Name("_"))
                continue
            wanted = names.get(value)
            name = known.variable(wanted) if wanted else None
            if name is None or name in targets:
                name = known.temporary(targets)
            self._save(name, result)
            targets.append(name)
        self._written.add(Assign(tuple(targets), result))
        for value, target in zip(values, targets, strict=True):
            if value.uses:
                known.put(value, target)
                known.left[value] = value.uses

    def settle(self, value: merged.Value) -> None:
        """Gives a value that is only an expression so far a variable of its own."""
        known = self._known
        wanted = self._hints.get(value)
        if wanted in self._output_names():
            wanted = self._source_of(known.pending[value])
        if wanted is not None and known.is_free(wanted):
            name = known.variable(wanted)
        else:
            name = known.temporary()
        self._assign_pending(name, value)

    def settle_all(self) -> None:
        """What is still to be written stands before a branch or loop."""
        for value in list(self._known.pending):
            if value in self._known.pending:
                self.settle(value)

    def _settle_as(self, name: str, value: merged.Value) -> None:
        """Gives a value that is read before its name is bound its variable already."""
        if self._known.is_free(name):
            self._assign_pending(self._known.variable(name), value)
        else:
            self.settle(value)

    def _output_names(self) -> set[str]:
        """Names that only a finished result should have."""
        function = self._plan.function
        return (
            {port.name for port in function.outputs}
            if function.kind == "model"
            else set()
        )

    def _source_of(self, expression: Expr) -> str | None:
        """The spec's variable that an expression starts from, unless it is an input; else `x`."""
        known = self._known
        inputs = {value.name for value in self._plan.inputs}
        for part in tree.walk(expression):
            for name, variable in known.variables.items():
                if part == variable and name not in inputs and known.is_free(name):
                    return name
        return "x"

    # ---- writing to a variable ----

    def _assign_pending(self, name: Name, value: merged.Value) -> None:
        """`name = expression`, once whatever the name holds is safe."""
        known, expression = self._known, self._known.pending.pop(value)
        self._save(name, expression)
        if expression != name:
            width = len(name.id) + 3 + expression_width(expression)
            comment = shape_comment(self._plan, value, self._written.indent, width)
            self._written.add(Assign((name,), expression, comment))
        known.put(value, name)
        known.left.setdefault(value, value.uses)

    def _save(self, name: Name, expression: Expr) -> None:
        """Keeps what a variable holds, if it is needed after the variable is written."""
        known = self._known
        for value in known.pending.reading(name.id):
            kept = Name(
                known.names.free(value.name or f"{name.id}_then", of_value=True)
            )
            self._written.add(Assign((kept,), known.pending.pop(value)))
            known.put_too(value, kept)
            known.left[value] = value.uses
        for value in known.holders.get(name.id, ()):
            if expression == name or known.held.get(value) != name:
                continue
            if not known.needs(value):
                continue
            other = known.in_another(value, name)
            if other is not None:
                known.held[value] = other
            else:
                self._keep(value, name)

    def _keep(self, value: merged.Value, variable: Name) -> None:
        """Copies what a variable holds to one that nothing else writes."""
        wanted = self._aliases.get(value, f"{variable.id}_before")
        kept = Name(self._known.names.free(wanted, of_value=True))
        self._written.add(Assign((kept,), variable))
        self._known.put_too(value, kept)

    # ---- branches and loops ----

    def lies_in(self, name: str, value: merged.Value) -> None:
        """Sees to it that a value lies in the variable of a name."""
        known = self._known
        variable = known.variable(name)
        if value in known.pending:
            self._assign_pending(variable, value)
        elif value not in known.holders.get(variable.id, ()):
            if value not in known.held:
                raise Unspellable(name)
            self._save(variable, known.held[value])
            self._written.add(Assign((variable,), known.held[value]))
            known.holders[variable.id] = [value]
        known.read_once(value)

    def place_ahead(self, branch: merged.Branch) -> None:
        """`y = x` before an `if` that may give `y` another value, instead of an `else`."""
        known = self._known
        for join in branch.joins:
            value, variable = join.otherwise, known.variable(join.name)
            inside = known.holders.get(variable.id, ())
            if value is None or value not in known.held or value in inside:
                continue
            if join.value.uses and not any(map(known.needs, inside)):
                self._written.add(Assign((variable,), known.held[value]))
                known.holders[variable.id] = [value]

    def protect(self, items: Sequence[merged.Item], *, again: bool = False) -> None:
        """Saves what is needed behind a branch or loop from being written over inside it.

        `again`: what they read is needed for as long as the loop turns.
        """
        known = self._known
        inside = reads_in([] if again else items)
        for name in dict.fromkeys(written_names(items)):
            variable = known.variables.get(name)
            if variable is None:
                continue
            for value in list(known.holders.get(variable.id, ())):
                behind = known.left.get(value, 0) > inside[value]
                if known.held.get(value) == variable and (
                    behind or value in known.pinned
                ):
                    self._move(value, variable, items)

    def _move(
        self, value: merged.Value, variable: Name, items: Sequence[merged.Item]
    ) -> None:
        """Finds what a variable holds another one that items do not write, or makes one."""
        names = (self._known.variables.get(name) for name in written_names(items))
        written = {name.id for name in names if name is not None}
        other = self._known.in_another(value, variable)
        if other is not None and other.id not in written:
            self._known.held[value] = other
        else:
            self._keep(value, variable)

    def enter(self, loop: merged.Loop) -> None:
        """What a loop carries lies in its variables before it begins."""
        self.settle_all()
        for name, carried in loop.carried.items():
            self.lies_in(name, carried.initial)
        self.protect([loop], again=True)
        for name, carried in loop.carried.items():
            self._known.is_in(name, carried.entry)

    def end_turn(self, loop: merged.Loop) -> None:
        """What a loop carries on lies in its variables at the end of a turn."""
        for name, carried in loop.carried.items():
            assert carried.final is not None
            self.lies_in(name, carried.final)


def _destinations(items: Sequence[merged.Item]) -> dict[merged.Value, str]:
    """The name that each value is on its way to: that which the end of its pipe is bound to."""
    consumers: dict[merged.Value, merged.Step] = {}
    for step in steps_of(items):
        for reference in step.inputs:
            consumers[reference] = step
    found: dict[merged.Value, str] = {}
    for step in steps_of(items):
        for output in step.outputs:
            value, seen = output, 0
            while value.name is None and value in consumers and seen < FARTHEST_NAME:
                following = consumers[value]
                if len(following.outputs) != 1:
                    break
                value, seen = following.outputs[0], seen + 1
            if value.name is not None:
                found[output] = value.name
    return found


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
        tree.Anchor,
        RunTimeSize,
    )
    return tree.transform(
        expression, lambda part: Name("xx") if isinstance(part, kinds) else None
    )
