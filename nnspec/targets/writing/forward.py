"""The forward pass of an emitted class: one statement a line of thought.

Results that are read once are written into the expression that reads them, as long as it stays short;
the spec's names become variables. A variable that is written again while its old value is still needed
is saved first, so that the statements mean what the graph means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.idioms import negated
from nnspec.pycode.inlining import FARTHEST_NAME
from nnspec.pycode.statements import Assign, For, If, Raise, Return, Statement
from nnspec.records import dataclass
from nnspec.targets.contents import (
    does_anything,
    has_constructs,
    mark_key,
    marker,
    reads_in,
    steps_of,
    written_names,
)
from nnspec.targets.names import safe_name
from nnspec.targets.writing.loops import Loops
from nnspec.targets.writing.results import symbol_of
from nnspec.targets.writing.scope import spelled
from nnspec.targets.writing.variables import expression_width


@dataclass(eq=False)
class Forward(Loops):
    """Writes the statements of a forward pass."""

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
            tensor = self._input_names[value]
            sizes = self.dialect.shape(tensor)
            if len(chosen) == 1:
                place = keys.index(chosen[0])
                found.append(Assign((self._size_variable(chosen[0]),), sizes[place]))
                continue
            targets = tuple(
                Name("_") if k is None else self._size_variable(k) for k in keys
            )
            found.append(Assign(targets, sizes))
        return [*found, *self._raised]

    def _size_variable(self, key: str) -> Name:
        found = self._sizes[key]
        assert isinstance(found, Name)
        return found

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
                while (
                    value.name is None and value in consumers and seen < FARTHEST_NAME
                ):
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
        results = self._results(step, inputs)
        if len(step.outputs) > 1 and len(results) == 1:
            self._several(step, results[0], items, place)
            return
        for value, result in zip(step.outputs, results, strict=True):
            if not value.uses:
                continue
            self._pending[value] = result
            if value.uses > 1 and value.name is None:
                self._settle(value)

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
            self._held[value] = _plain(
                self._pending.pop(value)
            )  # it needs no second name
            self._left.setdefault(value, value.uses)
            return
        if value.uses == 1 and self._returns_next(value):
            return  # it is returned as it is
        self._assign(self._variable(item.name), self._pending.pop(value), value)

    def _returns_next(self, value: merged.Value) -> bool:
        last = self.plan.items[-1]
        return (
            isinstance(last, merged.Result)
            and value in last.values
            and len(last.values) == 1
        )

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
        self._forget_written([item])
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

    def _loop(self, loop: merged.Loop) -> None:
        flat = self._flattens(loop)
        self._enter_loop(loop)
        outer_pinned, outer_names = set(self._pinned), set(self._carried_names)
        self._carried_names |= set(loop.carried)
        self._pin(loop)
        if not flat:
            self._begin_streams(loop)
        before, elements = self._state(), dict(self._elements)
        if flat:
            self._turn(loop)
        else:
            self._for(loop)
        self._elements = elements
        self._restore(before)
        self._spent([loop])
        self._pinned, self._carried_names = outer_pinned, outer_names
        self._forget_written(loop.body)
        for name, carried in loop.carried.items():
            self._holders[self._variable(name).id] = []
            self._is_in(name, carried.exit)

    def _for(self, loop: merged.Loop) -> None:
        outer, self.statements = self.statements, []
        target, iterable = self._open_loop(loop)
        self._indent += 1
        self._turn(loop)
        self._close_loop(loop)
        self._indent -= 1
        body, self.statements = self.statements, outer
        if body:
            self.statements.append(For(target, iterable, tuple(body)))

    def _turn(self, loop: merged.Loop) -> None:
        """The body of a loop; at its end what is carried on lies in its variables."""
        self._take_layers(loop)
        for name, carried in loop.carried.items():
            self._entries[f"{name}@{loop.uid}"] = carried.entry
        self.body(loop.body)
        for name, carried in loop.carried.items():
            assert carried.final is not None
            self._lies_in(name, carried.final)

    def _forget_written(self, items: Sequence[merged.Item]) -> None:
        """Variables that items may have written hold nothing that is known."""
        for name in dict.fromkeys(written_names(items)):
            if name in self._variables:
                self._holders[self._variables[name].id] = []

    # ---- the rest ----

    def _requirement(self, item: merged.Requirement) -> None:
        if not item.symbols:
            return
        known = self._static_sizes(item) if self.dialect.traces_sizes else {}

        def resolve(key: str) -> Expr | None:
            return known.get(key) or self._resolve(key)

        condition = spelled(item.condition, resolve)
        message = _requirement_message(item, condition)
        refused = negated(condition)
        for size in reversed(known.values()):
            there = tree.Binary("is not", size, Literal(None))
            refused = tree.Binary("and", there, refused)
        self._raised.append(If(refused, (Raise(Name("ValueError")(message)),)))

    def _static_sizes(self, item: merged.Requirement) -> dict[str, Expr]:
        """Sizes as they are known when a graph is traced: None where they are open."""
        found: dict[str, Expr] = {}
        for value in self.plan.inputs:
            for place, axis in enumerate(value.order):
                key = symbol_of(value.type.shape[axis])
                if key is not None and key in item.symbols:
                    tensor = self._input_names[value]
                    found.setdefault(key, tensor.attribute("shape")[place])
        return found

    def _guard(self, item: merged.Guard) -> None:
        """The constructor has checked it."""

    def _result(self, item: merged.Result) -> None:
        values = [self._output(reference) for reference in item.values]
        comment = None
        if len(item.values) == 1:
            comment = self._comment(item.values[0], 7 + expression_width(values[0]))
        self.statements.append(Return(tuple(values), comment))

    def _output(self, reference: merged.Value) -> Expr:
        value = self._read(reference)
        return self.dialect.tensor(value) if _is_own_parameter(value) else value


_BOUNDS = {
    "<=": "at most",
    "<": "less than",
    ">=": "at least",
    ">": "more than",
    "==": "equal to",
    "!=": "other than",
}


def _requirement_message(item: merged.Requirement, condition: Expr) -> Expr:
    """`T is 4096, and has to be at most 1024`"""
    if item.message:
        return Literal(item.message)
    assert isinstance(condition, tree.Binary)
    size, bound, limit = condition.left, _BOUNDS[condition.operator], condition.right
    if isinstance(size, tree.Binary) and size.operator == "%" and limit == Literal(0):
        size, bound, limit = size.left, "a multiple of", size.right
    name = ", ".join(item.symbols)
    end = str(limit.value) if isinstance(limit, Literal) else limit
    return tree.FString((f"{name} is ", size, f", and has to be {bound} ", end))


def _plain(parameter: Expr) -> Expr:
    """A parameter that is read wherever it is needed: none of the places is where it comes from."""
    return replace(parameter, origins=())


def _is_own_parameter(expression: Expr) -> bool:
    return isinstance(expression, tree.Attribute) and expression.object == Name("self")
