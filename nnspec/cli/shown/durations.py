"""Times and energies for people: three significant digits and the unit that fits."""

from __future__ import annotations

from fractions import Fraction

_TIMES = (
    (Fraction(1, 10**9), "ns"),
    (Fraction(1, 10**6), "us"),
    (Fraction(1, 10**3), "ms"),
    (Fraction(1), "s"),
    (Fraction(60), "min"),
    (Fraction(3600), "h"),
    (Fraction(86400), "days"),
    (Fraction(86400 * 365), "years"),
)
_ENERGIES = (
    (Fraction(1), "J"),
    (Fraction(1000), "kJ"),
    (Fraction(3_600_000), "kWh"),
    (Fraction(3_600_000_000), "MWh"),
    (Fraction(3_600_000_000_000), "GWh"),
)
_DIGITS = 3


def seconds_text(seconds: Fraction) -> str:
    """A time: `2.31 ms`, `4.2 days`."""
    return _scaled(seconds, _TIMES)


def joules_text(joules: Fraction) -> str:
    """An energy: `35.1 kWh`."""
    return _scaled(joules, _ENERGIES)


def percent_text(share: Fraction) -> str:
    """A share: `41.3 %`."""
    thousandths = round(share * 1000)
    return f"{thousandths // 10}.{thousandths % 10} %"


def number(value: Fraction) -> float | str:
    """A number for programs; a text where no float is that large."""
    try:
        return float(value)
    except OverflowError:
        return significant(value)


def _scaled(amount: Fraction, units: tuple[tuple[Fraction, str], ...]) -> str:
    fitting = [(size, name) for size, name in units if amount >= size]
    size, name = fitting[-1] if fitting else units[0]
    return f"{significant(amount / size)} {name}"


def significant(value: Fraction) -> str:
    """Three significant digits, in integers: a time may be larger than any float."""
    if value == 0:
        return "0"
    power = _power(value)
    if not -3 <= power < 6:
        return f"{significant(value / Fraction(10) ** power)}e{power}"
    decimals = max(_DIGITS - 1 - power, 0)
    scaled = round(value * 10**decimals)
    if decimals and scaled == 10**_DIGITS:  # 9.999 is 10.0
        decimals, scaled = decimals - 1, scaled // 10
    whole, part = divmod(scaled, 10**decimals)
    return f"{whole:,}.{part:0{decimals}}" if decimals else f"{whole:,}"


def _power(value: Fraction) -> int:
    """The power of ten that a positive value has before its first digit."""
    power = len(str(value.numerator)) - len(str(value.denominator))
    return power if value >= Fraction(10) ** power else power - 1
