"""What the emitted classes of both targets have in common: signatures, documentation, the factory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import nnspec.targets.merged as merged
from nnspec.ir.dims import Dim
from nnspec.ir.graph import Program
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name
from nnspec.pycode.statements import (
    Argument,
    For,
    Function,
    If,
    Raise,
    Return,
    Statement,
)
from nnspec.records import dataclass
from nnspec.targets.names import Names, function_name, safe_local
from nnspec.targets.plan import ClassParameter, ClassPlan
from nnspec.targets.spelling import spell_literal

LONGEST_DOC_LINE = 80


@dataclass(frozen=True)
class Tensors:
    """The tensor parameters of a forward pass: one for each input of the block."""

    names: tuple[str, ...]
    listed: tuple[bool, ...]
    expressions: tuple[Expr, ...]


def tensor_parameters(plan: ClassPlan, names: Names) -> Tensors:
    """Names for the inputs, and how each tensor is read from them."""
    found: list[str] = []
    listed: list[bool] = []
    expressions: list[Expr] = []
    for port in plan.function.inputs:
        if port.values is None:
            continue
        name = safe_local(port.name, names.target)
        names.taken.add(name)
        found.append(name)
        listed.append(port.listed)
        if isinstance(port.values, tuple):
            expressions.extend(Name(name)[i] for i in range(len(port.values)))
        else:
            expressions.append(Name(name))
    return Tensors(tuple(found), tuple(listed), tuple(expressions))


def constructor_arguments(plan: ClassPlan) -> list[Argument]:
    """The parameters of a constructor."""
    return [
        Argument(
            parameter.name,
            annotation(parameter),
            spell_literal(parameter.default) if parameter.has_default else None,
        )
        for parameter in plan.parameters
    ]


def annotation(parameter: ClassParameter) -> Expr:
    """The type of a constructor's parameter."""
    if parameter.is_size:
        return Name("int")
    if parameter.kind == "list":
        return _list_annotation(parameter.value)
    optional = parameter.has_default and parameter.default is None
    kind = Name(parameter.kind)
    return tree.Binary("|", kind, Literal(None)) if optional else kind


def _list_annotation(value: Any) -> Expr:
    """`Sequence[int]`, from a value that the list has."""
    if not isinstance(value, tuple):
        kinds: dict[type, str] = {bool: "bool", float: "float", str: "str"}
        kind: type = type(value)  # pyright: ignore[reportUnknownVariableType]
        return Name(kinds.get(kind, "int"))
    items: tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType]
    return Name("Sequence")[_list_annotation(items[0]) if items else Name("int")]


def documentation(plan: ClassPlan) -> str:
    """What the block is for, and what goes in and comes out."""
    doc = (plan.function.doc or "").strip()
    shapes = signature_text(plan)
    return f"{doc}\n\n{shapes}" if doc else shapes


def signature_text(plan: ClassPlan) -> str:
    """`x: [B, C, H, W] -> [B, 4 * width, H', W']`"""
    inputs: list[str] = []
    place = 0
    for port in plan.function.inputs:
        if port.values is None:
            continue
        count = len(port.values) if isinstance(port.values, tuple) else 1
        kind = _type_text(plan.inputs[place], plan) if count else "none"
        place += count
        inputs.append(f"{port.name}: {'list of ' if port.listed else ''}{kind}")
    outputs: list[str] = []
    ports = plan.function.outputs
    for port, reference in zip(ports, _results(plan), strict=True):
        kind = _type_text(reference, plan)
        outputs.append(
            f"{port.name}: {kind}" if plan.function.kind == "model" else kind
        )
    whole = f"{', '.join(inputs)} -> {', '.join(outputs)}"
    if len(whole) <= LONGEST_DOC_LINE:
        return whole
    return f"{', '.join(inputs)}\n-> {', '.join(outputs)}"


def _results(plan: ClassPlan) -> Sequence[merged.Value]:
    """The results of the body's last `return`."""
    for item in reversed(plan.items):
        if isinstance(item, merged.Result):
            return item.values
    function = plan.function
    values = [port.values for port in function.outputs]
    return [
        merged.Value(function.types[value], plan.layout.values[value])
        for value in values
        if isinstance(value, int)
    ]


def _type_text(reference: merged.Value, plan: ClassPlan) -> str:
    kind, order = reference.type, reference.order
    prefix = {"float": "", "bool": "bool ", "i64": "int64 "}.get(
        kind.dtype.value, f"{kind.dtype.value} "
    )
    sizes: list[str] = []
    for axis in order:
        text = _short(kind.shape[axis], axis, plan)
        if text != "..." or sizes[-1:] != ["..."]:
            sizes.append(text)
    return f"{prefix}[{', '.join(sizes)}]"


def _short(size: Dim, axis: int, plan: ClassPlan) -> str:
    """A size for people: long ones are the input's size with a prime, or dots."""
    text = str(size.generic).replace("^", "**")
    if "@" not in size.generic.key and "_" not in text and len(text) <= 14:
        return text
    for value in plan.inputs if "@" not in size.generic.key else ():
        if axis < value.type.rank and value.type.rank > 2 and axis > 1:
            own = str(value.type.shape[axis].generic)
            if own.isidentifier():
                return f"{own}'"
    return str(size.value) if size.is_constant and not _varies(size, plan) else "..."


def _varies(size: Dim, plan: ClassPlan) -> bool:
    return len(plan.functions) > 1 or size.generic.constant is None


def factory_name(program: Program) -> str:
    """`ResNet50` -> `resnet50`, `Llama3_8B` -> `llama3_8b`; the same in every target."""
    name = re.sub(r"(?<=_)(\d+)_([a-z])$", r"\1\2", function_name(program.name))
    return safe_local(safe_local(name, "torch"), "keras")


def factory_arguments(
    program: Program, plan: ClassPlan
) -> list[tuple[str | None, Expr]]:
    """The constants of a variant: those that differ from the model's defaults."""
    values = {parameter.name: parameter for parameter in program.main.parameters}
    found: list[tuple[str | None, Expr]] = []
    for parameter in plan.parameters:
        given = values.get(parameter.symbol)
        if given is None:
            continue
        value = spell_literal(_listed(given.value))
        if not parameter.has_default:
            found.append((None, value))
        elif given.value != parameter.default:
            found.append((parameter.name, value))
    return found


def _listed(value: Any) -> Any:
    """Lists as lists (constants keep them as tuples)."""
    if isinstance(value, tuple):
        items: tuple[Any, ...] = value  # pyright: ignore[reportUnknownVariableType]
        return [_listed(item) for item in items]
    return value


def write_factory(program: Program, plan: ClassPlan, doc: str) -> Function:
    """The function that builds one variant, and hands its options on to the class."""
    options = Name("options")
    made = instance(program, plan, tree.Star(options, double=True))
    return Function(
        factory_name(program),
        (Argument("options", kind="**"),),
        Name(plan.name),
        (Return((made,)),),
        doc=doc,
    )


def instance(program: Program, plan: ClassPlan, *more: Expr) -> Expr:
    """A call of the class with the constants of a variant, and more arguments."""
    given = factory_arguments(program, plan)
    positional = tuple(value for key, value in given if key is None)
    keywords = tuple((key, value) for key, value in given if key is not None)
    return tree.Call(Name(plan.name), (*positional, *more), keywords)


def is_refusal(statement: Statement) -> bool:
    """Whether all that a statement does is to raise an error for constants that the model does not allow."""
    match statement:
        case Raise():
            return True
        case If(then=body, otherwise=()) | For(body=body):
            return all(map(is_refusal, body))
        case _:
            return False
