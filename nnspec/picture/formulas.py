"""Formulas for a page: a table of functions of JavaScript, each different formula once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field

from nnspec.analysis.formula.factor import name_of, plain
from nnspec.analysis.formula.notation import JavaScript, Notation
from nnspec.ir.dims import ZERO, Dim
from nnspec.records import dataclass


@dataclass
class Formulas:
    """Formulas in the free sizes of a program, numbered; 0 is nothing."""

    symbols: Sequence[str]
    values: list[Dim] = field(default_factory=lambda: [ZERO])
    _places: dict[Dim, int] = field(default_factory=lambda: {ZERO: 0})

    def place(self, value: Dim) -> int:
        """The number of a formula."""
        if value not in self._places:
            self._places[value] = len(self.values)
            self.values.append(value)
        return self._places[value]

    def script(self) -> str:
        """`formulas`: an array of functions that take the sizes in order, as BigInts, and give a BigInt."""
        notation = JavaScript()
        names = ", ".join(notation.name(name_of(symbol)) for symbol in self.symbols)
        lines = ",\n".join(
            f"  ({names}) => {notation.write(plain(value))}" for value in self.values
        )
        return f"{JavaScript.PRELUDE}const formulas = [\n{lines}\n];\n"

    def text(self, value: Dim) -> str:
        """A formula as a person reads it."""
        return Notation().write(plain(value))
