"""What an operator is: one frozen class that holds everything that nnspec knows of it.

The fields of the class are the arguments that a user writes (validated by pydantic), its docstring is
its manual page, and its methods are its rules: the types of its results, its weights, its FLOPs, and
how each backend says it. Operators know nothing of source text: what is wrong is raised as `OpError`.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, ClassVar, TypeAlias, cast, final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from nnspec.ir.dims import Dim, dim, total
from nnspec.ir.types import DType, TensorType
from nnspec.ops.initializers import Initializer
from nnspec.pycode.expressions import Expr
from nnspec.records import dataclass


class OpError(Exception):
    """An operator cannot be applied. `param` or `input` names what is to blame."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        input: str | None = None,
        hint: str | None = None,
        code: str = "E0401",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.input = input
        self.hint = hint
        self.code = code


class Layout(Enum):
    """What an operator asks of the order of axes in a backend that keeps channels last.

    SPATIAL operators want channels last; ELEMENTWISE ones take any order and keep it; AXES ones take any
    order and translate their axis arguments (`Io.axis`); LOGICAL ones want the order that the spec means.
    """

    SPATIAL = "spatial"
    ELEMENTWISE = "elementwise"
    AXES = "axes"
    LOGICAL = "logical"


@dataclass(frozen=True, slots=True)
class KerasWeight:
    """Where weights are found in Keras: a variable and how it is made from PyTorch's.

    `variable` is the path below the layer's own name (`kernel`, `lstm_cell/bias`); `suffix` is that of
    the submodule which owns it (see `Io.module`). `steps` lead from the `sources` (weights in
    PyTorch's layout) to the variable; see `nnspec.ops.weight_steps`.
    """

    variable: str
    sources: tuple[str, ...]
    steps: tuple[Any, ...] = ()
    suffix: str = ""

    def elements(self, counts: Sequence[Dim]) -> Dim:
        """How many numbers it holds, from those of its sources."""
        found = list(counts)
        for step in self.steps:
            found = step.counts(found)
        return total(found)


@dataclass(frozen=True, slots=True)
class Weight:
    """A weight in PyTorch's layout. Weights that are not trainable are state (batch statistics).

    `chosen` tells that the user asked for this initializer, so that it must be spelled where the
    backend's own default would differ.
    """

    shape: tuple[Dim, ...]
    init: Initializer
    trainable: bool = True
    chosen: bool = False

    def __post_init__(self) -> None:
        if len(self.shape) < self.init.least_rank:
            raise OpError(
                f"`init.{self.init.spelling}` fills weights of {self.init.least_rank} axes or more, "
                f"and this one has {len(self.shape)}",
                hint="choose another initializer, such as `init.zeros`",
                code="E0409",
            )


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product or a convolution: 2 x its multiply-accumulates as FLOPs.

    `left` and `right` name the inputs and weights on which each operand depends (the items of a list input
    as `xs.0`, `xs.1`); an operand that depends on none, such as an initial state of zeros, has no names.
    The backward pass takes one such product more for each operand that needs a gradient.
    """

    left: tuple[str, ...]
    right: tuple[str, ...]
    flops: Dim


@dataclass(frozen=True, slots=True)
class Traffic:
    """The tensors that a kernel reads from memory and writes to it, each once; weights apart."""

    reads: tuple[TensorType, ...] = ()
    writes: tuple[TensorType, ...] = ()
    weights: tuple[TensorType, ...] = ()


class Io(abc.ABC):
    """What a lowering sees of the place where the operator stands.

    Implemented by the code generators. All results are expressions to build upon.
    """

    target: str
    results: tuple[TensorType, ...]

    @abc.abstractmethod
    def type(self, name: str) -> TensorType:
        """The type of a tensor input, in the logical order of axes."""

    @abc.abstractmethod
    def types(self, name: str) -> tuple[TensorType, ...]:
        """The types of a list input."""

    @abc.abstractmethod
    def has(self, name: str) -> bool:
        """Whether an optional input is given."""

    @abc.abstractmethod
    def __getitem__(self, name: str) -> Expr:
        """The expression of a tensor input."""

    @abc.abstractmethod
    def list(self, name: str) -> Sequence[Expr]:
        """The expressions of a list input."""

    @abc.abstractmethod
    def arg(self, field: str) -> Expr:
        """A field's value, spelled as the spec computed it (`rate`, `4 * width`) where it was computed."""

    @abc.abstractmethod
    def module(
        self, function: Expr, *arguments: Any, suffix: str = "", **keywords: Any
    ) -> Expr:
        """Makes a submodule in the constructor, `self.<label><suffix> = function(...)`; gives `self.<label>`.

        Device, dtype (PyTorch, where `function` takes them) and name (Keras) are added by the generator.
        """

    @abc.abstractmethod
    def parameter(self, name: str) -> Expr:
        """A weight of this operator that no framework module holds: made as a bare parameter."""

    @abc.abstractmethod
    def helper(self, name: str) -> Expr:
        """A helper function of the emitted file, by its name in `targets/helpers_<target>.py`."""

    @abc.abstractmethod
    def device(self, *, floating: bool = False) -> Mapping[str, Expr]:
        """Keywords that put a created tensor where the others are: `device=x.device` in PyTorch.

        With `floating`, `dtype=x.dtype` of a floating-point tensor as well; nothing in Keras.
        """

    @abc.abstractmethod
    def axis(self, axis: int, name: str | None = None) -> int:
        """The physical place of a logical axis (from 0) of an input (the first one by default)."""

    @abc.abstractmethod
    def size(self, axis: int, name: str | None = None) -> Expr:
        """The size of a logical axis of an input, for use in the forward pass."""


Inferred: TypeAlias = TensorType | tuple[TensorType, ...]


class Operator(BaseModel, abc.ABC):
    """Base of all operators.

    Class attributes: `inputs` names the tensor inputs in order, `optional` those of them that may be
    missing, `listed` those that are lists of tensors; `layout` says what order of axes it wants.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        defer_build=True,
        allow_inf_nan=True,
    )

    inputs: ClassVar[tuple[str, ...]] = ("x",)
    optional: ClassVar[frozenset[str]] = frozenset()
    listed: ClassVar[frozenset[str]] = frozenset()
    # Those of the listed ones whose tensors may be handed over one by one: `einsum("i, j", a, b)`.
    variadic: ClassVar[frozenset[str]] = frozenset()
    layout: ClassVar[Layout] = Layout.LOGICAL
    random: ClassVar[bool] = False
    spelling: ClassVar[str | None] = None
    # Inputs that may be constants instead; the constant then lies in the field `<input>_value`.
    scalars: ClassVar[frozenset[str]] = frozenset()
    # The field that collects keyword arguments which are no fields (`rearrange(..., h=8)`).
    open: ClassVar[str | None] = None
    # Arithmetic operations, comparisons and elementary functions for each element of the results and of the
    # tensors that come in, as in the operator's formula; None where the operator has no such rule.
    per_result: ClassVar[int | None] = None
    per_input: ClassVar[int] = 0
    # Whether the results are the first input in another shape, without a copy.
    is_view: ClassVar[bool] = False

    @classmethod
    def op_name(cls) -> str:
        """The name in the language: the class's own for layers, `spelling` for functions."""
        return cls.spelling or cls.__name__

    # ---- the rules ---------------------------------------------------------------------------

    # To a type checker, `*inputs: Any, **named: Any` leaves the parameters to each operator; they are
    # passed by position.

    @abc.abstractmethod
    def infer(self, *inputs: Any, **named: Any) -> Inferred:
        """The result types, from the types of the inputs in the order of `inputs`.

        A list input is a tuple of types; a missing optional one is None. Raises `OpError`.
        """

    def implied(self, *inputs: Any, **named: Any) -> tuple[Dim, ...]:
        """Sizes, other than those of the results, that must be at least 1 for the rule to hold."""
        return ()

    def reorders(self, *inputs: Any) -> tuple[int, ...] | None:
        """What it does to the axes, if it does nothing else: axis i of the result is axis `order[i]`.

        A backend that keeps track of where the axes lie need not move anything then.
        """
        return None

    def weights(self, *inputs: Any, **named: Any) -> Mapping[str, Weight]:
        """The weights by their PyTorch names, from the input types."""
        return {}

    @abc.abstractmethod
    def products(self, *inputs: Any, **named: Any) -> tuple[Product, ...]:
        """The matrix products and convolutions of a forward pass."""

    @final
    def flops(self, *inputs: Any) -> Dim:
        """Floating-point operations of a forward pass: 2 x multiply-accumulates of its products."""
        return total(each.flops for each in self.products(*inputs))

    def elementwise(self, *inputs: Any, **named: Any) -> Dim:
        """Operations of a forward pass in evaluation that belong to no product."""
        if self.per_result is None:
            raise OpError(
                f"{self.op_name()} does not say how many elementwise operations it takes",
                hint="set `per_result` (and `per_input`) in its class, or define `elementwise`",
                code="E0901",
            )
        results = total(each.elements for each in results_of(self, inputs))
        entering = total(each.elements for each in tensors_of(inputs))
        return results * self.per_result + entering * self.per_input

    def traffic(self, *inputs: Any, **named: Any) -> Traffic:
        """What it reads and writes: its inputs, weights and results, unless it makes a view."""
        if self.is_view:
            return Traffic()
        weights = tuple(
            TensorType(each.shape) for each in self.weights(*inputs).values()
        )
        return Traffic(tensors_of(inputs), results_of(self, inputs), weights)

    def materialised(self, *inputs: Any, **named: Any) -> tuple[TensorType, ...]:
        """What an unfused kernel writes in between, and reads again."""
        return ()

    def passes_gradient(self, kind: TensorType, *results: TensorType) -> bool:
        """Whether an input of this type gets the results' gradient, or a part of it, without a kernel."""
        return False

    @abc.abstractmethod
    def torch(self, io: Io) -> Expr | tuple[Expr, ...]:
        """The result as PyTorch says it."""

    @abc.abstractmethod
    def keras(self, io: Io) -> Expr | tuple[Expr, ...]:
        """The result as Keras 3 says it."""

    def keras_weights(self, *inputs: Any, **named: Any) -> tuple[KerasWeight, ...]:
        """Where each weight is found in Keras: by default under its own name, unchanged."""
        return tuple(KerasWeight(name, (name,)) for name in self.weights(*inputs))

    def keras_parameter(self, name: str, layer: Expr) -> Expr:
        """A weight of a built Keras layer, in PyTorch's layout (for tied weights)."""
        raise OpError(
            f"the weight `{name}` of {self.op_name()} cannot be shared in Keras",
            code="E0601",
        )


class NoFlops(Operator, abc.ABC):
    """Operators without a matrix product: 0 FLOPs by the convention of `docs/cost.md`."""

    def products(self, *inputs: Any, **named: Any) -> tuple[Product, ...]:
        return ()


def tensors_of(inputs: Sequence[Any]) -> tuple[TensorType, ...]:
    """The types of all tensors that come in: lists spread out, missing ones left out."""
    found: list[TensorType] = []
    for entry in inputs:
        if isinstance(entry, tuple):
            found.extend(cast("tuple[TensorType, ...]", entry))
        elif entry is not None:
            found.append(entry)
    return tuple(found)


def results_of(operator: Operator, inputs: Sequence[Any]) -> tuple[TensorType, ...]:
    """The types of all results."""
    results = operator.infer(*inputs)
    return results if isinstance(results, tuple) else (results,)


# ---- fields -----------------------------------------------------------------------------------------


def at_least(bound: int) -> Callable[[Dim], Dim]:
    """A validator: a constant size is no less than the bound (one that holds a symbol passes)."""

    def check(value: Dim) -> Dim:
        if value.is_constant and int(value) < bound:
            raise ValueError(f"must be at least {bound}, not {value}")
        return value

    return check


def _as_dim(value: Any) -> Any:
    return dim(value) if type(value) is int else value


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_as_dim(item) for item in cast(Sequence[Any], value))
    return _as_dim(value)


Integer = Annotated[Dim, BeforeValidator(_as_dim)]
Natural = Annotated[Dim, BeforeValidator(_as_dim), AfterValidator(at_least(0))]
Count = Annotated[Dim, BeforeValidator(_as_dim), AfterValidator(at_least(1))]
Integers = Annotated[tuple[Dim, ...], BeforeValidator(_as_tuple)]
IntegerOrList = Annotated[Dim | tuple[Dim, ...], BeforeValidator(_as_tuple)]


def _probability(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"must be at least 0 and less than 1, not {value}")
    return value


def _as_float(value: Any) -> Any:
    if isinstance(value, Dim) and value.is_constant:
        return float(int(value))
    return float(value) if type(value) is int else value


Float = Annotated[float, BeforeValidator(_as_float)]
Rate = Annotated[float, BeforeValidator(_as_float), AfterValidator(_probability)]


# ---- help for rules ---------------------------------------------------------------------------------


def normal_axis(axis: Dim | int, rank: int, *, param: str = "dim") -> int:
    """An axis from 0, from one that may count from the end. Raises `OpError` if there is none such."""
    place = int(axis)
    if not -rank <= place < rank:
        raise OpError(
            f"axis {place} does not exist: the tensor has {rank} axes",
            param=param,
            hint=f"use an axis from {-rank} to {rank - 1}",
            code="E0402",
        )
    return place % rank


def normal_axes(
    axes: Dim | tuple[Dim, ...] | None, rank: int, *, param: str = "dim"
) -> tuple[int, ...]:
    """Distinct axes from 0, ascending; None means all."""
    if axes is None:
        return tuple(range(rank))
    given = axes if isinstance(axes, tuple) else (axes,)
    places = [normal_axis(axis, rank, param=param) for axis in given]
    if len(set(places)) < len(places):
        raise OpError(
            "an axis is named twice",
            param=param,
            hint="name each axis once",
            code="E0402",
        )
    return tuple(sorted(places))


def require_rank(x: TensorType, *ranks: int, input: str = "x") -> None:
    """Raises `OpError` unless the tensor has one of the ranks."""
    if x.rank not in ranks:
        wanted = " or ".join(str(rank) for rank in ranks)
        raise OpError(
            f"needs a tensor of {wanted} axes, and {x} has {x.rank}",
            input=input,
            code="E0403",
        )


def require_float(x: TensorType, *, input: str = "x") -> None:
    """Raises `OpError` unless the elements are floating-point numbers."""
    if not x.dtype.is_float:
        raise OpError(
            f"needs floating-point elements, and {x} holds {x.dtype.value}",
            input=input,
            hint="convert it first: `cast(x, float)`",
            code="E0404",
        )


def join_dtypes(left: DType, right: DType) -> DType:
    """The common element type of two operands; nothing is promoted in silence."""
    if left is right:
        return left
    if {left, right} == {DType.FLOAT, DType.F32}:
        return DType.FLOAT
    raise OpError(
        f"the operands hold {left.value} and {right.value}, and nothing is converted in silence",
        hint=f"convert one of them: `cast(x, {left.value})`",
        code="E0405",
    )


def snake_case(name: str) -> str:
    """`BatchNorm` -> `batch_norm`, `MBConv` -> `mb_conv`, `RMSNorm` -> `rms_norm`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return apart.lower()


def field_terms(operator: Operator) -> Mapping[str, Any]:
    """The fields that were set, by name, in order of declaration."""
    return {name: getattr(operator, name) for name in type(operator).model_fields}


def replaced(operator: Operator, **fields: Any) -> Operator:
    """The operator with other values of some fields."""
    return operator.model_copy(update=fields)


__all__ = [
    "Count",
    "Float",
    "Inferred",
    "Initializer",
    "Integer",
    "IntegerOrList",
    "Integers",
    "Io",
    "KerasWeight",
    "Layout",
    "Natural",
    "NoFlops",
    "OpError",
    "Operator",
    "Product",
    "Rate",
    "Traffic",
    "Weight",
    "at_least",
    "field_terms",
    "join_dtypes",
    "normal_axes",
    "normal_axis",
    "replaced",
    "require_float",
    "require_rank",
    "results_of",
    "snake_case",
    "tensors_of",
]
