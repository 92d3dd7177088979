"""A program as text for people: what `nnspec ir` prints.

Each function lists its typed inputs, its nodes in order (`%3: [B, 64] = Linear(features=64)(%2)  # fc`)
and its results. Names and sizes are those of the whole program.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nnspec.ir.dims import Dim
from nnspec.ir.graph import Argument, Function, Marks, Node, Port, Program, dotted
from nnspec.ir.slices import Range
from nnspec.ir.terms import Traced
from nnspec.ir.types import DType
from nnspec.ir.values import Builtin, Declared, OperatorName, Recipe
from nnspec.ops.base import Operator
from nnspec.ops.checked import fields_of
from nnspec.ops.initializers import Initializer, Number

LONGEST_LIST = 16


def show_program(program: Program) -> str:
    """All functions, callees before callers, below what is known of the sizes."""
    blocks = ["\n".join(_head(program))]
    blocks += [
        "\n".join(_function(program, each)) for each in program.functions.values()
    ]
    return "\n\n".join(blocks)


def _head(program: Program) -> Iterator[str]:
    yield f"program {program.name} from {program.source_name}, entry {program.entry}"
    for name in program.symbols:
        low, high = program.assumptions.bounds.get(name, (1, None))
        factor = program.assumptions.multiples.get(name, 1)
        upper = "" if high is None else f", at most {high}"
        multiple = "" if factor == 1 else f", a multiple of {factor}"
        yield f"  size {name}: at least {max(low, factor)}{upper}{multiple}"
    for text, _ in program.requirements:
        yield f"  needs {text} >= 1"
    for budget in program.budgets:
        given = ", ".join(f"{n}={v!r}" for n, v in budget.arguments.items())
        limit = f"{budget.limit}{budget.unit}"
        yield f"  costs {budget.figure}({given}) {budget.operator} {limit}"


def _function(program: Program, function: Function) -> Iterator[str]:
    constants = ", ".join(
        f"{p.name}={show_value(p.value)}" for p in function.parameters
    )
    inputs = ", ".join(
        f"{port.name}={_typed(function, port)}" for port in function.inputs
    )
    yield f"{function.kind} {function.key}({constants}){_marks(function.marks)}"
    yield f"  takes {inputs or 'nothing'}"
    for node in function.nodes:
        yield f"  {_node(program, function, node)}"
    outputs = ", ".join(
        f"{port.name}={_typed(function, port)}" for port in function.outputs
    )
    yield f"  gives {outputs}"


def _typed(function: Function, port: Port) -> str:
    if port.values is None:
        return "none"
    if isinstance(port.values, tuple):
        items = (f"%{value}: {function.types[value]}" for value in port.values)
        return f"[{', '.join(items)}]"
    return f"%{port.values}: {function.types[port.values]}"


def _node(program: Program, function: Function, node: Node) -> str:
    results = ", ".join(f"%{value}: {function.types[value]}" for value in node.outputs)
    name = dotted(node.path)
    if node.weight is not None:
        return f"{results} = weight {name}.{node.weight}"
    if node.callee is not None:
        label = "" if not node.path else f"  # {name}"
        applied = f"call {node.callee}"
        names = [port.name for port in program.functions[node.callee].inputs]
    else:
        assert node.op is not None
        label = f"  # {name}" if node.owns else ""
        applied = show_operator(node.op)
        names = list(node.op.inputs)
    arguments = _arguments(names, node.inputs)
    return f"{results} = {applied}({arguments}){label}{_marks(node.marks)}"


def _arguments(names: list[str], inputs: tuple[Argument, ...]) -> str:
    """The inputs, by name from the first missing one on."""
    texts: list[str] = []
    missing = False
    for name, argument in zip(names, inputs, strict=True):
        if argument is None:
            missing = True
            continue
        items = argument if isinstance(argument, tuple) else None
        text = (
            f"%{argument}"
            if items is None
            else f"[{', '.join(f'%{i}' for i in items)}]"
        )
        texts.append(f"{name}={text}" if missing else text)
    return ", ".join(texts)


def _marks(marks: Marks) -> str:
    texts = ["@frozen"] * marks.frozen + ["@checkpoint"] * marks.checkpoint
    if marks.device is not None:
        texts.append(f"@device({show_value(marks.device)})")
    return "".join(f"  {text}" for text in texts)


def show_operator(operator: Operator, shown: Callable[[Any], str] | None = None) -> str:
    """`Linear(features=64)`: an operator with the arguments that it was given, each as `shown`."""
    given, shown = operator.given, shown or show_value
    fields = [name for name in fields_of(type(operator)) if name in given]
    texts = [f"{name}={shown(getattr(operator, name))}" for name in fields]
    return (
        f"{type(operator).op_name()}({', '.join(texts)})"
        if texts
        else operator.op_name()
    )


def show_value(value: Any) -> str:
    """A constant as the language writes it."""
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case DType():
            return value.value
        case str():
            return (
                '"'
                + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                + '"'
            )
        case tuple() | list():
            items = [show_value(item) for item in value[:LONGEST_LIST]]  # pyright: ignore[reportUnknownVariableType]
            more = ["..."] if len(value) > LONGEST_LIST else []  # pyright: ignore[reportUnknownArgumentType]
            return f"[{', '.join(items + more)}]"
        case dict():
            pairs = ((str(k), show_value(v)) for k, v in value.items())  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
            return ", ".join(f"{name}: {text}" for name, text in pairs)
        case _:
            return _show_object(value)


def _show_object(value: Any) -> str:
    match value:
        case Traced():
            return show_value(value.value)
        case Number():
            return show_value(value.value)
        case Range():
            bounds = ["" if b is None else str(b) for b in (value.start, value.stop)]
            step = "" if value.step == 1 else f":{value.step}"
            return ":".join(bounds) + step
        case Initializer():
            parts = (f"{name}={show_value(part)}" for name, part in vars(value).items())
            return f"init.{value.spelling}({', '.join(parts)})"
        case OperatorName(name=name) | Builtin(name=name):
            return name
        case Declared():
            return value.node.name if hasattr(value.node, "name") else "a constant"  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType, reportUnknownMemberType]
        case Recipe():
            parts = [show_value(item) for item in value.arguments]
            parts += [
                f"{name}={show_value(item)}" for name, item in value.keywords.items()
            ]
            return f"{_show_object(value.callee)}({', '.join([*parts, '...'])})"
        case Dim():
            return str(value)
        case _:
            return str(value)
