"""Operators of programs for several processes, which no spec can name.

Each is written as a function of `sharded_torch.py`. `like` is a weight of which each process has a share: it
knows the processes. In a model whose layers are not split it is an ordinary weight, and the functions leave
what they are given as it is.
"""

from __future__ import annotations

import abc
from typing import Any, ClassVar

from nnspec.ir.types import TensorType
from nnspec.ops.attention import Attention
from nnspec.ops.base import Io, Natural, NoFlops, Operator, OpError
from nnspec.ops.linear import Linear
from nnspec.ops.random import Dropout
from nnspec.pycode.expressions import Call, Expr, Name


class _PyTorchOnly(Operator, abc.ABC):
    """What Keras has no word for: its engines share weights themselves, and no program for them has this."""

    def keras(self, io: Io) -> Expr:
        raise OpError(
            f"`{self.op_name()}` is of PyTorch's engine and has no form in Keras",
            code="E0602",
        )


class SplitLinear(_PyTorchOnly, Linear):
    """`Linear` with another layer's weight, of which each process has some rows; the result is whole."""

    spelling: ClassVar[str | None] = None

    def torch(self, io: Io) -> Expr:
        return Name("split_linear")(io["x"], io["weight"])


class _BesideWeight(_PyTorchOnly, NoFlops):
    """A value for the share of a process."""

    inputs: ClassVar[tuple[str, ...]] = ("x", "like")

    def infer(self, x: TensorType, like: TensorType) -> TensorType:
        return x


class OwnShare(_BesideWeight):
    """The share of a value that this process works on; gradients are gathered from all."""

    axis: Natural

    def torch(self, io: Io) -> Expr:
        return Name("own_share")(io["x"], io["like"], int(self.axis))


class Summed(_BesideWeight):
    """A value as a whole, in each process; gradients are the sums of those of all."""

    def torch(self, io: Io) -> Expr:
        return Name("summed")(io["x"], io["like"])


class OwnTable(_PyTorchOnly, NoFlops):
    """What this process holds of a weight."""

    def infer(self, x: TensorType) -> TensorType:
        return x

    def torch(self, io: Io) -> Expr:
        return Name("local")(io["x"])


class ApartDropout(_PyTorchOnly, Dropout):
    """`Dropout` of a share, with other draws than those for the shares of other processes."""

    inputs: ClassVar[tuple[str, ...]] = ("x", "like")

    def infer(self, x: TensorType, like: TensorType | None = None) -> TensorType:
        return super().infer(x)

    def torch(self, io: Io) -> Expr:
        return _drawn_apart(super().torch(io), io)


class ApartAttention(_PyTorchOnly, Attention):
    """`Attention` of some heads, with other draws than those for the heads of other processes."""

    spelling: ClassVar[str | None] = None
    inputs: ClassVar[tuple[str, ...]] = (*Attention.inputs, "like")

    def infer(self, *inputs: Any, **named: Any) -> TensorType:
        return super().infer(*inputs[: len(Attention.inputs)], **named)

    def torch(self, io: Io) -> Expr:
        return _drawn_apart(super().torch(io), io)


def _drawn_apart(call: Expr, io: Io) -> Expr:
    assert isinstance(call, Call)
    arguments = (call.function, io["like"], *call.arguments)
    return Call(Name("drawn_apart"), arguments, call.keywords)
