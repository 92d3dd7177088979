"""Maxima for people: of many formulas those that are the largest at usual sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnspec.analysis.figures import Measured, Unit
    from nnspec.ir.dims import Dim
    from nnspec.ir.graph import Program

# Maxima of so many formulas are shown whole; of others so many formulas at the most.
_FEW, _MOST = 4, 8


def maximum(
    value: Dim,
    program: Program,
    constants: Mapping[str, int],
    write: Callable[[Dim], str],
) -> str | None:
    """A maximum, the largest at usual sizes first; None for any other value.

    Of more than a few formulas, those are given that are the largest somewhere among usual sizes, the constants
    as they are, and how many there are besides: programs get all.
    """
    from nnspec.analysis.typical import typical_sizes

    parts = _parts(value)
    if len(parts) < 2:
        return None
    usual = {**constants, **typical_sizes(program)}
    parts = sorted(parts, key=lambda part: -int(part.at(usual)))
    leading = parts if len(parts) <= _FEW else _leading(parts, program, constants)
    texts = [write(part) for part in leading]
    if len(leading) < len(parts):
        others = len(parts) - len(leading)
        texts.append(f"... and {others} more for other sizes: see --json")
    return f"max({', '.join(texts)})"


def figure_amount(measured: Measured, unit: Unit, program: Program) -> str:
    """A figure for people: a number with its unit, or its formula."""
    from nnspec.cli.shown.amounts import amount, formula

    if not measured.is_known and measured.below == 1:
        shown = maximum(measured.value, program, {}, formula)
        if shown is not None:
            return shown
    return amount(measured, unit)


def _parts(value: Dim) -> Sequence[Dim]:
    """What a maximum is the largest of; nothing for other values."""
    if value.is_constant or len(value.terms) != 1:
        return ()
    monomial, coefficient = value.terms[0]
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
        return ()
    atom = monomial[0][0]
    return atom.arguments if atom.kind == "max" else ()


def _leading(
    parts: Sequence[Dim], program: Program, constants: Mapping[str, int]
) -> list[Dim]:
    """The parts that are the largest at some usual sizes; if these are many, the most frequent ones."""
    from nnspec.ir.dims.numbers import number

    known = [part.at(constants) for part in parts]
    wins: dict[int, int] = {}
    free = {name for part in known for name in part.symbols()}
    for sizes in _usual(program, free):
        values = [number(part, sizes) for part in known]
        best = values.index(max(values))
        wins[best] = wins.get(best, 0) + 1
    frequent = sorted(wins, key=lambda place: (-wins[place], place))[:_MOST]
    return [parts[place] for place in sorted(frequent)]


def _usual(program: Program, free: Set[str]) -> Iterator[dict[str, int]]:
    from nnspec.analysis.typical import sizes_around

    around = {n: sizes for n, sizes in sizes_around(program).items() if n in free}
    for sizes in product(*around.values()):
        yield dict(zip(around, sizes, strict=True))
