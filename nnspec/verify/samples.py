"""Random weights, inputs and cotangents, from a seed: the same for every backend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np

from nnspec.ir.dims import Dim
from nnspec.ir.graph import Program
from nnspec.ir.types import DType, TensorType
from nnspec.targets.weights import WeightEntry
from nnspec.verify.exchange import Array
from nnspec.verify.indices import index_limits

SMALL = 5
"""Integers that look nothing up are less than this."""

NUMPY = {
    DType.FLOAT: "float64",
    DType.F64: "float64",
    DType.F32: "float32",
    DType.F16: "float16",
    DType.BF16: "float32",
    DType.I8: "int8",
    DType.I16: "int16",
    DType.I32: "int32",
    DType.I64: "int64",
    DType.U8: "uint8",
    DType.BOOL: "bool",
}


def shape_at(kind: TensorType, sizes: Mapping[str, int]) -> tuple[int, ...]:
    """The shape of a tensor for these values of the symbols."""
    return tuple(int(size.at(sizes)) for size in kind.shape)


def draw_inputs(
    program: Program, sizes: Mapping[str, int], seed: int, *, positive: bool = False
) -> list[Array]:
    """A value for each input of the model, axes in the logical order.

    Floats are normal, or uniform between 0 and 1 where they must be positive; integers lie in the range
    of what they look up.
    """
    generator = np.random.default_rng([seed, 1, *sizes.values()])
    main = program.main
    limits = index_limits(program)
    found: list[Array] = []
    for place, port in enumerate(main.inputs):
        assert isinstance(port.values, int)
        kind = main.types[port.values]
        shape = shape_at(kind, sizes)
        found.append(
            _drawn(generator, kind.dtype, shape, limits[place], sizes, positive)
        )
    return found


def _drawn(
    generator: np.random.Generator,
    dtype: DType,
    shape: tuple[int, ...],
    limits: Sequence[Dim],
    sizes: Mapping[str, int],
    positive: bool,
) -> Array:
    if dtype is DType.BOOL:
        return generator.random(shape) < 0.7
    if dtype.is_integer:
        return generator.integers(0, _limit(limits, sizes), shape).astype(NUMPY[dtype])
    values = (
        generator.uniform(0.05, 0.95, shape)
        if positive
        else generator.standard_normal(shape)
    )
    return values.astype(NUMPY[dtype])


def _limit(limits: Sequence[Dim], sizes: Mapping[str, int]) -> int:
    known = [int(limit.at(sizes)) for limit in limits]
    return max(min(known), 1) if known else SMALL


def draw_weights(entries: Sequence[WeightEntry], seed: int) -> dict[str, Array]:
    """A value for each PyTorch tensor: matrices keep the size of what flows, variances are positive."""
    generator = np.random.default_rng([seed, 2])
    found: dict[str, Array] = {}
    for entry in entries:
        for source, shape in zip(entry.sources, entry.source_shapes, strict=True):
            found[source] = _weight(generator, source, shape)
    return found


def _weight(generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
    if name.endswith("running_var"):
        return generator.uniform(0.5, 2.0, shape)
    values = generator.standard_normal(shape)
    if len(shape) > 1:
        return values / np.sqrt(max(prod(shape[1:]), 1))
    centre = 1.0 if name.endswith("weight") else 0.0
    return np.asarray(centre + 0.3 * values)  # of one number NumPy makes no array


def draw_cotangents(outputs: Sequence[Array], seed: int) -> list[Array | None]:
    """What each output is multiplied by before all are summed up; none for what has no gradient."""
    generator = np.random.default_rng([seed, 3])
    return [
        generator.standard_normal(output.shape).astype(output.dtype)
        if output.dtype.kind == "f"
        else None
        for output in outputs
    ]
