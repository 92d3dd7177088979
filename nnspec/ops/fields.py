"""The types of operators' fields: what a user may write, and as what the operator keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

from nnspec.ir.dims import Dim, dim
from nnspec.ops.checked import After, Before


def at_least(bound: int) -> Callable[[Dim], Dim]:
    """A validator: a constant size is no less than the bound (one that holds a symbol passes)."""

    def check(value: Dim) -> Dim:
        if value.is_constant and int(value) < bound:
            raise ValueError(f"must be at least {bound}, not {value}")
        return value

    return check


def _as_dim(value: Any) -> Any:
    return dim(value) if type(value) is int else value


def _as_tuple(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_as_dim(item) for item in cast(Sequence[Any], value))
    return _as_dim(value)


Integer = Annotated[Dim, Before(_as_dim)]
Natural = Annotated[Dim, Before(_as_dim), After(at_least(0))]
Count = Annotated[Dim, Before(_as_dim), After(at_least(1))]
Integers = Annotated[tuple[Dim, ...], Before(_as_tuple)]
IntegerOrList = Annotated[Dim | tuple[Dim, ...], Before(_as_tuple)]


def _probability(value: float) -> float:
    if not 0 <= value < 1:
        raise ValueError(f"must be at least 0 and less than 1, not {value}")
    return value


def _as_float(value: Any) -> Any:
    if isinstance(value, Dim) and value.is_constant:
        return float(int(value))
    return float(value) if type(value) is int else value


Float = Annotated[float, Before(_as_float)]
Rate = Annotated[float, Before(_as_float), After(_probability)]
