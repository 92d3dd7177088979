from __future__ import annotations

import pytest

from nnspec.cli.shown.amounts import exact, for_program, rounded
from nnspec.ir.dims import dim, symbol


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0"),
        (999, "999"),
        (1000, "1.00K"),
        (25_557_032, "25.6M"),
        (8_178_370_560, "8.18G"),
        (175_000_000_000, "175G"),
        (10**30, "1000000000000E"),
    ],
)
def test_large_counts_keep_three_digits(amount: int, shown: str) -> None:
    assert rounded(amount) == shown


def test_a_constant_size_is_a_number_and_a_formula_is_text() -> None:
    assert for_program(dim(7)) == 7
    assert for_program(2**80) == 2**80
    formula = symbol("B") * 3
    assert for_program(formula) == str(formula)
    assert rounded(formula) == exact(formula) == str(formula)
    assert exact(1234567) == "1,234,567"
