"""Keras 3 programs: one registered layer for each block, a model for the whole."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.ir.types import DType
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name, Namespace
from nnspec.pycode.statements import (
    Argument,
    Assign,
    Class,
    Evaluate,
    Function,
    If,
    Return,
    Statement,
)
from nnspec.records import dataclass
from nnspec.targets.names import Names
from nnspec.targets.plan import ClassPlan
from nnspec.targets.writing.classes import (
    constructor_arguments,
    documentation,
    is_refusal,
    tensor_parameters,
)
from nnspec.targets.writing.constructor import Constructor
from nnspec.targets.writing.forward import Forward

layers, keras, ops = Namespace("layers"), Namespace("keras"), Namespace("ops")
SELF, NONE = Name("self"), Literal(None)


@dataclass(frozen=True)
class KerasDialect:
    """Lists are plain lists, one deep (Keras saves no list inside a list); shapes are asked of `ops`."""

    target: str = "keras"
    traces_sizes: bool = True
    nested_lists: bool = False

    def listing(self, items: Sequence[Expr], parameters: bool = False) -> Expr:
        return tree.Display("list", tuple(items))

    def generated(self, element: Expr, target: Expr, iterable: Expr) -> Expr:
        return tree.Generator(element, target, iterable)

    def keyed(
        self, entries: Sequence[tuple[str, Expr]], parameters: bool = False
    ) -> Expr:
        return tree.Dict(tuple(entries))

    def frozen(self, part: Expr) -> Statement:
        return Assign((part.attribute("trainable"),), Literal(False))

    def shape(self, tensor: Expr) -> Expr:
        return ops.shape(tensor)

    def tensor(self, parameter: Expr) -> Expr:
        return ops.convert_to_tensor(parameter)


def write_class(plan: ClassPlan, package: str) -> Class:
    """The class of a plan: a layer, or the model itself."""
    register = keras.saving.attribute("register_keras_serializable")
    base = keras.Model if plan.is_entry else layers.Layer
    return Class(
        plan.name,
        (base,),
        tuple(_methods(plan)),
        doc=documentation(plan),
        decorators=(register(package=package),),
    )


def _methods(plan: ClassPlan) -> list[Statement]:
    dialect = KerasDialect()
    names = Names("keras", {"self", "options"} | {p.name for p in plan.parameters})
    constructor = Constructor(plan, dialect, names, builds_late=not plan.is_entry)
    made = constructor.write()
    forward_names = Names("keras", {"self"})
    tensors = tensor_parameters(plan, forward_names)
    forward = Forward(plan, dialect, forward_names, tensors.expressions)
    body = forward.write()
    options = tree.Star(Name("options"), double=True)
    opening = Evaluate(
        tree.Call(Name("super")().attribute("__init__"), (options,), _autocast(plan))
    )
    checks = [s for s in made if is_refusal(s)]
    others = [s for s in made if not is_refusal(s)]
    frozen = [dialect.frozen(SELF)] if plan.function.marks.frozen else []
    whole = (opening, *checks, *_stored(plan), *others, *frozen)
    recompute = Argument("recompute", Name("bool"), Literal(False))
    arguments = (
        Argument("self"),
        *constructor_arguments(plan),
        *([recompute] if plan.is_recomputed else []),
        Argument("options", kind="**"),
    )
    methods: list[Statement] = [Function("__init__", arguments, NONE, whole)]
    if constructor.deferred.late:
        methods.append(_build(constructor))
    methods.append(_call(plan, tensors.names, body))
    if plan.parameters or plan.is_recomputed:
        methods.append(_config(plan))
    return methods


def _autocast(plan: ClassPlan) -> tuple[tuple[str, Expr], ...]:
    """Keras casts inputs to the policy's float; what the spec says is float32 must stay so."""
    if all(value.type.dtype is not DType.F32 for value in plan.inputs):
        return ()
    return (("autocast", Literal(False)),)


def _build(constructor: Constructor) -> Function:
    """Parameters of a layer are made when it is built: only then does Keras know their full paths."""
    shape = Name("input_shape")
    done = Evaluate(Name("super")().method("build", shape))
    arguments = (Argument("self"), Argument("input_shape"))
    return Function("build", arguments, NONE, (*constructor.deferred.late, done))


def _call(plan: ClassPlan, tensors: tuple[str, ...], body: list[Statement]) -> Function:
    packed = plan.is_entry and len(tensors) > 1
    names = ("inputs",) if packed else tensors
    whole = _again(names) if plan.is_recomputed else []
    if packed:
        whole.append(Assign(tuple(Name(name) for name in tensors), Name("inputs")))
    arguments = [Argument("self"), *map(Argument, names)]
    if plan.is_recomputed:
        arguments += [Argument("training", None, NONE)]
        arguments += [Argument("recomputing", None, Literal(False))]
    return Function("call", tuple(arguments), None, (*whole, *body))


def _again(names: tuple[str, ...]) -> list[Statement]:
    """What a layer does first that computes its activations again in the backward pass."""
    asked = Name("computes_again")(SELF, Name("training"), Name("recomputing"))
    made = Name("computed_again")(SELF, *map(Name, names))
    return [If(asked, (Return((made,)),))]


def _stored(plan: ClassPlan) -> list[Statement]:
    """Every constant is kept for the layer's configuration."""
    found: list[Statement] = []
    for parameter in plan.parameters:
        attribute = tree.Attribute(SELF, plan.attribute(parameter, "keras"))
        found.append(Assign((attribute,), Name(parameter.name)))
    if plan.is_recomputed:
        found.append(Assign((SELF.attribute("recompute"),), Name("recompute")))
    return found


def _config(plan: ClassPlan) -> Function:
    entries = tuple(
        (parameter.name, tree.Attribute(SELF, plan.attribute(parameter, "keras")))
        for parameter in plan.parameters
    )
    if plan.is_recomputed:
        entries = (*entries, ("recompute", SELF.attribute("recompute")))
    base = Name("super")().method("get_config")
    value = tree.Binary("|", base, tree.Dict(entries))
    return Function(
        "get_config", (Argument("self"),), Name("dict"), (Return((value,)),)
    )


__all__ = ["KerasDialect", "write_class"]
