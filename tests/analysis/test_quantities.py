"""Amounts with units are read exactly, or refused with what is wrong."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnspec.analysis.quantities import (
    BANDWIDTH,
    BYTES,
    COUNT,
    LARGEST,
    POWER,
    RATE,
    SECONDS,
    QuantityError,
    Unit,
    read_quantity,
    with_prefix,
)


@pytest.mark.parametrize(
    ("text", "unit", "amount"),
    [
        ("80GB", BYTES, 80 * 10**9),
        ("80 GiB", BYTES, 80 * 2**30),
        ("512B", BYTES, 512),
        ("3.35TB/s", BANDWIDTH, 3_350_000_000_000),
        ("989.4TFLOP/s", RATE, 989_400_000_000_000),
        ("312TFLOPS", RATE, 312 * 10**12),
        ("1978.9TOP/s", RATE, 1_978_900_000_000_000),
        ("1PFLOP/s", RATE, 10**15),
        ("0.9us", SECONDS, Fraction(9, 10**7)),
        ("5 µs", SECONDS, Fraction(5, 10**6)),
        ("2s", SECONDS, 2),
        ("1.2kW", POWER, 1200),
        ("300B", COUNT, 300 * 10**9),
        ("1.28M", COUNT, 1_280_000),
        ("15T", COUNT, 15 * 10**12),
        ("1e6", COUNT, 10**6),
        ("90", COUNT, 90),
    ],
)
def test_amounts_are_exact(text: str, unit: Unit, amount: Fraction) -> None:
    assert read_quantity(text, unit) == amount


@pytest.mark.parametrize(
    ("text", "unit", "said"),
    [
        ("80", BYTES, "`80` has no unit"),
        ("80GB/s", BYTES, "`GB/s` is no unit of bytes"),
        ("80XB", BYTES, "`XB` is no unit of bytes"),
        ("fast", RATE, "`fast` is no amount"),
        ("", RATE, "`` is no amount"),
        ("nan", COUNT, "`nan` is no amount"),
        ("inf", COUNT, "`inf` is no amount"),
        ("0", COUNT, "`0` is not more than 0"),
        ("-5W", POWER, "`-5W` is not more than 0"),
        ("1e99", COUNT, "`1e99` is beyond all bounds"),
        ("1e-99s", SECONDS, "`1e-99s` is beyond all bounds"),
        ("9" * 50, COUNT, f"`{'9' * 50}` is no amount"),
        ("٣GB", BYTES, "`٣GB` is no amount"),
        ("1,000", COUNT, "`1,000` is no amount"),
    ],
)
def test_what_is_no_amount_is_told(text: str, unit: Unit, said: str) -> None:
    with pytest.raises(QuantityError) as raised:
        read_quantity(text, unit)
    assert raised.value.message == said
    assert unit.example in raised.value.hint
    assert read_quantity(unit.example, unit) > 0


@given(st.integers(1, 10**20), st.sampled_from(["", "K", "M", "B", "T"]))
def test_counts_of_any_size_are_whole(number: int, unit: str) -> None:
    factor = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}[unit]
    text = f"{number}{unit}"
    if number * factor <= LARGEST:
        assert read_quantity(text, COUNT) == number * factor


@given(st.text(max_size=30))
def test_any_text_is_an_amount_or_told(text: str) -> None:
    try:
        found = read_quantity(text, BYTES)
    except QuantityError:
        return
    assert 0 < found <= LARGEST


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(10_000), "10K"),
        (Fraction(8_400_000_000), "8.4G"),
        (Fraction(123_456_789), "123456789"),
        (Fraction(1, 2), "0.5"),
        (Fraction(0), "0"),
        (Fraction(1, 3), "1/3"),
        (Fraction(10**400), "1" + "0" * 382 + "E"),
    ],
    ids=lambda each: str(each)[:12],
)
def test_an_amount_is_written_as_short_as_it_is_exact(
    value: Fraction, text: str
) -> None:
    assert with_prefix(value) == text
