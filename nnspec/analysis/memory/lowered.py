"""What a node does in PyTorch, run on the machine: its operator's own lowering, read as a program.

Operators say what they become in PyTorch (`Operator.torch`). Here those expressions are evaluated with
tensors of the machine for inputs, each PyTorch operation by its rule. So an operator has no rule of
memory of its own, and a new one needs none, as long as PyTorch's operations in it are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import field
from functools import cached_property
from typing import Any

from nnspec.analysis.memory.machine import Machine, Tensor
from nnspec.analysis.memory.operations import OPERATIONS
from nnspec.analysis.memory.operations.layer import Layer, Stack
from nnspec.analysis.memory.operations.layers import LAYERS
from nnspec.analysis.memory.operations.recurrent import RECURRENT
from nnspec.ir.dims import Dim
from nnspec.ir.signs import ARITHMETIC
from nnspec.ir.terms import Term
from nnspec.ir.types import DType, TensorType
from nnspec.ops.base import Io, Operator
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.records import dataclass

_DTYPES = {
    "float16": DType.F16,
    "bfloat16": DType.BF16,
    "float32": DType.F32,
    "float64": DType.F64,
    "int8": DType.I8,
    "int16": DType.I16,
    "int32": DType.I32,
    "int64": DType.I64,
    "uint8": DType.U8,
    "bool": DType.BOOL,
}


_BATCH_NORMS = ("nn.BatchNorm1d", "nn.BatchNorm2d", "nn.BatchNorm3d")


class NoRule(Exception):
    """A PyTorch operation whose use of memory is not known."""

    def __init__(self, operator: str, operation: str) -> None:
        super().__init__(operation)
        self.operator = operator
        self.operation = operation


@dataclass(frozen=True)
class Lowered:
    """What a node becomes: the layers that it makes, by suffix, and its results."""

    layers: Mapping[str, tree.Call]
    results: tuple[Expr, ...]

    @cached_property
    def operations(self) -> int:
        """How many of PyTorch's operations it is; those of helpers are not known, and count as 2."""
        kinds = (tree.Call, tree.Binary, tree.Unary, tree.Subscript, tree.Helper)
        parts = [part for result in self.results for part in tree.walk(result)]
        return sum(isinstance(part, kinds) for part in parts)


@dataclass
class _Place(Io):
    """The place of an operator, for its lowering: inputs are numbered, sizes are themselves.

    `free` are the symbols that are known at run time only; others stand for constants of the model.
    """

    operator: Operator
    given: Mapping[str, Any]
    results: tuple[TensorType, ...]
    terms: Mapping[str, Term]
    free: Set[str]
    target: str = "torch"
    layers: dict[str, tree.Call] = field(default_factory=dict[str, tree.Call])

    def type(self, name: str) -> TensorType:
        return self.given[name]

    def types(self, name: str) -> tuple[TensorType, ...]:
        return self.given[name]

    def has(self, name: str) -> bool:
        return self.given[name] is not None

    def is_open(self, size: Dim) -> bool:
        return not size.symbols().isdisjoint(self.free)

    def __getitem__(self, name: str) -> Expr:
        return tree.Input(self._place(name))

    def list(self, name: str) -> Sequence[Expr]:
        first = self._place(name)
        return [tree.Input(first + i) for i in range(len(self.given[name]))]

    def _place(self, name: str) -> int:
        count = 0
        for other, given in self.given.items():
            if other == name:
                break
            count += _count(given)
        return count

    def arg(self, field: str) -> Expr:
        return tree.argument(getattr(self.operator, field), self.terms.get(field))

    def module(
        self, function: Expr, *arguments: Any, suffix: str = "", **keywords: Any
    ) -> Expr:
        self.layers[suffix] = function(*arguments, **keywords)
        return tree.Module(suffix)

    def parameter(self, name: str) -> Expr:
        return tree.Module(f"_{name}" if name else "")

    def helper(self, name: str) -> Expr:
        return tree.Helper(name)

    def device(self, *, floating: bool = False) -> Mapping[str, Expr]:
        anchor = tree.Anchor(floating)
        found: dict[str, Expr] = {"device": anchor.attribute("device")}
        return found | ({"dtype": anchor.attribute("dtype")} if floating else {})

    def axis(self, axis: int, name: str | None = None) -> int:
        return axis

    def size(self, axis: int, name: str | None = None) -> Expr:
        return tree.Shape(self[name or next(iter(self.given))], axis)


def _count(given: Any) -> int:
    """How many tensors an input is."""
    if given is None or isinstance(given, TensorType):
        return int(given is not None)
    return len(given)


def lower(
    operator: Operator,
    inputs: Sequence[Any],
    results: tuple[TensorType, ...],
    terms: Mapping[str, Term],
    free: Set[str] = frozenset(),
) -> Lowered:
    """An operator in PyTorch, for inputs of some types; `terms` are those that its fields came from.

    Sizes that have a symbol among the `free` ones are known at run time only.
    """
    given = dict(zip(operator.inputs, inputs, strict=True))
    place = _Place(operator, given, results, terms, free)
    made = operator.torch(place)
    return Lowered(place.layers, made if isinstance(made, tuple) else (made,))


@dataclass
class Evaluation:
    """One node on the machine: its inputs in a row, and the weights of its layer by name.

    With a `stack` the layers of the node stand for more of them.
    """

    machine: Machine
    operator: str
    lowered: Lowered
    inputs: list[Tensor]
    weights: Mapping[str, Tensor]
    training: bool
    frozen: bool = False
    stack: Stack | None = None

    def results(self) -> tuple[Any, ...]:
        """The results of the node, one expression after another."""
        found = tuple(self.value(each) for each in self.lowered.results)
        if len(found) == 1 and not isinstance(found[0], Tensor):
            return tuple(found[0])
        return found

    def value(self, expression: Expr) -> Any:
        """What an expression comes to."""
        match expression:
            case tree.Input(index=index):
                return self.inputs[index]
            case tree.Literal(value=value):
                return value
            case tree.Size(dim=dim):
                return self.machine.ones.value(dim)
            case tree.Constant(traced=traced):
                return self.machine.ones.value(traced.value)
            case tree.Default(value=value):
                return self.value(value)
            case tree.Display(kind=kind, items=items):
                found = [self.value(item) for item in items]
                return found if kind == "list" else tuple(found)
            case tree.Call():
                return self._call(expression)
            case tree.Attribute():
                return self._attribute(expression)
            case tree.Subscript(object=object, subscript=subscript):
                return self._operation("[]")(
                    self.machine, self.value(object), self.value(subscript)
                )
            case tree.Binary(operator=operator, left=left, right=right):
                return self._binary(operator, self.value(left), self.value(right))
            case tree.Unary(operator=operator, operand=operand):
                return self._unary(operator, self.value(operand))
            case _:
                return self._rest(expression)

    def _rest(self, expression: Expr) -> Any:
        match expression:
            case tree.Slice(start=start, stop=stop, step=step):
                parts = (start, stop, step)
                return slice(*(None if p is None else self.value(p) for p in parts))
            case tree.Ellipsis_():
                return ...
            case tree.Module(suffix=suffix):
                bare = suffix not in self.lowered.layers
                return self.weights[suffix[1:]] if bare else self._layer(suffix)
            case tree.Shape(input=input, axis=axis):
                return self.value(input).shape[axis]
            case tree.Choice(condition=condition, then=then, otherwise=otherwise):
                return self.value(then if self.value(condition) else otherwise)
            case tree.Helper(name=name):
                return name
            case _:
                raise NoRule(self.operator, type(expression).__name__)

    # ---- calls ----

    def _call(self, call: tree.Call) -> Any:
        arguments = [self.value(each) for each in call.arguments]
        keywords = {name: self.value(each) for name, each in call.keywords}
        keywords.pop("device", None)
        function = call.function
        if isinstance(function, tree.Module):
            layer = self._layer(function.suffix)
            rule = self._operation(layer.kind)
            return rule(self.machine, layer, *arguments, **keywords)
        if isinstance(function, tree.Attribute) and dotted(function) is None:
            owner = self.value(function.object)
            rule = self._operation(f"Tensor.{function.name}")
            return rule(self.machine, owner, *arguments, **keywords)
        name = function.name if isinstance(function, tree.Helper) else dotted(function)
        return self._operation(name or "?")(self.machine, *arguments, **keywords)

    def _operation(self, name: str) -> Callable[..., Any]:
        rule = OPERATIONS.get(name)
        if rule is None:
            raise NoRule(self.operator, name)
        return rule

    def _layer(self, suffix: str) -> Layer:
        call = self.lowered.layers.get(suffix)
        if call is None:
            return Layer("parameter", (), {}, self.weights, self.training)
        function = call.function
        kind = function.name if isinstance(function, tree.Helper) else dotted(function)
        if kind not in LAYERS and kind not in RECURRENT:
            raise NoRule(self.operator, kind or "?")
        return Layer(
            kind or "?",
            tuple(self.value(each) for each in call.arguments),
            {name: self.value(each) for name, each in call.keywords},
            self.weights,
            # Batch norms of frozen blocks keep their running statistics.
            self.training and not (self.frozen and kind in _BATCH_NORMS),
            self.stack,
        )

    # ---- the rest ----

    def _attribute(self, attribute: tree.Attribute) -> Any:
        name = attribute.name
        path = dotted(attribute)
        if isinstance(attribute.object, tree.Anchor):
            return DType.FLOAT if name == "dtype" else None
        if path == "math.inf":
            return float("inf")
        if path is not None and path.startswith("torch.") and name in _DTYPES:
            return _DTYPES[name]
        owner = self.value(attribute.object)
        if isinstance(owner, Layer):
            return _of_layer(self.machine, owner, name)
        if name == "values":
            return owner[0]
        if name == "device":
            return None
        if name in ("shape", "dtype"):
            return getattr(owner, name)
        raise NoRule(self.operator, f"Tensor.{name}")

    def _binary(self, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return self._operation(operator)(self.machine, left, right)
        return ARITHMETIC["^" if operator == "**" else operator](left, right)

    def _unary(self, operator: str, operand: Any) -> Any:
        if isinstance(operand, Tensor):
            name = "neg" if operator == "-" else operator
            return self._operation(name)(self.machine, operand)
        return -operand if operator == "-" else not operand


def _of_layer(machine: Machine, layer: Layer, name: str) -> Any:
    if name in layer.weights:
        return layer.weights[name]
    if name == "training":
        return layer.training and machine.drops
    return layer.option(name, place=0)


def dotted(expression: Expr) -> str | None:
    """`torch.linalg.vector_norm` as text; None for what is no dotted name."""
    if isinstance(expression, tree.Name):
        return expression.id
    if isinstance(expression, tree.Attribute):
        above = dotted(expression.object)
        return None if above is None else f"{above}.{expression.name}"
    return None
