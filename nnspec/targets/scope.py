"""What the names of the spec are called at a place of the emitted code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import field

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.records import dataclass
from nnspec.targets.contents import loops_of, names_in
from nnspec.targets.names import Names, size_name
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Unspellable, spell_literal, spell_size, spell_term


@dataclass(eq=False)
class ConstructorScope:
    """Names in a constructor: its parameters, loop variables, carried sizes."""

    plan: ClassPlan
    names: Names
    known: dict[str, Expr] = field(default_factory=dict[str, Expr])

    def resolve(self, key: str) -> Expr | None:
        """The expression for a name or size symbol of the spec."""
        if key in self.known:
            return self.known[key]
        parameter = self.plan.parameter(key)
        return None if parameter is None else Name(parameter.name)

    def spelled(self, expression: Expr) -> Expr:
        """An expression with its sizes and constants spelled in these names."""
        return spelled(expression, self.resolve)


def spelled(expression: Expr, resolve: object) -> Expr:
    """An expression with every `Size` and `Constant` in it spelled. Raises `Unspellable`."""

    def change(part: Expr) -> Expr | None:
        if isinstance(part, tree.Size):
            return spell_size(part.dim.generic, resolve)  # type: ignore[arg-type]
        if isinstance(part, tree.Constant):
            term = part.traced.term
            if term is None:
                return spell_literal(part.traced.value)
            return spell_term(term, resolve)  # type: ignore[arg-type]
        return Name(part.name) if isinstance(part, tree.Helper) else None

    return tree.transform(expression, change)


def is_literal(expression: Expr, value: object) -> bool:
    """Whether an expression is just that literal."""
    return isinstance(expression, Literal) and expression.value == value


class RunningNames:
    """One constructor variable for each family of carried sizes that are handed from loop to loop."""

    def __init__(self, plan: ClassPlan, names: Names, needed: Set[str]) -> None:
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
                wanted = "channels" if running.axis == 1 else "features"
                self.variable[root] = names.free(wanted)
            self.variable[key] = self.variable[root]

    def _join(self, key: str, expression: Expr) -> None:
        """A carried size that starts as one of another loop is the same variable, if that is over."""
        if not isinstance(expression, tree.Size):
            return
        twin = expression.dim.generic
        names = twin.symbols()
        if len(twin.terms) != 1 or len(names) != 1:
            return
        (other,) = names
        if other not in self._root or twin.key != f"1*{other}^1":
            return
        if self._plan.running[other].name != self._plan.running[key].name:
            return
        if not self._is_read_later(other, self._plan.running[key].uid):
            self._root[self._find(other)] = self._find(key)

    def _is_read_later(self, key: str, uid: int) -> bool:
        """Whether a loop speaks of its carried size once the loop `uid` inside it has begun.

        Behind the loop both are what the last turn has left.
        """
        own = self._plan.running[key].uid
        outer = [loop for loop in loops_of(self._plan.items) if loop.uid == own]
        begun = False
        for item in _in_order([part for loop in outer for part in loop.body]):
            if isinstance(item, merged.Loop):
                begun = begun or item.uid == uid
            elif begun and any(key in names_in(made.value) for made in item.constructs):
                return True
        others = [r for r in self._plan.running.values() if r.uid != uid]
        return any(
            key in names_in(running.update) and set(names_in(running.update)) != {key}
            for running in others
        )

    def _find(self, key: str) -> str:
        while self._root[key] != key:
            key = self._root[key]
        return key


def _in_order(items: Sequence[merged.Item]) -> Iterator[merged.Step | merged.Loop]:
    for item in items:
        match item:
            case merged.Step():
                yield item
            case merged.Branch():
                yield from _in_order(item.then)
                yield from _in_order(item.otherwise)
            case merged.Loop():
                yield item
                yield from _in_order(item.body)
            case _:
                pass


def loop_variables(
    pattern: object, variables: tuple[str, ...], names: Names
) -> Mapping[str, str]:
    """Python names for the variables of a loop, by their unique names in the spec."""
    found: dict[str, str] = {}
    for unique in variables:
        plain = unique.partition("@")[0]
        found[unique] = "_" if plain == "_" else names.free(plain)
    return found


def pattern_target(
    pattern: object, chosen: Mapping[str, str], uid: int, used: set[str]
) -> Expr:
    """A loop's pattern as an assignment target; names that are not used become `_`."""
    if isinstance(pattern, str):
        unique = f"{pattern}@{uid}"
        return Name(chosen[unique] if unique in used else "_")
    assert isinstance(pattern, tuple)
    items: tuple[object, ...] = pattern  # pyright: ignore[reportUnknownVariableType]
    return tree.Display(
        "tuple", tuple(pattern_target(item, chosen, uid, used) for item in items)
    )


__all__ = [
    "ConstructorScope",
    "RunningNames",
    "Unspellable",
    "is_literal",
    "loop_variables",
    "pattern_target",
    "size_name",
    "spelled",
]
