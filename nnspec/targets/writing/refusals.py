"""What a constructor refuses: constants for which the spec requires something else, or the class would look otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import nnspec.targets.merged as merged
from nnspec.pycode.expressions import Binary, Expr, Literal, Name
from nnspec.pycode.idioms import negated
from nnspec.pycode.statements import If, Raise
from nnspec.pycode.writer import expression_text
from nnspec.targets.contents import names_in
from nnspec.targets.spelling import Unspellable
from nnspec.targets.writing.returning import Condition, goes_on
from nnspec.targets.writing.scope import ConstructorScope


class Refusals:
    """The checks of constants, each written once."""

    def __init__(self, scope: ConstructorScope) -> None:
        self._scope = scope
        self._guarded: set[str] = set()

    def of(self, items: Sequence[merged.Item]) -> Iterator[If]:
        """The checks in items, those inside of loops too."""
        for place, item in enumerate(items):
            match item:
                case merged.Requirement(symbols=()):
                    condition = self._scope.spelled(item.condition)
                    message = item.message or f"needs {expression_text(condition)}"
                    yield _refusal(negated(condition), message)
                case merged.Guard():
                    yield from self.guard(item)
                case merged.Loop():
                    yield from self.of(item.body)
                case merged.Branch():
                    left = goes_on(item)
                    if left is not None:
                        yield from self._behind(left, items[place + 1 :])
                        return
                case _:
                    pass

    def _behind(self, left: Condition, items: Sequence[merged.Item]) -> Iterator[If]:
        """The checks in items that are reached on a condition."""
        try:
            reached = left(self._scope.spelled)
        except Unspellable:
            return  # the constructor does not know whether they are
        for check in self.of(items):
            if check.condition != negated(reached):
                both = Binary("and", reached, check.condition)
                yield If(both, check.then)

    def guard(self, item: merged.Guard) -> Iterator[If]:
        """Refuses constants for which the class would have to look otherwise."""
        names = names_in(item.condition)
        if any(self._scope.plan.parameter(name) is None for name in names):
            return
        condition = self._scope.spelled(item.condition)
        refused = negated(condition) if item.taken else condition
        covered = "only" if item.taken else "not"
        message = f"{covered} written for {expression_text(condition)}"
        if message not in self._guarded:
            self._guarded.add(message)
            yield _refusal(refused, message)


def _refusal(condition: Expr, message: str) -> If:
    return If(condition, (Raise(Name("ValueError")(Literal(message))),))
