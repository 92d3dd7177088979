"""Loops: the body, elaborated once for each turn, and what it carries from one turn to the next."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Any

from nnspec.elaboration import escaping, grown, lists
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import ONE, ZERO, Atom, Dim, symbol
from nnspec.ir.graph import Iteration, Loop, Running
from nnspec.ir.rename import settle
from nnspec.ir.terms import Term
from nnspec.ir.terms import name as named_term
from nnspec.ir.types import TensorType
from nnspec.ir.values import (
    Poisoned,
    Range,
    Sequence,
    Tensor,
    Unknown,
    Value,
    as_term,
    is_constant,
    plain,
    renamed,
    term_of,
)
from nnspec.records import dataclass
from nnspec.syntax import ast

Run = Callable[[Frame, ast.Body], None]


@dataclass(eq=False)
class _Turning:
    """A loop while it turns.

    `outer` are the names that are known before it, `carried` those of them that its body binds anew;
    `history` is what each of these holds before each turn and behind the last, `lists` how lists of tensors were made,
    `constants` the integers among them (see `graph.Loop`), `known` what the names of the loop stand for, as the outside
    knows it.
    """

    frame: Frame
    node: ast.For
    uid: int
    iterable: Value
    outer: set[str]
    carried: list[str]
    history: dict[str, list[int]]
    iterations: list[Iteration] = field(default_factory=list[Iteration])
    lists: dict[str, list[Term]] = field(default_factory=dict[str, "list[Term]"])
    constants: dict[str, list[Dim]] = field(default_factory=dict[str, "list[Dim]"])
    known: dict[str, Dim] = field(default_factory=dict[str, Dim])

    @property
    def elements(self) -> Term | None:
        """How the list of tensors was made that it goes through, if loops grew that."""
        return self.iterable.made if isinstance(self.iterable, Sequence) else None


MOST_REPEATED = 16
"""A loop whose turns have so many faults that were noted before is given up."""


def unrolled(frame: Frame, node: ast.For, run: Run) -> None:
    """Elaborates the body of a loop (by `run`) for each element, and notes the loop as a whole."""
    iterable = evaluation.evaluate(frame, node.iterable, followed=True)
    elements = lists.elements(frame, iterable, node.iterable)
    frame.elaboration.budget.take("turns", len(elements), frame.at(node.span))
    outer, own = set(frame.names), _leaves(node.pattern)
    uid = frame.elaboration.place_number(frame, node)
    bound = assigned(node.body.statements)
    carried = [name for name in bound if name in outer and name not in own]
    history: dict[str, list[int]] = {name: [] for name in carried}
    loop = _Turning(frame, node, uid, iterable, outer, carried, history)
    before = {name: frame.names[name] for name in carried}
    counter = _counter(node.pattern, iterable)
    if counter is not None:
        frame.builder.counters[f"{counter}@{uid}"] = uid
    repeated = frame.elaboration.repeated
    with _inside(loop):
        for element in elements:
            _turn(loop, element, run)
            if frame.elaboration.repeated > repeated + MOST_REPEATED:
                raise Poisoned  # the other turns would say the same again
    _behind(loop)
    frame.builder.items.append(
        Loop(
            uid,
            _shape_of(node.pattern),
            tuple(f"{name}@{uid}" for name in own),
            as_term(iterable) if is_constant(iterable) else None,
            tuple(loop.iterations),
            {name: tuple(values) for name, values in loop.history.items() if values},
            {name: tuple(terms) for name, terms in loop.lists.items()},
            loop.elements,
            {name: tuple(values) for name, values in loop.constants.items()},
        )
    )
    _decide_constants(loop, before)


def _decide_constants(loop: _Turning, before: Mapping[str, Value]) -> None:
    """Notes that what a loop makes of constants and lists hangs on its turns, which they do not name themselves."""
    names = loop.frame.names
    if all(
        name in loop.lists or _counts(loop, name) or _is_kept(before[name], names[name])
        for name in loop.carried
    ):
        return
    terms = _gone_through(loop)
    if terms:
        loop.frame.builder.decide(*terms)


def _gone_through(loop: _Turning) -> tuple[Term, ...]:
    """What decides how often a loop turns."""
    if loop.elements is not None:
        return grown.reasons(loop.frame.builder, loop.elements)
    term = term_of(loop.iterable)
    return () if term is None else (term,)


def _is_kept(before: Value, after: Value) -> bool:
    """Whether a name means what it did before a loop, or a tensor as it did, whose sizes are running ones."""
    if isinstance(before, Dim) and isinstance(after, Dim):
        return before == after and before.generic == after.generic
    return before is after or (isinstance(before, Tensor) and isinstance(after, Tensor))


@contextmanager
def _inside(loop: _Turning) -> Generator[None]:
    """Collects what the turns do apart; behind them, the names of the body and of the turn are forgotten."""
    frame = loop.frame
    items, frame.builder.items = frame.builder.items, []
    own = set(_leaves(loop.node.pattern))
    shadowed = {name: frame.names[name] for name in own & loop.outer}
    frame.in_loop += 1
    try:
        yield
    finally:
        frame.in_loop -= 1
        frame.builder.items = items
        _forget(loop)
        frame.names.update(shadowed)


def _turn(loop: _Turning, element: Value, run: Run) -> None:
    """One turn."""
    frame, builder = loop.frame, loop.frame.builder
    loop.known = _entering(loop)
    _enter(loop)
    values: dict[str, Any] = {}
    builder.taken.append({})
    try:
        with builder.turn(loop.uid, len(loop.iterations)):
            _bind_loop(loop, loop.node.pattern, element, values)
            run(frame, loop.node.body)
    finally:
        taken = tuple(builder.taken.pop().values())
    for each, kind in taken:
        values |= grown.sizes_at(each.uid, kind)
    elements = tuple(each for each, _ in taken)
    loop.iterations.append(Iteration(values, tuple(builder.items), elements))
    builder.items = []
    _leave(loop)
    loop.known |= {key: size for key, size in values.items() if isinstance(size, Dim)}
    for name in loop.carried:
        value = frame.names[name]
        if isinstance(value, Sequence) and name not in loop.lists:
            value = grown.settled(frame, value)
        frame.names[name] = escaping.escaped(value, loop.uid, loop.known)


def _forget(loop: _Turning) -> None:
    """Forgets the names of the body."""
    for name in set(loop.frame.names) - loop.outer:
        del loop.frame.names[name]


def _entering(loop: _Turning) -> dict[str, Dim]:
    """The sizes that a turn starts with, by their names in the loop, as the outside knows them."""
    found: dict[str, Dim] = {}
    for name in loop.carried:
        value = loop.frame.names.get(name)
        if isinstance(value, Tensor):
            for axis, size in enumerate(value.type.shape):
                key = f"{name}.{axis}@{loop.uid}"
                found[key] = escaping.outside(size, loop.uid, loop.known)
        elif isinstance(value, Dim):
            found[f"{name}@{loop.uid}"] = value
    return found


def _enter(loop: _Turning) -> None:
    """Gives the sizes of what the loop carries symbols of the loop (see `graph.Running`)."""
    frame, uid = loop.frame, loop.uid
    for name in loop.carried:
        value = frame.names.get(name)
        if isinstance(value, Sequence):
            _follow(loop, name, value)
        if isinstance(value, Dim):
            _count(loop, name, value)
        if not isinstance(value, Tensor):
            continue
        loop.history[name].append(value.id)
        shape: list[Dim] = []
        for axis, size in enumerate(value.type.shape):
            key = f"{name}.{axis}@{uid}"
            if not loop.iterations:
                _note_initial(
                    frame, Running(key, name, axis, size.generic, symbol(key), True)
                )
            shape.append(size.value.named(symbol(key)))
        kind = TensorType(tuple(shape), value.type.dtype)
        frame.names[name] = Tensor(value.id, kind, value.origin)


def _follow(loop: _Turning, name: str, value: Sequence) -> None:
    """A list of tensors is known by its name in the loop from now on."""
    initial = None if loop.iterations else grown.made_of(value)
    if initial is not None:
        loop.lists[name] = [initial]
        _note_reasons(loop, name)
    if name in loop.lists:
        made = named_term(f"{name}@{loop.uid}")
        loop.frame.names[name] = replace(value, made=made)


def _count(loop: _Turning, name: str, value: Dim) -> None:
    """An integer is known by its name in the loop from now on (see `graph.Running`)."""
    key = f"{name}@{loop.uid}"
    if not loop.iterations and value.is_constant:
        loop.constants[name] = [value]
        initial = Running(key, name, None, value.generic, symbol(key), True)
        _note_initial(loop.frame, initial)
    if _counts(loop, name):
        loop.frame.names[name] = value.value.named(symbol(key))


def _counts(loop: _Turning, name: str) -> bool:
    """Whether a name has meant an integer before every turn so far, and does so now."""
    return len(loop.constants.get(name, ())) == len(loop.iterations) + 1


def _note_initial(frame: Frame, running: Running) -> None:
    """Notes what a carried size starts from.

    A loop inside a loop may start from one thing in the first turn, from another in the others
    (`if i > 0 { ... }` stands before it): what the last says is kept, which mostly holds in all.
    """
    known = frame.builder.running.setdefault(running.symbol, running)
    if known.initial != running.initial:
        frame.builder.running[running.symbol] = replace(known, initial=running.initial)


def _leave(loop: _Turning) -> None:
    """Notes what became of each carried size, and forgets the names of the body."""
    turns = len(loop.iterations)
    for name in loop.carried:
        value = loop.frame.names.get(name)
        if isinstance(value, Unknown):
            raise Poisoned
        if name in loop.lists:
            _note_list(loop, name, value)
        if isinstance(value, Dim) and len(loop.constants.get(name, ())) == turns:
            loop.constants[name].append(value)
            _note_update(loop.frame, f"{name}@{loop.uid}", value)
        if not isinstance(value, Tensor):
            continue
        for axis, size in enumerate(value.type.shape):
            _note_update(loop.frame, f"{name}.{axis}@{loop.uid}", size)
    _forget(loop)


def _note_list(loop: _Turning, name: str, value: Value | None) -> None:
    """Notes what became of a list of tensors; it is followed no more where it is none."""
    made = grown.made_of(value)
    if made is None:
        del loop.lists[name]
    else:
        loop.lists[name].append(made)


def _note_update(frame: Frame, key: str, size: Dim) -> None:
    running = frame.builder.running.get(key)
    if running is None:
        return
    update = size.generic
    same = update in (symbol(key), running.initial)
    if running.constant and not same:
        frame.builder.running[key] = replace(running, update=update, constant=False)


def _behind(loop: _Turning) -> None:
    """What a loop carried, behind it: a size that speaks of the last turn is the running one."""
    frame = loop.frame
    for name in loop.carried:
        value = frame.names.get(name)
        if isinstance(value, Sequence) and name in loop.lists:
            _list_behind(loop, name, value)
        if isinstance(value, Tensor):
            loop.history[name].append(value.id)
            kind = escaping.behind(value.type, name, loop.uid, frame.builder.running)
            frame.names[name] = Tensor(value.id, kind, value.origin)
        if isinstance(value, Dim) and loop.iterations and _counts(loop, name):
            _constant_behind(loop, name, value)
    _note_same(loop)


def _constant_behind(loop: _Turning, name: str, value: Dim) -> None:
    """An integer that changes in turns is known by its name in the loop, which means what the last turn left."""
    key, running = f"{name}@{loop.uid}", loop.frame.builder.running
    if not running[key].constant:
        loop.frame.names[name] = value.value.named(symbol(key))


def _note_same(loop: _Turning) -> None:
    """Notes which sizes of tensors are an integer that the loop carries, too: `c` in `x = x -> Conv(c)`."""
    running = loop.frame.builder.running
    for name, values in loop.history.items():
        for axis in range(_least_rank(loop, values)):
            own = running.get(f"{name}.{axis}@{loop.uid}")
            if own is None or own.constant or own.same is not None:
                continue
            sizes = [loop.frame.builder.types[value].shape[axis] for value in values]
            same = next(
                (
                    key
                    for key, constants in _changing(loop)
                    if _are_same(sizes, constants)
                    and _goes_alike(own, running[key], running)
                ),
                None,
            )
            running[own.symbol] = replace(own, same=same)


def _least_rank(loop: _Turning, values: list[int]) -> int:
    return min((loop.frame.builder.types[v].rank for v in values), default=0)


def _changing(loop: _Turning) -> Generator[tuple[str, list[Dim]]]:
    """The integers that a loop carries and that change in it, with what they are before each turn and behind the last."""
    for name, constants in loop.constants.items():
        key = f"{name}@{loop.uid}"
        if _counts(loop, name) and not loop.frame.builder.running[key].constant:
            yield key, constants


def _are_same(one: list[Dim], other: list[Dim]) -> bool:
    return len(one) == len(other) and all(
        a.value == b.value for a, b in zip(one, other, strict=True)
    )


def _goes_alike(one: Running, other: Running, known: Mapping[str, Running]) -> bool:
    """Whether a carried size begins and goes on as another does."""

    def said(atom: Atom) -> Dim | None:
        is_own = atom.kind == "symbol" and atom.symbol == one.symbol
        return symbol(other.symbol) if is_own else None

    return settle(one.initial, known) == settle(other.initial, known) and (
        settle(one.update, known).substitute(said) == settle(other.update, known)
    )


def _list_behind(loop: _Turning, name: str, value: Sequence) -> None:
    """A list of tensors, behind the loop that made it, and what its length hangs on."""
    _note_reasons(loop, name)
    loop.frame.names[name] = replace(value, made=named_term(f"{name}@{loop.uid}"))


def _note_reasons(loop: _Turning, name: str) -> None:
    """Notes what the length of a list hangs on: what this loop goes through, and others in it and before it."""
    builder, own = loop.frame.builder, f"@{loop.uid}"
    behind = (*_gone_through(loop), *grown.reasons(builder, *loop.lists[name]))
    builder.grown[f"{name}{own}"] = tuple(
        term
        for term in dict.fromkeys(behind)
        if not any(each.endswith(own) for each in term.mentioned())
    )


def _bind_loop(
    loop: _Turning, pattern: ast.Pattern, value: Value, values: dict[str, Any]
) -> None:
    """Binds loop variables; constants become known by the variable's name."""
    frame, uid = loop.frame, loop.uid
    if pattern.name is None:
        if not isinstance(value, Sequence) or len(value.items) != len(pattern.items):
            lists.bind_pattern(frame, pattern, value)  # raises
            return
        for item, part in zip(pattern.items, value.items, strict=True):
            _bind_loop(loop, item, part, values)
        return
    if pattern.name == "_":
        return
    unique = f"{pattern.name}@{uid}"
    if is_constant(value):
        values[unique] = plain(value)
        if isinstance(value, Dim):
            value = value.value.named(symbol(unique))
        else:
            value = renamed(value, named_term(unique))
    elif isinstance(value, Tensor) and loop.elements is not None:
        value = _named_sizes(value, pattern.name, uid, values)
    frame.names[pattern.name] = value


def _named_sizes(value: Tensor, name: str, uid: int, values: dict[str, Any]) -> Tensor:
    """An element of a list that loops grew: its sizes are those of the turn."""
    shape: list[Dim] = []
    for axis, size in enumerate(value.type.shape):
        key = f"{name}.{axis}@{uid}"
        values[key] = size
        shape.append(size.value.named(symbol(key)))
    return Tensor(value.id, TensorType(tuple(shape), value.type.dtype), value.origin)


# ---- names ------------------------------------------------------------------------------------------


def _leaves(pattern: ast.Pattern) -> list[str]:
    if pattern.name is not None:
        return [pattern.name]
    return [leaf for item in pattern.items for leaf in _leaves(item)]


def _counter(pattern: ast.Pattern, iterable: Value) -> str | None:
    """The variable that counts the turns of a loop from 0, whatever the constants are."""
    match iterable:
        case Range(start=start, step=step):
            counts = start.generic == ZERO and step.generic == ONE
            return pattern.name if counts else None
        case Sequence(term=Term("call", ("enumerate", *_))) if pattern.items:
            return pattern.items[0].name
        case _:
            return None


def _shape_of(pattern: ast.Pattern) -> Any:
    """The pattern as nested tuples of names."""
    if pattern.name is not None:
        return pattern.name
    return tuple(_shape_of(item) for item in pattern.items)


def assigned(statements: list[ast.Stmt] | tuple[ast.Stmt, ...]) -> list[str]:
    """The names that statements bind, in order, each once."""
    names: dict[str, None] = {}
    for statement in statements:
        match statement:
            case ast.Bind():
                names.update((target.name, None) for target in statement.targets)
            case ast.Output():
                names[statement.target.name] = None
            case ast.Input():
                names[statement.name] = None
            case ast.For():
                names.update(
                    (name, None) for name in assigned(statement.body.statements)
                )
            case ast.If():
                bodies = [statement.then, statement.otherwise]
                for body in bodies:
                    if body is not None:
                        names.update((name, None) for name in assigned(body.statements))
            case _:
                pass
    names.pop("_", None)
    return list(names)
