"""Products of tensors: matrix products and sums over named indices."""

from __future__ import annotations

import re
from string import ascii_letters
from typing import ClassVar

from nnspec.ir.dims import ONE, ZERO, Dim, product, total
from nnspec.ir.types import TensorType
from nnspec.ops.base import Io, Operator, OpError, Product, join_dtypes, require_float
from nnspec.pycode.expressions import Expr, Namespace
from nnspec.records import dataclass

torch, ops = Namespace("torch"), Namespace("ops")


class Matmul(Operator):
    """The matrix product: [*S, n, k], [*S, k, m] -> [*S, n, m].

    Leading axes broadcast. A vector on the left is one row, on the right one column, and that axis is
    not in the result: [k], [k] -> [] is the dot product. FLOPs: 2 n k m for each matrix.

    Example: `matmul(x, transpose(embed.weight))`
    """

    spelling: ClassVar[str | None] = "matmul"
    inputs: ClassVar[tuple[str, ...]] = ("x", "y")
    per_result: ClassVar[int | None] = 0

    def infer(self, x: TensorType, y: TensorType) -> TensorType:
        require_float(x)
        require_float(y, input="y")
        for name, operand in (("x", x), ("y", y)):
            if operand.rank == 0:
                raise OpError(
                    "needs at least one axis, and got a scalar",
                    input=name,
                    code="E0403",
                    hint="use `x * y` for a product with a scalar",
                )
        dtype = join_dtypes(x.dtype, y.dtype)
        inner = y.shape[-2] if y.rank > 1 else y.shape[0]
        if x.shape[-1] != inner:
            raise OpError(
                f"{x} and {y} cannot be multiplied: the rows of the first have {x.shape[-1]} "
                f"elements, and the columns of the second {inner}",
                input="y",
                code="E0406",
                hint="swap the axes of one: `transpose(y)`",
            )
        rows = x.shape[-2:-1]
        columns = y.shape[-1:] if y.rank > 1 else ()
        leading = _broadcast(x, y)
        return TensorType((*leading, *rows, *columns), dtype)

    def products(self, x: TensorType, y: TensorType) -> tuple[Product, ...]:
        flops = 2 * self.infer(x, y).elements * x.shape[-1]
        return (Product(("x",), ("y",), flops),)

    def torch(self, io: Io) -> Expr:
        return torch.matmul(io["x"], io["y"])

    def keras(self, io: Io) -> Expr:
        return ops.matmul(io["x"], io["y"])


def _broadcast(x: TensorType, y: TensorType) -> tuple[Dim, ...]:
    left, right = x.shape[:-2], y.shape[:-2]
    rank = max(len(left), len(right))
    left, right = (
        (*(ONE,) * (rank - len(left)), *left),
        (*(ONE,) * (rank - len(right)), *right),
    )
    for a, b in zip(left, right, strict=True):
        if a != b and a != 1 and b != 1:
            raise OpError(
                f"the leading axes of {x} and {y} do not broadcast: {a} and {b}",
                input="y",
                code="E0411",
                hint="make the leading sizes equal, or one of them 1",
            )
    return tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))


class Einsum(Operator):
    """Multiplies tensors over named indices and sums those that the result does not name.

    Names are words apart by spaces: "b t e c, b t d -> b e c d" sums over t. Each name stands for one
    size, and occurs once in each operand. Operands are taken from left to right, two at a time.

    FLOPs of each pair: what one operand alone has and the result does not need is summed first; if the
    two then share an index to sum, it is a matrix product, 2 x the product of all sizes; else 0.

    Example: `einsum("t, d -> t d", positions, rates)`
    """

    spelling: ClassVar[str | None] = "einsum"
    inputs: ClassVar[tuple[str, ...]] = ("xs",)
    listed: ClassVar[frozenset[str]] = frozenset({"xs"})
    variadic: ClassVar[frozenset[str]] = frozenset({"xs"})

    pattern: str

    def infer(self, xs: tuple[TensorType, ...]) -> TensorType:
        operands, result = self.sides(len(xs))
        sizes = self._sizes(operands, xs)
        dtype = xs[0].dtype
        for x in xs:
            require_float(x, input="xs")
            dtype = join_dtypes(dtype, x.dtype)
        return TensorType(tuple(sizes[name] for name in result), dtype)

    def products(self, xs: tuple[TensorType, ...]) -> tuple[Product, ...]:
        operands, result = self.sides(len(xs))
        sizes = self._sizes(operands, xs)
        steps = _steps(operands, result)
        names = [f"xs.{place}" for place in range(len(xs))]
        return tuple(
            Product(tuple(names[:place]), (names[place],), step.flops(sizes))
            for place, step in enumerate(steps, 1)
        )

    def elementwise(self, xs: tuple[TensorType, ...]) -> Dim:
        """Multiplications of the pairs without an index to sum, and the sums of a single operand."""
        operands, result = self.sides(len(xs))
        sizes = self._sizes(operands, xs)
        if len(xs) == 1:
            is_sum = set(operands[0]) > set(result)
            return xs[0].elements if is_sum else ZERO
        steps = _steps(operands, result)
        return total(
            product(sizes[name] for name in step.result)
            for step in steps
            if step.flops(sizes) == 0
        )

    def torch(self, io: Io) -> Expr:
        return self._chain(torch.einsum, io)

    def keras(self, io: Io) -> Expr:
        return self._chain(ops.einsum, io)

    def _chain(self, function: Expr, io: Io) -> Expr:
        xs = list(io.list("xs"))
        operands, result = self.sides(len(xs))
        letters = _letters([name for operand in operands for name in operand])

        def spelled(names: Names) -> str:
            return "".join(letters[name] for name in names)

        if len(xs) == 1:
            return function(f"{spelled(operands[0])}->{spelled(result)}", xs[0])
        value = xs[0]
        for step, x in zip(_steps(operands, result), xs[1:], strict=True):
            equation = (
                f"{spelled(step.left)},{spelled(step.right)}->{spelled(step.result)}"
            )
            value = function(equation, value, x)
        return value

    # ---- reading the pattern -------------------------------------------------------------

    def _fault(self, message: str, hint: str | None = None) -> OpError:
        return OpError(
            f'{message} ("{self.pattern}")', param="pattern", hint=hint, code="E0410"
        )

    def sides(self, count: int) -> tuple[list[Names], Names]:
        parts = self.pattern.split("->")
        if len(parts) != 2:
            raise self._fault(
                "a pattern has one `->`", 'write it as "operands -> result"'
            )
        operands = [self._names(part) for part in parts[0].split(",")]
        result = self._names(parts[1])
        if len(operands) != count:
            raise self._fault(
                f"the pattern has {len(operands)} operands, and {count} are given",
                hint="write one operand for each tensor, with commas between",
            )
        known = {name for operand in operands for name in operand}
        if len(known) > len(ascii_letters):
            raise self._fault(
                f"more than {len(ascii_letters)} indices cannot be told apart",
                hint="use fewer names",
            )
        for name in result:
            if name not in known:
                raise self._fault(
                    f"`{name}` stands in the result alone",
                    hint=self._spaced()
                    or "name it in an operand too; to add an axis, use `unsqueeze`",
                )
        return operands, result

    def _spaced(self) -> str | None:
        """The hint for a pattern whose names are letters without spaces between them."""
        left, _, right = self.pattern.partition("->")
        parts = [part.strip() for part in (*left.split(","), right)]
        if not all(part.isalpha() for part in parts if part):
            return None
        *operands, result = (" ".join(part) for part in parts)
        return f'write names apart by spaces: "{", ".join(operands)} -> {result}"'

    def _names(self, text: str) -> Names:
        names = tuple(text.split())
        for name in names:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise self._fault(
                    f"`{name}` is no name of an index",
                    hint="name every axis: only `rearrange` has `...`"
                    if "." in name
                    else "write names apart by spaces, operands apart by commas",
                )
            if names.count(name) > 1:
                raise self._fault(
                    f"`{name}` stands twice in one operand",
                    hint="give each axis of an operand its own name",
                )
        return names

    def _sizes(
        self, operands: list[Names], xs: tuple[TensorType, ...]
    ) -> dict[str, Dim]:
        sizes: dict[str, Dim] = {}
        for place, (operand, x) in enumerate(zip(operands, xs, strict=True)):
            if len(operand) != x.rank:
                together = len(operand) == 1 and len(operand[0]) == x.rank
                raise self._fault(
                    f"operand {place} is {x}, and the pattern names {len(operand)} axes for it",
                    f'put spaces between the names: "{" ".join(operand[0])}"'
                    if together
                    else None,
                )
            for name, size in zip(operand, x.shape, strict=True):
                if sizes.setdefault(name, size) != size:
                    raise self._fault(
                        f"`{name}` has size {sizes[name]}, and operand {place}, {x}, says {size}",
                        hint="use another name for the other size",
                    )
        return sizes


Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Step:
    """The product of two operands."""

    left: Names
    right: Names
    result: Names

    def flops(self, sizes: dict[str, Dim]) -> Dim:
        both = set(self.left) & set(self.right)
        if both <= set(self.result):
            return ZERO
        involved = [
            name
            for name in dict.fromkeys((*self.left, *self.right))
            if name in both | set(self.result)
        ]
        return 2 * product(sizes[name] for name in involved)


def _steps(operands: list[Names], result: Names) -> list[_Step]:
    """Pairs from left to right; what later operands and the result do not name is summed at once."""
    steps: list[_Step] = []
    left = operands[0]
    for place, right in enumerate(operands[1:], 1):
        later = {name for operand in operands[place + 1 :] for name in operand} | set(
            result
        )
        both = dict.fromkeys((*left, *right))
        is_last = place == len(operands) - 1
        between = result if is_last else tuple(name for name in both if name in later)
        steps.append(_Step(left, right, between))
        left = between
    return steps


def _letters(names: list[str]) -> dict[str, str]:
    """One letter for each name: its own first letter where that is free."""
    letters: dict[str, str] = {}
    ordered = list(dict.fromkeys(names))
    for name in sorted(ordered, key=len):
        wanted = [c for c in name if c in ascii_letters]
        options = (*wanted, *(c.swapcase() for c in wanted), *ascii_letters)
        letters[name] = next(c for c in options if c not in letters.values())
    return letters
