"""Tensors that are made from constants, from randomness, or as parameters."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, cast

from nnspec.ir.dims import ONE, ZERO, Dim, dim
from nnspec.ir.types import DType, TensorType
from nnspec.ops.base import (
    Count,
    Integer,
    Integers,
    Io,
    Layout,
    NoFlops,
    OpError,
    Traffic,
    Weight,
)
from nnspec.ops.checked import Before
from nnspec.ops.element_types import created, dtype_expression
from nnspec.ops.elementwise import Number, check_scalar
from nnspec.ops.initializers import ZEROS, Initializer
from nnspec.pycode.expressions import Display, Expr, Namespace

torch, ops = Namespace("torch"), Namespace("ops")


def check_sizes(shape: Sequence[Dim]) -> None:
    """Raises `OpError` if a size is known to be less than 1."""
    for size in shape:
        if size.falls_below(1):
            raise OpError(
                f"a tensor cannot have an axis of {size} elements",
                param="shape",
                hint="use sizes of at least 1",
                code="E0408",
            )


class Arange(NoFlops):
    """The integers 0, 1, ..., stop - 1, or from `start` in steps: -> i64[N].

    `arange(stop)` or `arange(start, stop, step)`; `stop` itself is not reached.

    Example: `positions = arange(T)`
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    spelling: ClassVar[str | None] = "arange"
    per_result: ClassVar[int | None] = 0

    start: Integer | None = None
    stop: Integer | None = None
    step: Integer = ONE

    def _bounds(self) -> tuple[Dim, Dim]:
        if self.start is None and self.stop is None:
            message, hint = "no end is given", "write `arange(stop)`"
            raise OpError(message, param="stop", hint=hint, code="E0409")
        if self.stop is None:
            return ZERO, self.start or ZERO
        return self.start or ZERO, self.stop

    def infer(self) -> TensorType:
        start, stop = self._bounds()
        if not self.step.is_constant or self.step == 0:
            message = f"the step is {self.step}"
            hint = "use an integer other than 0"
            raise OpError(message, param="step", hint=hint, code="E0409")
        count = (stop - start).ceil_divide(self.step)
        if count.falls_below(1):
            raise OpError(
                f"there is no integer from {start} to {stop} in steps of {self.step}",
                param="stop" if self.stop is not None else "start",
                hint="give an end beyond the start",
                code="E0408",
            )
        return TensorType((count,), DType.I64)

    def _arguments(self) -> tuple[Dim, ...]:
        start, stop = self._bounds()
        if self.step != 1:
            return start, stop, self.step
        return (stop,) if start == 0 else (start, stop)

    def torch(self, io: Io) -> Expr:
        return torch.arange(*self._arguments(), **io.device())

    def keras(self, io: Io) -> Expr:
        return ops.arange(*self._arguments(), **created(io, DType.I64))


class Uniform(NoFlops, abc.ABC):
    """A tensor of a given shape and element type, every element the same."""

    inputs: ClassVar[tuple[str, ...]] = ()
    function: ClassVar[str]
    per_result: ClassVar[int | None] = 0

    shape: Integers
    dtype: DType = DType.FLOAT

    def infer(self) -> TensorType:
        check_sizes(self.shape)
        return TensorType(self.shape, self.dtype)

    def torch(self, io: Io) -> Expr:
        return getattr(torch, self.function)(self.shape, **created(io, self.dtype))

    def keras(self, io: Io) -> Expr:
        return getattr(ops, self.function)(self.shape, **created(io, self.dtype))


class Zeros(Uniform):
    """A tensor of zeros: -> dtype[*shape].

    Example: `zeros([B, 64])`
    """

    spelling: ClassVar[str | None] = "zeros"
    function: ClassVar[str] = "zeros"


class Ones(Uniform):
    """A tensor of ones: -> dtype[*shape].

    Example: `ones([T, T], dtype=bool)`
    """

    spelling: ClassVar[str | None] = "ones"
    function: ClassVar[str] = "ones"


def _as_number(value: Any) -> Any:
    return dim(value) if type(value) is int else value


class Full(NoFlops):
    """A tensor whose every element is `value`: -> dtype[*shape].

    Example: `full([B, 1], 2.5)`
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    spelling: ClassVar[str | None] = "full"
    per_result: ClassVar[int | None] = 0

    shape: Integers
    value: Annotated[float | Dim | bool, Before(_as_number)]
    dtype: DType = DType.FLOAT

    def infer(self) -> TensorType:
        check_sizes(self.shape)
        check_scalar(self.value, self.dtype, input="value")
        return TensorType(self.shape, self.dtype)

    def torch(self, io: Io) -> Expr:
        return torch.full(self.shape, io.arg("value"), **self._keywords(io))

    def keras(self, io: Io) -> Expr:
        return ops.full(self.shape, io.arg("value"), **self._keywords(io))

    def _keywords(self, io: Io) -> dict[str, Any]:
        # PyTorch would take the element type of an integer value from that value.
        keywords = created(io, self.dtype)
        if io.target == "torch" and isinstance(self.value, Dim):
            return {"dtype": dtype_expression(io, self.dtype), **keywords}
        return keywords


class AlikeTensor(NoFlops, abc.ABC):
    """A tensor of the shape and element type of another, every element the same."""

    layout: ClassVar[Layout] = Layout.ELEMENTWISE
    function: ClassVar[str]
    per_result: ClassVar[int | None] = 0
    reads_values: ClassVar[bool] = False

    def infer(self, x: TensorType) -> TensorType:
        return x

    def torch(self, io: Io) -> Expr:
        return getattr(torch, self.function)(io["x"])

    def keras(self, io: Io) -> Expr:
        return getattr(ops, self.function)(io["x"])


class ZerosLike(AlikeTensor):
    """Zeros of the shape and element type of x: [*S] -> [*S].

    Example: `zeros_like(x)`
    """

    spelling: ClassVar[str | None] = "zeros_like"
    function: ClassVar[str] = "zeros_like"


class OnesLike(AlikeTensor):
    """Ones of the shape and element type of x: [*S] -> [*S].

    Example: `ones_like(x)`
    """

    spelling: ClassVar[str | None] = "ones_like"
    function: ClassVar[str] = "ones_like"


# ---- literal tensors ---------------------------------------------------------------------


def _as_nested(value: Any) -> Any:
    if isinstance(value, list | tuple):
        items = cast(Sequence[Any], value)
        return tuple(_as_nested(item) for item in items)
    return _as_number(value)


def _flat(values: Any) -> list[Number]:
    if not isinstance(values, tuple):
        return [values]
    items = cast(Sequence[Any], values)
    return [number for item in items for number in _flat(item)]


def _shape(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple):
        return ()
    items = cast(Sequence[Any], values)
    shapes = {_shape(item) for item in items}
    if len(shapes) != 1:
        raise OpError(
            "the list is empty" if not shapes else "the lists in it differ in length",
            param="values",
            hint="give every list of one level the same number of elements",
            code="E0406",
        )
    return (len(items), *shapes.pop())


def _lists(values: Expr) -> Expr:
    """Nested tuples spelled as the lists that the spec wrote."""
    if not isinstance(values, Display):
        return values
    return Display("list", tuple(_lists(item) for item in values.items))


class LiteralTensor(NoFlops):
    """The numbers of a (nested) list: -> dtype[*S].

    Integers alone give i64, truth values alone bool, all else floats, unless `dtype` says.

    Example: `tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]], dtype=float)`
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    spelling: ClassVar[str | None] = "tensor"
    per_result: ClassVar[int | None] = 0

    values: Annotated[Any, Before(_as_nested)]

    @property
    def numbers(self) -> list[Number]:
        """Every number, in order."""
        return _flat(self.values)

    dtype: DType | None = None

    def infer(self) -> TensorType:
        shape = _shape(self.values)
        dtype = self._dtype()
        for value in _flat(self.values):
            self._check(value, dtype)
        return TensorType(tuple(dim(size) for size in shape), dtype)

    def _dtype(self) -> DType:
        if self.dtype is not None:
            return self.dtype
        numbers = _flat(self.values)
        if all(isinstance(number, bool) for number in numbers):
            return DType.BOOL
        if all(isinstance(number, Dim) for number in numbers):
            return DType.I64
        return DType.FLOAT

    def _check(self, value: object, dtype: DType) -> None:
        if not isinstance(value, bool | float | Dim):
            message, hint = f"{value!r} is no number", "list numbers only"
            raise OpError(message, param="values", hint=hint, code="E0404")
        if isinstance(value, Dim) and not value.is_constant:
            raise OpError(
                f"`{value}` is only known at run time",
                param="values",
                hint=f"use `full([1], {value}, dtype=i64)`",
                code="E0409",
            )
        check_scalar(value, dtype, input="values")

    def torch(self, io: Io) -> Expr:
        return torch.tensor(_lists(io.arg("values")), **created(io, self._dtype()))

    def keras(self, io: Io) -> Expr:
        # Without a type, lists of floats become float32 whatever the policy.
        dtype = dtype_expression(io, self._dtype())
        return ops.array(_lists(io.arg("values")), dtype=dtype)


class Eye(NoFlops):
    """The identity matrix: -> [size, size].

    Example: `eye(3)`
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    spelling: ClassVar[str | None] = "eye"
    per_result: ClassVar[int | None] = 0

    size: Count
    dtype: DType = DType.FLOAT

    def infer(self) -> TensorType:
        return TensorType((self.size, self.size), self.dtype)

    def torch(self, io: Io) -> Expr:
        return torch.eye(self.size, **created(io, self.dtype))

    def keras(self, io: Io) -> Expr:
        return ops.eye(self.size, **created(io, self.dtype))


# ---- randomness and parameters -----------------------------------------------------------


class Random(NoFlops, abc.ABC):
    """Independent draws from a distribution, new ones in every forward pass."""

    inputs: ClassVar[tuple[str, ...]] = ()
    random: ClassVar[bool] = True
    per_result: ClassVar[int | None] = 0

    shape: Integers

    def infer(self) -> TensorType:
        check_sizes(self.shape)
        return TensorType(self.shape)

    def _keras(self, io: Io, function: Expr) -> Expr:
        seed = io.module(Namespace("keras.random").SeedGenerator)
        return function(self.shape, seed=seed, **created(io, DType.FLOAT))


class RandomNormal(Random):
    """Draws from N(0, 1), new ones in every forward pass: -> [*shape].

    Example: `noise = RandomNormal([B, 64])`
    """

    def torch(self, io: Io) -> Expr:
        return torch.randn(self.shape, **created(io, DType.FLOAT))

    def keras(self, io: Io) -> Expr:
        return self._keras(io, Namespace("keras.random").normal)


class RandomUniform(Random):
    """Draws from U(0, 1), new ones in every forward pass: -> [*shape].

    Example: `noise = RandomUniform([B, 64])`
    """

    def torch(self, io: Io) -> Expr:
        return torch.rand(self.shape, **created(io, DType.FLOAT))

    def keras(self, io: Io) -> Expr:
        return self._keras(io, Namespace("keras.random").uniform)


class Param(NoFlops):
    """A learned tensor: -> [*shape]. Starts at zero unless `init` says otherwise.

    Example: `token = Param([1, 1, D], init=init.normal(std=0.02))`
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    per_result: ClassVar[int | None] = 0

    shape: Integers
    init: Initializer = ZEROS

    def infer(self) -> TensorType:
        check_sizes(self.shape)
        for size in self.shape:
            if not size.is_constant:
                raise OpError(
                    f"a parameter cannot have the size `{size}`, which varies",
                    param="shape",
                    hint="use a size that is fixed when the model is made",
                    code="E0409",
                )
        return TensorType(self.shape)

    def weights(self) -> Mapping[str, Weight]:
        return {"": Weight(self.shape, self.init, chosen=True)}

    def traffic(self) -> Traffic:
        """Nothing moves: whoever uses the weight reads it."""
        return Traffic()

    def torch(self, io: Io) -> Expr:
        return io.parameter("")

    def keras(self, io: Io) -> Expr:
        return io.parameter("")

    def keras_parameter(self, name: str, layer: Expr) -> Expr:
        return layer
