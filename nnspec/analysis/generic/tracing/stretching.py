"""Axes that must be equal or 1: what broadcasting decided, as conditions on the constants behind the sizes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, zip_longest
from typing import Any

from nnspec.analysis.generic.names.facts import Facts
from nnspec.ir.dims import ONE, Dim
from nnspec.ir.types import TensorType
from nnspec.ops.base import Layout, Operator
from nnspec.ops.products import Matmul


def decisions(
    op: Operator, given: tuple[Any, ...], facts: Facts
) -> Iterator[tuple[str, Dim]]:
    """The comparisons with 1, `==` or `!=`, on which the shape of a result hangs.

    Sizes that are the same in the constants of the model fit whatever these are, and a literal 1 always
    stretches. Of others, one that is 1 by its constants would not stretch for another value, and one that is
    not would stretch for 1; that two which do not stretch are equal is the spec's own matter.
    """
    for left, right in combinations(_shapes(op, given), 2):
        for pair in zip_longest(reversed(left), reversed(right), fillvalue=ONE):
            generic = [facts.applied(size.generic) for size in pair]
            if generic[0] != generic[1] and ONE not in generic:
                for size, name in zip(pair, generic, strict=True):
                    yield ("==" if size.value == 1 else "!="), name


def _shapes(op: Operator, given: tuple[Any, ...]) -> list[tuple[Dim, ...]]:
    """The shapes that are laid over each other, from the right."""
    shapes = [each.shape for each in given if isinstance(each, TensorType)]
    if isinstance(op, Matmul):
        return [shape[:-2] for shape in shapes]
    return shapes if op.layout is Layout.ELEMENTWISE else []
