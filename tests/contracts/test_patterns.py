"""Patterns against an evaluation of each element: many patterns, sizes given and open."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lowering import lower
from patterns_oracle import rearranged

from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.types import TensorType
from nnspec.ops import OPS

OPS_IN_NUMPY = SimpleNamespace(
    reshape=np.reshape,
    transpose=np.transpose,
    expand_dims=np.expand_dims,
    shape=np.shape,
)


@dataclass(frozen=True)
class Sample:
    """A pattern, an array that it fits, and the array's type with some sizes open."""

    pattern: str
    sizes: dict[str, int]
    array: np.ndarray
    type: TensorType


@st.composite
def samples(draw: st.DrawFn) -> Sample:
    names = list("abcdef")[: draw(st.integers(1, 6))]
    known = {name: draw(st.integers(1, 3)) for name in names}
    left = draw(grouped(names))
    right = draw(grouped(draw(st.permutations(names))))
    sizes: dict[str, int] = {}
    shape: list[Dim] = []
    for axis, group in enumerate(left):
        count = prod(known[name] for name in group)
        kept = draw(st.sampled_from(group)) if group else None
        given_names = [name for name in group if name != kept]
        is_open = bool(group) and draw(st.booleans())
        if not is_open and draw(st.booleans()):
            given_names = group
        sizes |= {name: known[name] for name in given_names}
        scale = prod(known[name] for name in given_names)
        shape.append(symbol(f"S{axis}", scale) if is_open else dim(count))
    counts = [prod(known[name] for name in group) for group in left]
    array = np.arange(prod(counts), dtype=float).reshape(counts)
    pattern = f"{spelled(left)} -> {spelled(right)}"
    return Sample(pattern, sizes, array, TensorType(tuple(shape)))


@st.composite
def grouped(draw: st.DrawFn, names: list[str]) -> list[list[str]]:
    """Names in a row cut into groups, with axes of size 1 strewn in."""
    groups: list[list[str]] = []
    for name in names:
        if draw(st.integers(0, 5)) == 0:
            groups.append([])
        if groups and groups[-1] and draw(st.booleans()):
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def spelled(groups: list[list[str]]) -> str:
    return " ".join(
        "1" if not group else group[0] if len(group) == 1 else f"({' '.join(group)})"
        for group in groups
    )


def rearranging(pattern: str, sizes: dict[str, int]) -> Any:
    made: Any = OPS["rearrange"]
    return made(pattern=pattern, sizes=sizes)


def evaluated(sample: Sample, target: str, x: Any, names: dict[str, Any]) -> np.ndarray:
    operator = rearranging(sample.pattern, sample.sizes)
    (source,) = lower(operator, [sample.type], target).results
    return np.asarray(eval(source, {**names, "x0": x}))


def check(sample: Sample, result: np.ndarray) -> None:
    expected = rearranged(sample.array, sample.pattern, sample.sizes)
    np.testing.assert_array_equal(result, expected)
    operator = rearranging(sample.pattern, sample.sizes)
    inferred = operator.infer(sample.type)
    values = {f"S{axis}": size for axis, size in enumerate(sample.array.shape)}
    assert [int(size.at(values)) for size in inferred.shape] == list(expected.shape)


@settings(max_examples=400, deadline=None)
@given(samples())
def test_the_keras_form_moves_each_element_rightly(sample: Sample) -> None:
    check(sample, evaluated(sample, "keras", sample.array, {"ops": OPS_IN_NUMPY}))


@pytest.mark.framework
@settings(max_examples=200, deadline=None)
@given(samples())
def test_the_pytorch_form_moves_each_element_rightly(sample: Sample) -> None:
    import torch

    x = torch.from_numpy(sample.array)
    check(sample, evaluated(sample, "torch", x, {"torch": torch}))


SPELLINGS = [
    (
        "b t (h d) -> b h t d",
        {"h": 4},
        [2, 3, 8],
        "x0.unflatten(-1, (4, -1)).transpose(1, 2)",
    ),
    ("b h t d -> b t (h d)", {}, [2, 4, 3, 5], "x0.transpose(1, 2).flatten(2)"),
    ("b c h w -> b (h w) c", {}, [2, 3, 4, 5], "x0.permute(0, 2, 3, 1).flatten(1, 2)"),
    ("a b -> b a", {}, [2, 3], "x0.transpose(0, 1)"),
    ("a b -> a b", {}, [2, 3], "x0"),
    ("b ... -> b (...)", {}, [2, 3, 4], "x0.flatten(1)"),
    ("b 1 d -> b d", {}, [2, 1, 4], "x0.squeeze(1)"),
    ("b d -> b 1 d", {}, [2, 4], "x0.unsqueeze(1)"),
    ("a (b c) -> (a b) c", {"b": 2}, [3, 4], "x0.reshape(6, 2)"),
]


@pytest.mark.parametrize(("pattern", "sizes", "shape", "expected"), SPELLINGS)
def test_reads_like_written_by_hand(
    pattern: str, sizes: dict[str, int], shape: list[int], expected: str
) -> None:
    operator = rearranging(pattern, sizes)
    x = TensorType(tuple(dim(size) for size in shape))
    (source,) = lower(operator, [x], "torch").results
    assert ast.unparse(ast.parse(source)) == expected
