"""Applying operators: binding arguments to inputs and fields, making the operator, inferring types."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from nnspec.diagnostics import Label, SpecError, did_you_mean
from nnspec.ir import apply
from nnspec.ir.dims import ONE, Dim, DimError
from nnspec.ir.frame import Frame
from nnspec.ir.graph import Argument
from nnspec.ir.terms import Term
from nnspec.ir.types import DType, TensorType
from nnspec.ir.values import (
    Builtin,
    Declared,
    Instance,
    OperatorName,
    Poisoned,
    Range,
    Sequence,
    Tensor,
    Traced,
    Unknown,
    Value,
    is_constant,
    kind_of,
    term_of,
)
from nnspec.ops.base import Operator, OpError

if TYPE_CHECKING:
    from nnspec.ir.apply import Arguments, Site

__all__ = ["ONE", "applied", "callee_name", "finished", "settle_weights"]


def callee_name(callee: Declared | OperatorName) -> str:
    """The name of what is applied."""
    return callee.name if isinstance(callee, OperatorName) else callee.node.name


def applied(
    frame: Frame,
    callee: OperatorName,
    arguments: Arguments,
    site: Site,
    instance: Instance | None = None,
) -> Value:
    """An operator, applied to what was written. Raises `SpecError`."""
    bound = _Bound(frame, callee, arguments, site)
    for value in arguments.fed:
        bound.feed(value)
    for place, value in enumerate(arguments.positional):
        bound.positional(place, value)
    for name, value in arguments.keywords.items():
        bound.keyword(name, value)
    bound.require_inputs()
    return finished(
        frame, callee.cls, bound.fields, bound.terms, bound.ordered(), site, instance, arguments.spans
    )


class _Bound:
    """Arguments on their way to inputs and fields."""

    def __init__(
        self, frame: Frame, callee: OperatorName, arguments: Arguments, site: Site
    ) -> None:
        self.frame, self.cls, self.name = frame, callee.cls, callee.name
        self.spans, self.site = arguments.spans, site
        self.inputs: dict[str, Tensor | Sequence] = {}
        self.fields: dict[str, Any] = {}
        self.terms: dict[str, Term] = {}
        hidden = {f"{name}_value" for name in self.cls.scalars} | {self.cls.open}
        self.field_names = [name for name in self.cls.model_fields if name not in hidden]

    def feed(self, value: Value) -> None:
        """A value that came along an arrow, or stood among the tensors of a call."""
        name = self._next_input()
        if name is None:
            raise self._surplus()
        if isinstance(value, Tensor) or (isinstance(value, Sequence) and name in self.cls.listed):
            self._put(name, value)
        elif is_constant(value) and name in self.cls.scalars:
            self._scalar(name, value)
        elif is_constant(value) and not isinstance(self.site.node, apply.ast.Stage):
            self.positional(-1, value)
        else:
            raise self._no_tensor(value, name)

    def positional(self, place: int, value: Value) -> None:
        """An argument without a name."""
        name = self._next_input()
        if isinstance(value, Tensor) or (isinstance(value, Sequence) and value.holds_tensors):
            if name is None:
                raise self._surplus()
            self._put(name, value)
            return
        if name is not None and name in self.cls.scalars:
            self._scalar(name, value)
            return
        if name is not None and name in self.cls.listed and isinstance(value, Sequence):
            raise self._no_tensor(value, name)
        free = [field for field in self.field_names if field not in self.fields]
        if not free:
            wanted = ", ".join(self.field_names) or "none"
            raise self.frame.error(
                "E0303",
                f"`{self.name}` takes no more arguments",
                self.spans.get(place, self.site.node.span),
                hint=f"its arguments are: {wanted}",
            )
        self.spans.setdefault(free[0], self.spans.get(place, self.site.node.span))
        self._field(free[0], value)

    def keyword(self, name: str, value: Value) -> None:
        """An argument with a name."""
        if name in self.cls.inputs:
            if name in self.inputs:
                raise self.frame.error("E0304", f"`{name}` is given twice", self._span(name))
            if isinstance(value, Traced) and value.value is None and name in self.cls.optional:
                return
            if isinstance(value, Tensor) or (
                isinstance(value, Sequence) and name in self.cls.listed
            ):
                self._put(name, value)
            elif name in self.cls.scalars and is_constant(value):
                self._scalar(name, value)
            else:
                raise self._no_tensor(value, name)
            return
        if name in self.fields:
            raise self.frame.error("E0304", f"`{name}` is given twice", self._span(name))
        if name in self.field_names:
            self._field(name, value)
        elif self.cls.open is not None:
            self.fields.setdefault(self.cls.open, {})[name] = self._plain(name, value)
        else:
            raise self._unknown_keyword(name)

    def ordered(self) -> list[Tensor | Sequence | None]:
        """The inputs in the operator's order, None where one is missing."""
        return [self.inputs.get(name) for name in self.cls.inputs]

    def require_inputs(self) -> None:
        """Raises `SpecError` if an input is missing."""
        for name in self.cls.inputs:
            given = name in self.inputs or f"{name}_value" in self.fields
            if not given and name not in self.cls.optional:
                raise self.frame.error(
                    "E0306",
                    f"`{self.name}` needs the tensor `{name}`, and it is not given",
                    self.site.node,
                    hint=f"feed it: `x -> {self.name}(...)`",
                )
        if self.cls.scalars and not self.inputs:
            raise self.frame.error("E0306", f"`{self.name}` needs a tensor", self.site.node)

    # ---- one at a time ----

    def _next_input(self) -> str | None:
        for name in self.cls.inputs:
            if name in self.cls.variadic:
                return name
            if name not in self.inputs and f"{name}_value" not in self.fields:
                return name
        return None

    def _put(self, name: str, value: Tensor | Sequence) -> None:
        if name in self.cls.variadic:
            known = self.inputs.get(name)
            before = known.items if isinstance(known, Sequence) else ()
            more = value.items if isinstance(value, Sequence) else (value,)
            value = Sequence((*before, *more))
        if isinstance(value, Sequence) and name not in self.cls.listed:
            raise self._no_tensor(value, name)
        if isinstance(value, Sequence):
            for item in value.items:
                if isinstance(item, Unknown):
                    raise Poisoned
                if not isinstance(item, Tensor):
                    raise self._no_tensor(item, name)
            if not value.items:
                raise self.frame.error("E0306", f"`{self.name}` of an empty list", self.site.node)
        elif name in self.cls.listed:
            raise self.frame.error(
                "E0308",
                f"`{self.name}` takes a list of tensors, and this is {kind_of(value)}",
                self.site.node,
                hint="put them in brackets: `[a, b]`",
            )
        self.inputs[name] = value

    def _scalar(self, name: str, value: Value) -> None:
        self._field(f"{name}_value", value)

    def _field(self, name: str, value: Value) -> None:
        self.fields[name] = self._plain(name, value)
        term = term_of(value)
        if term is not None:
            self.terms[name] = term

    def _plain(self, name: str, value: Value) -> Any:
        match value:
            case Dim():
                return value
            case Traced():
                if isinstance(value.value, Fraction):
                    return float(value.value)
                return value.value
            case Sequence():
                return tuple(self._plain(name, item) for item in value.items)
            case Range():
                from nnspec.ir.builtins import elements

                items = elements(self.frame, value, self.site.node)
                return tuple(self._plain(name, item) for item in items)
            case Builtin(name="float"):
                return DType.FLOAT
            case Builtin(name="int"):
                return DType.I64
            case _:
                raise self.frame.error(
                    "E0308",
                    f"`{name}` of `{self.name}` is a constant, and this is {kind_of(value)}",
                    self._span(name),
                )

    # ---- what can be wrong ----

    def _span(self, name: str) -> Any:
        return self.spans.get(name, self.site.node.span)

    def _surplus(self) -> SpecError:
        count = len(self.cls.inputs)
        names = ", ".join(f"`{name}`" for name in self.cls.inputs)
        takes = f"takes {count} tensor{'s' if count != 1 else ''} ({names})" if count else "takes none"
        return self.frame.error("E0307", f"too many tensors: `{self.name}` {takes}", self.site.node)

    def _no_tensor(self, value: Value, name: str) -> SpecError:
        return self.frame.error(
            "E0308",
            f"`{name}` of `{self.name}` must be a tensor, and this is {kind_of(value)}",
            self.site.node,
        )

    def _unknown_keyword(self, name: str) -> SpecError:
        known = [*self.field_names, *self.cls.inputs]
        hint = did_you_mean(name, known) or _foreign_argument(name, known)
        hint = hint or f"its arguments are: {', '.join(self.field_names) or 'none'}"
        message = f"`{self.name}` has no argument named `{name}`"
        return self.frame.error("E0302", message, self._span(name), hint=hint)


_ARGUMENTS_ELSEWHERE = {
    "filters": "features",
    "out_channels": "features",
    "units": "features",
    "out_features": "features",
    "in_features": "",
    "in_channels": "",
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
}


def _foreign_argument(name: str, known: list[str]) -> str | None:
    ours = _ARGUMENTS_ELSEWHERE.get(name)
    if ours == "":
        return "leave it out: it follows from what goes in"
    return f"here this is `{ours}`" if ours in known else None


# ---- making and applying ----------------------------------------------------------------------------


def finished(
    frame: Frame,
    cls: type[Operator],
    fields: Mapping[str, Any],
    terms: Mapping[str, Term],
    inputs: list[Tensor | Sequence | None] | list[Value],
    site: Site,
    instance: Instance | None,
    spans: Mapping[Any, Any],
) -> Value:
    """The operator with these fields, applied to these inputs: a new node."""
    frame.session.budget.take("nodes", 1, frame.at(site.node.span))
    op = instance.operator if instance is not None else None
    op = op or _make(frame, cls, fields, site, spans)
    types = tuple(_type(value) for value in inputs)
    try:
        inferred = op.infer(*types)
        results = inferred if isinstance(inferred, tuple) else (inferred,)
        weights = op.weights(*types)
    except OpError as error:
        raise _op_error(frame, error, op, inputs, site, spans) from None
    except DimError as error:
        raise frame.error("E0329", str(error), site.node) from None
    owns = cls.op_name()[:1].isupper()
    location = frame.at(site.node.span)
    path = instance.path if instance else site.path(frame, cls.op_name())
    if owns:
        frame.builder.claim(path, instance or object(), location)
        _require_known(frame, weights, site)
    if instance is not None:
        _settle(frame, instance, op, terms, weights, site)
    nodes: list[Argument] = [None if value is None else apply.as_argument(value) for value in inputs]
    made = frame.builder.add(
        tuple(nodes),
        results,
        path,
        location,
        op=op,
        owns=owns,
        terms=terms,
        marks=instance.marks if instance else frame.marks,
    )
    return apply.grouped(results, made)


def _type(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.type
    if isinstance(value, Sequence):
        return tuple(item.type for item in value.items if isinstance(item, Tensor))
    return None


def _make(
    frame: Frame, cls: type[Operator], fields: Mapping[str, Any], site: Site, spans: Mapping[Any, Any]
) -> Operator:
    try:
        return cls(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        span = spans.get(name, site.node.span)
        if first["type"] == "missing":
            raise frame.error(
                "E0301",
                f"`{cls.op_name()}` needs the argument `{name}`",
                site.node,
                hint=f"write `{cls.op_name()}({name}=...)`",
            ) from None
        given = fields.get(name)
        message = first["msg"].removeprefix("Value error, ")
        wanted = _wanted(first["type"], message)
        raise frame.error(
            "E0309", f"`{name}` of `{cls.op_name()}` {wanted}{_found(given, wanted)}", span
        ) from None
    except DimError as error:
        raise frame.error("E0309", str(error), site.node) from None


_WANTED = {
    "is_instance_of": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
    "literal_error": "",
    "enum": "must be a dtype such as `f32`",
}


def _wanted(kind: str, message: str) -> str:
    if kind == "literal_error":
        return message.replace("Input should be", "must be")
    return _WANTED.get(kind, message)


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


def _op_error(
    frame: Frame,
    error: OpError,
    op: Operator,
    inputs: list[Any],
    site: Site,
    spans: Mapping[Any, Any],
) -> SpecError:
    where = spans.get(error.param, site.node.span) if error.param else site.node.span
    labels: list[Label] = []
    for name, value in zip(op.inputs, inputs, strict=True):
        items = value.items if isinstance(value, Sequence) else (value,)
        for item in items[:4]:
            if isinstance(item, Tensor) and error.input in (None, name):
                labels.append(Label(item.origin, f"`{name}` is {item.type}, made here"))
    return frame.error(
        error.code, f"`{op.op_name()}` {error.message}", where, hint=error.hint, labels=tuple(labels)
    )


def _require_known(frame: Frame, weights: Mapping[str, Any], site: Site) -> None:
    for name, weight in weights.items():
        for size in weight.shape:
            if not size.is_constant:
                raise frame.error(
                    "E0413",
                    f"the weight `{name}` would have the size `{size}`, which is known only at run time",
                    site.node,
                    hint="weights need constant sizes: give the input a constant one there",
                )


def _settle(
    frame: Frame,
    instance: Instance,
    op: Operator,
    terms: Mapping[str, Term],
    weights: Mapping[str, Any],
    site: Site,
) -> None:
    """Notes what the weights of an instance are; every use must agree."""
    shapes = {name: TensorType(weight.shape) for name, weight in weights.items()}
    if instance.weights is not None and instance.weights != shapes:
        before = ", ".join(f"{n} {s}" for n, s in instance.weights.items())
        now = ", ".join(f"{n} {s}" for n, s in shapes.items())
        raise frame.error(
            "E0414",
            f"this layer already has the weights {before}; here it would need {now}",
            site.node,
            labels=(Label(instance.location, "made here"),),
            hint="one layer has one set of weights: make another layer for another width",
        )
    instance.operator, instance.weights = op, shapes
    instance.terms = terms


def settle_weights(frame: Frame, instance: Instance) -> None:
    """Tries to know the weights of an instance that has not been called: those of an embedding."""
    if not isinstance(instance.callee, OperatorName) or instance.callee.name != "Embedding":
        return
    from nnspec.ir.types import tensor

    site = apply.Site(apply.ast.NoneLiteral(instance.location.span), None)
    arguments = apply.Arguments([], list(instance.arguments), dict(instance.keywords))
    bound = _Bound(frame, instance.callee, arguments, site)
    for place, value in enumerate(arguments.positional):
        bound.positional(place, value)
    for name, value in arguments.keywords.items():
        bound.keyword(name, value)
    op = _make(frame, instance.callee.cls, bound.fields, site, {})
    weights = op.weights(tensor(1, dtype=DType.I64))
    _settle(frame, instance, op, bound.terms, weights, site)


