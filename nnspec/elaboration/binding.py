"""Binding what is handed to a block, model or fn to its parameters, as the caller sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.elaboration import apply, parameter_kinds
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration.complaints import counted, listed
from nnspec.elaboration.frame import Builder, Frame
from nnspec.ir.graph import Argument, Parameter
from nnspec.ir.terms import Traced
from nnspec.ir.values import (
    Builtin,
    Declared,
    OperatorName,
    Poisoned,
    Recipe,
    Sequence,
    Tensor,
    Unknown,
    Value,
    kind_of,
    plain,
)
from nnspec.records import dataclass
from nnspec.source import Span
from nnspec.syntax import ast

if TYPE_CHECKING:
    from nnspec.elaboration.apply import Arguments, Site


@dataclass
class Bound:
    """Arguments by parameter: constants, tensors (None where an optional one is missing)."""

    declared: Declared
    constants: dict[str, Value] = field(default_factory=dict[str, Value])
    tensors: dict[str, Tensor | Sequence | None] = field(
        default_factory=dict[str, "Tensor | Sequence | None"]
    )
    written: dict[str, ast.Parameter] = field(default_factory=dict[str, ast.Parameter])
    defaults: dict[str, Value] = field(default_factory=dict[str, Value])

    def key(self) -> tuple[Any, ...]:
        """Equal where the same function serves."""
        constants = tuple(
            (name, key_of(value)) for name, value in self.constants.items()
        )
        tensors = tuple(
            (name, _tensor_key(value)) for name, value in self.tensors.items()
        )
        return (constants, tensors)

    def inputs(self) -> tuple[Argument, ...]:
        """The tensors as a node takes them."""
        return tuple(
            None if value is None else apply.as_argument(value)
            for value in self.tensors.values()
        )

    def model_inputs(self) -> dict[str, Tensor]:
        """The tensors handed to a model, by the names of its inputs."""
        if not isinstance(self.declared.node, ast.Model):
            return {}
        return {
            name: value
            for name, value in self.tensors.items()
            if isinstance(value, Tensor)
        }

    def parameters(self) -> tuple[Parameter, ...]:
        """The constants, as the function keeps them."""
        found: list[Parameter] = []
        for name, value in self.constants.items():
            default = self.defaults.get(name)
            kind = self.written[name].type
            found.append(
                Parameter(
                    name,
                    plain(value),
                    None if default is None else plain(default),
                    default is not None,
                    kind.name if isinstance(kind, ast.ScalarType) else "list",
                )
            )
        return tuple(found)


def key_of(value: Value) -> Any:
    """A hashable form of a constant: equal forms mean equal constants."""
    match value:
        case Recipe(callee=callee):
            return (
                "recipe",
                key_of(callee),
                tuple(key_of(item) for item in value.arguments),
                tuple((name, key_of(item)) for name, item in value.keywords.items()),
            )
        case OperatorName(name=name) | Builtin(name=name):
            return ("operator", name)
        case Declared(node=node):
            return node
        case Sequence(items=items):
            return tuple(key_of(item) for item in items)
        case Traced(value=inner):
            return (type(inner).__name__, inner)
        case _:
            return plain(value)


def _tensor_key(value: Tensor | Sequence | None) -> Any:
    if isinstance(value, Tensor):
        return value.type
    if isinstance(value, Sequence):
        return tuple(item.type for item in value.items if isinstance(item, Tensor))
    return None


# ---- binding ----------------------------------------------------------------------------------------


def bind(
    frame: Frame,
    callee: Declared,
    arguments: Arguments,
    site: Site,
    *,
    entry: bool = False,
) -> Bound:
    """Binds arguments to the parameters of a block or model. Raises `SpecError`."""
    node = callee.node
    assert isinstance(node, ast.Block | ast.Model | ast.Fn)
    bound = Bound(callee, written={p.name: p for p in node.parameters})
    tensors = [p.name for p in node.parameters if apply.takes_tensor(p)]
    if isinstance(node, ast.Model):
        tensors = [s.name for s in node.body.statements if isinstance(s, ast.Input)]
    constants = [p.name for p in node.parameters if not apply.takes_tensor(p)]
    given = _assigned(frame, callee, arguments, site, tensors, constants)
    _bind_constants(frame, callee, bound, given, arguments, site, constants)
    for name in [] if entry else tensors:
        bound.tensors[name] = _tensor(frame, bound, name, given, arguments, site)
    return bound


def _assigned(
    frame: Frame,
    callee: Declared,
    arguments: Arguments,
    site: Site,
    tensors: list[str],
    constants: list[str],
) -> dict[str, Value]:
    """The arguments by parameter name, as handed over."""
    given: dict[str, Value] = {}
    waiting = list(tensors)
    for value in arguments.fed:
        if not waiting:
            raise _surplus(frame, callee, tensors, site.span)
        given[waiting.pop(0)] = value
    for place, value in enumerate(arguments.positional):
        span = arguments.spans.get(place, site.span)
        if _holds_tensors(value):
            if not waiting:
                raise _surplus(frame, callee, tensors, span)
            name = waiting.pop(0)
        else:
            open_ones = [name for name in constants if name not in given]
            if not open_ones:
                raise _surplus_constant(frame, callee, constants, span)
            name = open_ones[0]
        given[name] = value
        arguments.spans.setdefault(name, span)
    for name, value in arguments.keywords.items():
        span = arguments.spans.get(name, site.span)
        _require_new(frame, callee, name, given, [*constants, *tensors], span)
        given[name] = value
    return given


def _holds_tensors(value: Value) -> bool:
    return isinstance(value, Tensor) or (
        isinstance(value, Sequence) and value.holds_tensors
    )


def _require_new(
    frame: Frame,
    callee: Declared,
    name: str,
    given: Mapping[str, Value],
    known: list[str],
    span: Span,
) -> None:
    """Raises unless a keyword is the name of a parameter that nothing else gives."""
    if name in given:
        message = f"`{name}` of `{callee.node.name}` is given twice"
        hint = "an argument without a name gave it already: delete one of the two"
        raise frame.error("E0304", message, span, hint=hint)
    if name not in known:
        hint = did_you_mean(name, known) or listed(known)
        message = f"`{callee.node.name}` has no parameter named `{name}`"
        raise frame.error("E0302", message, span, hint=hint)


def _surplus_constant(
    frame: Frame, callee: Declared, constants: list[str], span: Span
) -> SpecError:
    takes = f"`{callee.node.name}` takes {counted(len(constants), 'constant')}"
    message = f"{takes}, and this is one more"
    return frame.error("E0303", message, span, hint=listed(constants))


def _surplus(
    frame: Frame, callee: Declared, tensors: list[str], span: Span
) -> SpecError:
    names = ", ".join(f"`{name}`" for name in tensors)
    count = counted(len(tensors), "tensor")
    takes = f"takes {count}{f' ({names})' if names else ''}"
    return frame.error("E0307", f"too many tensors: `{callee.node.name}` {takes}", span)


def _bind_constants(
    frame: Frame,
    callee: Declared,
    bound: Bound,
    given: Mapping[str, Value],
    arguments: Arguments,
    site: Site,
    names: list[str],
) -> None:
    """Constants are checked and completed by their defaults, which see the earlier ones."""
    inside = Frame(
        frame.elaboration, Builder(closed=True), callee.module, {}, {}, "fn", prefix="."
    )
    for name in names:
        parameter = bound.written[name]
        if parameter.default is not None:
            default = evaluation.evaluate(inside, parameter.default)
            bound.defaults[name] = parameter_kinds.checked(
                inside, parameter, default, parameter.default.span, callee
            )
        if name in given:
            span = arguments.spans.get(name, site.span)
            bound.constants[name] = parameter_kinds.checked(
                frame, parameter, given[name], span, callee
            )
        elif parameter.default is not None:
            bound.constants[name] = bound.defaults[name]
        else:
            raise _missing(frame, callee, name, site)
        inside.names[name] = bound.constants[name]


def _missing(frame: Frame, callee: Declared, name: str, site: Site) -> SpecError:
    node = callee.node
    assert isinstance(node, ast.Block | ast.Model | ast.Fn)
    # A model that nothing in the file uses gets its constants from outside.
    outside = site.span == node.name_span
    return frame.error(
        "E0301",
        f"`{node.name}` needs the constant `{name}`",
        site.span,
        hint=f"give it: `{name}=...`"
        if outside
        else f"write `{node.name}({name}=...)`",
    )


def _feeding(callee: Declared) -> str:
    node = callee.node
    assert isinstance(node, ast.Block | ast.Model | ast.Fn)
    if isinstance(node, ast.Model):
        names = [s.name for s in node.body.statements if isinstance(s, ast.Input)]
    else:
        takers = [p for p in node.parameters if apply.takes_tensor(p)]
        names = [p.name for p in takers if p.default is None]
    shown = f"({', '.join(names)})" if len(names) > 1 else "x"
    return f"feed it: `{shown} -> {node.name}(...)`"


def _tensor(
    frame: Frame,
    bound: Bound,
    name: str,
    given: Mapping[str, Value],
    arguments: Arguments,
    site: Site,
) -> Tensor | Sequence | None:
    parameter = bound.written.get(name)
    value = given.get(name)
    if isinstance(value, Unknown):
        raise Poisoned
    optional = parameter is not None and parameter.default is not None
    if value is None or (isinstance(value, Traced) and value.value is None):
        if optional:
            return None
        raise frame.error(
            "E0306",
            f"`{bound.declared.node.name}` needs the tensor `{name}`, and it is not given",
            site.span,
            hint=_feeding(bound.declared),
        )
    wants_list = (
        parameter is not None
        and isinstance(parameter.type, ast.ShapeType)
        and parameter.type.dtype == "list"
    )
    if wants_list is isinstance(value, Sequence) and isinstance(
        value, Tensor | Sequence
    ):
        return value
    span = arguments.spans.get(name, site.span)
    wanted = "a list of tensors" if wants_list else "a tensor"
    message = f"`{name}` of `{bound.declared.node.name}` must be {wanted}, and this is {kind_of(value)}"
    raise frame.error("E0308", message, span)
