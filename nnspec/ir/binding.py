"""Binding what is handed to a block, model or fn to its parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir import apply, shapes
from nnspec.ir import evaluate as evaluation
from nnspec.ir.builtins import elements
from nnspec.ir.complaints import counted, listed
from nnspec.ir.dims import Dim, symbol
from nnspec.ir.frame import Builder, Frame
from nnspec.ir.graph import Argument, Function, Parameter, Port
from nnspec.ir.rename import Renaming
from nnspec.ir.terms import Term, Traced
from nnspec.ir.terms import name as named_term
from nnspec.ir.values import (
    NONE,
    Builtin,
    Declared,
    OperatorName,
    Poisoned,
    Range,
    Recipe,
    Sequence,
    Tensor,
    Unknown,
    Value,
    as_term,
    is_constant,
    kind_of,
    plain,
    term_of,
)
from nnspec.records import dataclass
from nnspec.source import Span
from nnspec.syntax import ast

if TYPE_CHECKING:
    from nnspec.ir.apply import Arguments, Site


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
        tensor = isinstance(value, Tensor) or (
            isinstance(value, Sequence) and value.holds_tensors
        )
        names = waiting if tensor else [name for name in constants if name not in given]
        if not names:
            if tensor:
                raise _surplus(frame, callee, tensors, span)
            raise frame.error(
                "E0303",
                f"`{callee.node.name}` takes {counted(len(constants), 'constant')},"
                " and this is one more",
                span,
                hint=listed(constants),
            )
        given[names[0]] = value
        arguments.spans.setdefault(names[0], span)
        if tensor:
            waiting.pop(0)
    for name, value in arguments.keywords.items():
        span = arguments.spans.get(name, site.span)
        if name in given:
            message = f"`{name}` of `{callee.node.name}` is given twice"
            hint = "an argument without a name gave it already: delete one of the two"
            raise frame.error("E0304", message, span, hint=hint)
        if name not in tensors and name not in constants:
            known = [*constants, *tensors]
            hint = did_you_mean(name, known) or listed(known)
            message = f"`{callee.node.name}` has no parameter named `{name}`"
            raise frame.error("E0302", message, span, hint=hint)
        given[name] = value
    return given


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
            bound.defaults[name] = checked(
                inside, parameter, default, parameter.default.span, callee
            )
        if name in given:
            span = arguments.spans.get(name, site.span)
            bound.constants[name] = checked(frame, parameter, given[name], span, callee)
        elif parameter.default is not None:
            bound.constants[name] = bound.defaults[name]
        else:
            raise frame.error(
                "E0301",
                f"`{callee.node.name}` needs the constant `{name}`",
                site.span,
                hint=f"write `{callee.node.name}({name}=...)`",
            )
        inside.names[name] = bound.constants[name]


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


# ---- the kinds of constants -------------------------------------------------------------------------


def checked(
    frame: Frame, parameter: ast.Parameter, value: Value, span: Any, callee: Declared
) -> Value:
    """A constant that has the kind its parameter declares."""
    if isinstance(value, Range):
        value = Sequence(
            tuple(elements(frame, value, ast.NoneLiteral(span))), value.term
        )
    found = _of_kind(parameter.type, value)
    if found is None:
        wanted = _kind_text(parameter.type)
        message = f"`{parameter.name}` of `{callee.node.name}` is {wanted}, and this is {kind_of(value)}"
        raise frame.error("E0305", message, span, hint=_kind_hint(wanted, value))
    return found


def _of_kind(kind: ast.TypeExpr, value: Value) -> Value | None:
    if isinstance(kind, ast.ShapeType):
        return _list_of(kind, value)
    assert isinstance(kind, ast.ScalarType)
    if isinstance(value, Traced) and value.value is None:
        return value
    match kind.name:
        case "int":
            return value if isinstance(value, Dim) else None
        case "float":
            if isinstance(value, Dim) and value.is_constant:
                return Traced(float(int(value)), term_of(value))
            return value if isinstance(value, Traced) and _is(value, float) else None
        case "bool":
            return value if isinstance(value, Traced) and _is(value, bool) else None
        case "str":
            return value if isinstance(value, Traced) and _is(value, str) else None
        case "fn" | "block":
            callable_ = isinstance(value, OperatorName | Declared | Recipe | Builtin)
            return value if callable_ else None
        case _:
            return value if is_constant(value) else None


def _is(value: Traced, kind: type) -> bool:
    return type(value.value) is kind


def _list_of(kind: ast.ShapeType, value: Value) -> Value | None:
    if not isinstance(value, Sequence) or kind.element is None:
        return None
    items_found: list[Value] = []
    for item in value.items:
        found = _of_kind(kind.element, item)
        if found is None:
            return None
        items_found.append(found)
    return Sequence(tuple(items_found), value.term)


def _kind_hint(wanted: str, value: Value) -> str | None:
    if not isinstance(value, Traced) or wanted not in ("an int", "a float"):
        return None
    if isinstance(value.value, str):
        return "write the number without quotes"
    return (
        "`/` makes a float: use `//`, or `int(...)` around it"
        if wanted == "an int"
        else None
    )


def _kind_text(kind: ast.TypeExpr) -> str:
    if isinstance(kind, ast.ScalarType):
        article = "an" if kind.name == "int" else "a"
        return f"{article} {kind.name}"
    return "a list"


# ---- entering a body --------------------------------------------------------------------------------


def enter(frame: Frame, bound: Bound) -> list[Port]:
    """Binds the parameters in the frame of the body, each constant known by its name."""
    for name, value in bound.constants.items():
        frame.names[name] = by_name(name, value)
    if isinstance(bound.declared.node, ast.Model):
        return []
    ports: list[Port] = []
    for name, value in bound.tensors.items():
        ports.append(_enter_tensor(frame, name, bound.written[name], value))
    return ports


def by_name(name: str, value: Value) -> Value:
    """A constant inside the body that takes it: known by its parameter's name."""
    if isinstance(value, Dim):
        return (
            value.value.named(symbol(name))
            if value.is_constant
            else value.named(symbol(name))
        )
    if isinstance(value, Traced) and value.value is None:
        return value
    return evaluation.renamed(value, named_term(name))


def _enter_tensor(
    frame: Frame, name: str, parameter: ast.Parameter, value: Tensor | Sequence | None
) -> Port:
    place = frame.at(parameter.span)
    kind = parameter.type
    assert isinstance(kind, ast.ShapeType)
    if value is None:
        frame.names[name] = NONE
        return Port(name, None)
    if isinstance(value, Tensor):
        matched = shapes.match_input(frame, name, kind, value)
        tensor = frame.builder.value(matched, place)
        frame.names[name] = tensor
        return Port(name, tensor.id)
    assert isinstance(kind.element, ast.ShapeType)
    tensors: list[Tensor] = []
    for i, item in enumerate(value.items):
        if not isinstance(item, Tensor):
            raise frame.error(
                "E0308",
                f"`{name}` holds tensors, and this is {kind_of(item)}",
                parameter,
            )
        matched = shapes.match_input(frame, f"{name}.{i}", kind.element, item)
        tensors.append(frame.builder.value(matched, place))
    frame.names[name] = Sequence(tuple(tensors))
    return Port(name, tuple(tensor.id for tensor in tensors), listed=True)


def enter_fn(
    frame: Frame, inner: Frame, callee: Declared, arguments: Arguments, site: Site
) -> None:
    """Binds the parameters of a fn, whose body is inlined: everything keeps the caller's names."""
    bound = bind(frame, callee, arguments, site)
    for name, value in bound.constants.items():
        inner.names[name] = value
    for name, value in bound.tensors.items():
        parameter = bound.written[name]
        kind = parameter.type
        assert isinstance(kind, ast.ShapeType)
        if isinstance(value, Tensor):
            _name_sizes(inner, name, kind, value)
        inner.names[name] = NONE if value is None else value


def _name_sizes(inner: Frame, name: str, kind: ast.ShapeType, value: Tensor) -> None:
    """Names of a fn's input type mean the caller's sizes."""
    shapes.check_claim(inner, name, kind, value)


def renaming(function: Function, bound: Bound) -> Renaming:
    """What the names of a function are where it is called."""
    sizes: dict[str, Dim] = {}
    terms: dict[str, Term | None] = {}
    for name, value in bound.constants.items():
        if isinstance(value, Dim):
            sizes[name] = value
        else:
            terms[name] = as_term(value)
    for port in function.inputs:
        given = bound.tensors.get(port.name)
        if isinstance(given, Tensor) and isinstance(port.values, int):
            _pair(sizes, function, port.values, given)
        elif isinstance(given, Sequence) and isinstance(port.values, tuple):
            for value, item in zip(port.values, given.items, strict=True):
                if isinstance(item, Tensor):
                    _pair(sizes, function, value, item)
    return Renaming(sizes, terms)


def _pair(sizes: dict[str, Dim], function: Function, value: int, given: Tensor) -> None:
    for own, outer in zip(function.types[value].shape, given.type.shape, strict=True):
        twin = own.generic
        if len(twin.terms) == 1 and len(twin.symbols()) == 1:
            (name,) = twin.symbols()
            if twin == symbol(name):
                sizes.setdefault(name, outer)
