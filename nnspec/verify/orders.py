"""Tensors from the order of axes that a program uses to the one that the spec means, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnspec.verify.exchange import Array

Permutation = tuple[int, ...]
"""For each physical place, the logical axis that lies there."""


def to_physical(array: Array, order: Permutation) -> Array:
    """A tensor as the program takes it."""
    return np.ascontiguousarray(array.transpose(order)) if array.ndim else array


def to_logical(array: Array, order: Permutation) -> Array:
    """A tensor as the spec means it; as it is where it does not even have as many axes."""
    if array.ndim != len(order):
        return array
    return array.transpose([order.index(axis) for axis in range(len(order))])


def all_to_physical(
    arrays: Sequence[Array], orders: Sequence[tuple[str, Permutation]]
) -> list[Array]:
    """Several tensors as the program takes them."""
    return [to_physical(a, order) for a, (_, order) in zip(arrays, orders, strict=True)]


def all_to_logical(
    arrays: Sequence[Array], orders: Sequence[tuple[str, Permutation]]
) -> list[Array]:
    """Several tensors as the spec means them; as they are where their number is wrong."""
    if len(arrays) != len(orders):
        return list(arrays)
    return [to_logical(a, order) for a, (_, order) in zip(arrays, orders, strict=True)]
