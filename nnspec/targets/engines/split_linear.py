"""A linear layer whose matrix is that of an embedding which processes share."""

from __future__ import annotations

from typing import ClassVar

from nnspec.ops.base import Io
from nnspec.ops.linear import Linear
from nnspec.pycode.expressions import Expr, Name


class SplitLinear(Linear):
    """`Linear` with another layer's weight, of which each process has some rows; the result is whole.

    It stands in programs for several processes only, and no spec can name it.
    """

    spelling: ClassVar[str | None] = None

    def torch(self, io: Io) -> Expr:
        return Name("split_linear")(io["x"], io["weight"])
