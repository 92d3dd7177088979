"""What one node becomes in a target: the submodules to construct, and the result of the forward pass.

Nothing here knows of loops, conditions or names: `merge` joins the lowered nodes of all places that
become one place of the emitted code.
"""

# Tables of words read best as text.
# ruff: noqa: SIM905

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from nnspec.ir.graph import Function, Node
from nnspec.ir.types import TensorType
from nnspec.ops.base import Io, OpError, Weight
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr, Namespace
from nnspec.pycode.inlining import weight_of
from nnspec.records import dataclass
from nnspec.targets.layout import FunctionLayout, Permutation, logical, moved_for_free

ops = Namespace("ops")

# PyTorch modules whose constructors take `device` and `dtype`.
_PLACED = frozenset(
    """
    Linear Bilinear Embedding EmbeddingBag Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d
    ConvTranspose3d BatchNorm1d BatchNorm2d BatchNorm3d LayerNorm GroupNorm InstanceNorm1d
    InstanceNorm2d InstanceNorm3d RMSNorm RNN LSTM GRU RNNCell LSTMCell GRUCell PReLU
    MultiheadAttention
    """.split()
)


@dataclass(frozen=True)
class Construct:
    """A submodule (or a bare parameter) that the constructor makes: `self.<label><suffix> = value`."""

    suffix: str
    value: Expr
    is_parameter: bool = False
    resets: tuple[Expr, ...] = ()


@dataclass(frozen=True)
class Ways:
    """The names that decide which way a call goes, and whether its results are known on that way alone."""

    deciding: frozenset[str] = frozenset()
    is_one: bool = False


@dataclass(frozen=True)
class Lowered:
    """A node in a target. `results` has one expression for each output, or one for all of them.

    `unsaid` are names of constants that it was computed from, and that it does not say.
    """

    constructs: tuple[Construct, ...]
    results: tuple[Expr, ...]
    outputs: int
    unsaid: frozenset[str] = frozenset()
    ways: Ways = Ways()


class NodeIo(Io):
    """The place of one node, for the operator that lowers itself there."""

    def __init__(
        self,
        function: Function,
        node: Node,
        types: Sequence[Any],
        layout: FunctionLayout,
        target: str,
    ) -> None:
        assert node.op is not None
        self.target = target
        self.results = function.results(node)
        self._op = node.op
        self._node = node
        self._types: dict[str, Any] = dict(zip(node.op.inputs, types, strict=True))
        self._wanted = layout.wanted.get(node.id, ())
        self._places: dict[str, int] = {}
        count = 0
        for name, kind in self._types.items():
            self._places[name] = count
            several = cast("tuple[TensorType, ...]", kind)
            count += len(several) if isinstance(kind, tuple) else kind is not None
        self.constructs: dict[str, Construct] = {}
        self.weights: Mapping[str, Weight] = (
            node.op.weights(*types) if node.owns else {}
        )

    def type(self, name: str) -> TensorType:
        return self._types[name]

    def types(self, name: str) -> tuple[TensorType, ...]:
        return self._types[name]

    def has(self, name: str) -> bool:
        return self._types[name] is not None

    def __getitem__(self, name: str) -> Expr:
        return tree.Input(self._places[name])

    def list(self, name: str) -> Sequence[Expr]:
        first = self._places[name]
        return [tree.Input(first + i) for i in range(len(self._types[name]))]

    def arg(self, field: str) -> Expr:
        return tree.argument(getattr(self._op, field), self._node.terms.get(field))

    def module(
        self, function: Expr, *arguments: Any, suffix: str = "", **keywords: Any
    ) -> Expr:
        call = function(*arguments, **keywords)
        if self.target == "keras":
            label = tree.Call(
                call.function,
                call.arguments,
                (*call.keywords, ("name", LayerName(suffix))),
            )
            self._construct(Construct(suffix, label, resets=()))
        else:
            placed = _takes_options(function)
            rest = (tree.Star(tree.Name("options"), double=True),) if placed else ()
            value = tree.Call(call.function, (*call.arguments, *rest), call.keywords)
            self._construct(Construct(suffix, value, resets=self._resets(suffix)))
        return tree.Module(suffix)

    def parameter(self, name: str) -> Expr:
        suffix = f"_{name}" if name else ""
        weight = self.weights[name]
        if suffix not in self.constructs:
            self._construct(self._bare(suffix, weight))
        return tree.Module(suffix)

    def _bare(self, suffix: str, weight: Weight) -> Construct:
        shape = tuple(weight.shape)
        if self.target == "keras":
            call = tree.Name("self").attribute("add_weight")(
                shape=shape,
                initializer=weight.init.keras_bare(len(shape)),
                name=LayerName(suffix),
            )
            return Construct(suffix, call, is_parameter=True)
        torch, nn = Namespace("torch"), Namespace("nn")
        options = tree.Star(tree.Name("options"), double=True)
        empty = tree.Call(torch.empty, (tree.expression(shape), options))
        reset = weight.init.torch(tree.Module(suffix))
        return Construct(
            suffix, nn.Parameter(empty), is_parameter=True, resets=(reset,)
        )

    def _resets(self, suffix: str) -> tuple[Expr, ...]:
        """What fills weights whose initializer was chosen, where PyTorch would choose another."""
        if suffix:
            return ()
        return tuple(
            weight.init.torch(tree.Module(suffix).attribute(name))
            for name, weight in self.weights.items()
            if weight.chosen and name
        )

    def _construct(self, construct: Construct) -> None:
        assert construct.suffix not in self.constructs, (
            "two submodules need different suffixes"
        )
        self.constructs[construct.suffix] = construct

    def helper(self, name: str) -> Expr:
        return tree.Helper(name)

    def device(self, *, floating: bool = False) -> Mapping[str, Expr]:
        if self.target == "keras":
            return {}
        anchor = tree.Anchor(floating)
        found: dict[str, Expr] = {"device": anchor.attribute("device")}
        return found | ({"dtype": anchor.attribute("dtype")} if floating else {})

    def axis(self, axis: int, name: str | None = None) -> int:
        order = self._order(name)
        return order.index(axis)

    def size(self, axis: int, name: str | None = None) -> Expr:
        name = name or next(iter(self._types))
        size = self._first(name).shape[axis]
        return RunTimeSize(size, self[name], self._order(name).index(axis))

    def _first(self, name: str) -> TensorType:
        kind: TensorType | tuple[TensorType, ...] = self._types[name]
        return kind[0] if isinstance(kind, tuple) else kind

    def _order(self, name: str | None) -> Permutation:
        name = name or next(iter(self._types))
        place = self._places[name]
        if place < len(self._wanted):
            order = self._wanted[place]
            if order is not None:
                return order
        return logical(self._first(name).rank)


@dataclass(frozen=True)
class LayerName(Expr):
    """The name of the Keras layer that is being made: its label, with the turns of the loops around it."""

    suffix: str = ""


@dataclass(frozen=True)
class RunTimeSize(Expr):
    """The size of an axis in the forward pass: said in names where that is possible, else asked of the tensor."""

    dim: Any
    input: Expr
    axis: int

    @property
    def children(self) -> tuple[Expr, ...]:
        return (tree.Size(self.dim), self.input)

    def rebuilt(self, children: Sequence[Expr]) -> Expr:
        size = children[0]
        if not isinstance(size, tree.Size):
            return size
        return RunTimeSize(size.dim, children[1], self.axis)


def _takes_options(function: Expr) -> bool:
    return isinstance(function, tree.Attribute) and function.name in _PLACED


def lower_operator(
    function: Function,
    node: Node,
    types: Sequence[Any],
    layout: FunctionLayout,
    target: str,
) -> Lowered:
    """An operator's node in a target. Raises `OpError` for what the target cannot express."""
    assert node.op is not None
    if node.weight is not None:
        return _read_weight(node, target)
    io = NodeIo(function, node, types, layout, target)
    if target == "keras":
        free = moved_for_free(node, types, layout.wanted.get(node.id, ()))
        if free is not None and layout.values[node.outputs[0]] == free:
            return Lowered((), (tree.Input(0),), 1)
    result = node.op.torch(io) if target == "torch" else node.op.keras(io)
    results = result if isinstance(result, tuple) else (result,)
    return Lowered(tuple(io.constructs.values()), results, len(node.outputs))


def _read_weight(node: Node, target: str) -> Lowered:
    assert node.op is not None
    assert node.weight is not None
    if target == "torch":
        return Lowered((), (weight_of(node),), 1)
    value = node.op.keras_parameter(node.weight, tree.Module(""))
    return Lowered((), (value,), 1)


def transposed(value: Expr, have: Permutation, want: Permutation) -> Expr:
    """A value in another order of axes (Keras)."""
    if have == want:
        return value
    return ops.transpose(value, tuple(have.index(axis) for axis in want))


def moved_once(part: Expr) -> Expr | None:
    """A transposition of a transposition as one, or as none (Keras)."""
    second = _transposition(part)
    first = _transposition(second[0]) if second is not None else None
    if first is None or second is None:
        return None
    order = tuple(first[1][axis] for axis in second[1])
    value = tree.transform(first[0], moved_once)
    return transposed(value, tuple(range(len(order))), order)


def only_moves_axes(part: Expr) -> bool:
    """Whether a result is the first input, or that in another order of axes (Keras).

    A program may hold no such value: `moved_once` merges it with what its reader does to the axes.
    """
    moved = _transposition(part)
    return (part if moved is None else moved[0]) == tree.Input(0)


def _transposition(part: Expr) -> tuple[Expr, tuple[int, ...]] | None:
    """What `ops.transpose(value, order)` transposes, and how."""
    if not isinstance(part, tree.Call) or part.function != ops.transpose:
        return None
    value, *orders = part.arguments
    if not orders or not isinstance(orders[0], tree.Display):
        return None
    axes = [axis.value for axis in orders[0].items if isinstance(axis, tree.Literal)]
    return value, tuple(axis for axis in axes if isinstance(axis, int))


__all__ = [
    "Construct",
    "LayerName",
    "Lowered",
    "NodeIo",
    "OpError",
    "RunTimeSize",
    "lower_operator",
    "moved_once",
    "only_moves_axes",
    "transposed",
]
