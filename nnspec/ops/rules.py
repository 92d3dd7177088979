"""What the rules of operators speak of: weights, products, traffic, orders of axes, and refusals."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, Literal, TypeAlias

from nnspec.ir.dims import Dim, total
from nnspec.ir.types import TensorType
from nnspec.ops.initializers import Initializer
from nnspec.records import dataclass


class OpError(Exception):
    """An operator cannot be applied. `param` or `input` names what is to blame, `sizes` are those that decided it."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        input: str | None = None,
        hint: str | None = None,
        code: str = "E0401",
        sizes: tuple[Dim, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.input = input
        self.hint = hint
        self.code = code
        self.sizes = sizes


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


Concern: TypeAlias = Literal["memory", "traffic", "elementwise"]
Direction: TypeAlias = Literal["at least", "at most", "about"]


@dataclass(frozen=True, slots=True)
class Caveat:
    """Why what an operator says of its memory, traffic or elementwise operations is not exact.

    `under` is the assumption, by its name and value, under which that is so; None for all.
    """

    concern: Concern
    direction: Direction
    reason: str
    under: tuple[str, str] | None = None
