"""What the items of a body contain: steps, loops and branches, the names and values that they speak of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim
from nnspec.ir.terms import Term
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.lowering import Construct


def steps_of(items: Sequence[merged.Item]) -> Iterator[merged.Step]:
    """The steps among items, those in branches and loops too."""
    for item in items:
        match item:
            case merged.Step():
                yield item
            case merged.Branch():
                yield from steps_of(item.then)
                yield from steps_of(item.otherwise)
            case merged.Loop():
                yield from steps_of(item.body)
            case _:
                pass


def constructs_of(items: Sequence[merged.Item]) -> Iterator[Construct]:
    """What the constructor makes for items, in order."""
    for step in steps_of(items):
        yield from step.constructs


def keyed_in(loop: merged.Loop) -> set[str]:
    """The layers that only some turns of a loop make: they lie in tables by the number of the turn."""
    return {
        step.label + construct.suffix
        for item in loop.body
        if isinstance(item, merged.Branch)
        for step in steps_of([item])
        for construct in step.constructs
    }


def loops_of(items: Sequence[merged.Item]) -> Iterator[merged.Loop]:
    """The loops among items, inner ones behind the ones that they are in."""
    for item in items:
        match item:
            case merged.Loop():
                yield item
                yield from loops_of(item.body)
            case merged.Branch():
                yield from loops_of(item.then)
                yield from loops_of(item.otherwise)
            case _:
                pass


def branches_of(items: Sequence[merged.Item]) -> Iterator[merged.Branch]:
    """The branches among items, those in branches and loops too."""
    for item in items:
        match item:
            case merged.Branch():
                yield item
                yield from branches_of(item.then)
                yield from branches_of(item.otherwise)
            case merged.Loop():
                yield from branches_of(item.body)
            case _:
                pass


def mark_key(step: merged.Step) -> str:
    """The attribute by whose presence a branch is known."""
    return step.label + step.constructs[0].suffix


def marker(branch: merged.Branch) -> merged.Step | None:
    """The layer by whose presence the forward pass knows which way a branch went."""
    for item in branch.then:
        if isinstance(item, merged.Step) and item.constructs and not item.turns:
            return item
    return None


def has_constructs(items: Sequence[merged.Item]) -> bool:
    """Whether the constructor makes anything for these items."""
    for item in items:
        match item:
            case merged.Step():
                if item.constructs:
                    return True
            case merged.Branch():
                if has_constructs(item.then) or has_constructs(item.otherwise):
                    return True
            case merged.Loop():
                if has_constructs(item.body):
                    return True
            case _:
                pass
    return False


def lists_are_flat(items: Sequence[merged.Item]) -> bool:
    """Whether every layer in loops lies in one list: no list inside a list is needed to find it."""
    for item in items:
        match item:
            case merged.Step() if item.constructs:
                fixed = [turn.index is not None for turn in item.turns]
                if any(fixed) and not all(fixed):
                    return False
            case merged.Branch():
                if not lists_are_flat(item.then) or not lists_are_flat(item.otherwise):
                    return False
            case merged.Loop():
                if not lists_are_flat(item.body):
                    return False
            case _:
                pass
    return True


def bound_names(items: Sequence[merged.Item]) -> Iterator[str]:
    """The variables that items bind, those in branches and loops too."""
    for item in items:
        match item:
            case merged.Bind(name=name):
                yield name
            case merged.Branch():
                yield from bound_names(item.then)
                yield from bound_names(item.otherwise)
            case merged.Loop():
                yield from bound_names(item.body)
            case _:
                pass


def written_names(items: Sequence[merged.Item]) -> Iterator[str]:
    """The variables that items write: those that they bind, and those in which values meet."""
    yield from bound_names(items)
    for branch in branches_of(items):
        yield from (join.name for join in branch.joins)
    for loop in loops_of(items):
        yield from loop.carried


def reads_in(items: Sequence[merged.Item]) -> dict[merged.Value, int]:
    """How often items read each value, in branches and loops too."""
    found: dict[merged.Value, int] = {}

    def note(value: merged.Value | None) -> None:
        if value is not None:
            found[value] = found.get(value, 0) + 1

    for item in items:
        match item:
            case merged.Step(inputs=values) | merged.Result(values=values):
                for value in values:
                    note(value)
            case merged.Branch():
                for body in (item.then, item.otherwise):
                    for value, count in reads_in(body).items():
                        found[value] = found.get(value, 0) + count
                for join in item.joins:
                    note(join.then)
                    note(join.otherwise)
            case merged.Loop():
                for value, count in reads_in(item.body).items():
                    found[value] = found.get(value, 0) + count
                for carried in item.carried.values():
                    note(carried.initial)
                    note(carried.final)
            case _:
                pass
    return found


def does_anything(items: Sequence[merged.Item]) -> bool:
    """Whether the forward pass has something to write for these items."""
    for item in items:
        match item:
            case merged.Branch():
                if does_anything(item.then) or does_anything(item.otherwise):
                    return True
            case merged.Requirement() | merged.Guard():
                pass
            case _:
                return True
    return False


def names_in(expression: Expr) -> Iterator[str]:
    """The names of the spec that an expression speaks of: constants and size symbols."""
    for part in tree.walk(expression):
        if isinstance(part, tree.Size):
            yield from size_names(part.dim.generic)
        elif isinstance(part, tree.Constant) and part.traced.term is not None:
            yield from term_names(part.traced.term)


def size_names(size: Dim) -> Iterator[str]:
    """The names in a size."""
    for atom in size.atoms():
        if atom.kind == "symbol":
            yield atom.symbol
        if isinstance(atom.opaque, Term):
            yield from atom.opaque.names()


def term_names(term: Term) -> Iterator[str]:
    """The names in a term."""
    yield from term.names()
    for atom in term.atoms():
        if atom.kind == "symbol":
            yield atom.symbol
