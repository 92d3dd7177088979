"""What the names of the spec are called at a place of the emitted code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Name
from nnspec.records import dataclass
from nnspec.targets.names import Names
from nnspec.targets.plan import ClassPlan
from nnspec.targets.spelling import Resolver, spell_literal, spell_size, spell_term


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


def spelled(expression: Expr, resolve: Resolver) -> Expr:
    """An expression with every `Size` and `Constant` in it spelled. Raises `Unspellable`."""

    def change(part: Expr) -> Expr | None:
        if isinstance(part, tree.Size):
            return spell_size(part.dim.generic, resolve)
        if isinstance(part, tree.Constant):
            term = part.traced.term
            if term is None:
                return spell_literal(part.traced.value)
            return spell_term(term, resolve)
        return Name(part.name) if isinstance(part, tree.Helper) else None

    return tree.transform(expression, change)


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
