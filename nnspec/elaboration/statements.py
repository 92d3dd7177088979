"""Statements of a body, one after another. A fault is noted, and what follows goes on without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nnspec.diagnostics import SpecError
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration import loops, ports, requirements, shapes
from nnspec.elaboration.complaints import counted
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import DimError
from nnspec.ir.graph import Binding, Marks, Result
from nnspec.ir.values import (
    UNKNOWN,
    Instance,
    Poisoned,
    Sequence,
    Tensor,
    Traced,
    Value,
    kind_of,
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
    for name in loops.assigned([statement]):
        frame.names[name] = UNKNOWN


# ---- the statements ---------------------------------------------------------------------------------


def _input(frame: Frame, node: ast.Input) -> None:
    ports.declare_input(frame, node)


def _output(frame: Frame, node: ast.Output) -> None:
    name = node.target.name
    if node.value is None:
        value = evaluation.evaluate(frame, ast.Name(node.target.span, name))
    else:
        value = evaluation.evaluate(frame, node.value)
    value = shapes.check_claim(frame, name, node.target.type, value)
    bind(frame, name, value, node.target)
    ports.declare_output(frame, name, value, node)


def _bind(frame: Frame, node: ast.Bind) -> None:
    if len(node.values) == 1 and len(node.targets) > 1:
        values = _unpacked(frame, evaluation.evaluate(frame, node.values[0]), node)
    else:
        if len(node.values) != len(node.targets):
            message = f"{counted(len(node.targets), 'name')} for {counted(len(node.values), 'value')}"
            hint = "write one value for each name"
            raise frame.error("E0324", message, node, hint=hint)
        values = [
            evaluation.evaluate(frame, value, followed=True) for value in node.values
        ]
    for target, value in zip(node.targets, values, strict=True):
        checked = shapes.check_claim(frame, target.name, target.type, value)
        bind(frame, target.name, checked, target)


def _unpacked(frame: Frame, value: Value, node: ast.Bind) -> list[Value]:
    if not isinstance(value, Sequence):
        raise frame.error(
            "E0324",
            f"{len(node.targets)} names for one value: this is {kind_of(value)}",
            node.values[0],
            hint=_for_more(frame, value)
            or "write one name; `split` and `unstack` take a tensor apart",
        )
    if len(value.items) != len(node.targets):
        raise frame.error(
            "E0324",
            f"{len(node.targets)} names for {counted(len(value.items), 'value')}",
            node.targets[0].span.cover(node.targets[-1].span),
            hint="write one name for each, and `_` for a value that is not needed",
        )
    return list(value.items)


def _for_more(frame: Frame, value: Value) -> str | None:
    """What the operator that made a value says of further ones."""
    if not isinstance(value, Tensor):
        return None
    makers = (node for node in frame.builder.nodes if value.id in node.outputs)
    maker = next(makers, None)
    return maker.op.for_more_results() if maker and maker.op else None


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


def _for(frame: Frame, node: ast.For) -> None:
    loops.unrolled(frame, node, run)


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


EXECUTE: dict[type[ast.Stmt], Callable[[Frame, Any], None]] = {
    ast.Input: _input,
    ast.Output: _output,
    ast.Bind: _bind,
    ast.If: _if,
    ast.For: _for,
    ast.Require: _require,
    ast.Return: _return,
}
