"""Statements of a body, one after another. A fault is noted, and what follows goes on without it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nnspec.diagnostics import SpecError
from nnspec.ir import builtins, escaping, requirements, shapes
from nnspec.ir import evaluate as evaluation
from nnspec.ir.complaints import counted
from nnspec.ir.dims import Dim, DimError, symbol
from nnspec.ir.frame import Frame
from nnspec.ir.graph import Binding, Iteration, Loop, Marks, Result, Running
from nnspec.ir.terms import name as named_term
from nnspec.ir.types import TensorType
from nnspec.ir.values import (
    UNKNOWN,
    Instance,
    Poisoned,
    Sequence,
    Tensor,
    Traced,
    Unknown,
    Value,
    as_term,
    is_constant,
    kind_of,
    plain,
)
from nnspec.ops.base import snake_case
from nnspec.syntax import ast


class Returned(Exception):
    """A `return` was met; carries its values."""

    def __init__(self, values: list[Value], node: ast.Return) -> None:
        self.values = values
        self.node = node


def run(frame: Frame, body: ast.Body) -> None:
    """Elaborates a body. Raises `Returned` where it returns."""
    for statement in body.statements:
        fine = one(frame, statement)
        if not fine and isinstance(statement, ast.Require) and frame.kind != "model":
            raise Poisoned  # what follows relies on it


def one(frame: Frame, statement: ast.Stmt) -> bool:
    """Elaborates a statement; a fault in it is noted, its names become unknown, and this is False."""
    outer = frame.marks
    try:
        frame.marks = marks(frame, outer, statement.annotations)
        EXECUTE[type(statement)](frame, statement)
        return True
    except SpecError as error:
        frame.elaboration.note(error)
        _poison(frame, statement)
    except DimError as error:
        frame.elaboration.note(frame.error("E0329", str(error), statement))
        _poison(frame, statement)
    except Poisoned:
        frame.elaboration.poisoned = True
        _poison(frame, statement)
    finally:
        frame.marks = outer
    return False


def marks(frame: Frame, outer: Marks, annotations: tuple[ast.Annotation, ...]) -> Marks:
    """What annotations say, added to what already holds."""
    found = outer
    for annotation in annotations:
        match annotation.name:
            case "frozen":
                _no_arguments(frame, annotation)
                found = Marks(True, found.checkpoint, found.device)
            case "checkpoint":
                _no_arguments(frame, annotation)
                found = Marks(found.frozen, True, found.device)
            case "device":
                found = Marks(
                    found.frozen, found.checkpoint, _device(frame, annotation)
                )
            case _:
                raise frame.error(
                    "E0510",
                    f"there is no annotation `@{annotation.name}`",
                    annotation,
                    hint="the annotations are `@frozen`, `@checkpoint` and `@device(name)`",
                )
    return found


def _no_arguments(frame: Frame, annotation: ast.Annotation) -> None:
    if annotation.arguments:
        hint = f"write `@{annotation.name}`"
        raise frame.error(
            "E0510", f"`@{annotation.name}` takes no arguments", annotation, hint=hint
        )


def _device(frame: Frame, annotation: ast.Annotation) -> str:
    values = [
        evaluation.evaluate(frame, argument.value) for argument in annotation.arguments
    ]
    if (
        len(values) != 1
        or not isinstance(values[0], Traced)
        or not isinstance(values[0].value, str)
    ):
        raise frame.error(
            "E0510",
            "`@device` takes one string",
            annotation,
            hint='write `@device("gpu0")`',
        )
    return values[0].value


def _poison(frame: Frame, statement: ast.Stmt) -> None:
    for name in assigned([statement]):
        frame.names[name] = UNKNOWN


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


# ---- the statements ---------------------------------------------------------------------------------


def _input(frame: Frame, node: ast.Input) -> None:
    frame.elaboration.model_input(frame, node)


def _output(frame: Frame, node: ast.Output) -> None:
    name = node.target.name
    if node.value is None:
        value = evaluation.evaluate(frame, ast.Name(node.target.span, name))
    else:
        value = evaluation.evaluate(frame, node.value)
    value = shapes.check_claim(frame, name, node.target.type, value)
    bind(frame, name, value, node.target)
    frame.elaboration.model_output(frame, name, value, node)


def _bind(frame: Frame, node: ast.Bind) -> None:
    if len(node.values) == 1 and len(node.targets) > 1:
        values = _unpacked(frame, evaluation.evaluate(frame, node.values[0]), node)
    else:
        if len(node.values) != len(node.targets):
            message = f"{counted(len(node.targets), 'name')} for {counted(len(node.values), 'value')}"
            hint = "write one value for each name"
            raise frame.error("E0324", message, node, hint=hint)
        values = [evaluation.evaluate(frame, value) for value in node.values]
    for target, value in zip(node.targets, values, strict=True):
        checked = shapes.check_claim(frame, target.name, target.type, value)
        bind(frame, target.name, checked, target)


def _unpacked(frame: Frame, value: Value, node: ast.Bind) -> list[Value]:
    if not isinstance(value, Sequence):
        raise frame.error(
            "E0324",
            f"{len(node.targets)} names for one value: this is {kind_of(value)}",
            node.values[0],
            hint="write one name; `split` and `unstack` take a tensor apart",
        )
    if len(value.items) != len(node.targets):
        raise frame.error(
            "E0324",
            f"{len(node.targets)} names for {counted(len(value.items), 'value')}",
            node.targets[0].span.cover(node.targets[-1].span),
            hint="write one name for each, and `_` for a value that is not needed",
        )
    return list(value.items)


def bind(frame: Frame, name: str, value: Value, node: ast.Node) -> None:
    """Makes a name mean a value."""
    if name == "_":
        return
    if isinstance(value, Sequence) and value.is_group and value.holds_tensors:
        raise frame.error(
            "E0324",
            f"one name for {len(value.items)} values",
            node,
            hint="write one name for each: `a, b = ...`",
        )
    if isinstance(value, Instance) and name[:1].isupper():
        raise frame.error(
            "E0206",
            f"`{name}` is a layer that is made, so its name must be lower-case",
            node,
            hint=f"write `{snake_case(name)}`; a recipe keeps its capital: `{name} = F(..., ...)`",
        )
    frame.names[name] = value
    if isinstance(value, Tensor) and not frame.prefix:
        frame.builder.items.append(Binding(name, value.id))


def _if(frame: Frame, node: ast.If) -> None:
    condition = evaluation.truth(frame, node.condition)
    body = node.then if condition.value else node.otherwise
    with frame.builder.branch(condition.term, bool(condition.value)):
        if body is not None:
            run(frame, body)


def _require(frame: Frame, node: ast.Require) -> None:
    requirements.require(frame, node)


def _return(frame: Frame, node: ast.Return) -> None:
    if frame.kind == "model":
        raise frame.error(
            "E0507", "a model has no `return`", node, hint="write `output name = value`"
        )
    if frame.in_loop:
        raise frame.error(
            "E0507",
            "`return` stands in a loop",
            node,
            hint="bind the value, and return it behind the loop",
        )
    values: list[Value] = []
    for value in node.values:
        result = evaluation.evaluate(frame, value)
        group = isinstance(result, Sequence) and result.is_group
        values.extend(
            result.items if group and isinstance(result, Sequence) else [result]
        )
    if frame.kind == "block":  # noted where it stands: it may end one branch alone
        tensors = tuple(value.id for value in values if isinstance(value, Tensor))
        frame.builder.items.append(Result(tensors))
    raise Returned(values, node)


# ---- loops ------------------------------------------------------------------------------------------


def _for(frame: Frame, node: ast.For) -> None:
    iterable = evaluation.evaluate(frame, node.iterable)
    turns = builtins.elements(frame, iterable, node.iterable)
    frame.elaboration.budget.take("turns", len(turns), frame.at(node.span))
    outer = set(frame.names)
    uid = frame.elaboration.place_number(frame, node)
    loop_names = set(_leaves(node.pattern))
    carried = [
        n for n in assigned(node.body.statements) if n in outer and n not in loop_names
    ]
    history: dict[str, list[int]] = {name: [] for name in carried}
    items, frame.builder.items = frame.builder.items, []
    iterations: list[Iteration] = []
    known: dict[str, Dim] = {}
    shadowed = {name: frame.names[name] for name in loop_names & outer}
    frame.in_loop += 1
    try:
        for turn, value in enumerate(turns):
            known = _entering(frame, carried, uid, known)
            _enter(frame, carried, uid, history, first=turn == 0)
            frame.builder.turns.append(turn)
            values: dict[str, Any] = {}
            try:
                _bind_loop(frame, node.pattern, value, uid, values)
                run(frame, node.body)
            finally:
                frame.builder.turns.pop()
            iterations.append(Iteration(values, tuple(frame.builder.items)))
            frame.builder.items = []
            _leave(frame, carried, uid, outer)
            known |= {
                key: item for key, item in values.items() if isinstance(item, Dim)
            }
            for name in carried:
                frame.names[name] = escaping.escaped(frame.names[name], uid, known)
    finally:
        frame.in_loop -= 1
        frame.builder.items = items
        for name in set(frame.names) - outer:
            del frame.names[name]
        frame.names.update(shadowed)
    for name in carried:
        value = frame.names.get(name)
        if isinstance(value, Tensor):
            history[name].append(value.id)
            frame.names[name] = _behind(frame, value, name, uid)
    variables = tuple(f"{leaf}@{uid}" for leaf in _leaves(node.pattern))
    frame.builder.items.append(
        Loop(
            uid,
            _shape_of(node.pattern),
            variables,
            as_term(iterable) if is_constant(iterable) else None,
            tuple(iterations),
            {name: tuple(values) for name, values in history.items() if values},
        )
    )


def _leaves(pattern: ast.Pattern) -> list[str]:
    if pattern.name is not None:
        return [pattern.name]
    return [leaf for item in pattern.items for leaf in _leaves(item)]


def _shape_of(pattern: ast.Pattern) -> Any:
    """The pattern as nested tuples of names."""
    if pattern.name is not None:
        return pattern.name
    return tuple(_shape_of(item) for item in pattern.items)


def _bind_loop(
    frame: Frame, pattern: ast.Pattern, value: Value, uid: int, values: dict[str, Any]
) -> None:
    """Binds loop variables; constants become known by the variable's name."""
    if pattern.name is None:
        if not isinstance(value, Sequence) or len(value.items) != len(pattern.items):
            builtins.bind_pattern(frame, pattern, value)  # raises
            return
        for item, part in zip(pattern.items, value.items, strict=True):
            _bind_loop(frame, item, part, uid, values)
        return
    if pattern.name == "_":
        return
    unique = f"{pattern.name}@{uid}"
    if is_constant(value):
        values[unique] = plain(value)
        if isinstance(value, Dim):
            value = value.value.named(symbol(unique))
        else:
            value = evaluation.renamed(value, named_term(unique))
    frame.names[pattern.name] = value


def _enter(
    frame: Frame,
    carried: list[str],
    uid: int,
    history: dict[str, list[int]],
    *,
    first: bool,
) -> None:
    """Gives the sizes of what the loop carries symbols of the loop (see `graph.Running`)."""
    for name in carried:
        value = frame.names.get(name)
        if not isinstance(value, Tensor):
            continue
        history[name].append(value.id)
        shape: list[Dim] = []
        for axis, size in enumerate(value.type.shape):
            key = f"{name}.{axis}@{uid}"
            if first:
                _note_initial(
                    frame, Running(key, name, axis, size.generic, symbol(key), True)
                )
            shape.append(size.value.named(symbol(key)))
        kind = TensorType(tuple(shape), value.type.dtype)
        frame.names[name] = Tensor(value.id, kind, value.origin)


def _note_initial(frame: Frame, running: Running) -> None:
    """Notes what a carried size starts from.

    A loop inside a loop may start from one thing in the first turn, from another in the others
    (`if i > 0 { ... }` stands before it): what the last says is kept, which mostly holds in all.
    """
    known = frame.builder.running.setdefault(running.symbol, running)
    if known.initial != running.initial:
        frame.builder.running[running.symbol] = replace(known, initial=running.initial)


def _leave(frame: Frame, carried: list[str], uid: int, outer: set[str]) -> None:
    """Notes what became of each carried size, and forgets the names of the body."""
    for name in carried:
        value = frame.names.get(name)
        if isinstance(value, Unknown):
            raise Poisoned
        if not isinstance(value, Tensor):
            continue
        for axis, size in enumerate(value.type.shape):
            _note_update(frame, f"{name}.{axis}@{uid}", size)
    for name in set(frame.names) - outer:
        del frame.names[name]


def _behind(frame: Frame, value: Tensor, name: str, uid: int) -> Tensor:
    """What a loop carried, behind it: a size that speaks of the last turn is the running one."""
    kind = escaping.behind(value.type, name, uid, frame.builder.running)
    return Tensor(value.id, kind, value.origin)


def _entering(
    frame: Frame, carried: list[str], uid: int, known: dict[str, Dim]
) -> dict[str, Dim]:
    """The sizes that a turn starts with, by their names in the loop, as the outside knows them."""
    found: dict[str, Dim] = {}
    for name in carried:
        value = frame.names.get(name)
        if isinstance(value, Tensor):
            for axis, size in enumerate(value.type.shape):
                found[f"{name}.{axis}@{uid}"] = escaping.outside(size, uid, known)
    return found


def _note_update(frame: Frame, key: str, size: Dim) -> None:
    running = frame.builder.running.get(key)
    if running is None:
        return
    update = size.generic
    same = update in (symbol(key), running.initial)
    if running.constant and not same:
        frame.builder.running[key] = Running(
            key, running.name, running.axis, running.initial, update, False
        )


EXECUTE: dict[type[ast.Stmt], Callable[[Frame, Any], None]] = {
    ast.Input: _input,
    ast.Output: _output,
    ast.Bind: _bind,
    ast.If: _if,
    ast.For: _for,
    ast.Require: _require,
    ast.Return: _return,
}
