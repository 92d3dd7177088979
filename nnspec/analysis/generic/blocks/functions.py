"""The functions of constants that specs call, of generic arguments."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nnspec.analysis.generic.blocks.reals import Real
from nnspec.analysis.generic.blocks.values import (
    Progression,
    computed,
    integer,
    names_behind,
    plain,
    progression,
)
from nnspec.ir import dims
from nnspec.ir.dims import Dim, dim

if TYPE_CHECKING:
    from nnspec.analysis.generic.blocks.constants import Constants


def _range(constants: Constants, *bounds: Any) -> Progression:
    return progression([integer(bound) for bound in bounds])


def _length(constants: Constants, value: Any) -> Dim:
    return value.count if isinstance(value, Progression) else dim(len(value))


def _enumerated(constants: Constants, value: Any) -> Any:
    if isinstance(value, Progression):
        return Progression(value.count, lambda turn: (turn, value.element(turn)))
    return tuple((dim(i), item) for i, item in enumerate(constants.elements(value)))


def _zipped(constants: Constants, *values: Any) -> Any:
    columns = [value for value in values if isinstance(value, Progression)]
    if len(columns) < len(values):
        rows = zip(*(constants.elements(value) for value in values), strict=True)
        return tuple(rows)
    for other in columns[1:]:
        constants.note("==", columns[0].count.generic, other.count.generic)
    return Progression(
        columns[0].count, lambda turn: tuple(each.element(turn) for each in columns)
    )


def _reversed(constants: Constants, value: Any) -> Any:
    if isinstance(value, Progression):
        last = value.count - 1
        return Progression(value.count, lambda turn: value.element(last - turn))
    return tuple(reversed(constants.elements(value)))


def _sum(constants: Constants, value: Any) -> Any:
    result: Any = dim(0)
    for item in constants.elements(value):
        result = computed("+", result, item)
    return result


def _extreme(choose: Callable[..., Dim]) -> Callable[..., Dim]:
    def extreme(constants: Constants, *values: Any) -> Dim:
        items = constants.elements(values[0]) if len(values) == 1 else values
        return choose(*(integer(item) for item in items))

    return extreme


def _absolute(constants: Constants, value: Any) -> Any:
    """Of a size the sign is decided; of other numbers it is a matter of the value."""
    if isinstance(value, Real):
        return Real(abs(value.value), value.names)
    size = integer(value)
    return -size if constants.decide("<", size, dim(0)) else size


def _root(constants: Constants, value: Any) -> Dim:
    constants.fix(value)
    return dim(math.isqrt(int(value)))


def _real(function: Callable[[float], float]) -> Callable[..., Real]:
    def apply(constants: Constants, value: Any) -> Real:
        return Real(function(float(plain(value))), names_behind(value))

    return apply


CALLS: dict[str, Callable[..., Any]] = {
    "range": _range,
    "len": _length,
    "enumerate": _enumerated,
    "zip": _zipped,
    "reversed": _reversed,
    "sum": _sum,
    "min": _extreme(dims.minimum),
    "max": _extreme(dims.maximum),
    "abs": _absolute,
    "isqrt": _root,
    "sqrt": _real(math.sqrt),
    "log": _real(math.log),
    "exp": _real(math.exp),
}
