"""The statements of a body: one a line of thought.

Results that are read once are written into the expression that reads them, as long as it stays short. What
is known where a statement is written lies in the `Environment`; `Variables` gives values their variables,
`Results` says what steps compute, and `Layers` where layers are found and how loops go through them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.idioms import negated
from nnspec.pycode.statements import For, If, Return, Statement
from nnspec.targets.contents import does_anything
from nnspec.targets.plan import ClassPlan
from nnspec.targets.writing.environment import Environment
from nnspec.targets.writing.results import Results
from nnspec.targets.writing.variables import Variables
from nnspec.targets.writing.written import Written

if TYPE_CHECKING:
    from nnspec.targets.writing.interfaces import Layers, Scope


class Body(ABC):
    """Writes the items of a body one after another.

    How it ends, and what it checks, a method of a class and a function that builds a model say differently.
    """

    def __init__(
        self,
        plan: ClassPlan,
        written: Written,
        environment: Environment,
        variables: Variables,
        scope: Scope,
        layers: Layers,
        results: Results,
    ) -> None:
        self.plan = plan
        self.written = written
        self.environment = environment
        self.variables = variables
        self.scope = scope
        self.layers = layers
        self.results = results

    def items(self, items: Sequence[merged.Item]) -> None:
        """Writes items."""
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

    @abstractmethod
    def _requirement(self, item: merged.Requirement) -> None:
        """Checks what the spec requires."""

    @abstractmethod
    def _guard(self, item: merged.Guard) -> None:
        """Checks that the constants are those that it is written for."""

    @abstractmethod
    def _result(self, item: merged.Result) -> None:
        """Ends the body."""

    @abstractmethod
    def _returns(self, value: merged.Value) -> bool:
        """Whether a value is returned next, and needs no name for that."""

    # ---- steps ----

    def _step(
        self, step: merged.Step, items: Sequence[merged.Item], place: int
    ) -> None:
        self.layers.prepare(step)
        if not any(value.uses for value in step.outputs):
            return
        results = self.results.of(step)
        if len(step.outputs) > 1 and len(results) == 1:
            following = items[place + 1 : place + 1 + len(step.outputs)]
            names = {i.value: i.name for i in following if isinstance(i, merged.Bind)}
            self.variables.bind_all(step.outputs, names, results[0])
            return
        for value, result in zip(step.outputs, results, strict=True):
            if value.uses:
                self.variables.wait(value, result)

    def _bind(self, item: merged.Bind) -> None:
        value = item.value
        pending = self.environment.pending.get(value)
        if pending is None:
            self.variables.alias(item.name, value)
        elif is_own_parameter(pending):  # it needs no second name
            self.environment.pending.pop(value)
            self.environment.hold(value, _plain(pending))
        elif value.uses != 1 or not self._returns(value):
            self.variables.bind(item.name, value)

    # ---- branches ----

    def _branch(self, item: merged.Branch) -> None:
        if not does_anything([item]):
            self._checks(item)
            return
        self.variables.settle_all()
        self.variables.protect([item])
        condition = self.layers.is_made(item) or self.scope.spelled(item.condition)
        if not item.otherwise:
            self.variables.place_ahead(item)
        joins = [join for join in item.joins if join.value.uses]
        ways = [
            (item.then, [(j.name, j.then) for j in joins]),
            (item.otherwise, [(j.name, j.otherwise) for j in joins]),
        ]
        before = self.environment.state()
        then = self._arm(*ways[0], *ways[1])
        self.environment.restore(before)
        otherwise = self._arm(*ways[1], *ways[0])
        self.environment.restore(before)
        self.environment.spend([item])
        self.environment.forget([item])
        for join in joins:
            self.environment.is_in(join.name, join.value)
        if not then and not otherwise:
            return
        self.written.add(_chosen(condition, then, otherwise))

    def _checks(self, item: merged.Branch) -> None:
        """A branch that only requires something: no value is written for it."""
        with self.written.block() as then:
            self.items(item.then)
        with self.written.block() as otherwise:
            self.items(item.otherwise)
        if then or otherwise:
            condition = self.scope.spelled(item.condition)
            self.written.add(_chosen(condition, then, otherwise))

    def _arm(
        self,
        items: list[merged.Item],
        sources: list[tuple[str, merged.Value | None]],
        other: list[merged.Item],
        other_sources: list[tuple[str, merged.Value | None]],
    ) -> list[Statement]:
        """One way of a branch; what lies in variables behind it must lie there at its end."""
        with self.written.block() as statements:
            # The other way does not come after this one.
            self.environment.spend(other, (value for _, value in other_sources))
            self.items(items)
            if not (statements and isinstance(statements[-1], Return)):
                for name, value in sources:
                    if value is not None:
                        self.variables.lies_in(name, value)
        return statements

    # ---- loops ----

    def _loop(self, loop: merged.Loop) -> None:
        flat = self.layers.flattens(loop)
        self.variables.enter(loop)
        with self.environment.turning(loop):
            if not flat:
                self.layers.begin(loop)
            before = self.environment.state()
            with self.layers.inside():
                if flat:
                    self._turn(loop)
                else:
                    self._for(loop)
            self.environment.restore(before)
            self.environment.spend([loop])
        self.environment.leave(loop)

    def _for(self, loop: merged.Loop) -> None:
        with self.written.block() as body:
            target, iterable = self.layers.opened(loop)
            self._turn(loop)
            self.layers.end_turn(loop)
        if body:
            self.written.add(For(target, iterable, tuple(body)))

    def _turn(self, loop: merged.Loop) -> None:
        """The body of a loop; at its end what is carried on lies in its variables."""
        self.layers.take(loop)
        self.environment.begin_turn(loop)
        self.items(loop.body)
        self.variables.end_turn(loop)


def _chosen(condition: Expr, then: list[Statement], otherwise: list[Statement]) -> If:
    """One or the other, of which one may be nothing."""
    if not then:
        condition, then, otherwise = negated(condition), otherwise, []
    return If(condition, tuple(then), tuple(otherwise))


def _plain(parameter: Expr) -> Expr:
    """A parameter that is read wherever it is needed: none of the places is where it comes from."""
    return replace(parameter, origins=())


def is_own_parameter(expression: Expr) -> bool:
    """Whether an expression is an attribute of the instance itself."""
    return isinstance(expression, tree.Attribute) and expression.object == Name("self")
