"""What an operator promises, and whether it keeps it.

A `Case` applies one operator to arrays. Its contract: the types that it infers are those of the results;
PyTorch, Keras on each of its backends and an oracle written in NumPy agree on the results, in
float64; the gradients of PyTorch and Keras agree, and agree with differences of the oracle; its weights
are those of the modules that it makes; its FLOPs are those that PyTorch counts.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from arrays import Array, Input, booleans, given, integers, normal, single, uniform
from lowering import channels_last, infer

from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.types import DType, TensorType
from nnspec.ops import OPS
from nnspec.ops.base import Layout, Operator, Weight
from nnspec.verify.measured import allowance
from nnspec.verify.process import QUICK_COMPILATION

KERAS_BACKENDS = ("tensorflow", "jax", "torch")
TOLERANCE = {np.dtype("float64"): 1e-9, np.dtype("float32"): 1e-5}


@dataclass(frozen=True)
class Case:
    """One use of an operator.

    `inputs` follow the operator's own `inputs`: None for a missing one, a list for a listed one. The
    oracle takes the arrays in that order and the weights by name. `removed` names the axes that the
    result lacks, where a result of another rank keeps the physical order of the axes that stay.
    `differentiable=False`: no differences of the oracle are taken (steps, or state in training).
    """

    op: str
    fields: Mapping[str, Any]
    inputs: Sequence[Input | Sequence[Input] | None]
    oracle: Callable[..., Any]
    note: str = ""
    training: bool = False
    removed: tuple[int, ...] | None = None
    differentiable: bool = True
    counted: bool = True
    weights: Mapping[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = (
        field(default_factory=dict)
    )

    @property
    def id(self) -> str:
        """A name for reports."""
        parts = [f"{key}={value}" for key, value in self.fields.items()]
        if self.training:
            parts.append("training")
        text = ",".join([*parts, *([self.note] if self.note else [])])
        return f"{self.op}({text})".replace(" ", "")

    @property
    def operator(self) -> Operator:
        return OPS[self.op](**self.fields)


def as_type(array: Array, symbols: str = "") -> TensorType:
    """The type of an array; float64 stands for the policy's float."""
    names = {
        "float64": "float",
        "float32": "f32",
        "int64": "i64",
        "int32": "i32",
        "uint8": "u8",
    }
    kind = DType(names.get(array.dtype.name, array.dtype.name))
    marks = symbols.split() or ["_"] * array.ndim
    assert len(marks) == array.ndim, "one mark for each axis"
    sizes = [
        dim(n) if mark == "_" else symbol(mark)
        for n, mark in zip(array.shape, marks, strict=True)
    ]
    return TensorType(tuple(sizes), kind)


@dataclass
class Draw:
    """A case with its arrays: everything random is drawn here, once, for all backends."""

    case: Case

    def __post_init__(self) -> None:
        random = np.random.default_rng(zlib.crc32(self.case.id.encode()))
        self.operator = self.case.operator
        self.arrays: list[Any] = [_draw(entry, random) for entry in self.case.inputs]
        self.types = [
            _types(entry, array)
            for entry, array in zip(self.case.inputs, self.arrays, strict=True)
        ]
        self.results = infer(self.operator, self.types)
        self.specs: Mapping[str, Weight] = self.operator.weights(*self.types)
        self.weights = {
            name: self._weight(name, spec, random) for name, spec in self.specs.items()
        }
        shapes = [tuple(int(size) for size in result.shape) for result in self.results]
        self.cotangents = [random.normal(size=shape) for shape in shapes]
        for i, result in enumerate(self.results):
            if result.dtype is DType.F32:
                self.cotangents[i] = self.cotangents[i].astype("float32")
        self.direction = [
            random.normal(size=a.shape) for a in [*self.flat(), *self.weights.values()]
        ]

    def _weight(self, name: str, spec: Weight, random: np.random.Generator) -> Array:
        shape = tuple(int(size) for size in spec.shape)
        if name in self.case.weights:
            return self.case.weights[name](random, shape)
        if name.endswith("var"):
            return random.uniform(0.5, 1.5, size=shape)
        return random.normal(size=shape) * 0.5

    def flat(self) -> list[Array]:
        """The arrays of all inputs in a row."""
        return _flat(self.arrays)

    def symbolic(self) -> list[Any] | None:
        """The input types with open sizes, if the case names any."""
        entries: list[Any] = [
            e
            for entry in self.case.inputs
            if entry
            for e in (entry if isinstance(entry, list | tuple) else [entry])
        ]
        if not any(entry.symbols for entry in entries):
            return None
        return [
            _types(entry, array, symbolic=True)
            for entry, array in zip(self.case.inputs, self.arrays, strict=True)
        ]

    def orders(self) -> list[bool]:
        """The orders of axes that Keras must be tried in; True: channels last."""
        ranks = {array.ndim for array in self.flat()}
        layout = self.operator.layout
        spatial = any(rank > 2 for rank in ranks)
        if layout is Layout.LOGICAL or not spatial:
            return [False]
        if layout is Layout.SPATIAL:
            return [True]
        return [False, True] if len(ranks) == 1 else [False]

    def result_orders(self) -> list[tuple[int, ...]]:
        """How Keras orders the axes of each result when its inputs have their channels last."""
        rank = self.flat()[0].ndim
        if self.operator.layout is Layout.SPATIAL:
            return [order_of(r.rank, True) for r in self.results]
        orders: list[tuple[int, ...]] = []
        for result in self.results:
            if result.rank == rank:
                orders.append(channels_last(rank))
                continue
            assert self.case.removed is not None, (
                "say which axes are removed (Case.removed)"
            )
            stay = [axis for axis in range(rank) if axis not in self.case.removed]
            orders.append(
                tuple(stay.index(axis) for axis in channels_last(rank) if axis in stay)
            )
        return orders

    def oracle(self, step: float = 0.0) -> list[Array]:
        """The oracle's results, with everything that is differentiable moved along the direction."""
        flat = [*self.flat(), *self.weights.values()]
        moved = [
            array + step * direction if self._moves(i) else array
            for i, (array, direction) in enumerate(
                zip(flat, self.direction, strict=True)
            )
        ]
        count = len(self.flat())
        arrays = _unflat(self.arrays, moved[:count])
        result = self.case.oracle(
            *arrays, **dict(zip(self.weights, moved[count:], strict=True))
        )
        return [
            np.asarray(r)
            for r in (result if isinstance(result, tuple | list) else [result])
        ]

    def _moves(self, index: int) -> bool:
        count = len(self.flat())
        if index < count:
            return self.flat()[index].dtype.kind == "f"
        return list(self.specs.values())[index - count].trainable

    def slope(self, step: float = 1e-5) -> float:
        """The derivative of the weighted sum of the results along the direction, by differences."""
        return (self._sum(step) - self._sum(-step)) / (2 * step)

    def _sum(self, step: float) -> float:
        pairs = zip(self.oracle(step), self.cotangents, strict=True)
        return float(sum((r * c).sum() for r, c in pairs if r.dtype.kind == "f"))

    def slope_of(self, gradients: Mapping[str, Array]) -> float:
        """The same derivative, from gradients by name."""
        names = [f"x{i}" for i in range(len(self.flat()))] + list(self.weights)
        pairs = zip(names, self.direction, strict=True)
        return float(sum((gradients[n] * d).sum() for n, d in pairs if n in gradients))


def _draw(entry: Any, random: np.random.Generator) -> Any:
    if entry is None:
        return None
    return (
        [e.draw(random) for e in entry]
        if isinstance(entry, list | tuple)
        else entry.draw(random)
    )


def _types(entry: Any, array: Any, symbolic: bool = False) -> Any:
    if entry is None:
        return None
    if isinstance(entry, list | tuple):
        return tuple(
            as_type(a, e.symbols if symbolic else "")
            for e, a in zip(entry, array, strict=True)
        )
    return as_type(array, entry.symbols if symbolic else "")


def _flat(arrays: Sequence[Any]) -> list[Array]:
    return [
        a
        for entry in arrays
        if entry is not None
        for a in (entry if isinstance(entry, list) else [entry])
    ]


def _unflat(like: Sequence[Any], flat: Sequence[Array]) -> list[Any]:
    rest = iter(flat)
    return [
        None
        if entry is None
        else [next(rest) for _ in entry]
        if isinstance(entry, list)
        else next(rest)
        for entry in like
    ]


# ---- outcomes ---------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What a backend made of a case; `dynamic` are its results when it does not know the open sizes."""

    outputs: list[Array]
    gradients: dict[str, Array]
    dynamic: list[Array] | None = None
    flops: int | None = None


def deviations(measured: Sequence[Array], expected: Sequence[Array]) -> list[float]:
    """max|a - b| / max(max|b|, 1e-6 x the largest of all), for each pair; no number matches nan or inf."""
    finite = [
        np.abs(b[np.isfinite(b)]).max(initial=0)
        for b in expected
        if b.dtype.kind == "f"
    ]
    floor = 1e-6 * max(finite, default=0.0)
    found: list[float] = []
    for a, b in zip(measured, expected, strict=True):
        assert a.shape == b.shape, f"{a.shape} is not {b.shape}"
        if b.dtype.kind != "f":
            found.append(float(not np.array_equal(a, b)))
            continue
        same = np.isfinite(a) & np.isfinite(b)
        if not np.array_equal(a[~same], b[~same], equal_nan=True):
            found.append(float("inf"))
            continue
        scale = max(np.abs(b[same]).max(initial=0), floor, 1e-30)
        found.append(float(np.abs(a[same] - b[same]).max(initial=0) / scale))
    return found


def tolerance(case: Case, backend: str, kind: str, arrays: Sequence[Array]) -> float:
    """The deviation that is allowed: by the least precise element type, or measured and listed."""
    if kind in ("output", "gradient"):
        listed = allowance(case.op, backend, kind)
        if listed is not None:
            return listed.alone
    return max((TOLERANCE.get(array.dtype, 1e-9) for array in arrays), default=1e-9)


def check(
    case: Case,
    backend: str,
    kind: str,
    measured: Mapping[str, Array],
    expected: Mapping[str, Array],
) -> None:
    """Fails unless the arrays agree, name by name."""
    assert measured.keys() == expected.keys(), (
        f"{backend}: {kind} of {[*measured]}, expected of {[*expected]}"
    )
    names = list(expected)
    errors = deviations([measured[n] for n in names], [expected[n] for n in names])
    bound = tolerance(case, backend, kind, [*measured.values(), *expected.values()])
    wrong = {
        name: error
        for name, error in zip(names, errors, strict=True)
        if not error <= bound
    }
    assert not wrong, f"{backend}: {kind} of {case.id} differ by {wrong}"


def numbered(arrays: Sequence[Array]) -> dict[str, Array]:
    """Arrays by their number, for messages."""
    return {str(i): array for i, array in enumerate(arrays)}


# ---- Keras ------------------------------------------------------------------------------------------


class KerasWorker:
    """A process that has imported one Keras backend and answers for every case."""

    def __init__(self, backend: str) -> None:
        quiet = {
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",
            "CUDA_VISIBLE_DEVICES": "",
        }
        threads = dict.fromkeys(
            ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
        )
        here = Path(__file__).parent
        paths = os.pathsep.join([str(here), str(here.parents[1])])
        self.process = subprocess.Popen(
            [sys.executable, str(here / "keras_worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ
            | quiet
            | threads
            | {"XLA_FLAGS": QUICK_COMPILATION}
            | {"KERAS_BACKEND": backend, "PYTHONPATH": paths},
        )

    def run(self, module: str, index: int, last: bool) -> Outcome:
        """The outcome of a case of a module, by its place in the list."""
        assert self.process.stdin
        assert self.process.stdout
        pickle.dump((module, index, last), self.process.stdin)
        self.process.stdin.flush()
        answer = pickle.load(self.process.stdout)
        if isinstance(answer, str):
            raise AssertionError(answer)
        return answer

    def close(self) -> None:
        """Ends the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(timeout=30)


def order_of(rank: int, last: bool) -> tuple[int, ...]:
    """The order in which Keras gets the axes of an input."""
    return channels_last(rank) if last and rank > 2 else tuple(range(rank))


def logical(array: Array, order: Sequence[int]) -> Array:
    """An array whose axes stand in `order`, put back."""
    return array.transpose(np.argsort(order))


__all__ = [
    "KERAS_BACKENDS",
    "Array",
    "Case",
    "Dim",
    "Draw",
    "Input",
    "KerasWorker",
    "Outcome",
    "booleans",
    "check",
    "given",
    "integers",
    "logical",
    "normal",
    "numbered",
    "order_of",
    "single",
    "uniform",
]
