"""How a fault of an operator, or of its arguments, is told to the person who wrote the spec.

Operators know nothing of source text. Here their errors get places: the argument or tensor to blame, and
where each tensor came from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Label, SpecError
from nnspec.elaboration.frame import Frame
from nnspec.ir.values import Sequence, Tensor
from nnspec.ops.base import Operator, OpError
from nnspec.ops.checked import FieldError
from nnspec.source import Span
from nnspec.syntax import ast

if TYPE_CHECKING:
    from nnspec.elaboration.apply import Site

# Faults that lie between the tensors rather than in one of them.
_BETWEEN = frozenset({"E0405", "E0406", "E0411"})
_MOST_LABELS = 4
_NUMBER = r"[-+]?[\d.]+(?:e[-+]?\d+)?"
_SIGNS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "floor_divide": "//",
    "remainder": "%",
    "power": "^",
    "negative": "-",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "logical_and": "and",
    "logical_or": "or",
    "logical_not": "not",
}
_OF_ARGUMENT = ("must ", "is ", "pads ", "has ")
_VERBS = ("needs ", "takes ", "looks ", "divides ", "pads ", "of ")


# ---- an operator refuses its tensors --------------------------------------------------------------


def refusal(
    frame: Frame,
    error: OpError,
    op: Operator,
    inputs: list[Any],
    site: Site,
    spans: Mapping[Any, Span],
) -> SpecError:
    """What an operator says of its inputs or arguments, at the place that is to blame."""
    return frame.error(
        error.code,
        _sentence(error, op, site),
        _blamed(error, op, site, spans),
        hint=error.hint,
        labels=origins(frame, op, inputs, error),
    )


def _sentence(error: OpError, op: Operator, site: Site) -> str:
    message = error.message
    if isinstance(site.node, ast.Index):
        return message
    called = isinstance(site.node, ast.Stage | ast.Call)
    name = op.op_name() if called else _SIGNS.get(op.op_name(), op.op_name())
    if error.param and message.startswith(_OF_ARGUMENT):
        return f"`{error.param}` of `{name}` {message}"
    return (
        f"`{name}` {message}" if message.startswith(_VERBS) else f"`{name}`: {message}"
    )


def _blamed(
    error: OpError, op: Operator, site: Site, spans: Mapping[Any, Span]
) -> Span:
    if error.param is None:
        return site.span
    if error.param == op.open:
        sizes = getattr(op, error.param)
        return next((spans[name] for name in sizes if name in spans), site.span)
    return spans.get(error.param, site.span)


def origins(
    frame: Frame, op: Operator, inputs: list[Any], error: OpError | None = None
) -> tuple[Label, ...]:
    """Where the tensors that have to do with a fault were made."""
    alone = error.input if error and error.code not in _BETWEEN else None
    named = len(op.inputs) > 1 and op.op_name() not in _SIGNS
    found: list[Label] = []
    for name, value in zip(op.inputs, inputs, strict=True):
        items = value.items if isinstance(value, Sequence) else (value,)
        for item in items:
            if not isinstance(item, Tensor) or alone not in (None, name):
                continue
            what = f"`{name}`" if named and name not in op.listed else "this"
            label = Label(item.origin, f"{what} is {item.type}")
            if label not in found:
                found.append(label)
    return tuple(found[:_MOST_LABELS])


# ---- an argument has the wrong kind ---------------------------------------------------------------


def argument(
    frame: Frame,
    cls: type[Operator],
    fields: Mapping[str, Any],
    site: Site,
    spans: Mapping[Any, Span],
    error: FieldError,
) -> SpecError:
    """An argument that is missing, or not what the operator takes."""
    name, wanted = error.name, error.reason
    if error.missing:
        given = f"{', '.join(f'{known}=...' for known in fields)}, " if fields else ""
        return frame.error(
            "E0301",
            f"`{cls.op_name()}` needs the argument `{name}`",
            site.span,
            hint=f"write `{cls.op_name()}({given}{name}=...)`",
        )
    given = fields.get(name)
    sign = _SIGNS.get(cls.op_name())
    what = f"`{name}` of `{cls.op_name()}`"
    if sign is not None and name.endswith("_value"):
        what = f"what stands beside a tensor in `{sign}`"
    return frame.error(
        "E0309",
        f"{what} {wanted}{_found(given, wanted)}",
        spans.get(name, site.span),
        hint=_mend(name, given, wanted),
    )


def _mend(name: str, given: Any, wanted: str) -> str | None:
    if name == "eps":
        return "the number of features follows from what goes in: leave it out"
    if name == "bias":
        return (
            "write `true` or `false`; how many features go in follows from the tensor"
        )
    if isinstance(given, float) and "integer" in wanted:
        return "`/` makes a float: use `//`, or `int(...)` around it"
    if given == "valid":
        return "here this is `0`"
    if isinstance(given, str) and ("integer" in wanted or "number" in wanted):
        return unquoted(given)
    return None


def unquoted(text: str) -> str | None:
    """The hint for a number that was written as a string."""
    return "write the number without quotes" if re.fullmatch(_NUMBER, text) else None


def _found(given: Any, wanted: str) -> str:
    if ", not " in wanted:
        return ""
    if given is None:
        return ", not none"
    if isinstance(given, bool):
        return f", not {'true' if given else 'false'}"
    if isinstance(given, str):
        return f', not "{given}"'
    return f", not {_spelled(given)}"


def _spelled(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_spelled(item) for item in value)}]"  # pyright: ignore[reportUnknownVariableType]
    return str(value)


# ---- an argument that another framework has -------------------------------------------------------

_ARGUMENTS_ELSEWHERE = {
    "filters": "features",
    "out_channels": "features",
    "units": "features",
    "out_features": "features",
    "in_features": "",
    "in_channels": "",
    "num_features": "",
    "kernel_size": "kernel",
    "strides": "stride",
    "dilation_rate": "dilation",
    "use_bias": "bias",
    "axis": "dim",
    "keepdims": "keep",
    "keepdim": "keep",
    "epsilon": "eps",
    "p": "rate",
    "num_heads": "heads",
    "hidden_size": "hidden",
    "num_layers": "layers",
    "num_groups": "groups",
    "negative_slope": "slope",
    "pool_size": "kernel",
    "num_embeddings": "entries",
    "embedding_dim": "width",
    "kernel_initializer": "init",
    "bias_initializer": "bias_init",
    "alpha": "slope",
    "dropout_rate": "rate",
    "input_size": "",
    "normalized_shape": "",
    "num_channels": "",
    "input_dim": "",
    "input_shape": "",
}
_HEADS = "for a layer that has heads, `use std.attention (SelfAttention)`"
_INSTRUCTIONS = {
    "activation": "write the activation behind the layer: `-> relu`",
    "heads": _HEADS,
    "num_heads": _HEADS,
    "return_sequences": 'write `returns="sequence"` for all steps, `returns="last"` for the last',
    "return_state": 'write `returns="all"` for the outputs and the states',
    "batch_first": "leave it out: the batch is always the first axis",
}


def foreign_argument(name: str, known: list[str]) -> str | None:
    """What an argument of another framework is called here, as an instruction."""
    if name in _INSTRUCTIONS:
        return _INSTRUCTIONS[name]
    if name in ("scale", "scale_factor") and "size" in known:
        return "give sizes, as in `[2 * H, 2 * W]`"
    ours = _ARGUMENTS_ELSEWHERE.get(name)
    if ours == "":
        return "leave it out: it follows from what goes in"
    return f"here this is `{ours}`" if ours in known else None


def listed(names: list[str]) -> str:
    """The names of arguments, as a sentence."""
    return f"it takes {', '.join(f'`{name}`' for name in names) or 'nothing'}"


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural unless it is one."""
    if number == 1:
        return f"1 {noun}"
    return f"{number} axes" if noun == "axis" else f"{number} {noun}s"
