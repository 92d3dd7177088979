"""What a constructor refuses: constants for which the spec requires something else, or the class would look otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Binary, Expr, Literal, Name
from nnspec.pycode.idioms import negated
from nnspec.pycode.statements import For, If, Raise, Statement, expressions_of
from nnspec.pycode.writer import expression_text
from nnspec.targets.contents import names_checked, names_in
from nnspec.targets.writing.carried import CarriedSizes
from nnspec.targets.writing.returning import goes_on
from nnspec.targets.writing.scope import (
    ConstructorScope,
    loop_variables,
    pattern_target,
)


class Refusals:
    """The checks of constants, each on the way to where it stands in the spec."""

    def __init__(self, scope: ConstructorScope, variable: Mapping[str, str]) -> None:
        """`variable` is how the sizes that loops carry are called."""
        self._scope = scope
        used = names_checked(scope.plan.items)
        self._counted = CarriedSizes(scope.plan, scope, used, variable)

    def of(self, items: Sequence[merged.Item]) -> list[Statement]:
        """The checks in items, each written once. Raises `Unspellable` where the constructor cannot tell."""
        found: list[Statement] = []
        checks: set[Statement] = set()
        for each in self._of(items):
            if _only_checks(each):
                if each in checks:
                    continue
                checks.add(each)
            found.append(each)
        return found

    def _of(self, items: Sequence[merged.Item]) -> Iterator[Statement]:
        for place, item in enumerate(items):
            match item:
                case merged.Requirement() | merged.Guard():
                    check = (
                        self.guard(item)
                        if isinstance(item, merged.Guard)
                        else self.requirement(item)
                    )
                    yield from () if check is None else (check,)
                case merged.Loop():
                    yield from self._in_turns(item)
                case merged.Branch():
                    yield from self._on_ways(item)
                    left = goes_on(item)
                    if left is not None:
                        behind = self.of(items[place + 1 :])
                        if behind:
                            yield from _where(left(self._scope.spelled), behind)
                        return
                case _:
                    pass

    def _on_ways(self, branch: merged.Branch) -> Iterator[Statement]:
        """The checks on the ways of a branch, each for the constants that lead there."""
        then, otherwise = self.of(branch.then), self.of(branch.otherwise)
        if then or otherwise:
            condition = self._scope.spelled(branch.condition)
            yield from _where(condition, then)
            yield from _where(negated(condition), otherwise)

    def _in_turns(self, loop: merged.Loop) -> Iterator[Statement]:
        """The checks in a loop, in a loop of their own: it may have no turn at all."""
        names, known = self._scope.names, self._scope.known
        chosen = loop_variables(loop.pattern, loop.variables, names)
        known.update((unique, Name(name)) for unique, name in chosen.items())
        begin = list(self._counted.begin(loop))
        checks = self.of(loop.body)
        turn = list(self._counted.turn(loop))
        checks += turn
        for unique, name in chosen.items():
            del known[unique]
            names.give_back(name)
        if not checks:
            return
        iterable = self._scope.spelled(loop.iterable)
        parts = [part for check in checks for part in _parts_of(check)]
        used = {unique for unique, name in chosen.items() if Name(name) in parts}
        if not used and not turn and _surely_turns(iterable):
            yield from checks
            return
        target = pattern_target(loop.pattern, chosen, loop.uid, used)
        yield from begin
        yield For(target, iterable, tuple(checks))

    def requirement(self, item: merged.Requirement) -> If | None:
        """Refuses constants that break what the spec requires; None where no constant can."""
        if item.symbols or not any(names_in(item.condition)):
            return None
        condition = self._scope.spelled(item.condition)
        message = item.message or f"needs {expression_text(condition)}"
        return _refusal(negated(condition), message)

    def guard(self, item: merged.Guard) -> If | None:
        """Refuses constants for which the class would have to look otherwise; None where it takes none of them."""
        names = names_in(item.condition)
        if any(self._scope.plan.parameter(name) is None for name in names):
            return None
        condition = self._scope.spelled(item.condition)
        refused = negated(condition) if item.taken else condition
        covered = "only" if item.taken else "not"
        return _refusal(refused, f"{covered} written for {expression_text(condition)}")


def _only_checks(statement: Statement) -> bool:
    """Whether a statement only refuses, and counts nothing along: to do so once is enough."""
    if isinstance(statement, For):
        return all(map(_only_checks, statement.body))
    if isinstance(statement, If):
        return all(map(_only_checks, statement.then))
    return isinstance(statement, Raise)


def _where(reached: Expr, checks: Sequence[Statement]) -> Iterator[Statement]:
    """Checks that are made on a condition."""
    for check in checks:
        if not isinstance(check, If):
            yield If(reached, (check,))
        elif check.condition != negated(reached):
            yield If(_both(reached, check.condition), check.then)


def _both(one: Expr, other: Expr) -> Expr:
    """That two conditions hold, one after another without brackets."""
    if isinstance(other, Binary) and other.operator == "and":
        return Binary("and", _both(one, other.left), other.right)
    return Binary("and", one, other)


def _surely_turns(iterable: Expr) -> bool:
    """Whether a loop surely has a turn, whatever the constants are."""
    match iterable:
        case tree.Display(items=(tree.Star(), *_)) | tree.Display(items=()):
            return False
        case tree.Display():
            return True
        case tree.Call(function=Name("range"), arguments=(Literal(value=count),)):
            return isinstance(count, int) and count > 0
        case _:
            return False


def _parts_of(statement: Statement) -> Iterator[Expr]:
    return (part for whole in expressions_of(statement) for part in tree.walk(whole))


def _refusal(condition: Expr, message: str) -> If:
    return If(condition, (Raise(Name("ValueError")(Literal(message))),))
