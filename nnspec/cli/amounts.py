"""Counts as a person or a program wants them: an exact integer, or a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnspec.ir.dims import Dim

_UNITS = ("", "K", "M", "G", "T", "P", "E")


def for_program(amount: int | Dim) -> int | str:
    """An integer when it is known, else the formula as text."""
    return amount if isinstance(amount, int) else _known(amount)


def _known(amount: Dim) -> int | str:
    return int(amount) if amount.is_constant else str(amount)


def exact(amount: int | Dim) -> str:
    """`25,557,032`, or the formula."""
    known = for_program(amount)
    return f"{known:,}" if isinstance(known, int) else known


def rounded(amount: int | Dim) -> str:
    """Three significant digits with a unit (`25.6M`), or the formula."""
    known = for_program(amount)
    if isinstance(known, str):
        return known
    unit, divisor = 0, 1
    while known >= 1000 * divisor and unit < len(_UNITS) - 1:
        unit, divisor = unit + 1, divisor * 1000
    if unit == 0:
        return str(known)
    # In integers: a count may be larger than any float.
    thousandths = known * 1000 // divisor
    digits = 2 if thousandths < 10_000 else 1 if thousandths < 100_000 else 0
    step = 10 ** (3 - digits)
    value = (thousandths + step // 2) // step
    if digits == 0:
        return f"{value}{_UNITS[unit]}"
    whole, part = divmod(value, 10**digits)
    return f"{whole}.{part:0{digits}}{_UNITS[unit]}"
