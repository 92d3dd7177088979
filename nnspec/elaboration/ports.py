"""What goes into a body and comes out of it: inputs and outputs of models, results of blocks and functions."""

from __future__ import annotations

from nnspec.diagnostics import Label, SpecError
from nnspec.elaboration import shapes
from nnspec.elaboration.complaints import counted
from nnspec.elaboration.frame import Frame
from nnspec.ir.graph import Port, Result
from nnspec.ir.values import Sequence, Tensor, Value, is_constant, kind_of
from nnspec.source import Span
from nnspec.syntax import ast


def declare_input(frame: Frame, node: ast.Input) -> None:
    """An `input` statement: a symbol for each new name, or the tensor that a caller gives."""
    if frame.kind != "model":
        raise frame.error(
            "E0513",
            "only a model has `input` statements",
            node,
            hint="a block takes its tensors as parameters: `block F(x: [B, C])`",
        )
    if not isinstance(node.type, ast.ShapeType) or node.type.dtype == "list":
        raise frame.error(
            "E0205", "an input is a tensor", node, hint="write its shape: `[B, 3]`"
        )
    inputs = frame.builder.inputs
    if node.name in inputs:
        message = f"there are two inputs named `{node.name}`"
        raise frame.error("E0514", message, node, hint="give one of them another name")
    given = frame.builder.given.get(node.name)
    place = frame.at(node.span)
    if given is not None:
        kind = shapes.match_input(frame, node.name, node.type, given)
    else:
        kind = shapes.introduce(frame, node.name, node.type)
    tensor = frame.builder.value(kind, place)
    inputs[node.name] = Port(node.name, tensor.id)
    frame.names[node.name] = tensor


def declare_output(frame: Frame, name: str, value: Value, node: ast.Output) -> None:
    """An `output` statement."""
    if frame.kind != "model":
        raise frame.error(
            "E0513",
            "only a model has `output` statements",
            node,
            hint="a block ends with `return value`",
        )
    if frame.in_loop:
        raise frame.error(
            "E0507",
            "`output` stands in a loop",
            node,
            hint="bind the value, and output it behind the loop",
        )
    if not isinstance(value, Tensor):
        raise frame.error(
            "E0308",
            f"an output is a tensor, and this is {kind_of(value)}",
            node,
            hint=_output_hint(value),
        )
    outputs = frame.builder.outputs
    if name in outputs:
        message = f"there are two outputs named `{name}`"
        raise frame.error("E0514", message, node, hint="give one of them another name")
    outputs[name] = Port(name, value.id)


def _output_hint(value: Value) -> str | None:
    if isinstance(value, Sequence):
        return "output each of them, or `concat` or `stack` them"
    if is_constant(value):
        return "a number becomes a tensor by `tensor(3.0)`"
    return "apply it to a tensor: `x -> Linear(10)`"


def check_results(
    frame: Frame,
    claims: tuple[ast.TypeExpr, ...],
    values: list[Value],
    node: ast.Stmt,
) -> None:
    """Checks what is returned against the results that are declared, and names their sizes as these do."""
    if not claims:
        return
    if len(claims) != len(values):
        declared = counted(len(claims), "result")
        message = f"{declared} declared, and {len(values)} returned"
        span = claims[0].span.cover(claims[-1].span)
        label = Label(frame.at(span), "declared here")
        hint = "return as many values as are declared"
        raise frame.error("E0508", message, node, labels=(label,), hint=hint)
    for i, claim in enumerate(claims):
        values[i] = shapes.check_claim(frame, "", claim, values[i])


def check_weights(frame: Frame) -> None:
    """A weight that is read belongs to a layer that is applied: no other is made."""
    owned = {node.path for node in frame.builder.nodes if node.owns}
    for node in frame.builder.nodes:
        if node.weight is not None and node.path not in owned:
            raise SpecError(
                "E0214",
                f"`{node.weight}` is read of a layer that is never applied",
                node.location,
                hint="a weight of its own is a `Param`, such as `Param([100, 64], init=init.normal(1.0))`",
            )


def model_outputs(frame: Frame, node: ast.Model) -> tuple[Port, ...]:
    """The outputs of a model: what its `output` statements said."""
    outputs = tuple(frame.builder.outputs.values())
    if not outputs:
        raise frame.error(
            "E0506",
            f"the model `{node.name}` has no output",
            node.name_span,
            hint="add `output name = value`",
        )
    frame.builder.items.append(Result(tuple(port.values for port in outputs)))
    return outputs


def block_outputs(
    frame: Frame, values: list[Value], node: ast.Block, end: Span
) -> tuple[Port, ...]:
    """The outputs of a block: what it returns, which ends at `end`."""
    if not values:
        raise frame.error(
            "E0508",
            f"the block `{node.name}` returns nothing",
            node.name_span,
            hint="end it with `return value`",
        )
    ports: list[Port] = []
    for i, value in enumerate(values):
        if isinstance(value, Tensor):
            ports.append(Port(f"result_{i}", value.id))
        elif isinstance(value, Sequence) and all(
            isinstance(v, Tensor) for v in value.items
        ):
            raise frame.error(
                "E0508",
                f"the block `{node.name}` returns a list",
                end,
                hint="return the tensors one by one: `return a, b`",
            )
        else:
            raise frame.error(
                "E0308",
                f"a block returns tensors, and this is {kind_of(value)}",
                end,
                hint="a function of constants is a `fn`",
            )
    return tuple(ports)
