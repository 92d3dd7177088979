"""Loops: the body, elaborated once for each turn, and what it carries from one turn to the next."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration import grown, lists, running
from nnspec.elaboration.frame import Frame
from nnspec.elaboration.turning import Turning
from nnspec.ir.dims import ONE, ZERO, Dim, symbol
from nnspec.ir.graph import Iteration, Loop
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
from nnspec.syntax import ast

Run = Callable[[Frame, ast.Body], None]


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
    loop = Turning(frame, node, uid, iterable, outer, carried, history)
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


def _decide_constants(loop: Turning, before: Mapping[str, Value]) -> None:
    """Notes that what a loop makes of constants and lists hangs on its turns, which they do not name themselves."""
    names = loop.frame.names
    if all(
        name in loop.lists or loop.counts(name) or _is_kept(before[name], names[name])
        for name in loop.carried
    ):
        return
    terms = _gone_through(loop)
    if terms:
        loop.frame.builder.decide(*terms)


def _gone_through(loop: Turning) -> tuple[Term, ...]:
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
def _inside(loop: Turning) -> Generator[None]:
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


def _turn(loop: Turning, element: Value, run: Run) -> None:
    """One turn."""
    frame, builder = loop.frame, loop.frame.builder
    loop.known = running.entering(loop)
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
        frame.names[name] = loop.escaping.behind_turn(name, value, loop.known)


def _forget(loop: Turning) -> None:
    """Forgets the names of the body."""
    for name in set(loop.frame.names) - loop.outer:
        del loop.frame.names[name]


def _enter(loop: Turning) -> None:
    """Gives what the loop carries its names in a turn."""
    for name in loop.carried:
        match loop.frame.names.get(name):
            case Sequence() as value:
                _follow(loop, name, value)
            case Dim() as value:
                running.enter_integer(loop, name, value)
            case Tensor() as value:
                running.enter_tensor(loop, name, value)
            case _:
                pass


def _follow(loop: Turning, name: str, value: Sequence) -> None:
    """A list of tensors is known by its name in the loop from now on."""
    initial = None if loop.iterations else grown.made_of(value)
    if initial is not None:
        loop.lists[name] = [initial]
        _note_reasons(loop, name)
    if name in loop.lists:
        made = named_term(loop.key(name))
        loop.frame.names[name] = replace(value, made=made)


def _leave(loop: Turning) -> None:
    """Notes what became of what the loop carries, and forgets the names of the body."""
    for name in loop.carried:
        value = loop.frame.names.get(name)
        if isinstance(value, Unknown):
            raise Poisoned
        if name in loop.lists:
            _note_list(loop, name, value)
        match value:
            case Dim():
                running.leave_integer(loop, name, value)
            case Tensor():
                running.leave_tensor(loop, name, value)
            case _:
                pass
    _forget(loop)


def _note_list(loop: Turning, name: str, value: Value | None) -> None:
    """Notes what became of a list of tensors; it is followed no more where it is none."""
    made = grown.made_of(value)
    if made is None:
        del loop.lists[name]
    else:
        loop.lists[name].append(made)


def _behind(loop: Turning) -> None:
    """Gives what the loop carried its names behind it."""
    for name in loop.carried:
        match loop.frame.names.get(name):
            case Sequence() as value if name in loop.lists:
                _list_behind(loop, name, value)
            case Dim() as value:
                running.integer_behind(loop, name, value)
            case Tensor() as value:
                running.tensor_behind(loop, name, value)
            case _:
                pass
    running.note_same(loop)


def _list_behind(loop: Turning, name: str, value: Sequence) -> None:
    """A list of tensors, behind the loop that made it, and what its length hangs on."""
    _note_reasons(loop, name)
    loop.frame.names[name] = replace(value, made=named_term(loop.key(name)))


def _note_reasons(loop: Turning, name: str) -> None:
    """Notes what the length of a list hangs on: what this loop goes through, and others in it and before it."""
    builder, own = loop.frame.builder, f"@{loop.uid}"
    behind = (*_gone_through(loop), *grown.reasons(builder, *loop.lists[name]))
    builder.grown[f"{name}{own}"] = tuple(
        term
        for term in dict.fromkeys(behind)
        if not any(each.endswith(own) for each in term.mentioned())
    )


def _bind_loop(
    loop: Turning, pattern: ast.Pattern, value: Value, values: dict[str, Any]
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
