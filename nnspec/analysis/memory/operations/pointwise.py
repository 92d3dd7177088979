"""Element-wise operations of PyTorch: what each keeps for its backward pass, and what that makes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from nnspec.analysis.memory.layout import Sizes, elementwise, like, suggested
from nnspec.analysis.memory.machine import (
    Backward,
    Gradients,
    Machine,
    Tensor,
    needs,
    through,
)
from nnspec.ir.dims import ONE
from nnspec.ir.types import DType
from nnspec.records import dataclass

Operand: TypeAlias = Any
"""A tensor, or a Python number."""


def tensors(*operands: Operand) -> list[Tensor]:
    """The operands that are tensors."""
    return [each for each in operands if isinstance(each, Tensor)]


def broadcast(shapes: Sequence[Sizes]) -> Sizes:
    """The common shape, axes aligned from the right."""
    rank = max(len(shape) for shape in shapes)
    found = [ONE] * rank
    for shape in shapes:
        for axis, size in enumerate(shape, rank - len(shape)):
            if size.constant != 1:
                found[axis] = size
    return tuple(found)


def fresh(*operands: Operand, dtype: DType | None = None) -> Tensor:
    """A new tensor for an element-wise result of the operands."""
    given = tensors(*operands)
    first = given[0]
    placed = [each.placed for each in given]
    shape = broadcast([each.shape for each in given])
    kind = dtype or promoted(given)
    return first.machine.empty(shape, kind, elementwise(shape, placed))


def promoted(given: Sequence[Tensor]) -> DType:
    """The element type of a result: tensors of no axes give way to others, and integers to floats."""
    ranked = [each for each in given if each.rank] or list(given)
    best = ranked[0].dtype
    for each in ranked[1:]:
        if _rank(each.dtype) > _rank(best):
            best = each.dtype
    return best


_WIDTHS = list(DType)


def _rank(dtype: DType) -> tuple[int, int]:
    kind = 2 if dtype.is_float else 0 if dtype is DType.BOOL else 1
    wide = dtype is DType.F64 or dtype is DType.F32
    return kind, dtype.bytes if kind != 2 else int(wide) + int(dtype is DType.F64)


def empty_like(x: Tensor, dtype: DType | None = None) -> Tensor:
    """A new tensor that lies as another does."""
    return x.machine.empty(x.shape, dtype or x.dtype, like(*x.placed))


def formatted(x: Tensor, shape: Sizes) -> Tensor:
    """A new tensor in the memory format of another one: with its channels last, or contiguous."""
    return x.machine.empty(shape, x.dtype, suggested(shape, x.placed))


def filling_as(x: Tensor) -> Backward:
    """A backward pass that makes the gradient of an input in the memory format of that."""
    machine, shape, strides = x.machine, x.shape, suggested(x.shape, x.placed)

    def backward(grad: Tensor, *_: Tensor) -> Gradients:
        return (machine.empty(shape, grad.dtype, strides),)

    return backward


def zeros_like(machine: Machine, x: Tensor, **options: Any) -> Tensor:
    """Zeros (or ones) in the shape of a tensor."""
    return empty_like(x, options.get("dtype"))


def chain(grad: Tensor, *kept: Tensor, through: int = 0) -> Tensor:
    """A gradient that is computed through several intermediate results, all alive to its end."""
    between = [fresh(grad, *kept) for _ in range(through)]
    result = fresh(grad, *kept)
    del between
    return result


# ---- one operand ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unary:
    """A function of each element.

    `keeps` says what its derivative is computed from ("input", "output", or both); `through` how many
    intermediate results the derivative makes besides the gradient itself.
    """

    keeps: str = ""
    through: int = 0

    def __call__(self, machine: Machine, x: Tensor, *_: Any, **__: Any) -> Tensor:
        result = fresh(x)
        saved = [x] * ("input" in self.keeps) + [result] * ("output" in self.keeps)

        def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor]:
            return (chain(grad, *kept, through=self.through),)

        machine.record((x,), (result,), saved, backward)
        return result


INPUT, OUTPUT = Unary("input"), Unary("output")


def identity(machine: Machine, x: Tensor, *_: Any, **__: Any) -> Tensor:
    """The very same tensor."""
    return x


def log_sigmoid(machine: Machine, x: Tensor) -> Tensor:
    """On a CPU a buffer is kept beside the input, contiguous like the result."""
    result, buffer = (machine.empty(x.shape, x.dtype) for _ in range(2))

    def backward(grad: Tensor, *kept: Tensor) -> Gradients:
        return (fresh(grad, *kept),)

    machine.record((x,), (result,), (x, buffer), backward)
    return result


def softsign(machine: Machine, x: Tensor) -> Tensor:
    """`x / (1 + |x|)`, in so many operations."""
    return divide(machine, x, add(machine, absolute(machine, x), 1))


def tanh_shrink(machine: Machine, x: Tensor) -> Tensor:
    """`x - tanh(x)`, in two operations."""
    return subtract(machine, x, OUTPUT(machine, x))


def clamp(
    machine: Machine, x: Tensor, min: Operand = None, max: Operand = None
) -> Tensor:
    """Bounds that are numbers: the input is kept; behind, a zero and a truth value for each bound are made."""
    result = fresh(x)
    bounds = (min is not None) + (max is not None)

    def backward(grad: Tensor, kept: Tensor) -> tuple[Tensor]:
        zero = machine.empty((), grad.dtype)
        masks = [fresh(kept, dtype=DType.BOOL) for _ in range(bounds)]
        made = fresh(grad, kept)
        del zero, masks
        return (made,)

    machine.record((x,), (result,), (x,), backward)
    return result


absolute = Unary("input", through=1)


# ---- two operands ---------------------------------------------------------------------------------


def _binary(
    machine: Machine,
    x: Operand,
    y: Operand,
    saved: Sequence[Tensor],
    backward: Backward,
    dtype: DType | None = None,
) -> Tensor:
    result = fresh(x, y, dtype=dtype)
    inputs = [each if isinstance(each, Tensor) else None for each in (x, y)]
    machine.record(inputs, (result,), saved, backward)
    return result


def add(machine: Machine, x: Operand, y: Operand) -> Tensor:
    """The gradient goes to both operands as it is."""

    def backward(grad: Tensor) -> Gradients:
        return grad, grad

    return _binary(machine, x, y, (), backward)


def subtract(machine: Machine, x: Operand, y: Operand) -> Tensor:
    """The second operand's gradient is negated."""
    second = needs(*tensors(y))

    def backward(grad: Tensor) -> Gradients:
        return grad, fresh(grad) if second else None

    return _binary(machine, x, y, (), backward)


def multiply(machine: Machine, x: Operand, y: Operand) -> Tensor:
    """Each operand is kept for the gradient of the other."""
    wants_x, wants_y = needs(*tensors(x)), needs(*tensors(y))
    saved = tensors(*([y] if wants_x else []), *([x] if wants_y else []))
    both = wants_x and isinstance(y, Tensor)

    def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor | None, Tensor | None]:
        of_x = (fresh(grad, kept[0]) if both else fresh(grad)) if wants_x else None
        return of_x, fresh(grad, *kept[-1:]) if wants_y else None

    return _binary(machine, x, y, saved, backward)


def divide(machine: Machine, x: Operand, y: Operand) -> Tensor:
    """The divisor is kept, and the dividend where the divisor needs a gradient."""
    wants_x, wants_y = needs(*tensors(x)), needs(*tensors(y))
    whole = all(not each.dtype.is_float for each in tensors(x, y))
    if not isinstance(x, Tensor):
        return multiply(machine, OUTPUT_THRICE(machine, y), x)

    def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor | None, Tensor | None]:
        of_x = fresh(grad, *kept[:1]) if wants_x else None
        return of_x, chain(grad, *kept, through=2) if wants_y else None

    saved = tensors(y, *([x] if wants_y else []))
    return _binary(machine, x, y, saved, backward, DType.FLOAT if whole else None)


OUTPUT_THRICE = Unary("output", through=2)


def power(machine: Machine, x: Operand, y: Operand) -> Tensor:
    """A number above keeps the base; a tensor keeps everything."""
    if not isinstance(y, Tensor):
        return Unary("input", through=2)(machine, x)
    if not isinstance(x, Tensor):
        return Unary("input output", through=1)(machine, y)

    def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor, Tensor]:
        return chain(grad, *kept, through=4), chain(grad, *kept, through=4)

    result = fresh(x, y)
    machine.record((x, y), (result,), (x, y, result), backward)
    return result


def remainder(machine: Machine, x: Operand, y: Operand) -> Tensor:
    """The gradient passes to the dividend as it is."""
    wants_y = needs(*tensors(y))

    def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor, Tensor | None]:
        return grad, chain(grad, *kept, through=2) if wants_y else None

    saved = tensors(y, x) if wants_y else ()
    return _binary(machine, x, y, saved, backward)


def extreme(machine: Machine, x: Tensor, y: Tensor) -> Tensor:
    """The least or greatest of two: both are kept; equal elements share the gradient."""

    def share(grad: Tensor, *kept: Tensor) -> Tensor:
        half, equal = fresh(grad), fresh(*kept, dtype=DType.BOOL)
        made, beyond = fresh(grad, *kept), fresh(*kept, dtype=DType.BOOL)
        del half, equal, beyond
        return made

    wants = [needs(each) for each in (x, y)]

    def backward(grad: Tensor, *kept: Tensor) -> tuple[Tensor | None, ...]:
        return tuple(share(grad, *kept) if each else None for each in wants)

    return _binary(machine, x, y, (y, x), backward)


def compare(machine: Machine, x: Operand, y: Operand) -> Tensor:
    """Truth values; nothing flows back."""
    return fresh(x, y, dtype=DType.BOOL)


def plain(machine: Machine, *operands: Operand, **_: Any) -> Tensor:
    """An element-wise result through which no gradient flows."""
    return fresh(*operands)


def where(machine: Machine, condition: Tensor, x: Operand, y: Operand) -> Tensor:
    """The condition is kept; behind, it chooses between the gradient and a zero."""
    wants = [needs(*tensors(each)) for each in (x, y)]

    def chosen(grad: Tensor, kept: Tensor) -> Tensor:
        zero = machine.empty((), grad.dtype)
        made = fresh(kept, grad, dtype=grad.dtype)
        del zero
        return made

    def backward(grad: Tensor, kept: Tensor) -> tuple[Tensor | None, ...]:
        return (None, *(chosen(grad, kept) if each else None for each in wants))

    dtype = promoted(tensors(x, y)) if tensors(x, y) else DType.FLOAT
    scalars = [machine.empty((), dtype) for each in (x, y) if not tensors(each)]
    result = fresh(condition, x, y, dtype=dtype)
    inputs = [
        None,
        *(each if isinstance(each, Tensor) else None for each in (x, y)),
    ]
    machine.record(inputs, (result,), (condition,), backward)
    del scalars
    return result


def convert(machine: Machine, x: Tensor, dtype: Any, **_: Any) -> Tensor:
    """`x.to(dtype)`: the very same tensor where it has that type."""
    if not isinstance(dtype, DType) or same_type(machine, x.dtype, dtype):
        return x
    result = empty_like(x, dtype)
    source = x.dtype
    if dtype.is_float:
        machine.record(
            (x,), (result,), (), through(lambda grad: empty_like(grad, source))
        )
    return result


def to_long(machine: Machine, x: Tensor) -> Tensor:
    """`x.long()`"""
    return convert(machine, x, DType.I64)


def same_type(machine: Machine, one: DType, other: DType) -> bool:
    """Whether two element types are one under the policy (`float` may be float32)."""
    return one is other or (
        {one, other} == {DType.FLOAT, DType.F32} and machine.element(DType.FLOAT) == 4
    )


POINTWISE: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(
        (
            "F.relu6",
            "F.gelu",
            "F.silu",
            "F.hardsigmoid",
            "F.hardswish",
            "F.softplus",
            "F.elu",
            "F.selu",
            "F.celu",
            "F.leaky_relu",
            "F.mish",
            "F.hardtanh",
            "F.softshrink",
            "F.hardshrink",
            "torch.log",
        ),
        INPUT,
    ),
    **dict.fromkeys(("F.relu", "torch.sigmoid", "torch.tanh", "torch.exp"), OUTPUT),
    **dict.fromkeys(
        ("torch.sign", "torch.floor", "torch.ceil", "torch.round", "neg"), Unary()
    ),
    **dict.fromkeys(("torch.sin", "torch.abs", "torch.log1p"), Unary("input", 1)),
    **dict.fromkeys(("torch.sqrt", "torch.expm1"), Unary("output", 1)),
    **dict.fromkeys(("torch.rsqrt", "torch.reciprocal"), OUTPUT_THRICE),
    **dict.fromkeys(("torch.cos", "torch.square"), Unary("input", 2)),
    "torch.erf": Unary("input", 4),
    "Tensor.abs": absolute,
    "F.logsigmoid": log_sigmoid,
    "F.softsign": softsign,
    "F.tanhshrink": tanh_shrink,
    "Tensor.clamp": clamp,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "**": power,
    "%": remainder,
    "//": plain,
    "&": plain,
    "|": plain,
    "~": plain,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), compare),
    "torch.minimum": extreme,
    "torch.maximum": extreme,
    "torch.where": where,
    "Tensor.to": convert,
    "Tensor.long": to_long,
}
