"""Amounts with units, as people write them: "80GiB", "3.35TB/s", "989TFLOP/s", "4us".

Sizes are bytes; decimal prefixes are powers of 1000, binary ones of 1024. A number
without a unit is in the base unit: bytes, bytes a second, operations a second, seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated

from pydantic import BeforeValidator

_WRITTEN = re.compile(r"\s*(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)\s*([A-Za-z/µ]*)\s*")
_DECIMAL = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_LARGE = {**_DECIMAL, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}


def _units(
    prefixes: Mapping[str, float], *endings: str, scale: float = 1
) -> dict[str, float]:
    return {
        prefix + ending: factor * scale
        for prefix, factor in prefixes.items()
        for ending in endings
    }


SIZES = _units({**_LARGE, **_BINARY}, "B")
RATES = {
    **_units({**_LARGE, **_BINARY}, "B/s"),
    **_units(_LARGE, "b/s", "bit/s", scale=1 / 8),
}
SPEEDS = _units(_LARGE, "FLOP/s", "FLOPs", "FLOPS", "OP/s", "OPS")
TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def amount(written: object, units: Mapping[str, float], example: str) -> int | float:
    """The amount in the base unit; whole amounts are integers.

    Raises ValueError, with an example, for what is no such amount.
    """
    if isinstance(written, int | float) and not isinstance(written, bool):
        number, factor = float(written), 1.0
    else:
        number, factor = _parsed(written, units, example)
    found = number * factor
    if not math.isfinite(found) or found < 0:
        raise ValueError(f"`{written}` is no amount; write for example {example}")
    return int(found) if found == int(found) else found


def _parsed(
    written: object, units: Mapping[str, float], example: str
) -> tuple[float, float]:
    match = _WRITTEN.fullmatch(written) if isinstance(written, str) else None
    if match is None:
        raise ValueError(f"`{written}` is no amount; write for example {example}")
    number, unit = match.groups()
    if not unit:
        return float(number), 1.0
    if unit not in units:
        raise ValueError(f"`{unit}` is no unit here; write for example {example}")
    return float(number), units[unit]


def _reader(units: Mapping[str, float], example: str) -> Callable[[object], float]:
    return lambda written: amount(written, units, example)


def _whole(written: object) -> int:
    size = amount(written, SIZES, '"80GiB"')
    if not isinstance(size, int):
        raise ValueError(f"`{written}` is no whole number of bytes")
    return size


Bytes = Annotated[int, BeforeValidator(_whole)]
BytesPerSecond = Annotated[float, BeforeValidator(_reader(RATES, '"450GB/s"'))]
OperationsPerSecond = Annotated[float, BeforeValidator(_reader(SPEEDS, '"989TFLOP/s"'))]
Seconds = Annotated[float, BeforeValidator(_reader(TIMES, '"4us"'))]
