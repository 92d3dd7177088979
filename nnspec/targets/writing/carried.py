"""Sizes that loops carry (the channels of `x` through the stages of a ResNet), and integers, as variables of a method."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Protocol

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.pycode.statements import Assign, Statement
from nnspec.targets.contents import names_in
from nnspec.targets.names import Names
from nnspec.targets.plan import ClassPlan
from nnspec.targets.writing.readings import Readings, is_name


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
        self._scope = scope
        self._needed = {
            key
            for key in _closure(plan, used)
            if of_tensors or plan.running[key].axis is None
        }
        self.variable = variable
        self._of: dict[int, list[tuple[str, merged.Running]]] = {}
        # The last loop that counts a size along from each name.
        self._read: dict[str, int] = {}
        for key, running in plan.running.items():
            if key not in self._needed:
                continue
            self._of.setdefault(running.uid, []).append((key, running))
            for size in (running.update, running.initial):
                for name in names_in(size):
                    self._read[name] = max(self._read.get(name, -1), running.uid)

    def of(self, loop: merged.Loop) -> list[tuple[str, merged.Running]]:
        """Those that a loop carries, by their names in the spec."""
        return self._of.get(loop.uid, [])

    def variables_read(self, loop: merged.Loop) -> set[str]:
        """The variables of a loop from which it, and those inside it, count their sizes along."""
        return {v for v in loop.variables if self._read.get(v, -1) >= loop.uid}

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
        self._root: dict[str, str] = {key: key for key in plan.running}
        self._plan = plan
        self._readings = Readings(plan)
        for key, running in plan.running.items():
            self._join(key, running.initial)
        self.variable: dict[str, str] = {}
        needed = {self._find(key) for key in _closure(plan, used)}
        for key, running in plan.running.items():
            root = self._find(key)
            if root not in needed:
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
        if other not in self._root or not is_name(expression, other):
            return
        if self._plan.running[other].name != self._plan.running[key].name:
            return
        if not self._readings.is_read_later(other, key):
            self._root[self._find(other)] = self._find(key)

    def _find(self, key: str) -> str:
        while self._root[key] != key:
            self._root[key] = self._root[self._root[key]]
            key = self._root[key]
        return key


def _wanted_name(running: merged.Running) -> str:
    if running.axis is None:
        return running.name
    return "channels" if running.axis == 1 else "features"
