"""Applying operators: making the operator from its arguments (see `operands`), inferring types, adding the node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnspec.diagnostics import Label
from nnspec.elaboration import apply, complaints
from nnspec.elaboration.frame import Frame
from nnspec.elaboration.operands import Operands
from nnspec.ir.dims import Dim, DimError
from nnspec.ir.graph import Argument
from nnspec.ir.terms import Term
from nnspec.ir.types import DType, TensorType
from nnspec.ir.values import (
    Declared,
    Instance,
    OperatorName,
    Sequence,
    Tensor,
    Value,
)
from nnspec.ops.base import Operator, OpError, Weight
from nnspec.ops.checked import FieldError

if TYPE_CHECKING:
    from nnspec.elaboration.apply import Arguments, Site


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
    bound = Operands(frame, callee, arguments, site)
    for value in arguments.fed:
        bound.feed(value)
    for place, value in enumerate(arguments.positional):
        bound.positional(place, value)
    for name, value in arguments.keywords.items():
        bound.keyword(name, value)
    bound.require_inputs()
    return finished(
        frame,
        callee.cls,
        bound.fields,
        bound.terms,
        bound.ordered(),
        site,
        instance,
        arguments.spans,
    )


def finished(
    frame: Frame,
    cls: type[Operator],
    fields: Mapping[str, Any],
    terms: Mapping[str, Term],
    inputs: list[Any],
    site: Site,
    instance: Instance | None,
    spans: Mapping[Any, Any],
) -> Value:
    """The operator with these fields, applied to these inputs: a new node."""
    frame.elaboration.budget.take("nodes", 1, frame.at(site.span))
    op = instance.settled.operator if instance is not None else None
    op = op or _make(frame, cls, fields, site, spans)
    results, weights = _inferred(frame, op, inputs, site, spans)
    owns = cls.op_name()[:1].isupper()
    location = frame.at(site.span)
    path = instance.path if instance else site.path(frame, cls.op_name())
    if owns:
        frame.builder.claim(path, instance.settled if instance else object(), location)
        _require_known(frame, op, weights, inputs, site)
    if instance is not None:
        _settle(frame, instance, op, terms, weights, site)
    nodes: list[Argument] = [
        None if value is None else apply.as_argument(value) for value in inputs
    ]
    made = frame.builder.add(
        tuple(nodes),
        results,
        path,
        location,
        loops=instance.loops if instance else None,
        op=op,
        owns=owns,
        terms=terms,
        marks=instance.marks if instance else frame.marks,
        lists=_grown(cls, inputs),
    )
    return apply.grouped(results, made)


def _grown(cls: type[Operator], inputs: list[Any]) -> dict[str, Term]:
    """How lists among the inputs were made, if loops grew them."""
    return {
        name: value.made
        for name, value in zip(cls.inputs, inputs, strict=True)
        if isinstance(value, Sequence) and value.made is not None
    }


def _inferred(
    frame: Frame,
    op: Operator,
    inputs: list[Any],
    site: Site,
    spans: Mapping[Any, Any],
) -> tuple[tuple[TensorType, ...], Mapping[str, Weight]]:
    """What the rules of an operator say of these inputs: the types of its results, and its weights."""
    types = tuple(_type(value) for value in inputs)
    try:
        inferred = op.infer(*types)
        results = inferred if isinstance(inferred, tuple) else (inferred,)
        return results, op.weights(*types)
    except OpError as error:
        raise complaints.refusal(frame, error, op, inputs, site, spans) from None
    except DimError as error:
        raise frame.error("E0329", str(error), site.span) from None


def _type(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.type
    if isinstance(value, Sequence):
        return tuple(item.type for item in value.items if isinstance(item, Tensor))
    return None


def _make(
    frame: Frame,
    cls: type[Operator],
    fields: Mapping[str, Any],
    site: Site,
    spans: Mapping[Any, Any],
) -> Operator:
    try:
        return cls(**fields)
    except FieldError as error:
        raise complaints.argument(frame, cls, fields, site, spans, error) from None
    except DimError as error:
        raise frame.error("E0309", str(error), site.span) from None


def _require_known(
    frame: Frame,
    op: Operator,
    weights: Mapping[str, Any],
    inputs: list[Any],
    site: Site,
) -> None:
    for name, weight in weights.items():
        for size in weight.shape:
            if not size.is_constant:
                raise frame.error(
                    "E0413",
                    f"the `{name}` of `{op.op_name()}` would have the size `{size}`,"
                    " which is known only at run time",
                    site.span,
                    labels=complaints.origins(frame, op, inputs),
                    hint=_constant(size),
                )


def _constant(size: Dim) -> str:
    """What to do where a weight would have a size that is known only at run time."""
    names = " and ".join(f"`{name}`" for name in sorted(size.symbols()))
    return f"weights need constant sizes: write a number for {names}, or take a mean over what varies"


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
    settled = instance.settled
    if settled.weights is not None and settled.weights != shapes:
        before = ", ".join(f"{n} {s}" for n, s in settled.weights.items())
        now = ", ".join(f"{n} {s}" for n, s in shapes.items())
        raise frame.error(
            "E0414",
            f"this layer already has the weights {before}; here it would need {now}",
            site.span,
            labels=(Label(instance.location, "the layer is made here"),),
            hint="one layer has one set of weights: make another layer for another width",
        )
    settled.operator, settled.weights = op, shapes
    settled.terms = terms


def settle_weights(frame: Frame, instance: Instance) -> None:
    """Tries to know the weights of an instance that has not been called: those of an embedding."""
    if (
        not isinstance(instance.callee, OperatorName)
        or instance.callee.name != "Embedding"
    ):
        return
    from nnspec.ir.types import tensor

    site = apply.Site(apply.ast.NoneLiteral(instance.location.span), None)
    arguments = apply.Arguments([], list(instance.arguments), dict(instance.keywords))
    bound = Operands(frame, instance.callee, arguments, site)
    for place, value in enumerate(arguments.positional):
        bound.positional(place, value)
    for name, value in arguments.keywords.items():
        bound.keyword(name, value)
    op = _make(frame, instance.callee.cls, bound.fields, site, {})
    weights = op.weights(tensor(1, dtype=DType.I64))
    _settle(frame, instance, op, bound.terms, weights, site)
