"""Sizes that are unequal, and would be equal if a symbol divided evenly: `2 * (H // 2)` and `H`."""

from __future__ import annotations

from nnspec.ir.dims.integers import Dim, DimError, symbol

LARGEST_DIVISOR = 64


def equal_if(left: Dim, right: Dim) -> str | None:
    """A hint: the requirement of one symbol that would make two sizes equal; None where there is none.

    Its divisor is the smallest that does, up to `LARGEST_DIVISOR`.
    """
    for name in sorted(left.symbols() | right.symbols()):
        for divisor in range(2, LARGEST_DIVISOR + 1):
            multiple = {name: divisor * symbol(name)}
            try:
                if left.at(multiple) == right.at(multiple):
                    return f"they are equal where the model says `require {name} % {divisor} == 0`"
            except DimError:
                continue
    return None
