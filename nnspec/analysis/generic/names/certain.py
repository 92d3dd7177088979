"""Which of several sizes is the largest, or the least, whatever the constants are: `max(0, H)` is `H`."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Atom, Dim, maximum, minimum, rebuilt


def decided(value: Dim, assumptions: Assumptions) -> Dim:
    """A value without what is certainly not the largest in its maxima, nor the least in its minima."""

    def replace(atom: Atom) -> Dim | None:
        if atom.kind not in ("max", "min"):
            return rebuilt(atom, inside) if atom.arguments and not atom.bound else None
        arguments = [inside(each) for each in atom.arguments]
        if atom.kind == "max":
            return maximum(*_undecided(arguments, ">=", assumptions))
        return minimum(*_undecided(arguments, "<=", assumptions))

    def inside(part: Dim) -> Dim:
        return part.substitute(replace)

    return inside(value)


def _undecided(sizes: Sequence[Dim], sign: str, assumptions: Assumptions) -> list[Dim]:
    """The sizes without those that another one is certainly no less (`>=`), or no more, than."""
    found: list[Dim] = []
    for size in sizes:
        if any(assumptions.holds(sign, known, size) for known in found):
            continue
        found = [each for each in found if not assumptions.holds(sign, size, each)]
        found.append(size)
    return found
