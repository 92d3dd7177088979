"""How far two tensors are apart, and how far they may be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf

import numpy as np

from nnspec.ir.graph import Program
from nnspec.ir.types import DType
from nnspec.verify.exchange import Array
from nnspec.verify.measured import Kind, allowance

EXACT = 1e-9
"""What is allowed in float64."""
SINGLE = 1e-4
"""What is allowed in float32."""
SMALLEST_SHARE = 1e-6
"""A tensor is not measured by less than this share of the largest of its kind, so that a gradient that
is truly zero does not count as infinitely wrong."""
SMALLEST_GRADIENT = 1e-5
"""The same for gradients. Of a bias in front of a batch norm the gradient is zero, and what is computed is
what rounding leaves of a sum: PyTorch's own, with weights changed in the last bit, differs by up to
1.2e-15 of the largest gradient of a small model."""

REDUCED = {DType.F32: 1e-5, DType.F16: 2e-2, DType.BF16: 1e-1}
"""What is allowed where the spec itself asks for fewer bits under every policy."""


def tolerance(program: Program, backend: str, kind: Kind) -> float:
    """What outputs or gradients of a program may differ by in float64, on a Keras backend."""
    functions = program.functions.values()
    kinds = {kind.dtype for function in functions for kind in function.types.values()}
    used = {
        node.op.op_name()
        for function in functions
        for node in function.nodes
        if node.op is not None
    }
    listed = [allowance(name, backend, kind) for name in sorted(used)]
    known = [measured.within for measured in listed if measured is not None]
    reduced = [REDUCED[kind] for kind in kinds if kind in REDUCED]
    return max([EXACT, *known, *reduced])


def largest(arrays: Iterable[Array]) -> float:
    """The largest finite magnitude among tensors of one kind."""
    return max((_magnitude(array) for array in arrays), default=0.0)


def error(
    found: Array, wanted: Array, scale: float = 0.0, share: float = SMALLEST_SHARE
) -> float:
    """max|found - wanted| over max|wanted|, at least `share` of `scale`.

    Infinite where shapes differ, or where one has an infinity or no number and the other has not.
    """
    if found.shape != wanted.shape or found.dtype.kind != wanted.dtype.kind:
        return inf
    if found.size == 0:
        return 0.0
    ours, theirs = found.astype("float64"), wanted.astype("float64")
    finite = np.isfinite(theirs)
    if not np.array_equal(finite, np.isfinite(ours)):
        return inf
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        return inf
    if not finite.any():
        return inf  # nothing to compare proves nothing
    apart = float(np.max(np.abs(ours[finite] - theirs[finite])))
    if apart == 0:
        return 0.0
    return apart / max(_magnitude(wanted), share * scale, np.finfo("float64").tiny)


def same_bits(ours: Sequence[Array], theirs: Sequence[Array]) -> bool:
    """Whether tensors are the same, element by element."""
    return len(ours) == len(theirs) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(ours, theirs, strict=True)
    )


def worst(found: Mapping[str, Array], wanted: Mapping[str, Array]) -> tuple[float, str]:
    """The largest error among gradients or statistics by name, and whose it is."""
    scale = largest(wanted.values())
    errors = {
        name: error(found[name], array, scale, SMALLEST_GRADIENT)
        for name, array in wanted.items()
    }
    if not errors:
        return 0.0, ""
    name = max(errors, key=lambda name: errors[name])
    return errors[name], name


def _magnitude(array: Array) -> float:
    if array.size == 0:
        return 0.0
    values = np.abs(array.astype("float64"))
    values = values[np.isfinite(values)]
    return float(values.max()) if values.size else 0.0
