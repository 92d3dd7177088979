"""PyTorch programs: one `nn.Module` for each block, and a function that builds the model."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Literal, Name, Namespace
from nnspec.pycode.statements import (
    Argument,
    Assign,
    Class,
    Evaluate,
    Function,
    Return,
    Statement,
    expressions_of,
)
from nnspec.records import dataclass
from nnspec.targets.names import Names
from nnspec.targets.plan import ClassPlan
from nnspec.targets.writing.classes import (
    Tensors,
    constructor_arguments,
    documentation,
    is_refusal,
    tensor_parameters,
)
from nnspec.targets.writing.constructor import Constructor
from nnspec.targets.writing.forward import Forward
from nnspec.targets.writing.results import ANCHOR

nn, torch = Namespace("nn"), Namespace("torch")
SELF, TENSOR, NONE = Name("self"), Name("Tensor"), Literal(None)


@dataclass(frozen=True)
class TorchDialect:
    """Lists are `nn.ModuleList`s, shapes are attributes."""

    target: str = "torch"
    traces_sizes: bool = False
    nested_lists: bool = True

    def listing(self, items: Sequence[Expr], parameters: bool = False) -> Expr:
        made = nn.ParameterList if parameters else nn.ModuleList
        return made(list(items)) if items else made()

    def generated(self, element: Expr, target: Expr, iterable: Expr) -> Expr:
        return tree.Call(
            nn.ModuleList, (tree.Generator(element, target, iterable, "call"),)
        )

    def keyed(
        self, entries: Sequence[tuple[str, Expr]], parameters: bool = False
    ) -> Expr:
        made = nn.ParameterDict if parameters else nn.ModuleDict
        return made(tree.Dict(tuple(entries))) if entries else made()

    def frozen(self, part: Expr) -> Statement:
        return Evaluate(part.method("requires_grad_", False))

    def shape(self, tensor: Expr) -> Expr:
        return tensor.attribute("shape")

    def tensor(self, parameter: Expr) -> Expr:
        return parameter


def write_class(plan: ClassPlan) -> Class:
    """The class of a plan."""
    return Class(
        plan.name,
        (nn.Module,),
        tuple(_methods(plan)),
        doc=documentation(plan),
    )


def _methods(plan: ClassPlan) -> list[Statement]:
    dialect = TorchDialect()
    names = Names("torch", {"self", "options"} | {p.name for p in plan.parameters})
    constructor = Constructor(plan, dialect, names)
    made = constructor.write()
    forward_names = Names("torch", {"self"})
    tensors = tensor_parameters(plan, forward_names)
    forward = Forward(plan, dialect, forward_names, tensors.expressions)
    body = forward.write()
    stored = _stored(plan, [*forward.stored, *constructor.deferred.names])
    if any(_mentions(statement, ANCHOR) for statement in body):
        made = [*made, _anchor()]
    methods: list[Statement] = [_init(plan, constructor, made, stored)]
    if constructor.deferred.resets:
        methods.append(_reset_parameters(constructor.deferred.resets))
    kept = constructor.deferred.kept
    if "" in plan.keeps_statistics:
        kept = [Evaluate(Name("keep_statistics")(SELF))]
    if kept:
        methods.append(_train(plan, kept))
    methods.append(_forward(plan, tensors, body))
    return methods


def _anchor() -> Statement:
    empty = torch.empty(0, tree.Star(Name("options"), double=True))
    return Evaluate(SELF.method("register_buffer", "_anchor", empty, persistent=False))


def _init(
    plan: ClassPlan,
    constructor: Constructor,
    made: Sequence[Statement],
    stored: Sequence[Statement],
) -> Function:
    device = tree.Binary("|", tree.Binary("|", torch.device, Name("str")), NONE)
    arguments = (
        Argument("self"),
        *constructor_arguments(plan),
        Argument("", kind="*"),
        Argument("device", device, NONE),
        Argument("dtype", tree.Binary("|", torch.dtype, NONE), NONE),
    )
    body: list[Statement] = [Evaluate(Name("super")().method("__init__"))]
    # Requirements come first, then what is stored, then the layers.
    body += [statement for statement in made if is_refusal(statement)]
    if any(_mentions(statement, Name("options")) for statement in made):
        options = tree.Dict((("device", Name("device")), ("dtype", Name("dtype"))))
        body.append(Assign((Name("options"),), options))
    body += stored
    body += [statement for statement in made if not is_refusal(statement)]
    if constructor.deferred.resets:
        body.append(Evaluate(SELF.method("reset_parameters")))
    if plan.function.marks.frozen:
        body.append(constructor.dialect.frozen(SELF))
    return Function("__init__", arguments, NONE, tuple(body))


def _reset_parameters(resets: Sequence[Statement]) -> Function:
    doc = "Draws the weights anew."
    return Function(
        "reset_parameters", (Argument("self"),), NONE, tuple(resets), doc=doc
    )


def _forward(plan: ClassPlan, tensors: Tensors, body: Sequence[Statement]) -> Function:
    arguments = [Argument("self")]
    for name, listed in zip(tensors.names, tensors.listed, strict=True):
        arguments.append(Argument(name, Name("Sequence")[TENSOR] if listed else TENSOR))
    return Function("forward", tuple(arguments), _returns(plan), tuple(body))


def _stored(plan: ClassPlan, keys: Sequence[str]) -> list[Statement]:
    """`self.heads = heads` for each constant that the forward pass reads."""
    found: list[Statement] = []
    for parameter in plan.parameters:
        if parameter.symbol in keys:
            attribute = tree.Attribute(SELF, plan.attribute(parameter, "torch"))
            found.append(Assign((attribute,), Name(parameter.name)))
    return found


def _train(plan: ClassPlan, kept: Sequence[Statement]) -> Function:
    """Batch statistics of what is frozen stay as they are, in training as well."""
    mode = Argument("mode", Name("bool"), Literal(True))
    begun = Evaluate(Name("super")().method("train", Name("mode")))
    body = (begun, *kept, Return((SELF,)))
    doc = "What is frozen keeps its batch statistics."
    return Function("train", (Argument("self"), mode), Name(plan.name), body, doc=doc)


def _returns(plan: ClassPlan) -> Expr:
    count = len(plan.function.outputs)
    if count == 1:
        return TENSOR
    return Name("tuple")[tree.Display("tuple", (TENSOR,) * count)]


def _mentions(statement: Statement, wanted: Expr) -> bool:
    return any(
        part == wanted for root in expressions_of(statement) for part in tree.walk(root)
    )


__all__ = ["TorchDialect", "write_class"]
