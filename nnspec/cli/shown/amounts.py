"""Counts as a person or a program wants them: an exact integer, or a formula."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from nnspec.analysis.figures import Measured, Unit
    from nnspec.ir.dims import Dim

_UNITS = ("", "K", "M", "G", "T", "P", "E")
_BYTES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_LONGEST = 9


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


def amount(measured: Measured, unit: Unit) -> str:
    """A figure for people: exact, and rounded with its unit where it is long; or its formula."""
    if not measured.is_known:
        below = "" if measured.below == 1 else f" / ({formula(measured.below)})"
        above = formula(measured.value)
        return f"({above}){below}" if below else above
    if measured.below != 1:
        return _quotient(measured, unit) if measured.below != 0 else "none"
    known = int(measured.value)
    exactly = f"{known:,}"
    if unit == "byte":
        return bytes_text(known)
    if len(exactly) <= _LONGEST or unit == "count":
        return exactly
    digits, suffix = rounded(known)[:-1], rounded(known)[-1]
    return f"{exactly} ({digits} {suffix}{unit}s)"


def _quotient(measured: Measured, unit: Unit) -> str:
    value = measured.for_program()
    shown = rounded(value) if isinstance(value, int) else f"{value:.1f}"
    return f"{shown} {unit}"


def short(known: int, unit: Unit) -> str:
    """Three significant digits with a unit."""
    return bytes_text(known) if unit == "byte" else rounded(known)


def quantity(value: int | Fraction, unit: Unit) -> str:
    """Three significant digits with a unit; of a quotient too."""
    if value.denominator == 1:
        return short(int(value), unit)
    from nnspec.analysis.quantities import nearest_number

    nearest = nearest_number(value)
    return rounded(nearest) if isinstance(nearest, int) else f"{nearest:.3g}"


def formula(value: int | Dim) -> str:
    """A figure that depends on sizes, laid out to be read."""
    from nnspec.analysis.formula.factor import plain
    from nnspec.analysis.formula.notation import Notation
    from nnspec.ir.dims import dim

    return Notation().write(plain(dim(value)))


def bytes_text(count: int) -> str:
    """Three significant digits in powers of 1024: `97.5 MiB`."""
    power = 0
    while count >= 1024 ** (power + 1) * 1000 // 1024 and power < len(_BYTES) - 1:
        power += 1
    if power == 0:
        return f"{count} B"
    hundredths = (count * 200 + 1024**power) // (2 * 1024**power)
    digits = 2 if hundredths < 1000 else 1 if hundredths < 10_000 else 0
    step = 10 ** (2 - digits)
    whole, part = divmod((hundredths + step // 2) // step, 10**digits)
    fraction = f".{part:0{digits}}" if digits else ""
    return f"{whole}{fraction} {_BYTES[power]}"
