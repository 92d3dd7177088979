"""What operators between two operands share, of which one may be a constant."""

from __future__ import annotations

import abc
from typing import ClassVar

from nnspec.ir.types import TensorType
from nnspec.ops.base import Io, Layout, NoFlops
from nnspec.ops.elementwise import (
    Scalar,
    combined,
    require_number,
    require_operand,
    spelled,
)
from nnspec.pycode.expressions import Binary, Expr

BOTH = frozenset({"x", "y"})


class Infix(NoFlops, abc.ABC):
    """An operator that Python spells alike in both backends: [*S], [*S] -> [*S], broadcasting."""

    inputs: ClassVar[tuple[str, ...]] = ("x", "y")
    optional: ClassVar[frozenset[str]] = BOTH
    scalars: ClassVar[frozenset[str]] = BOTH
    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    symbol: ClassVar[str]
    per_result: ClassVar[int | None] = 1

    x_value: Scalar = None
    y_value: Scalar = None

    def common_type(self, x: TensorType | None, y: TensorType | None) -> TensorType:
        """The type that both operands have in common. Raises `OpError` where there is none."""
        for name, operand in (("x", x), ("y", y)):
            require_operand(self, name, operand)
            if operand is not None:
                self.check(operand, name)
        return combined(self, (("x", x), ("y", y)))

    def check(self, operand: TensorType, name: str) -> None:
        """Raises `OpError` unless a tensor holds what the operator takes: numbers."""
        require_number(operand, input=name)

    def torch(self, io: Io) -> Expr:
        return Binary(self.symbol, *spelled(self, io, "x", "y"))

    def keras(self, io: Io) -> Expr:
        return Binary(self.symbol, *spelled(self, io, "x", "y"))
