"""Sizes that loops carry (the channels of `x` through the stages of a ResNet), and integers, as variables of a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Protocol

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.statements import Assign, Statement
from nnspec.targets.contents import loops_of, names_in, walk
from nnspec.targets.names import Names
from nnspec.targets.plan import ClassPlan


class CountingScope(Protocol):
    """What names mean in a method that counts sizes along."""

    @property
    def known(self) -> dict[str, Expr]: ...

    def spelled(self, expression: Expr) -> Expr: ...


class CarriedSizes:
    """The sizes that loops carry, as far as a method needs them: each lies in a variable."""

    def __init__(
        self,
        plan: ClassPlan,
        scope: CountingScope,
        used: set[str],
        variable: Mapping[str, str],
        *,
        of_tensors: bool = True,
    ) -> None:
        """`used` are the names that the method speaks of, and `variable` how those that loops carry are called there.

        Sizes `of_tensors` are not counted where there are tensors.
        """
        self._plan = plan
        self._scope = scope
        self._needed = {
            key
            for key in _closure(plan, used)
            if of_tensors or plan.running[key].axis is None
        }
        self.variable = variable

    def of(self, loop: merged.Loop) -> list[tuple[str, merged.Running]]:
        """Those that a loop carries, by their names in the spec."""
        return [
            (key, running)
            for key, running in self._plan.running.items()
            if running.uid == loop.uid and key in self._needed
        ]

    def names_read(self, loop: merged.Loop) -> set[str]:
        """The names from which a loop, and those inside it, count their sizes along."""
        return {
            name
            for key, running in self._plan.running.items()
            if key in self._needed and running.uid >= loop.uid
            for size in (running.update, running.initial)
            for name in names_in(size)
        }

    def begin(self, loop: merged.Loop) -> Iterator[Statement]:
        """Sets the carried sizes before a loop begins."""
        own = self.of(loop)
        values = [self._scope.spelled(running.initial) for _, running in own]
        for key, _ in own:
            self._scope.known[key] = Name(self.variable[key])
        yield from self._set(own, values)

    def turn(self, loop: merged.Loop) -> Iterator[Statement]:
        """Sets the carried sizes of a loop at the end of a turn, unless an inner one has just done so."""
        own = [
            (key, running)
            for key, running in self.of(loop)
            if not self._is_set_inside(loop, key, running)
        ]
        yield from self._set(own, [self._scope.spelled(r.update) for _, r in own])

    def _is_set_inside(
        self, loop: merged.Loop, key: str, running: merged.Running
    ) -> bool:
        """Whether the last loop of a turn leaves the same size in the same variable."""
        inner = [item for item in loop.body if isinstance(item, merged.Loop)]
        return any(
            self.variable.get(other) == self.variable[key]
            and known.update == running.update
            for last in inner[-1:]
            for other, known in self.of(last)
        )

    def _set(
        self, own: list[tuple[str, merged.Running]], values: list[Expr]
    ) -> Iterator[Statement]:
        """Assigns sizes one by one; at once where one is made of another."""
        variables = [Name(self.variable[key]) for key, _ in own]
        changed = [
            (variable, value)
            for variable, value in zip(variables, values, strict=True)
            if value != variable
        ]
        changed = list(dict(changed).items())
        tied = any(
            part == variable
            for place, (variable, _) in enumerate(changed)
            for _, value in changed[place + 1 :]
            for part in tree.walk(value)
        )
        if tied:
            targets = tuple(variable for variable, _ in changed)
            together = tree.Display("tuple", tuple(value for _, value in changed))
            yield Assign(targets, together)
            return
        for variable, value in changed:
            yield Assign((variable,), value)


def _closure(plan: ClassPlan, used: Set[str]) -> set[str]:
    """The carried sizes that are needed, with those that they start from."""
    needed: set[str] = set()
    waiting = [key for key in used if key in plan.running]
    while waiting:
        key = waiting.pop()
        if key in needed:
            continue
        needed.add(key)
        running = plan.running[key]
        for expression in (running.initial, running.update):
            waiting.extend(
                name for name in names_in(expression) if name in plan.running
            )
    for key, running in plan.running.items():  # what starts as a needed one updates it
        if any(name in needed for name in names_in(running.initial)):
            needed.add(key)
    return needed


class RunningNames:
    """One variable of a method for each family of carried sizes that are handed from loop to loop."""

    def __init__(self, plan: ClassPlan, names: Names, used: Set[str]) -> None:
        """`used` are the names that the method speaks of."""
        needed = _closure(plan, used)
        self._root: dict[str, str] = {key: key for key in plan.running}
        self._plan = plan
        for key, running in plan.running.items():
            self._join(key, running.initial)
        self.variable: dict[str, str] = {}
        for key, running in plan.running.items():
            root = self._find(key)
            if not any(self._find(other) == root for other in needed):
                continue
            if root not in self.variable:
                self.variable[root] = names.free(_wanted_name(running))
            self.variable[key] = self.variable[root]

    def _join(self, key: str, expression: Expr) -> None:
        """A carried size that starts as one of another loop is the same variable, if that is over."""
        names = set(names_in(expression))
        if len(names) != 1:
            return
        (other,) = names
        if other not in self._root or not _is(expression, other):
            return
        if self._plan.running[other].name != self._plan.running[key].name:
            return
        if not self._is_read_later(other, key):
            self._root[self._find(other)] = self._find(key)

    def _is_read_later(self, key: str, later: str) -> bool:
        """Whether a carried size is spoken of once the loop of a later one has begun to count in its variable.

        Behind a loop that is around the later one, both are what the last turn has left.
        """
        begins = self._plan.running[later].uid
        around = [
            loop
            for loop in loops_of(self._plan.items)
            if any(inner.uid == begins for inner in loops_of(loop.body))
        ]
        own = [loop for loop in around if loop.uid == self._plan.running[key].uid]
        behind = self._from(begins, own[0].body if own else self._plan.items)
        begun = [item.uid for item in behind if isinstance(item, merged.Loop)]
        ends = {*begun, *(loop.uid for loop in around)}
        return (
            any(_makes_with(item, key) for item in behind)
            or any(
                key in names_in(running.initial)
                for name, running in self._plan.running.items()
                if running.uid in begun and name != later
            )
            or any(
                key in names_in(running.update)
                for name, running in self._plan.running.items()
                if running.uid in ends and name != key
                if name != later or not _is(running.update, key)
            )
        )

    def _from(self, uid: int, items: Sequence[merged.Item]) -> list[merged.Item]:
        """What a loop does and what is behind it."""
        found = list(walk(items))
        places = (
            place
            for place, item in enumerate(found)
            if isinstance(item, merged.Loop) and item.uid == uid
        )
        return found[next(places, len(found)) :]

    def _find(self, key: str) -> str:
        while self._root[key] != key:
            key = self._root[key]
        return key


def _wanted_name(running: merged.Running) -> str:
    if running.axis is None:
        return running.name
    return "channels" if running.axis == 1 else "features"


def _is(expression: Expr, name: str) -> bool:
    """Whether an expression is a size of that name, and nothing else."""
    if not isinstance(expression, tree.Size):
        return False
    return expression.dim.generic.key == f"1*{name}^1"


def _makes_with(item: merged.Item, key: str) -> bool:
    """Whether a step makes a layer from what has that name."""
    constructs = item.constructs if isinstance(item, merged.Step) else ()
    return any(key in names_in(made.value) for made in constructs)
