"""What the items of a body contain: steps, loops and branches, the names and values that they speak of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim
from nnspec.ir.terms import Term
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.lowering import Construct


def walk(items: Sequence[merged.Item]) -> Iterator[merged.Item]:
    """All items in order, each loop and branch before what is in it."""
    for item in items:
        yield item
        match item:
            case merged.Branch():
                yield from walk(item.then)
                yield from walk(item.otherwise)
            case merged.Loop():
                yield from walk(item.body)
            case _:
                pass


def steps_of(items: Sequence[merged.Item]) -> Iterator[merged.Step]:
    """The steps among items, those in branches and loops too."""
    return (item for item in walk(items) if isinstance(item, merged.Step))


def constructs_of(items: Sequence[merged.Item]) -> Iterator[Construct]:
    """What the constructor makes for items, in order."""
    for step in steps_of(items):
        yield from step.constructs


def read_first(items: Sequence[merged.Item]) -> set[str]:
    """The labels of layers of which a weight is read before they are applied."""
    found: set[str] = set()
    made: set[str] = set()
    for step in steps_of(items):
        if step.constructs:
            made.add(step.label)
        elif step.reads_weight and step.label not in made:
            found.add(step.label)
    return found


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
    return (item for item in walk(items) if isinstance(item, merged.Loop))


def branches_of(items: Sequence[merged.Item]) -> Iterator[merged.Branch]:
    """The branches among items, those in branches and loops too."""
    return (item for item in walk(items) if isinstance(item, merged.Branch))


def keys_of(step: merged.Step) -> list[str]:
    """The attributes into which a step puts the layers that it makes."""
    return [step.label + construct.suffix for construct in step.constructs]


def has_constructs(items: Sequence[merged.Item]) -> bool:
    """Whether the constructor makes anything for these items."""
    return any(step.constructs for step in steps_of(items))


def constructed(items: Sequence[merged.Item]) -> bool:
    """Whether the constructor makes or checks anything for these items."""
    return has_constructs(items) or any(
        isinstance(item, merged.Requirement) and not item.symbols
        for item in walk(items)
    )


def checked_sizes(items: Sequence[merged.Item]) -> Iterator[merged.Requirement]:
    """What is required of sizes that are known only at run time."""
    for item in walk(items):
        if isinstance(item, merged.Requirement) and item.symbols:
            yield item


def names_made(items: Sequence[merged.Item]) -> set[str]:
    """The names of the spec that a constructor speaks of."""
    found = {name for made in constructs_of(items) for name in names_in(made.value)}
    for branch in branches_of(items):
        if constructed([branch]):
            found |= set(names_in(branch.condition))
    for loop in loops_of(items):
        if constructed(loop.body):
            found |= set(names_in(loop.iterable))
    return found


def names_read(items: Sequence[merged.Item]) -> set[str]:
    """The names of the spec that a forward pass speaks of."""
    found = {n for step in steps_of(items) for r in step.results for n in names_in(r)}
    for branch in branches_of(items):
        does = does_anything([branch]) or any(checked_sizes([branch]))
        if branch.mark is None and does:
            found |= set(names_in(branch.condition))
    for check in checked_sizes(items):
        found |= set(names_in(check.condition))
    for loop in loops_of(items):
        found |= set(names_in(loop.iterable))
    return found


def names_checked(items: Sequence[merged.Item]) -> set[str]:
    """The names of the spec that checks of constants speak of, and what decides whether these are reached."""
    found: set[str] = set()
    for item in items:
        match item:
            case merged.Requirement() if not item.symbols:
                found |= set(names_in(item.condition))
            case merged.Guard():
                found |= set(names_in(item.condition))
            case merged.Branch():
                inside = names_checked(item.then) | names_checked(item.otherwise)
                found |= inside | set(names_in(item.condition) if inside else ())
            case merged.Loop():
                inside = names_checked(item.body)
                found |= inside | set(names_in(item.iterable) if inside else ())
            case _:
                pass
    return found


def lists_are_flat(items: Sequence[merged.Item]) -> bool:
    """Whether every layer in loops lies in one list: no list inside a list is needed to find it."""
    return not any(_lies_in_both(step) for step in steps_of(items) if step.constructs)


def _lies_in_both(step: merged.Step) -> bool:
    """Whether a step lies in loops that stay loops and in turns that are written out."""
    return len({turn.index is None for turn in step.turns}) > 1


def bound_names(items: Sequence[merged.Item]) -> Iterator[str]:
    """The variables that items bind, those in branches and loops too."""
    return (item.name for item in walk(items) if isinstance(item, merged.Bind))


def spoken_names(items: Sequence[merged.Item]) -> Iterator[str]:
    """The names that items speak of: those that they bind, and those in which values meet."""
    yield from bound_names(items)
    yield from _joining_names(items)


def written_names(items: Sequence[merged.Item]) -> Iterator[str]:
    """The variables that items write: those that they bind to what they compute, and those in which values meet.

    One that is bound to what lies in a variable already is another name for that, and is not written.
    """
    made = {value for step in steps_of(items) for value in step.outputs}
    for item in walk(items):
        if isinstance(item, merged.Bind) and item.value in made:
            yield item.name
    yield from _joining_names(items)


def _joining_names(items: Sequence[merged.Item]) -> Iterator[str]:
    for branch in branches_of(items):
        yield from (join.name for join in branch.joins)
    for loop in loops_of(items):
        yield from loop.carried


def reads_in(items: Sequence[merged.Item]) -> Counter[merged.Value]:
    """How often items read each value, in branches and loops too."""
    read = (value for item in walk(items) for value in _read_by(item))
    return Counter(value for value in read if value is not None)


def _read_by(item: merged.Item) -> Iterator[merged.Value | None]:
    """What an item reads itself, whatever is in it."""
    match item:
        case merged.Step(inputs=values) | merged.Result(values=values):
            yield from values
        case merged.Branch(joins=joins):
            for join in joins:
                yield from (join.then, join.otherwise)
        case merged.Loop(carried=carried):
            for each in carried.values():
                yield from (each.initial, each.final)
        case _:
            pass


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
