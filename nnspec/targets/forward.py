"""The forward pass of an emitted class: one statement a line of thought.

Results that are read once are written into the expression that reads them, as long as it stays short;
the spec's names become variables. A variable that is written again while its old value is still needed
is saved first, so that the statements mean what the graph means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim, symbol
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.statements import Assign, For, If, Raise, Return, Statement
from nnspec.pycode.writer import expression_text
from nnspec.targets.constructor import counted_loop, element, negated, turn_numbers
from nnspec.targets.contents import (
    branches_of,
    does_anything,
    has_constructs,
    loops_of,
    mark_key,
    marker,
    names_in,
    reads_in,
    steps_of,
    written_names,
)
from nnspec.targets.lowering import Anchor, RunTimeSize, transposed
from nnspec.targets.names import Names, safe_local, safe_name, size_name
from nnspec.targets.plan import ClassPlan
from nnspec.targets.scope import loop_variables, spelled
from nnspec.targets.spelling import Unspellable

MOST_NESTED_CALLS = 3
WIDEST = 72
WIDEST_COMMENT = 40


class ForwardDialect(Protocol):
    """How a target says the few things that the two say differently."""

    @property
    def target(self) -> str: ...

    @property
    def nested_lists(self) -> bool: ...

    def shape(self, tensor: Expr) -> Expr:
        """All the sizes of a tensor."""
        ...

    def tensor(self, parameter: Expr) -> Expr:
        """A parameter as a tensor."""
        ...


@dataclass(eq=False)
class Forward:
    """Writes the statements of a forward pass."""

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
    _elements: dict[str, Expr] = field(default_factory=dict[str, Expr])
    _loop_names: dict[str, Expr] = field(default_factory=dict[str, Expr])
    _counts: dict[int, Expr] = field(default_factory=dict[int, Expr])
    _used_sizes: dict[str, None] = field(default_factory=dict[str, None])
    _used_attributes: dict[str, None] = field(default_factory=dict[str, None])
    _indent: int = 2

    def write(self, parameters: Sequence[Expr]) -> list[Statement]:
        """The body, for expressions that hold the class's inputs in order."""
        for value, given in zip(self.plan.inputs, parameters, strict=True):
            self._hold(value, given)
        self._hint(self.plan.items)
        self.body(self.plan.items)
        header = self._header()
        return [*header, *self.statements]

    @property
    def stored(self) -> list[str]:
        """The constants that the forward pass reads from `self`, by their names in the spec."""
        return list(self._used_attributes)

    # ---- sizes at the head of the body ----

    def _header(self) -> list[Statement]:
        """Takes apart the shapes of the inputs for the sizes that are used."""
        found: list[Statement] = []
        done: set[str] = set()
        for value in self.plan.inputs:
            keys: list[str | None] = []
            for axis in value.order:
                key = symbol_of(value.type.shape[axis])
                wanted = key is not None and key in self._used_sizes and key not in done
                keys.append(key if wanted else None)
                if wanted and key is not None:
                    done.add(key)
            chosen = [key for key in keys if key is not None]
            if not chosen:
                continue
            tensor = self._input_name(value)
            sizes = self.dialect.shape(tensor)
            if len(chosen) == 1:
                place = keys.index(chosen[0])
                found.append(Assign((self._size_variable(chosen[0]),), sizes[place]))
                continue
            targets = tuple(
                Name("_") if k is None else self._size_variable(k) for k in keys
            )
            found.append(Assign(targets, sizes))
        found.extend(self._checks())
        return found

    def _input_name(self, value: merged.Value) -> Expr:
        return self._input_names[value]

    _input_names: dict[merged.Value, Expr] = field(
        default_factory=dict[merged.Value, Expr]
    )

    def _size_variable(self, key: str) -> Name:
        found = self._sizes[key]
        assert isinstance(found, Name)
        return found

    def _checks(self) -> list[Statement]:
        return list(self._raised)

    _raised: list[Statement] = field(default_factory=list[Statement])

    # ---- items ----

    def body(self, items: list[merged.Item]) -> None:
        """Writes items, one after another."""
        for place, item in enumerate(items):
            match item:
                case merged.Step():
                    self._step(item, items, place)
                case merged.Bind():
                    self._bind(item)
                case merged.Branch():
                    self._branch(item)
                case merged.Loop():
                    self._loop(item)
                case merged.Requirement():
                    self._requirement(item)
                case merged.Guard():
                    self._guard(item)
                case _:
                    self._result(item)

    def _hint(self, items: Sequence[merged.Item]) -> None:
        """The name that a value is on its way to: that which the end of its pipe is bound to."""
        consumers: dict[merged.Value, merged.Step] = {}
        for step in steps_of(items):
            for reference in step.inputs:
                consumers[reference] = step
        for step in steps_of(items):
            for output in step.outputs:
                value, seen = output, 0
                while value.name is None and value in consumers and seen < 64:
                    following = consumers[value]
                    if len(following.outputs) != 1:
                        break
                    value, seen = following.outputs[0], seen + 1
                if value.name is not None:
                    self._hints[output] = value.name

    # ---- steps ----

    def _step(self, step: merged.Step, items: list[merged.Item], place: int) -> None:
        if not any(value.uses for value in step.outputs):
            return
        inputs = self._inputs(step)
        results = [self._filled(step, result, inputs) for result in step.results]
        if len(step.outputs) > 1 and len(results) == 1:
            self._several(step, results[0], items, place)
            return
        for value, result in zip(step.outputs, results, strict=True):
            if not value.uses:
                continue
            self._pending[value] = result
            if value.uses > 1 and value.name is None:
                self._settle(value)

    def _inputs(self, step: merged.Step) -> list[Expr]:
        """The expressions that a step reads; long ones are given a variable first."""
        listed = {i for start, end, _ in step.listed for i in range(start, end)}
        for place, reference in enumerate(step.inputs):
            if place in listed:
                continue
            pending = self._pending.get(reference)
            if pending is not None and self._too_long(step, pending):
                self._settle(reference)
        found: list[Expr] = []
        for place, reference in enumerate(step.inputs):
            if place in listed:
                found.append(Literal(None))
                continue
            want = step.wanted[place] if place < len(step.wanted) else None
            value = self._read(reference)
            found.append(
                value if want is None else transposed(value, reference.order, want)
            )
        return found

    def _too_long(self, step: merged.Step, pending: Expr) -> bool:
        adds = any(
            isinstance(part, tree.Call)
            for result in step.results
            for part in tree.walk(result)
        )
        if adds and _calls(pending) >= MOST_NESTED_CALLS:
            return True
        widest = max((expression_width(result) for result in step.results), default=0)
        return expression_width(pending) + widest > WIDEST

    def _filled(self, step: merged.Step, result: Expr, inputs: list[Expr]) -> Expr:
        """A step's result with its inputs, submodules and sizes put in."""

        def change(part: Expr) -> Expr | None:
            match part:
                case tree.Input(index=index):
                    return inputs[index]
                case tree.Module(suffix=suffix):
                    return self._module(step, suffix)
                case Anchor():
                    return self._anchor(part)
                case RunTimeSize():
                    return self._run_time_size(part, change)
                case tree.Shape():
                    tensor = tree.transform(part.input, change)
                    return self.dialect.shape(tensor)[part.axis]
                case tree.Size() | tree.Constant() | tree.Helper():
                    return self._spelled(part)
                case tree.Display(items=items) if _is_listed(step, items):
                    return self._listed_name(step, items)
                case _:
                    return None

        return tree.transform(result, change)

    def _listed_name(self, step: merged.Step, items: tuple[Expr, ...]) -> Expr:
        first = items[0]
        assert isinstance(first, tree.Input)
        name = next(name for start, _, name in step.listed if start == first.index)
        return Name(safe_local(name, self.dialect.target))

    def _run_time_size(
        self, part: RunTimeSize, change: Callable[[Expr], Expr | None]
    ) -> Expr:
        try:
            return self._spelled(tree.Size(part.dim))
        except Unspellable:
            tensor = tree.transform(part.input, change)
            return self.dialect.shape(tensor)[part.axis]

    def _module(self, step: merged.Step, suffix: str) -> Expr:
        key = step.label + suffix
        if key in self._elements:
            return self._element(step, self._elements[key])
        found: Expr = tree.Attribute(Name("self"), safe_name(key, self.dialect.target))
        numbers = tuple(turn.index for turn in step.turns)
        if None in numbers:
            for turn in step.turns:
                index = self._counts.get(turn.loop or 0, Name("i"))
                found = found[Literal(turn.index) if turn.index is not None else index]
            return found
        return element(found, turn_numbers(step), self._every(key))

    def _element(self, step: merged.Step, found: Expr) -> Expr:
        """The layer in what a loop goes through: inner turns that are written out have numbers."""
        if not self.dialect.nested_lists:
            return found
        loops = [place for place, turn in enumerate(step.turns) if turn.index is None]
        for turn in step.turns[max(loops, default=-1) + 1 :]:
            assert turn.index is not None
            found = found[turn.index]
        return found

    def _every(self, key: str) -> list[tuple[int, ...]]:
        """The turns in which the layers of a label are made."""
        return [
            turn_numbers(step)
            for step in steps_of(self.plan.items)
            for construct in step.constructs
            if step.label + construct.suffix == key
        ]

    def _anchor(self, part: Anchor) -> Expr:
        for value, name in self._input_names.items():
            if value.type.dtype.is_float or not part.floating:
                return name
        for step in steps_of(self.plan.items):
            for construct in step.constructs:
                if step.turns or not _has_weight(construct.value):
                    continue
                attribute = tree.Attribute(
                    Name("self"), safe_name(step.label + construct.suffix, "torch")
                )
                return (
                    attribute
                    if construct.is_parameter
                    else attribute.attribute("weight")
                )
        return Name("next")(Name("self").method("parameters"))

    # ---- names of the spec ----

    def _spelled(self, expression: Expr) -> Expr:
        return spelled(expression, self._resolve)

    def _resolve(self, key: str) -> Expr | None:
        """A constant or size of the spec, as the forward pass knows it."""
        if key in self._loop_names:
            return self._loop_names[key]
        if key in self._sizes:
            self._used_sizes.setdefault(key)
            return self._sizes[key]
        if any(
            symbol_of(size) == key
            for value in self.plan.inputs
            for size in value.type.shape
        ):
            self._sizes[key] = Name(self.names.free(size_name(key)))
            self._used_sizes.setdefault(key)
            return self._sizes[key]
        parameter = self.plan.parameter(key)
        if parameter is not None and not parameter.is_size:
            self._used_attributes.setdefault(key)
            return tree.Attribute(
                Name("self"), safe_name(parameter.name, self.dialect.target)
            )
        running = self.plan.running.get(key)
        if running is not None:
            return self._carried_size(running)
        return None

    def _carried_size(self, running: merged.Running) -> Expr | None:
        entry = self._entries.get(f"{running.name}@{running.uid}")
        name = self._held.get(entry) if entry is not None else None
        if entry is None or not isinstance(name, Name):
            return None
        if entry not in self._holders.get(name.id, ()):
            return None  # the variable has moved on
        return self.dialect.shape(name)[entry.order.index(running.axis)]

    # ---- variables ----

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
            return self._pending.pop(reference)
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

    _carried_names: set[str] = field(default_factory=set[str])

    def _needed(self, value: merged.Value) -> bool:
        return value in self._pinned or self._left.get(value, 0) > 0

    def _temporary(self, apart: Sequence[Expr] = ()) -> Name:
        for candidate in ("y", "z", "h", "u", "v", "w"):
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
            if self._held.get(value) != name or not self._needed(value):
                continue
            if _is(expression, name):
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

    # ---- bindings ----

    def _several(
        self, step: merged.Step, result: Expr, items: list[merged.Item], place: int
    ) -> None:
        """`q, k, v = ...`: the names are those that the spec gives the results next."""
        following = {
            item.value: item.name
            for item in items[place + 1 : place + 1 + len(step.outputs)]
            if isinstance(item, merged.Bind)
        }
        targets: list[Expr] = []
        for value in step.outputs:
            if not value.uses:
                targets.append(Name("_"))
                continue
            wanted = following.get(value)
            name = self._variable(wanted) if wanted else None
            if name is None or name in targets:
                name = self._temporary(targets)
            self._save(name, result)
            targets.append(name)
        self.statements.append(Assign(tuple(targets), result))
        for value, target in zip(step.outputs, targets, strict=True):
            if isinstance(target, Name) and target.id != "_":
                self._holders[target.id] = [value]
                self._held[value] = target
                self._left[value] = value.uses

    def _bind(self, item: merged.Bind) -> None:
        value = item.value
        if value in self._pending:
            self._bind_pending(item, value)
        elif value in self._held:
            self._aliases[value] = item.name

    def _bind_pending(self, item: merged.Bind, value: merged.Value) -> None:
        if _is_own_parameter(self._pending[value]):
            self._held[value] = self._pending.pop(value)  # it needs no second name
            self._left.setdefault(value, value.uses)
            return
        if value.uses == 1 and self._returns_next(value):
            return  # it is returned as it is
        self._assign(self._variable(item.name), self._pending.pop(value), value)

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

    def _returns_next(self, value: merged.Value) -> bool:
        last = self.plan.items[-1]
        return (
            isinstance(last, merged.Result)
            and value in last.values
            and len(last.values) == 1
        )

    # ---- control ----

    def _branch(self, item: merged.Branch) -> None:
        if not does_anything([item]):
            return
        self._settle_all()
        self._protect([item])
        condition = self._branch_condition(item)
        if not item.otherwise:
            self._place_ahead(item)
        outer = self.statements
        before = self._state()
        joins = [join for join in item.joins if join.value.uses]
        ways = [
            (item.then, [(j.name, j.then) for j in joins]),
            (item.otherwise, [(j.name, j.otherwise) for j in joins]),
        ]
        then = self._arm(*ways[0], *ways[1])
        self._restore(before)
        otherwise = self._arm(*ways[1], *ways[0])
        self._restore(before)
        self._spent([item])
        self.statements = outer
        for name in dict.fromkeys(written_names([item])):
            if name in self._variables:
                self._holders[self._variables[name].id] = []
        for join in joins:
            self._is_in(join.name, join.value)
        if not then and not otherwise:
            return
        if not then:
            condition, then, otherwise = negated(condition), otherwise, []
        self.statements.append(If(condition, tuple(then), tuple(otherwise)))

    def _place_ahead(self, item: merged.Branch) -> None:
        """`y = x` before an `if` that may give `y` another value, instead of an `else`."""
        for join in item.joins:
            value, variable = join.otherwise, self._variable(join.name)
            known = self._holders.get(variable.id, ())
            if value is None or value not in self._held or value in known:
                continue
            if join.value.uses and not any(self._needed(other) for other in known):
                self.statements.append(Assign((variable,), self._held[value]))
                self._holders[variable.id] = [value]

    def _branch_condition(self, item: merged.Branch) -> Expr:
        mark = marker(item)
        if (
            mark is not None
            and has_constructs([item])
            and not any(t for t in mark.turns)
        ):
            attribute = tree.Attribute(
                Name("self"), safe_name(mark_key(mark), self.dialect.target)
            )
            return tree.Binary("is not", attribute, Literal(None))
        return self._spelled(item.condition)

    def _arm(
        self,
        items: list[merged.Item],
        sources: list[tuple[str, merged.Value | None]],
        other: list[merged.Item],
        other_sources: list[tuple[str, merged.Value | None]],
    ) -> list[Statement]:
        """One way of a branch; what lies in variables behind it must lie there at its end."""
        self.statements = []
        self._indent += 1
        for value, count in reads_in(other).items():
            if value in self._left:
                self._left[value] -= count  # the other way does not come after this one
        for _, value in other_sources:
            if value is not None and value in self._left:
                self._left[value] -= 1
        self.body(items)
        if not (self.statements and isinstance(self.statements[-1], Return)):
            for name, value in sources:
                if value is not None:
                    self._lies_in(name, value)
        self._indent -= 1
        return self.statements

    def _state(
        self,
    ) -> tuple[
        dict[merged.Value, Expr], dict[merged.Value, int], dict[str, list[merged.Value]]
    ]:
        holders = {name: list(values) for name, values in self._holders.items()}
        return dict(self._held), dict(self._left), holders

    def _restore(
        self,
        state: tuple[
            dict[merged.Value, Expr],
            dict[merged.Value, int],
            dict[str, list[merged.Value]],
        ],
    ) -> None:
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
        inside = {} if again else reads_in(items)
        for name in dict.fromkeys(written_names(items)):
            variable = self._variables.get(name)
            if variable is None:
                continue
            for value in list(self._holders.get(variable.id, ())):
                behind = self._left.get(value, 0) > inside.get(value, 0)
                if self._held.get(value) == variable and (
                    behind or value in self._pinned
                ):
                    other = self._other_holder(value, variable)
                    written = {
                        self._variables[n].id
                        for n in written_names(items)
                        if n in self._variables
                    }
                    if other is not None and other.id not in written:
                        self._held[value] = other
                    else:
                        self._keep(value, variable)

    def _keep(self, value: merged.Value, variable: Name) -> None:
        """Copies what a variable holds to one that nothing else writes."""
        kept = Name(self.names.free(self._aliases.get(value, f"{variable.id}_before")))
        self.statements.append(Assign((kept,), variable))
        self._held[value] = kept
        self._holders.setdefault(kept.id, []).append(value)

    def _loop(self, loop: merged.Loop) -> None:
        flat = self._flattens(loop)
        self._enter_loop(loop)
        outer_pinned, outer_names = set(self._pinned), set(self._carried_names)
        self._carried_names |= set(loop.carried)
        self._pin(loop)
        outer = self.statements
        self.statements = outer if flat else []
        before = self._state()
        saved = dict(self._elements)
        opened = None if flat else self._open_loop(loop)
        for name, carried in loop.carried.items():
            self._entries[f"{name}@{loop.uid}"] = carried.entry
        self._indent += 0 if flat else 1
        self.body(loop.body)
        for name, carried in loop.carried.items():
            assert carried.final is not None
            self._lies_in(name, carried.final)
        if opened is not None:
            self._close_loop(loop)
        self._indent -= 0 if flat else 1
        body, self.statements = self.statements, outer
        self._elements = saved
        self._restore(before)
        self._spent([loop])
        self._pinned, self._carried_names = outer_pinned, outer_names
        for name in dict.fromkeys(written_names(loop.body)):
            if name in self._variables:
                self._holders[self._variables[name].id] = []
        for name, carried in loop.carried.items():
            self._holders[self._variable(name).id] = []
            self._is_in(name, carried.exit)
        if opened is not None and body:
            self.statements.append(For(opened[0], opened[1], tuple(body)))

    _entries: dict[str, merged.Value] = field(default_factory=dict[str, merged.Value])

    def _flattens(self, loop: merged.Loop) -> bool:
        return not self.dialect.nested_lists and self._is_flat(loop)

    def _enter_loop(self, loop: merged.Loop) -> None:
        """What a loop carries lies in its variables before it begins."""
        self._settle_all()
        for name, carried in loop.carried.items():
            self._lies_in(name, carried.initial)
        self._protect([loop], again=True)
        for name, carried in loop.carried.items():
            self._is_in(name, carried.entry)

    def _open_loop(self, loop: merged.Loop) -> tuple[Expr, Expr]:
        """The target and the iterable of a loop, and where its body finds the layers of a turn."""
        chosen = loop_variables(loop.pattern, loop.variables, self.names)
        for unique, name in chosen.items():
            self._loop_names[unique] = Name(name)
        elements = self._loop_elements(loop)
        used = self._used_in(loop)
        if not used and elements:
            return self._over_elements(elements)
        iterable = self._spelled(loop.iterable)
        target, iterable, number = counted_loop(
            loop, self._loop_names, iterable, self.names, (used, bool(elements))
        )
        self._counts[loop.uid] = number
        for key, attribute in elements:
            self._elements[key] = attribute[number]
        return target, iterable

    def _close_loop(self, loop: merged.Loop) -> None:
        """What stands at the end of a turn."""

    def _is_flat(self, loop: merged.Loop) -> bool:
        """Whether a loop does nothing but run an inner one, whose layers lie in one flat list."""
        return len(loop.body) == 1 and isinstance(loop.body[0], merged.Loop)

    def _pin(self, loop: merged.Loop) -> None:
        """What a loop reads from outside is needed in every turn."""
        entries = {carried.entry for carried in loop.carried.values()}
        self._pinned |= {
            v for v in reads_in(loop.body) if v in self._held and v not in entries
        }

    def _loop_elements(self, loop: merged.Loop) -> list[tuple[str, Expr]]:
        """The lists of layers that a loop goes through, each with where it is found."""
        found: dict[str, Expr] = {}
        for step in steps_of(loop.body):
            turns = [turn.loop for turn in step.turns]
            if loop.uid not in turns:
                continue
            for key in self._keys(step):
                level = turns.index(loop.uid)
                if level == 0 or (
                    key not in self._elements and not self.dialect.nested_lists
                ):
                    attribute: Expr = tree.Attribute(
                        Name("self"), safe_name(key, self.dialect.target)
                    )
                else:
                    attribute = self._elements[key]
                found.setdefault(key, attribute)
        return list(found.items())

    def _keys(self, step: merged.Step) -> list[str]:
        suffixes = {construct.suffix for construct in step.constructs}
        for result in step.results:
            suffixes |= {
                p.suffix for p in tree.walk(result) if isinstance(p, tree.Module)
            }
        return [step.label + suffix for suffix in sorted(suffixes)]

    def _used_in(self, loop: merged.Loop) -> set[str]:
        """The variables of a loop that its forward pass reads."""
        used: set[str] = set()
        for step in steps_of(loop.body):
            for result in step.results:
                used |= set(names_in(result))
        for branch in branches_of(loop.body):
            if marker(branch) is None and does_anything([branch]):
                used |= set(names_in(branch.condition))
        for inner in loops_of(loop.body):
            if not self._loop_has_elements(inner):
                used |= set(names_in(inner.iterable))
        return used & set(loop.variables)

    def _loop_has_elements(self, loop: merged.Loop) -> bool:
        return any(
            loop.uid in [t.loop for t in step.turns] for step in steps_of(loop.body)
        )

    def _over_elements(self, elements: list[tuple[str, Expr]]) -> tuple[Expr, Expr]:
        """`for block in self.blocks`, or several lists side by side."""
        names: list[Expr] = []
        for key, _ in elements:
            depth_rest = self.dialect.nested_lists and key not in self._leaf_keys()
            name = Name(self.names.free(_singular(key) if not depth_rest else "stage"))
            names.append(name)
            self._elements[key] = name
        if len(elements) == 1:
            return names[0], elements[0][1]
        zipped = Name("zip")(*(attribute for _, attribute in elements), strict=True)
        return tree.Display("tuple", tuple(names)), zipped

    def _leaf_keys(self) -> set[str]:
        """Labels whose list has one level."""
        found: set[str] = set()
        for step in steps_of(self.plan.items):
            levels = sum(1 for _ in step.turns)
            for key in self._keys(step):
                current = self._elements.get(key)
                depth = 1 if current is None else 2
                if levels <= depth:
                    found.add(key)
        return found

    # ---- the rest ----

    def _requirement(self, item: merged.Requirement) -> None:
        if not item.symbols:
            return
        condition = self._spelled(item.condition)
        message = _requirement_message(item, condition)
        self._raised.append(
            If(negated(condition), (Raise(Name("ValueError")(message)),))
        )

    def _guard(self, item: merged.Guard) -> None:
        """The constructor has checked it."""

    def _result(self, item: merged.Result) -> None:
        values = [self._output(reference) for reference in item.values]
        comment = None
        if len(item.values) == 1:
            comment = self._comment(item.values[0], 7 + expression_width(values[0]))
        self.statements.append(Return(tuple(values), comment))

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
        known = {p.symbol: symbol(p.name) for p in self.plan.parameters if p.is_size}
        known.pop("C", None)
        text = str(twin.at(known)) if known else str(twin)
        return "_" if "@" in twin.key or "?" in twin.key else text.replace("^", "**")

    def _output(self, reference: merged.Value) -> Expr:
        value = self._read(reference)
        return self.dialect.tensor(value) if _is_own_parameter(value) else value


def _requirement_message(item: merged.Requirement, condition: Expr) -> Expr:
    if item.message:
        return Literal(item.message)
    assert isinstance(condition, tree.Binary)
    symbol = ", ".join(item.symbols)
    return tree.FString(
        (f"{symbol} is ", condition.left, ", which the model does not allow")
    )


def _is_own_parameter(expression: Expr) -> bool:
    return isinstance(expression, tree.Attribute) and expression.object == Name("self")


def symbol_of(size: Dim) -> str | None:
    """The name of a size that is just a symbol."""
    twin = size.generic
    names = twin.symbols()
    if len(twin.terms) != 1 or len(names) != 1:
        return None
    (monomial, coefficient) = twin.terms[0]
    if len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    return atom.symbol if atom.kind == "symbol" and coefficient == atom.scale else None


def _calls(expression: Expr) -> int:
    """How deeply calls are nested."""
    inner = max((_calls(child) for child in expression.children), default=0)
    return inner + (1 if isinstance(expression, tree.Call) else 0)


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


def _is(expression: Expr, name: Name) -> bool:
    return expression == name


def _is_listed(step: merged.Step, items: tuple[Expr, ...]) -> bool:
    if not items or not all(isinstance(item, tree.Input) for item in items):
        return False
    first = items[0]
    assert isinstance(first, tree.Input)
    return any(
        (first.index, first.index + len(items)) == (start, end)
        for start, end, _ in step.listed
    )


def _has_weight(value: Expr) -> bool:
    for part in tree.walk(value):
        if isinstance(part, tree.Attribute) and part.name in [
            "Linear",
            "Embedding",
            "Conv1d",
            "Conv2d",
            "Conv3d",
            "LayerNorm",
            "RMSNorm",
            "BatchNorm1d",
            "BatchNorm2d",
            "Parameter",
        ]:
            return True
    return False


def _singular(key: str) -> str:
    return (
        key[:-1]
        if key.endswith("s") and len(key) > 3 and not key.endswith("ss")
        else f"{key}_layer"
    )
