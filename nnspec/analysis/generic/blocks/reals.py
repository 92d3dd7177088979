"""Numbers that are no integers: their values, what they were computed from, and where they are 0.

What a number is does not matter to any figure but for one thing: a rate of dropout that is 0 drops nothing.
"""

from __future__ import annotations

from typing import Any

from nnspec.ir.dims import Dim, dim
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Real:
    """A number that is no integer, and the model's constants that it was computed from.

    It is 0 exactly where the size `zero` is; None if no size is known that says so.
    """

    value: float
    names: frozenset[str]
    zero: Dim | None = None


def zero_of(sign: str, left: Any, right: Any) -> Dim | None:
    """Where a product or quotient of numbers is 0, as a size."""
    one, other = _zero(left), _zero(right)
    if sign == "/":
        return one
    if sign != "*" or one is None or other is None:
        return None
    return one * other


def _zero(value: Any) -> Dim | None:
    if isinstance(value, Real):
        return value.zero
    if isinstance(value, Dim):
        return value
    return dim(0 if value == 0 else 1)
