"""What a size becomes that each turn changes in the same way (`c = 2 * c + g`), by what elaboration noted of one turn."""

from __future__ import annotations

from nnspec.analysis.generic.loops.courses import Course, alike
from nnspec.analysis.generic.names.even import apart
from nnspec.analysis.generic.names.powers import exactly, expanded, root_of, times_power
from nnspec.analysis.generic.tracing.sums import summed_evenly
from nnspec.ir.dims import Dim, symbol


def affine(before: Dim, factor: int, more: Dim, turn: str, first: int) -> Course | None:
    """A size that each turn multiplies by a factor, and then adds something to that may speak of its number.

    None where what was added has no sum.
    """
    base, times = root_of(factor)
    behind = f"behind {turn}"
    later = (symbol(behind) - 1 - symbol(turn)) * times
    added = summed_evenly(times_power(more, base, later), turn, first, symbol(behind))
    if added is None:
        return None
    summed, below = added
    grown = times_power(before, base, (symbol(behind) - first) * times)
    whole = expanded(grown * below + summed, below)
    if any(atom.kind == "//" for atom in apart(whole)[0].atoms()):
        whole = exactly(grown * below + summed, below)
    return lambda number: alike(whole.at({behind: number}))


def linear_in(value: Dim, name: str) -> tuple[int, Dim] | None:
    """How often a name is in a value, and the rest of that; None where it is in it otherwise."""
    own = symbol(name)
    ((monomial, _),) = own.terms
    factor = dict(value.terms).get(monomial, 0)
    rest = value - own * factor
    return None if name in rest.symbols() else (factor, rest)
