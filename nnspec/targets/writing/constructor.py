"""The constructor of an emitted class: every layer that the body makes, in the order in which it makes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from typing import TYPE_CHECKING

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.idioms import negated, text_of
from nnspec.pycode.statements import Assign, Evaluate, For, If, Statement
from nnspec.records import dataclass
from nnspec.targets.contents import (
    branches_of,
    constructs_of,
    has_constructs,
    keyed_in,
    keys_of,
    loops_of,
    names_checked,
    names_in,
    names_made,
    names_read,
    read_first,
    steps_of,
)
from nnspec.targets.lowering import Construct, LayerName
from nnspec.targets.names import Names, safe_name
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.carried import CarriedSizes, RunningNames
from nnspec.targets.writing.deferred import Deferred
from nnspec.targets.writing.refusals import Refusals
from nnspec.targets.writing.returning import Condition, goes_on
from nnspec.targets.writing.rows import rows_of
from nnspec.targets.writing.scope import ConstructorScope, loop_variables
from nnspec.targets.writing.turns import Places, counted_loop, nested

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import ConstructorDialect


@dataclass(eq=False)
class Constructor:
    """Writes the statements that make a class's layers."""

    plan: ClassPlan
    dialect: ConstructorDialect
    names: Names
    builds_late: bool = False
    # Whether layers are applied where they are made, so that all of the model's sizes are known there.
    applies: bool = False
    statements: list[Statement] = field(default_factory=list[Statement])
    # The numbers of turns, by loop, and the layers that only some turns make, each with its key in their table.
    turn_names: dict[int, Expr] = field(default_factory=dict[int, Expr])
    keyed: dict[str, Expr] = field(default_factory=dict[str, Expr])

    def __post_init__(self) -> None:
        self.deferred = Deferred(self.plan, self.dialect.target)
        self.scope = ConstructorScope(self.plan, self.names)
        used = names_made(self.plan.items)
        if self.applies:
            used |= names_read(self.plan.items)
        spoken_of = used | names_checked(self.plan.items)
        variable = RunningNames(self.plan, self.names, spoken_of).variable
        self.carried = CarriedSizes(self.plan, self.scope, used, variable)
        self.refusals = Refusals(self.scope, variable)
        self.read_first = read_first(self.plan.items)

    def write(self) -> list[Statement]:
        """The statements, requirements first."""
        self.statements.extend(self.refusals.of(self.plan.items))
        self._fixed_lists(self.plan.items)
        self.statements.extend(self._body(self.plan.items, 0, {}))
        return self.statements

    # ---- layers in lists whose turns are written out ----

    def _fixed_lists(self, items: list[merged.Item]) -> None:
        """Notes the layers that belong to turns with fixed numbers: one list for each label."""
        self.fixed: dict[str, list[tuple[tuple[int, ...], merged.Step, Construct]]] = {}
        for step in steps_of(items):
            numbers = tuple(turn.index for turn in step.turns)
            if not numbers or None in numbers:
                continue
            for construct in step.constructs:
                key = step.label + construct.suffix
                fixed = tuple(n for n in numbers if n is not None)
                self.fixed.setdefault(key, []).append((fixed, step, construct))
        self.written: set[str] = set()

    def _fixed(self, step: merged.Step) -> Iterator[Statement]:
        for construct in step.constructs:
            key = step.label + construct.suffix
            if key in self.written:
                continue
            self.written.add(key)
            attribute = self._attribute(key)
            leaves = construct.is_parameter
            if self._makes_late(construct):
                self._make_list_late(self.fixed[key], attribute)
                continue
            entries = [
                (numbers, self.made(one, made))
                for numbers, one, made in self.fixed[key]
            ]
            yield Assign((attribute,), nested(entries, self.dialect, leaves))
            self._keeps(step, attribute)
            places = Places(numbers for numbers, _, _ in self.fixed[key])
            for numbers, one, made in self.fixed[key]:
                place = places.element(attribute, numbers)
                if not self.deferred.reset(one, made, place):
                    yield from self._filled(made, place)
                yield from self._built(step, place)
                yield from self._frozen(one, place)

    # ---- the rest ----

    def _body(
        self, items: list[merged.Item], depth: int, containers: dict[str, Expr]
    ) -> list[Statement]:
        found: list[Statement] = []
        for place, item in enumerate(items):
            match item:
                case merged.Step():
                    found.extend(self._step(item, depth, containers))
                case merged.Branch():
                    found.extend(self._branch(item, depth, containers))
                    left = goes_on(item)
                    if left is not None:
                        rest = items[place + 1 :]
                        return self._left(found, left, rest, depth, containers)
                case merged.Loop() if has_constructs(item.body) or self.carried.of(
                    item
                ):
                    found.extend(self._loop(item, depth, containers))
                case _:
                    pass
        return found

    def _left(
        self,
        found: list[Statement],
        left: Condition,
        items: list[merged.Item],
        depth: int,
        containers: dict[str, Expr],
    ) -> list[Statement]:
        """What a body makes behind a branch that may return: nothing where it does."""
        with self.deferred.under(left):
            rest = self._body(items, depth, containers)
        if not rest:
            return found
        condition = left(self.scope.spelled)
        last = found[-1] if found else None
        if isinstance(last, If) and condition == negated(last.condition):
            return [*found[:-1], If(last.condition, last.then, tuple(rest))]
        return [*found, If(condition, tuple(rest))]

    def _step(
        self, step: merged.Step, depth: int, containers: dict[str, Expr]
    ) -> Iterator[Statement]:
        if not step.constructs:
            return
        if step.turns and all(turn.index is not None for turn in step.turns):
            yield from self._fixed(step)
            return
        for construct in step.constructs:
            key = step.label + construct.suffix
            value = self.made(step, construct)
            if key in self.keyed:
                place = containers[key][self.keyed[key]]
                yield Assign((place,), value)
                yield from self._filled_in_list(step, construct, key, place)
                yield from self._built(step, place)
                yield from self._frozen(step, place)
            elif key in containers:
                place = containers[key][-1]
                yield Evaluate(containers[key].method("append", value))
                yield from self._filled_in_list(step, construct, key, place)
                yield from self._built(step, place)
                yield from self._frozen(step, place)
            else:
                attribute = self._attribute(key)
                if self.builds_late and construct.is_parameter and not depth:
                    self._make_late(step, construct, attribute)
                    continue
                yield Assign((attribute,), value)
                if not self.deferred.reset(step, construct, attribute):
                    yield from self._filled(construct, attribute)
                yield from self._built(step, attribute, late=self.builds_late)
                yield from self._frozen(step, attribute)
                self._keeps(step, attribute)

    def _filled_in_list(
        self, step: merged.Step, construct: Construct, key: str, place: Expr
    ) -> Iterator[Statement]:
        """Has `reset_parameters` fill the layers of a list; at once where it would lack a name."""
        container = self._attribute(key)
        is_table = key in self.keyed
        if not self.deferred.reset(step, construct, container, is_table=is_table):
            yield from self._filled(construct, place)

    def _filled(self, construct: Construct, place: Expr) -> Iterator[Statement]:
        """Fills the weights of a layer at once, where the spec chose how."""
        for reset in construct.resets:
            call = tree.transform(
                reset, lambda part: place if isinstance(part, tree.Module) else None
            )
            yield Evaluate(self.scope.spelled(call))

    def _built(
        self, step: merged.Step, place: Expr, *, late: bool = False
    ) -> Iterator[Statement]:
        """Has Keras make a layer's weights at once, where they are read before the layer is applied.

        Those are known without an input: no other weight can be read so early.
        """
        if self.dialect.target != "keras" or step.label not in self.read_first:
            return
        built = Evaluate(place.method("build", Literal(None)))
        if late:
            self.deferred.make(built)
        else:
            yield built

    def _frozen(self, step: merged.Step, place: Expr) -> Iterator[Statement]:
        """Says of a layer that its weights are not trained."""
        if step.frozen and step.owns:
            yield self.dialect.frozen(place)

    def _keeps(self, step: merged.Step, place: Expr) -> None:
        """Has a layer that is frozen, or a list of such layers, keep its batch statistics."""
        if step.frozen and step.label in self.plan.keeps_statistics:
            self.deferred.keep(place)

    def _makes_late(self, construct: Construct) -> bool:
        """Whether weights in a list are left to `build`: in a layer of a layer, only then are their paths known."""
        return self.builds_late and construct.is_parameter and self.plan.is_nested

    def _make_list_late(
        self,
        listed: list[tuple[tuple[int, ...], merged.Step, Construct]],
        attribute: Expr,
    ) -> None:
        entries = [(numbers, self._late(step, made)) for numbers, step, made in listed]
        made = nested(entries, self.dialect, parameters=True)
        self.deferred.make(Assign((attribute,), made))
        places = Places(numbers for numbers, _, _ in listed)
        for numbers, step, _ in listed:
            for statement in self._frozen(step, places.element(attribute, numbers)):
                self.deferred.make(statement)

    def _late(self, step: merged.Step, construct: Construct) -> Expr:
        """The expression that makes a weight, in `build`. Raises `Unspellable`."""
        name = self._layer_name(step, construct)
        value = tree.transform(
            construct.value, lambda part: name if isinstance(part, LayerName) else None
        )
        return self.deferred.spelled(value)

    def _make_late(
        self, step: merged.Step, construct: Construct, attribute: Expr
    ) -> None:
        self.deferred.make(Assign((attribute,), self._late(step, construct)))
        for statement in self._frozen(step, attribute):
            self.deferred.make(statement)

    def _attribute(self, key: str) -> Expr:
        return tree.Attribute(Name("self"), safe_name(key, self.dialect.target))

    def made(self, step: merged.Step, construct: Construct) -> Expr:
        """The expression that makes a layer."""
        name = self._layer_name(step, construct)
        value = tree.transform(
            construct.value, lambda part: name if isinstance(part, LayerName) else None
        )
        return self.scope.spelled(value)

    def _layer_name(self, step: merged.Step, construct: Construct) -> Expr:
        """The Keras name of a layer: `conv1`, `f"layers_{i}_{j}"`."""
        parts: list[str | Expr] = [step.label]
        for turn in step.turns:
            if turn.index is not None:
                parts.append(f"_{turn.index}")
            else:
                parts.extend(("_", self.turn_names[turn.loop or 0]))
        parts.append(construct.suffix)
        return text_of(parts)

    # ---- branches and loops ----

    def _branch(
        self, item: merged.Branch, depth: int, containers: dict[str, Expr]
    ) -> Iterator[Statement]:
        if not has_constructs([item]):
            return
        mark = item.mark
        if mark is not None and not depth:
            attribute = self._attribute(keys_of(mark)[0])
            yield Assign((attribute,), Literal(None))
        condition = self.scope.spelled(item.condition)
        with self.deferred.under(lambda spell: spell(item.condition)):
            then = self._body(item.then, depth, containers)
        with self.deferred.under(lambda spell: negated(spell(item.condition))):
            otherwise = self._body(item.otherwise, depth, containers)
        if not then and not otherwise:
            return  # its lists of layers are written already
        if not then:
            condition, then, otherwise = negated(condition), otherwise, []
        yield If(condition, tuple(then), tuple(otherwise))

    def head(
        self, loop: merged.Loop, used: set[str] | None = None
    ) -> tuple[Expr, Expr]:
        """Names the variables of a loop; gives its target and iterable."""
        chosen = loop_variables(loop.pattern, loop.variables, self.names)
        for unique, name in chosen.items():
            self.scope.known[unique] = Name(name)
        self.scope.known.update(self._carried_names)
        iterable = self.scope.spelled(loop.iterable)
        wanted, numbered = self._used_names(loop)
        target, counted, number = counted_loop(
            loop,
            self.scope.known,
            iterable,
            self.names,
            (wanted | (used or set()), numbered),
        )
        self.turn_names[loop.uid] = number
        return target, counted

    @cached_property
    def _carried_names(self) -> Mapping[str, Expr]:
        return {key: Name(name) for key, name in self.carried.variable.items()}

    def _loop(
        self, loop: merged.Loop, depth: int, containers: dict[str, Expr]
    ) -> Iterator[Statement]:
        yield from self.carried.begin(loop)
        target, iterable = self.head(loop)
        own = [
            (s, c)
            for s in steps_of(loop.body)
            for c in s.constructs
            if len(s.turns) > depth
        ]
        if any(self._makes_late(construct) for _, construct in own):
            raise Unspellable("the number of a turn")  # the block is then written out
        short = self._comprehension(loop, depth, containers, target, iterable, own)
        if short is not None:
            yield from short
            return
        for key in keyed_in(loop):
            self.keyed[key] = Name("str")(self.turn_names[loop.uid])
        if not depth:
            for key, (step, _) in {s.label + c.suffix: (s, c) for s, c in own}.items():
                self._keeps(step, self._attribute(key))
        rows = rows_of(own, depth, containers, self.keyed, self.dialect, self.names)
        yield from rows.opening
        body = self._body(loop.body, depth + 1, rows.containers)
        updates = list(self.carried.turn(loop))
        turn = (*rows.before, *body, *rows.after, *updates)
        if turn:
            yield For(target, iterable, turn)

    def _comprehension(
        self,
        loop: merged.Loop,
        depth: int,
        containers: dict[str, Expr],
        target: Expr,
        iterable: Expr,
        own: list[tuple[merged.Step, Construct]],
    ) -> list[Statement] | None:
        """One layer a turn, and nothing that changes: a comprehension says it."""
        if len(own) != 1 or len(own[0][0].turns) != depth + 1 or depth or containers:
            return None
        if any(isinstance(i, merged.Branch) and has_constructs([i]) for i in loop.body):
            return None
        if self.carried.of(loop):
            return None
        if own[0][1].resets or own[0][1].is_parameter or self._is_read_behind(loop):
            return None
        step, construct = own[0]
        if step.label in self.read_first or step.frozen:
            return None
        attribute = self._attribute(step.label + construct.suffix)
        value = self.dialect.generated(self.made(step, construct), target, iterable)
        return [Assign((attribute,), value)]

    def _is_read_behind(self, loop: merged.Loop) -> bool:
        """Whether what follows a loop reads its variables, which a comprehension would not leave."""
        inside = {id(construct) for construct in constructs_of(loop.body)}
        return any(
            not inside.issuperset(self._makers.get(name, ()))
            or not {loop.uid}.issuperset(self._begun.get(name, ()))
            for name in loop.variables
        )

    @cached_property
    def _makers(self) -> Mapping[str, Sequence[int]]:
        """By the names of the spec, what makes a layer and speaks of them."""
        found: dict[str, list[int]] = {}
        for construct in constructs_of(self.plan.items):
            for name in names_in(construct.value):
                found.setdefault(name, []).append(id(construct))
        return found

    @cached_property
    def _begun(self) -> Mapping[str, Sequence[int]]:
        """By the names of the spec, the loops that carry a size which begins as what speaks of them."""
        found: dict[str, list[int]] = {}
        for running in self.plan.running.values():
            for name in names_in(running.initial):
                found.setdefault(name, []).append(running.uid)
        return found

    def _used_names(self, loop: merged.Loop) -> tuple[set[str], bool]:
        used = {
            name for item in constructs_of(loop.body) for name in names_in(item.value)
        }
        used |= self.carried.variables_read(loop)
        for inner in loops_of(loop.body):
            used |= set(names_in(inner.iterable))
        for branch in branches_of(loop.body):
            used |= set(names_in(branch.condition))
        numbered = self.dialect.target == "keras" or bool(keyed_in(loop))
        return used, numbered
