"""Amounts with units as fields of a cluster: `80GiB`, `3.35TB/s`, `989TFLOP/s`, `4us`.

The units are those of devices (`nnspec.analysis.quantities`); networks may count bits. A
number without a unit is in the base unit: bytes, bytes a second, operations a second,
seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator

from nnspec.analysis import quantities
from nnspec.analysis.quantities import (
    BYTES,
    SECONDS,
    QuantityError,
    Unit,
    read_quantity,
)

_BITS = {
    f"{name[:-3]}{unit}": factor / 8
    for name, factor in quantities.BANDWIDTH.factors.items()
    for unit in ("b/s", "bit/s")
}
_SPEEDS = {
    name.replace("FLOPS", "FLOPs"): factor
    for name, factor in quantities.RATE.factors.items()
}
BANDWIDTH = replace(
    quantities.BANDWIDTH, factors={**quantities.BANDWIDTH.factors, **_BITS}
)
RATE = replace(quantities.RATE, factors={**quantities.RATE.factors, **_SPEEDS})


def amount(written: object, unit: Unit) -> int | float:
    """The amount in the base unit; whole amounts are integers.

    Raises ValueError, with an example, for what is no such amount.
    """
    if isinstance(written, int | float) and not isinstance(written, bool):
        if not (math.isfinite(written) and written >= 0):
            raise ValueError(f"`{written}` is no amount of {unit.noun}")
        return int(written) if written == int(written) else written
    try:
        found = read_quantity(str(written), unit)
    except QuantityError as error:
        raise ValueError(f"{error.message}; {error.hint}") from error
    return _number(found)


def _number(found: Fraction) -> int | float:
    return int(found) if found.denominator == 1 else float(found)


def _reader(unit: Unit) -> Callable[[object], float]:
    return lambda written: amount(written, unit)


def _whole(written: object) -> int:
    size = amount(written, BYTES)
    if not isinstance(size, int):
        raise ValueError(f"`{written}` is no whole number of bytes")
    return size


Bytes = Annotated[int, BeforeValidator(_whole)]
BytesPerSecond = Annotated[float, BeforeValidator(_reader(BANDWIDTH))]
OperationsPerSecond = Annotated[float, BeforeValidator(_reader(RATE))]
Seconds = Annotated[float, BeforeValidator(_reader(SECONDS))]
