"""The forward pass of an emitted class: one statement a line of thought.

Results that are read once are written into the expression that reads them, as long as it stays short;
the spec's names become variables. A variable that is written again while its old value is still needed
is saved first, so that the statements mean what the graph means.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim, symbol
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.statements import Assign, For, If, Raise, Return, Statement
from nnspec.pycode.writer import expression_text
from nnspec.targets.constructor import (
    branches_of,
    counted_loop,
    loops_of,
    mark_key,
    negated,
    steps_of,
)
from nnspec.targets.layout import Permutation
from nnspec.targets.lowering import Anchor, RunTimeSize, transposed
from nnspec.targets.names import Names, safe_local, safe_name, size_name
from nnspec.targets.plan import ClassPlan, has_constructs, marker, names_in
from nnspec.targets.scope import loop_variables, spelled
from nnspec.targets.spelling import Unspellable

MOST_NESTED_CALLS = 3
WIDEST = 72
WIDEST_COMMENT = 40


class ForwardDialect(Protocol):
    """How a target says the few things that the two say differently."""

    target: str
    nested_lists: bool

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
    _read_by_name: set[str] = field(default_factory=set[str])

    def write(self, parameters: Sequence[Expr]) -> list[Statement]:
        """The body, for expressions that hold the class's inputs in order."""
        for value, given in zip(self.plan.inputs, parameters, strict=True):
            self._hold(value, given)
        self._hint(self.plan.items)
        self._read_by_name = _named_references(self.plan.items)
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
                key = _symbol_of(value.type.shape[axis])
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

    def _hint(self, items: list[merged.Item]) -> None:
        """The name that a value is on its way to: that which the end of its pipe is bound to."""
        consumers: dict[merged.Value, merged.Step] = {}
        for step in steps_of(items):
            for reference in step.inputs:
                if isinstance(reference, merged.Value):
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
        if not any(
            value.uses or value.name or value.is_variable for value in step.outputs
        ):
            return
        inputs = self._inputs(step)
        results = [self._filled(step, result, inputs) for result in step.results]
        if len(step.outputs) > 1 and len(results) == 1:
            self._several(step, results[0], items, place)
            return
        for value, result in zip(step.outputs, results, strict=True):
            self._pending[value] = result
            if value.uses > 1 and value.name is None:
                self._settle(value)

    def _inputs(self, step: merged.Step) -> list[Expr]:
        """The expressions that a step reads; long ones are given a variable first."""
        listed = {i for start, end, _ in step.listed for i in range(start, end)}
        for place, reference in enumerate(step.inputs):
            if place in listed or not isinstance(reference, merged.Value):
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

    def _run_time_size(self, part: RunTimeSize, change: object) -> Expr:
        try:
            return self._spelled(tree.Size(part.dim))
        except Unspellable:
            tensor = tree.transform(part.input, change)  # type: ignore[arg-type]
            return self.dialect.shape(tensor)[part.axis]

    def _module(self, step: merged.Step, suffix: str) -> Expr:
        key = step.label + suffix
        if key in self._elements:
            return self._element(step, self._elements[key])
        found: Expr = tree.Attribute(Name("self"), safe_name(key, self.dialect.target))
        numbers = [turn.index for turn in step.turns]
        if None in numbers:
            for turn in step.turns:
                index = self._counts.get(turn.loop or 0, Name("i"))
                found = found[Literal(turn.index) if turn.index is not None else index]
            return found
        keyed = self._is_keyed(key)
        for number in numbers:
            assert number is not None
            found = found[str(number) if keyed else number]
        return found

    def _element(self, step: merged.Step, element: Expr) -> Expr:
        """The layer in what a loop goes through: inner turns that are written out have numbers."""
        if not self.dialect.nested_lists:
            return element
        loops = [place for place, turn in enumerate(step.turns) if turn.index is None]
        for turn in step.turns[max(loops, default=-1) + 1 :]:
            assert turn.index is not None
            element = element[turn.index]
        return element

    def _is_keyed(self, key: str) -> bool:
        """Whether the layers of a label are a table, since some turns have none."""
        turns = sorted(
            {
                step.turns[0].index or 0
                for step in steps_of(self.plan.items)
                for construct in step.constructs
                if step.label + construct.suffix == key and step.turns
            }
        )
        return turns != list(range(len(turns)))

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
            _symbol_of(size) == key
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
        name = self._variables.get(running.name)
        if name is None:
            return None
        order = self._carried_orders.get(running.name)
        axis = running.axis if order is None else order.index(running.axis)
        return self.dialect.shape(name)[axis]

    _carried_orders: dict[str, Permutation] = field(
        default_factory=dict[str, Permutation]
    )

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

    def _read(self, reference: merged.Reference) -> Expr:
        if isinstance(reference, merged.Variable):
            return self._variable(reference.name)
        if reference in self._pending:
            return self._pending.pop(reference)
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

    def _temporary(self) -> Name:
        for candidate in ("y", "z", "h", "u", "v", "w"):
            known = self._variables.get(candidate)
            if known is None and candidate not in self.names.taken:
                self.names.taken.add(candidate)
                self._variables[candidate] = Name(candidate)
                return Name(candidate)
            if known is not None and self._is_free(candidate):
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
            if (
                self._held.get(value) == name
                and self._needed(value)
                and not _is(expression, name)
            ):
                self._keep(value, name)

    # ---- bindings ----

    def _several(
        self, step: merged.Step, result: Expr, items: list[merged.Item], place: int
    ) -> None:
        """`q, k, v = ...`: the names are those that the spec gives the results next."""
        following = {
            item.value: item.name
            for item in items[place + 1 : place + 1 + len(step.outputs)]
            if isinstance(item, merged.Bind) and isinstance(item.value, merged.Value)
        }
        targets: list[Expr] = []
        for value in step.outputs:
            if not value.uses and not value.is_variable:
                targets.append(Name("_"))
                continue
            wanted = following.get(value)
            name = self._variable(wanted) if wanted else self._temporary()
            self._save(name, result)
            targets.append(name)
        self.statements.append(Assign(tuple(targets), result))
        for value, target in zip(step.outputs, targets, strict=True):
            if isinstance(target, Name) and target.id != "_":
                self._holders[target.id] = [value]
                self._held[value] = target
                self._left[value] = value.uses

    def _bind(self, item: merged.Bind) -> None:
        reference = item.value
        if isinstance(reference, merged.Variable):
            if reference.name != item.name and item.name in self._read_by_name:
                name = self._variable(item.name)
                source = self._variable(reference.name)
                self._save(name, source)
                self.statements.append(Assign((name,), source))
            return
        if reference in self._pending:
            if reference.uses == 0 and not reference.is_variable:
                self._pending.pop(reference)
                return
            self._bind_pending(item, reference)
            return
        held = self._held.get(reference)
        if held is None:
            return
        name = self._variable(item.name)
        if held == name:
            return
        if reference.is_variable or item.name in self._carried_names:
            self._save(name, held)
            self.statements.append(Assign((name,), held))
            self._holders[name.id] = []
            return
        self._aliases[reference] = item.name

    def _bind_pending(self, item: merged.Bind, value: merged.Value) -> None:
        plain = _is_own_parameter(self._pending[value]) and not value.is_variable
        if plain and item.name not in self._carried_names:
            self._held[value] = self._pending.pop(
                value
            )  # `self.gamma` needs no second name
            self._left.setdefault(value, value.uses)
            return
        only = (
            value.uses == 1
            and not value.is_variable
            and item.name not in self._carried_names
        )
        if only and self._returns_next(value):
            return  # it is returned as it is
        self._assign(self._variable(item.name), self._pending.pop(value), value)

    def _returns_next(self, value: merged.Value) -> bool:
        last = self.plan.items[-1]
        return (
            isinstance(last, merged.Result)
            and value in last.values
            and len(last.values) == 1
        )

    # ---- control ----

    def _branch(self, item: merged.Branch) -> None:
        if not _does_anything([item]):
            return
        self._settle_used([*item.then, *item.otherwise])
        self._protect([*item.then, *item.otherwise])
        mark = marker(item)
        if (
            mark is not None
            and has_constructs([item])
            and not any(t for t in mark.turns)
        ):
            attribute = tree.Attribute(
                Name("self"), safe_name(mark_key(mark), self.dialect.target)
            )
            condition: Expr = tree.Binary("is not", attribute, Literal(None))
        else:
            condition = self._spelled(item.condition)
        outer = self.statements
        then = self._inside(item.then)
        otherwise = self._inside(item.otherwise)
        self.statements = outer
        if not then and not otherwise:
            return
        if not then:
            condition, then, otherwise = negated(condition), otherwise, []
        self.statements.append(If(condition, tuple(then), tuple(otherwise)))

    def _inside(self, items: list[merged.Item]) -> list[Statement]:
        self.statements = []
        self._indent += 1
        variables = dict(self._variables)
        self.body(items)
        self._indent -= 1
        for value in list(self._pending):
            if value.is_variable and value.name:
                self._assign(
                    self._variable(value.name), self._pending.pop(value), value
                )
        for name, variable in variables.items():
            self._variables[name] = variable
        return self.statements

    def _settle_used(self, items: Sequence[merged.Item]) -> None:
        """What a branch or loop reads must lie in variables before it begins."""
        for step in steps_of(items):
            for reference in step.inputs:
                if isinstance(reference, merged.Value) and reference in self._pending:
                    self._settle(reference)

    def _protect(self, items: Sequence[merged.Item]) -> None:
        """Saves what is needed behind a branch or loop from being written over inside it."""
        inside: dict[merged.Value, int] = {}
        for step in steps_of(items):
            for reference in step.inputs:
                if isinstance(reference, merged.Value):
                    inside[reference] = inside.get(reference, 0) + 1
        for bound in bound_names(items):
            variable = self._variables.get(bound)
            if variable is None:
                continue
            for value in list(self._holders.get(variable.id, ())):
                behind = self._left.get(value, 0) > inside.get(value, 0)
                if self._held.get(value) == variable and (
                    behind or value in self._pinned
                ):
                    self._keep(value, variable)

    def _keep(self, value: merged.Value, variable: Name) -> None:
        """Copies what a variable holds to one that nothing else writes."""
        kept = Name(self.names.free(self._aliases.get(value, f"{variable.id}_before")))
        self.statements.append(Assign((kept,), variable))
        self._held[value] = kept
        self._holders.setdefault(kept.id, []).append(value)

    def _loop(self, loop: merged.Loop) -> None:
        if not self.dialect.nested_lists and self._is_flat(loop):
            for item in loop.body:
                if isinstance(item, merged.Loop):
                    self._loop(item)
            return
        self._settle_used(loop.body)
        self._protect(loop.body)
        for name, entries in loop.carried.items():
            for value in entries:
                self._enter_carried(name, value)
        outer_pinned, outer_names = set(self._pinned), set(self._carried_names)
        self._carried_names |= set(loop.carried)
        self._pin(loop)
        chosen = loop_variables(loop.pattern, loop.variables, self.names)
        for unique, name in chosen.items():
            self._loop_names[unique] = Name(name)
        elements = self._loop_elements(loop)
        used = self._used_in(loop)
        outer, self.statements = self.statements, []
        saved = dict(self._elements)
        number: Expr | None = None
        if used or not elements:
            iterable = self._spelled(loop.iterable)
            target, iterable, number = counted_loop(
                loop, self._loop_names, iterable, self.names, (used, bool(elements))
            )
            self._counts[loop.uid] = number
            for key, attribute in elements:
                self._elements[key] = attribute[number]
        else:
            target, iterable = self._over_elements(elements)
        self._indent += 1
        self.body(loop.body)
        self._indent -= 1
        body, self.statements = self.statements, outer
        self._elements = saved
        self._pinned, self._carried_names = outer_pinned, outer_names
        if body:
            self.statements.append(For(target, iterable, tuple(body)))

    def _is_flat(self, loop: merged.Loop) -> bool:
        """Whether a loop does nothing but run an inner one, whose layers lie in one flat list."""
        return len(loop.body) == 1 and isinstance(loop.body[0], merged.Loop)

    def _enter_carried(self, name: str, value: merged.Value) -> None:
        if value in self._pending:
            self._assign(self._variable(name), self._pending.pop(value), value)
            return
        held = self._held.get(value)
        variable = self._variable(name)
        if held is not None and held != variable:
            self._save(variable, held)
            self.statements.append(Assign((variable,), held))

    def _pin(self, loop: merged.Loop) -> None:
        """What a loop reads from outside is needed in every turn."""
        for step in steps_of(loop.body):
            for reference in step.inputs:
                if isinstance(reference, merged.Value) and reference in self._held:
                    self._pinned.add(reference)

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
            if marker(branch) is None and _does_anything([branch]):
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
        if len(item.values) == 1 and isinstance(item.values[0], merged.Value):
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

    def _output(self, reference: merged.Reference) -> Expr:
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


def _does_anything(items: Sequence[merged.Item]) -> bool:
    """Whether the forward pass has something to write for these items."""
    for item in items:
        match item:
            case merged.Branch():
                if _does_anything(item.then) or _does_anything(item.otherwise):
                    return True
            case merged.Requirement() | merged.Guard():
                pass
            case _:
                return True
    return False


def _is_own_parameter(expression: Expr) -> bool:
    return isinstance(expression, tree.Attribute) and expression.object == Name("self")


def _named_references(items: Sequence[merged.Item]) -> set[str]:
    """The variables that are read by their names."""
    found: set[str] = set()
    for item in items:
        match item:
            case merged.Step(inputs=references) | merged.Result(values=references):
                found |= {r.name for r in references if isinstance(r, merged.Variable)}
            case merged.Branch():
                found |= _named_references(item.then) | _named_references(
                    item.otherwise
                )
            case merged.Loop():
                found |= _named_references(item.body) | set(item.carried)
            case _:
                pass
    return found


def bound_names(items: Sequence[merged.Item]) -> Iterator[str]:
    """The variables that items write, those in branches and loops too."""
    for item in items:
        match item:
            case merged.Bind(name=name):
                yield name
            case merged.Branch():
                yield from bound_names(item.then)
                yield from bound_names(item.otherwise)
            case merged.Loop():
                yield from bound_names(item.body)
            case _:
                pass


def _symbol_of(size: Dim) -> str | None:
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
        if (
            isinstance(part, tree.Attribute)
            and part.name
            in (
                "Linear Embedding Conv1d Conv2d Conv3d LayerNorm RMSNorm BatchNorm1d BatchNorm2d Parameter"
            ).split()
        ):
            return True
    return False


def _singular(key: str) -> str:
    return (
        key[:-1]
        if key.endswith("s") and len(key) > 3 and not key.endswith("ss")
        else f"{key}_layer"
    )
