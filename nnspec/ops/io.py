"""What the lowerings of an operator (its methods `torch` and `keras`) see of the place where it stands."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Any

from nnspec.ir.dims import Dim
from nnspec.ir.types import TensorType
from nnspec.pycode.expressions import Expr


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

    def is_open(self, size: Dim) -> bool:
        """Whether a size of an input is known at run time only."""
        return not size.is_constant

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
