"""Exact integer expressions: every size, parameter count and FLOP count is one.

A `Dim` is a polynomial with integer coefficients over atoms; an atom is a symbol or something that a
polynomial cannot say (floor division, remainder, minimum, maximum, power, the largest over the turns of a loop, a
choice made by the spec).
The normal form makes equality structural: two dims that multiply out to the same polynomial are equal.

A dim may carry a *generic* twin: the same quantity written in the names of the block in which it was
computed (`4 * width` beside 256). Arithmetic carries the twin along, so operators that compute shapes
compute the generic form without knowing of it. Equality, hashing and ordering look at the value alone.
"""

from nnspec.ir.dims.atoms import (
    HIGHEST_POWER,
    LONGEST_KEY,
    Atom,
    DimError,
    DimTooLarge,
    Monomial,
    Opaque,
    Replace,
)
from nnspec.ir.dims.divisible import equal_if
from nnspec.ir.dims.integers import (
    MINUS_ONE,
    ONE,
    ZERO,
    Dim,
    Size,
    dim,
    lone_symbol,
    opaque,
    polynomial,
    symbol,
)
from nnspec.ir.dims.relations import Relation, related
from nnspec.ir.dims.several import maximum, minimum, product, total
from nnspec.ir.dims.substitution import Substitution, rebuilt
from nnspec.ir.dims.text import names_of_turns
from nnspec.ir.dims.turns import atom_over_turns, greatest, series
from nnspec.ir.dims.twins import with_twins, without_twins
from nnspec.ir.dims.witness import witnessed

__all__ = [
    "HIGHEST_POWER",
    "LONGEST_KEY",
    "MINUS_ONE",
    "ONE",
    "ZERO",
    "Atom",
    "Dim",
    "DimError",
    "DimTooLarge",
    "Monomial",
    "Opaque",
    "Relation",
    "Replace",
    "Size",
    "Substitution",
    "atom_over_turns",
    "dim",
    "equal_if",
    "greatest",
    "lone_symbol",
    "maximum",
    "minimum",
    "names_of_turns",
    "opaque",
    "polynomial",
    "product",
    "rebuilt",
    "related",
    "series",
    "symbol",
    "total",
    "with_twins",
    "without_twins",
    "witnessed",
]
