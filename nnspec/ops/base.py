"""What an operator is: one frozen class that holds everything that nnspec knows of it.

The fields of the class are the arguments that a user writes (checked by `checked.py`), its docstring is
its manual page, and its methods are its rules: the types of its results, its weights, its FLOPs, and
how each backend says it. Operators know nothing of source text: what is wrong is raised as `OpError`.

This module has all that the class of an operator needs: `rules.py` what its rules speak of, `fields.py`
the types of its fields, `checks.py` what rules ask of inputs, `io.py` what its lowerings see.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, cast, final

from nnspec.ir.dims import Dim, total
from nnspec.ir.types import TensorType
from nnspec.ops.checked import Checked, fields_of, with_fields
from nnspec.ops.checks import (
    join_dtypes,
    normal_axes,
    normal_axis,
    require_float,
    require_rank,
)
from nnspec.ops.fields import (
    Count,
    Float,
    Integer,
    IntegerOrList,
    Integers,
    Natural,
    Rate,
    at_least,
)
from nnspec.ops.initializers import Initializer
from nnspec.ops.io import Io
from nnspec.ops.rules import (
    Caveat,
    KerasWeight,
    Layout,
    OpError,
    Product,
    Traffic,
    Weight,
)
from nnspec.pycode.expressions import Expr

Inferred: TypeAlias = TensorType | tuple[TensorType, ...]


class Operator(Checked, abc.ABC):
    """Base of all operators.

    Class attributes: `inputs` names the tensor inputs in order, `optional` those of them that may be
    missing, `listed` those that are lists of tensors; `layout` says what order of axes it wants.
    """

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
    # Whether the results hang on what is in the inputs, and not on their shapes and element types alone.
    reads_values: ClassVar[bool] = True
    # Whether the results are the first input in another shape, without a copy.
    is_view: ClassVar[bool] = False
    # The argument that counts layers which lie on each other: each behind the second takes as much as that one.
    stacked: ClassVar[str | None] = None
    # What its figures leave open: kernels that differ by device, bounds.
    caveats: ClassVar[tuple[Caveat, ...]] = ()

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
        reads = tensors_of(inputs) if self.reads_values else ()
        return Traffic(reads, results_of(self, inputs), weights)

    def leaves_open(self, *inputs: Any, **named: Any) -> tuple[Caveat, ...]:
        """Why its figures are not exact for these inputs: what is so of any, unless it says more."""
        return self.caveats

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

    def for_more_results(self) -> str | None:
        """What to write for further results, where an argument gives them."""
        return None

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


def snake_case(name: str) -> str:
    """`BatchNorm` -> `batch_norm`, `MBConv` -> `mb_conv`, `RMSNorm` -> `rms_norm`."""
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return apart.lower()


def field_terms(operator: Operator) -> Mapping[str, Any]:
    """The fields that were set, by name, in order of declaration."""
    return {name: getattr(operator, name) for name in fields_of(type(operator))}


def replaced(operator: Operator, **fields: Any) -> Operator:
    """The operator with other values of some fields."""
    return with_fields(operator, **fields)


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
