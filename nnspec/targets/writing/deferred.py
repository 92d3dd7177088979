"""What the constructor leaves to other methods: filling weights and keeping statistics in PyTorch (`reset_parameters`,
`train`), making weights in Keras (`build`).

These run without the constructor's names, so they read what the instance keeps; and they do their part under the
conditions on which the layers exist.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.statements import Evaluate, For, If, Statement
from nnspec.targets.lowering import Construct
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.returning import Condition
from nnspec.targets.writing.scope import spelled


class Deferred:
    """The statements for later, and the constants that they read of the instance (`names`)."""

    def __init__(self, plan: ClassPlan, target: str) -> None:
        self.resets: list[Statement] = []
        self.late: list[Statement] = []
        self.kept: list[Statement] = []
        self.names: list[str] = []
        self._plan, self._target = plan, target
        self._conditions: list[Condition] = []

    @contextmanager
    def under(self, condition: Condition) -> Generator[None, None, None]:
        """Inside, layers exist only where a condition holds."""
        self._conditions.append(condition)
        try:
            yield
        finally:
            self._conditions.pop()

    def reset(
        self,
        step: merged.Step,
        construct: Construct,
        container: Expr,
        *,
        is_table: bool = False,
    ) -> bool:
        """Notes what fills a layer; False where it hangs on what only the constructor knows.

        `container` is the layer itself, or the list, or table by keys, that has it for each turn of the loops
        that make it.
        """
        if not construct.resets:
            return True
        loops = [turn for turn in step.turns if turn.index is None]
        if loops and len(loops) < len(step.turns):
            return False
        rows = [Name("row")] * (len(loops) - 1)
        place = Name("layer") if loops else container
        try:
            found = [self._fill(reset, place) for reset in construct.resets]
            if loops:
                source = container.method("values") if is_table else container
                pairs = zip([*rows, place], [source, *rows], strict=True)
                for target, iterable in reversed(list(pairs)):
                    found = [For(target, iterable, tuple(found))]
            self._add(self.resets, found)
        except Unspellable:
            return False
        return True

    def make(self, statement: Statement) -> None:
        """Notes what makes a weight. Raises `Unspellable` where it hangs on what only the constructor knows."""
        self._add(self.late, [statement])

    def keep(self, place: Expr) -> None:
        """Notes a part that keeps its batch statistics. Raises `Unspellable`, like `make`."""
        if self._target == "torch":
            self._add(self.kept, [Evaluate(Name("keep_statistics")(place))])

    def spelled(self, expression: Expr) -> Expr:
        """An expression in what the instance keeps. Raises `Unspellable`."""
        return spelled(expression, self._kept)

    def _fill(self, reset: Expr, place: Expr) -> Statement:
        call = tree.transform(
            reset, lambda part: place if isinstance(part, tree.Module) else None
        )
        return Evaluate(self.spelled(call))

    def _add(self, statements: list[Statement], found: Sequence[Statement]) -> None:
        for condition in reversed(self._conditions):
            found = [If(condition(self.spelled), tuple(found))]
        for statement in found:
            _append(statements, statement)

    def _kept(self, key: str) -> Expr | None:
        """A parameter of the constructor, as the instance keeps it."""
        parameter = self._plan.parameter(key)
        if parameter is None:
            return None
        if key not in self.names:
            self.names.append(key)
        return tree.Attribute(
            Name("self"), self._plan.attribute(parameter, self._target)
        )


def _append(statements: list[Statement], new: Statement) -> None:
    """Appends a statement, to the `if` before it where that asks the same."""
    last = statements[-1] if statements else None
    if (
        not isinstance(new, If)
        or not isinstance(last, If)
        or last.condition != new.condition
        or last.otherwise
    ):
        statements.append(new)
        return
    body = list(last.then)
    for statement in new.then:
        _append(body, statement)
    statements[-1] = If(last.condition, tuple(body))
