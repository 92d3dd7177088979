"""Calls and pipes: feeding values to operators, layers, blocks and functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from nnspec.diagnostics import Label, SpecError
from nnspec.elaboration import builtins, grown, operators
from nnspec.elaboration import evaluate as evaluation
from nnspec.elaboration.frame import Frame
from nnspec.ir.dims import ONE, Dim
from nnspec.ir.graph import Argument, Path
from nnspec.ir.types import TensorType
from nnspec.ir.values import (
    Builtin,
    Declared,
    Instance,
    OperatorName,
    Poisoned,
    Recipe,
    Sequence,
    Tensor,
    Unknown,
    Value,
    is_constant,
    kind_of,
)
from nnspec.ops.base import snake_case
from nnspec.records import dataclass
from nnspec.source import Span
from nnspec.syntax import ast


@dataclass
class Arguments:
    """What is handed to a callee: values in order, by name, and where each was written."""

    fed: list[Value] = field(default_factory=list[Value])
    positional: list[Value] = field(default_factory=list[Value])
    keywords: dict[str, Value] = field(default_factory=dict[str, Value])
    spans: dict[str | int, Span] = field(default_factory=dict[str | int, Span])

    def merged(self, recipe: Recipe) -> Arguments:
        """With the arguments of a partial recipe before these."""
        return self.after(Arguments([], list(recipe.arguments), {**recipe.keywords}))

    def after(self, others: Arguments) -> Arguments:
        """With the constants of others before these."""
        return Arguments(
            self.fed,
            [*others.positional, *self.positional],
            {**others.keywords, **self.keywords},
            self.spans,
        )


@dataclass(frozen=True)
class Site:
    """Where a callee is applied: the syntax, and the label that was written or assigned."""

    node: ast.Stage | ast.Expr
    label: str | None

    @property
    def span(self) -> Span:
        """The place to show: that of a stage begins at its label or callee, not at the arrow."""
        if isinstance(self.node, ast.Stage):
            first = self.node.label_span or self.node.callee.span
            return Span(first.start, self.node.span.end)
        return self.node.span

    def path(self, frame: Frame, callee: str) -> Path:
        """The path of the layer or operation made here."""
        return frame.builder.place(self.label or snake_case(callee))


def read_arguments(
    frame: Frame,
    written: tuple[ast.Argument, ...],
    *,
    exact: bool = False,
    followed: bool = False,
) -> Arguments:
    """Evaluates arguments as they were written; lists are `followed` (see `grown`) or not."""
    found = Arguments()
    with frame.exactly(exact):
        for argument in written:
            value = evaluation.evaluate(frame, argument.value, followed=followed)
            if argument.name is None:
                found.spans[len(found.positional)] = argument.span
                found.positional.append(value)
            else:  # that names come last, and each once, is a matter of the syntax
                found.keywords[argument.name] = value
                found.spans[argument.name] = argument.span
    return found


# ---- pipes ------------------------------------------------------------------------------------------


def pipe(frame: Frame, node: ast.Pipe) -> Value:
    """`source -> stage -> stage`"""
    value = evaluation.evaluate(frame, node.source, followed=True)
    for stage in node.stages:
        value = _stage(frame, value, stage)
    return value


def _stage(frame: Frame, value: Value, stage: ast.Stage) -> Value:
    if stage.partial:
        span = Site(stage, None).span
        raise frame.error(
            "E0211", "a partial recipe cannot be applied", span, hint="drop the `...`"
        )
    callee = evaluation.evaluate(frame, stage.callee)
    arguments = read_arguments(frame, stage.arguments or ())
    if isinstance(value, Sequence) and not _follows(callee):
        value = grown.settled(frame, value)
    group = isinstance(value, Sequence) and value.is_group
    arguments.fed = (
        list(value.items) if group and isinstance(value, Sequence) else [value]
    )
    for fed in arguments.fed:
        if isinstance(fed, Unknown):
            raise Poisoned
    site = Site(stage, stage.label or frame.labels.get(stage))
    return applied(frame, callee, arguments, site)


def applied(frame: Frame, callee: Value, arguments: Arguments, site: Site) -> Value:
    """A callee, applied to tensors and constants."""
    match callee:
        case Recipe():
            return applied(frame, callee.callee, arguments.merged(callee), site)
        case OperatorName():
            return operators.applied(frame, callee, arguments, site)
        case Builtin():
            return _builtin(frame, callee, arguments, site)
        case Declared():
            return _declared(frame, callee, arguments, site)
        case Instance():
            return _instance(frame, callee, arguments, site)
        case _:
            raise frame.error(
                "E0211",
                f"this is {kind_of(callee)}, and cannot be applied",
                site.node.callee
                if isinstance(site.node, ast.Stage | ast.Call)
                else site.span,
                hint="behind `->` stands a layer or a function",
            )


def _builtin(frame: Frame, callee: Builtin, arguments: Arguments, site: Site) -> Value:
    values = [*arguments.fed, *arguments.positional]
    listed = values[0] if len(values) == 1 else None
    if callee.name == "sum" and isinstance(listed, Sequence) and listed.holds_tensors:
        return _folded(frame, listed, site)
    tensors = any(not is_constant(value) for value in values)
    if tensors and callee.name in frame.elaboration.operators:
        cls = frame.elaboration.operators[callee.name]
        return operators.applied(frame, OperatorName(callee.name, cls), arguments, site)
    node = site.node
    expression = node if isinstance(node, ast.Expr) else ast.NoneLiteral(node.span)
    return builtins.call(frame, callee.name, values, arguments.keywords, expression)


def _folded(frame: Frame, values: Sequence, site: Site) -> Value:
    total, *rest = values.items
    for value in rest:
        total = infix(frame, "add", total, value, site.node)
    return total


# ---- calls ------------------------------------------------------------------------------------------


def call(frame: Frame, node: ast.Call) -> Value:
    """`callee(arguments)`: applies a function or an instance; makes an instance of a layer."""
    callee = evaluation.evaluate(frame, node.callee)
    exact = isinstance(callee, Builtin) and callee.name in builtins.EXACT
    follows = _follows(callee)
    arguments = read_arguments(frame, node.arguments, exact=exact, followed=follows)
    site = Site(node, frame.labels.get(node))
    if node.partial:
        return _partial(frame, callee, arguments, node)
    if not _is_layer(callee) or _without_inputs(frame, callee):
        return applied(frame, callee, arguments, site)
    assert isinstance(callee, Recipe | OperatorName | Declared)
    return _made(frame, callee, arguments, site)


def _follows(callee: Value) -> bool:
    """Whether it is known of lists that a callee is given how loops grew them."""
    if isinstance(callee, Builtin):
        return callee.name in builtins.ORDERING
    if isinstance(callee, OperatorName):
        return bool(callee.cls.listed - callee.cls.variadic)
    return False


def _partial(
    frame: Frame, callee: Value, arguments: Arguments, node: ast.Call
) -> Recipe:
    if isinstance(callee, Recipe):
        merged = arguments.merged(callee)
        return Recipe(callee.callee, tuple(merged.positional), merged.keywords)
    if not isinstance(callee, OperatorName | Declared):
        raise frame.error(
            "E0211", f"this is {kind_of(callee)}, and no recipe of a layer", node
        )
    return Recipe(callee, tuple(arguments.positional), arguments.keywords)


def _is_layer(callee: Value) -> bool:
    return kind_of(callee) == "a recipe of a layer"


def _without_inputs(frame: Frame, callee: Value) -> bool:
    """Whether a layer takes no tensors, and so is a tensor where it is written."""
    if isinstance(callee, Recipe):
        return _without_inputs(frame, callee.callee)
    if isinstance(callee, OperatorName):
        return not callee.cls.inputs
    if isinstance(callee, Declared) and isinstance(callee.node, ast.Block):
        return not any(takes_tensor(parameter) for parameter in callee.node.parameters)
    return False


def takes_tensor(parameter: ast.Parameter) -> bool:
    """Whether a parameter of a block or fn is a tensor or a list of tensors."""
    kind: ast.TypeExpr | None = parameter.type
    while isinstance(kind, ast.ShapeType) and kind.dtype == "list":
        kind = kind.element
    return isinstance(kind, ast.ShapeType)


def _made(
    frame: Frame,
    callee: Recipe | OperatorName | Declared,
    arguments: Arguments,
    site: Site,
) -> Instance:
    """An instance, whose every use shares its weights."""
    if isinstance(callee, Recipe):
        arguments, callee = arguments.merged(callee), callee.callee
    tensors = [value for value in arguments.positional if isinstance(value, Tensor)]
    if tensors:
        name = operators.callee_name(callee)
        raise frame.error(
            "E0308",
            f"the parentheses of the layer `{name}` hold constants, and this is {kind_of(tensors[0])}",
            arguments.spans.get(arguments.positional.index(tensors[0]), site.span),
            hint=f"feed tensors with an arrow: `x -> {name}(...)`",
        )
    name = operators.callee_name(callee)
    return Instance(
        callee,
        tuple(arguments.positional),
        arguments.keywords,
        site.path(frame, name),
        frame.builder.loops,
        frame.at(site.span),
        frame.marks,
    )


def _instance(
    frame: Frame, instance: Instance, arguments: Arguments, site: Site
) -> Value:
    """An instance, applied once more."""
    tensors = list(arguments.fed)
    for place, value in enumerate(arguments.positional):
        if not isinstance(value, Tensor) and not isinstance(value, Sequence):
            raise frame.error(
                "E0303",
                f"the layer is made already, and takes no more constants: this is {kind_of(value)}",
                arguments.spans.get(place, site.span),
                labels=(Label(instance.location, "the layer is made here"),),
                hint="give the constant where the layer is made",
            )
        tensors.append(value)
    keywords = {**instance.keywords, **arguments.keywords}
    merged = Arguments(tensors, list(instance.arguments), keywords, arguments.spans)
    if isinstance(instance.callee, OperatorName):
        return operators.applied(frame, instance.callee, merged, site, instance)
    return _block(frame, instance.callee, merged, site, instance)


# ---- blocks, models and functions of the file -------------------------------------------------------


def _declared(
    frame: Frame, callee: Declared, arguments: Arguments, site: Site
) -> Value:
    match callee.node:
        case ast.Fn():
            return frame.elaboration.inline(frame, callee, arguments, site)
        case ast.Block() | ast.Model():
            return _block(frame, callee, arguments, site, None)
        case ast.Variant():
            model, given = frame.elaboration.variant(callee)
            return _block(frame, model, arguments.after(given), site, None)
        case _:
            raise frame.error("E0211", "a constant cannot be applied", site.span)


def _block(
    frame: Frame,
    callee: Declared,
    arguments: Arguments,
    site: Site,
    instance: Instance | None,
) -> Value:
    if isinstance(callee.node, ast.Variant):
        callee, given = frame.elaboration.variant(callee)
        arguments = arguments.after(given)
    path = instance.path if instance else site.path(frame, callee.node.name)
    location = frame.at(site.span)
    frame.builder.claim(path, instance.settled if instance else object(), location)
    made = frame.elaboration.specialise(frame, callee, arguments, site)
    results = frame.builder.add(
        made.inputs,
        made.results,
        path,
        location,
        callee=made.function.key,
        loops=instance.loops if instance else None,
        arguments=made.constants,
        owns=True,
        marks=instance.marks if instance else frame.marks,
    )
    return grouped(made.function.outputs, results)


def grouped(ports: tuple[object, ...], results: tuple[Tensor, ...]) -> Value:
    """One result as it is, several side by side."""
    return results[0] if len(results) == 1 else Sequence(results, is_group=True)


# ---- operators by their signs, slices, weights -------------------------------------------------------


def infix(frame: Frame, name: str, left: Value, right: Value, node: ast.Node) -> Tensor:
    """`left + right` where one of them is a tensor."""
    return operator(frame, name, [left, right], {}, node)


def operator(
    frame: Frame,
    name: str,
    values: list[Value],
    keywords: Mapping[str, Value],
    node: ast.Node,
) -> Tensor:
    """An operator by name, applied; it must have one result."""
    callee = OperatorName(name, frame.elaboration.operators[name])
    expression = (
        node if isinstance(node, ast.Expr | ast.Stage) else ast.NoneLiteral(node.span)
    )
    arguments = Arguments(values, [], dict(keywords))
    result = operators.applied(frame, callee, arguments, Site(expression, None))
    assert isinstance(result, Tensor)
    return result


def slicing(frame: Frame, value: Tensor, node: ast.Index) -> Value:
    """`x[..., 1:, i]`"""
    from nnspec.ir.slices import Range

    items: list[Dim | Range] = []
    rest = [i for i, item in enumerate(node.subscripts) if isinstance(item, ast.Rest)]
    given = len(node.subscripts) - len(rest)
    if len(rest) > 1:
        raise frame.error("E0322", "`...` stands once in an index", node)
    if given > value.type.rank:
        raise _too_many_axes(frame, value, node, given)
    whole = Range(None, None, ONE)
    fill = [whole] * (value.type.rank - given)
    for item in node.subscripts:
        if isinstance(item, ast.Rest):
            items.extend(fill)
        elif isinstance(item, ast.Slice):
            parts = [
                None if part is None else evaluation.integer(frame, part)
                for part in (item.start, item.stop, item.step)
            ]
            items.append(Range(parts[0], parts[1], parts[2] or ONE))
        else:
            items.append(evaluation.integer(frame, item))
    if not rest:
        items.extend(fill)
    callee = OperatorName("slicing", frame.elaboration.operators["slicing"])
    fields = {"items": tuple(items)}
    return operators.finished(
        frame, callee.cls, fields, {}, [value], Site(node, None), None, {}
    )


def _too_many_axes(
    frame: Frame, value: Tensor, node: ast.Index, given: int
) -> SpecError:
    label = Label(value.origin, f"this is {value.type}")
    message = f"{given} subscripts for a tensor of {value.type.rank} axes"
    return frame.error("E0322", message, node, labels=(label,))


def weight_of(frame: Frame, instance: Instance, node: ast.Attribute) -> Tensor:
    """`wte.weight`: a weight of an instance, as a tensor."""
    settled = instance.settled
    if settled.weights is None:
        operators.settle_weights(frame, instance)
    if settled.weights is None:
        raise frame.error(
            "E0212",
            f"the shape of `{node.name}` is not known yet",
            node,
            hint="call the layer first: its weights take their shapes from what goes in",
        )
    if node.name not in settled.weights:
        known = ", ".join(f"`{name}`" for name in settled.weights) or "none"
        message = f"this layer has no weight named `{node.name}`"
        raise frame.error(
            "E0203", message, node.name_span, hint=f"its weights are {known}"
        )
    kind: TensorType = settled.weights[node.name]
    (result,) = frame.builder.add(
        (),
        (kind,),
        instance.path,
        frame.at(node.span),
        loops=instance.loops,
        op=settled.operator,
        weight=node.name,
        terms=settled.terms,
    )
    return result


def as_argument(value: Value) -> Argument:
    """A value as a node takes it."""
    if isinstance(value, Tensor):
        return value.id
    if isinstance(value, Sequence):
        return tuple(item.id for item in value.items if isinstance(item, Tensor))
    return None
