"""Amounts with units, as people write them: `3.35TB/s`, `80GB`, `989.4TFLOP/s`, `0.9us`, `700W`, `300B`.

They are read exactly, as fractions; what is wrong is raised as `QuantityError`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction

from nnspec.records import dataclass

LARGEST = 10**30
_FINEST = 10**6
_AMOUNT = re.compile(
    r"(?P<number>[+-]?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?)\s?(?P<unit>\D*)",
    re.ASCII,
)

_DECIMAL = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_LARGE = _DECIMAL | {"P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
_SMALL = {"": 1, "m": 10**3, "u": 10**6, "µ": 10**6, "n": 10**9}
_COUNTS = {"": 1, "K": 10**3, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}


class QuantityError(ValueError):
    """A text that is no amount of its kind. `hint` shows how one is written."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


@dataclass(frozen=True)
class Unit:
    """What is measured, an example, and by which factor each spelling of the unit multiplies."""

    noun: str
    example: str
    factors: Mapping[str, Fraction]


def _spelled(
    prefixes: Mapping[str, int], *units: str, divide: bool = False, per: int = 1
) -> dict[str, Fraction]:
    """The factor of each prefix before each unit; `per` units make one of the base."""
    return {
        f"{prefix}{unit}": (Fraction(1, size) if divide else Fraction(size)) / per
        for unit in units
        for prefix, size in prefixes.items()
    }


BYTES = Unit("bytes", "80GB", _spelled(_LARGE | _BINARY, "B"))
BANDWIDTH = Unit(
    "bytes a second",
    "3.35TB/s",
    _spelled(_LARGE | _BINARY, "B/s")
    | _spelled(_LARGE | _BINARY, "b/s", "bit/s", per=8),
)
RATE = Unit(
    "operations a second",
    "312TFLOP/s",
    _spelled(_LARGE, "FLOP/s", "FLOPS", "FLOPs", "OP/s", "OPS"),
)
SECONDS = Unit("seconds", "5us", _spelled(_SMALL, "s", divide=True))
POWER = Unit("watts", "700W", _spelled(_DECIMAL, "W"))
COUNT = Unit("a count", "300B", _spelled(_COUNTS, ""))


def read_quantity(text: str, unit: Unit) -> Fraction:
    """The amount that a text says, more than 0. Raises `QuantityError`."""
    hint = f"write {unit.noun} as in `{unit.example}`"
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise QuantityError(f"`{text}` is no amount", hint)
    factor = unit.factors.get(match["unit"].strip())
    if factor is None:
        raise QuantityError(_wrong_unit(text, match["unit"].strip(), unit), hint)
    amount = Fraction(match["number"]) * factor
    if amount <= 0:
        raise QuantityError(f"`{text}` is not more than 0", hint)
    if not Fraction(1, LARGEST) <= amount <= LARGEST:
        raise QuantityError(f"`{text}` is beyond all bounds", hint)
    return amount


def read_number(written: object, unit: Unit) -> int | float:
    """The amount of a text, or of a number in the base unit, which may be 0.

    Whole amounts are integers. Raises `QuantityError`.
    """
    hint = f"write {unit.noun} as in `{unit.example}`"
    if isinstance(written, int | float) and not isinstance(written, bool):
        if not (math.isfinite(written) and written >= 0):
            raise QuantityError(f"`{written}` is no amount of {unit.noun}", hint)
        return int(written) if written == int(written) else written
    found = read_quantity(str(written), unit)
    return int(found) if found.denominator == 1 else float(found)


def nearest_number(value: Fraction) -> int | float:
    """The nearest float, or beyond all floats the integer below."""
    try:
        return float(value)
    except OverflowError:
        return math.floor(value)


def with_prefix(value: Fraction) -> str:
    """An amount of at least 0 as short as it can be said exactly, with a decimal prefix: 10000 is `10K`."""
    texts: list[str] = []
    for prefix in ("", "K", "M", "G", "T", "P", "E"):
        parts = value / _LARGE[prefix] * _FINEST
        if parts.denominator == 1:
            whole, rest = divmod(parts.numerator, _FINEST)
            digits = f"{rest:0{len(str(_FINEST)) - 1}}".rstrip("0")
            texts.append(f"{whole}.{digits}{prefix}" if digits else f"{whole}{prefix}")
    return min(texts, key=len, default=str(value))


def _wrong_unit(text: str, unit: str, wanted: Unit) -> str:
    if not unit:
        return f"`{text}` has no unit"
    return f"`{unit}` is no unit of {wanted.noun}"
