"""What a size becomes that each turn changes in the same way (`c = 2 * c + g`), by what elaboration noted of one turn."""

from __future__ import annotations

from nnspec.analysis.generic.loops.courses import Course, alike
from nnspec.analysis.generic.names.even import apart
from nnspec.analysis.generic.names.powers import (
    divided,
    exactly,
    expanded,
    root_of,
    times_power,
)
from nnspec.analysis.generic.names.settled import EXTREMES, extreme, lone_atoms
from nnspec.analysis.generic.tracing.sums import summed_evenly
from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.dims.polynomials import single_atom


def affine(before: Dim, factor: int, more: Dim, turn: str, first: int) -> Course | None:
    """A size that each turn multiplies by a factor, and then adds something to that may speak of its number.

    None where what was added has no sum.
    """
    behind = f"behind {turn}"

    def grown(value: Dim, turns: Dim) -> Dim:
        if factor == 1:
            return value
        base, times = root_of(factor)
        return times_power(value, base, turns * times)

    later = grown(more, symbol(behind) - 1 - symbol(turn))
    added = summed_evenly(later, turn, first, symbol(behind))
    if added is None:
        return None
    summed, below = added
    start = grown(before, symbol(behind) - first)
    whole = expanded(start * below + summed, below)
    if any(atom.kind == "//" for atom in apart(whole)[0].atoms()):
        whole = exactly(start * below + summed, below)
    return lambda number: alike(whole.at({behind: number}))


def bounded(update: Dim, own: str, before: Dim, turn: str, first: int) -> Course | None:
    """A size that each turn divides by a number after adding something (`(c + g) // 2`), or keeps within bounds (`min(2 * c, most)`).

    None of anything else. Of bounds it is supposed that the size is within them before the first of the turns.
    """
    for atom, times, rest in lone_atoms(update):
        if atom.kind == "//" and times == 1 and own not in rest.symbols():
            above, below = atom.arguments
            times, more = linear_in(above + rest * below, own) or (0, rest)
            number = below.constant or 0
            if times != 1 or number < 2 or turn in more.symbols():
                return None
            return _divided(before, more, number, first)
    atom = single_atom(update.terms)
    if atom is None or atom.kind not in EXTREMES:
        return None
    inner = [part for part in atom.arguments if own in part.symbols()]
    bounds = [part for part in atom.arguments if part not in inner]
    if len(inner) != 1 or any(turn in bound.symbols() for bound in bounds):
        return None
    return _within(atom.kind, inner[0], bounds, own, before, turn, first)


def _divided(before: Dim, more: Dim, number: int, first: int) -> Course:
    """(c + more) // number in each turn: rounding down once is as good as each time."""
    base, times = root_of(number)

    def course(turn: Dim) -> Dim:
        power = dim(base) ** ((turn - first) * times)
        added = more * (power - 1)
        scale = 1 if more % (number - 1) == 0 else number - 1
        whole = before * scale + divided(added * scale, number - 1)
        return whole // (power * scale)

    return course


def _within(
    kind: str,
    inner: Dim,
    bounds: list[Dim],
    own: str,
    before: Dim,
    turn: str,
    first: int,
) -> Course | None:
    """A size that grows or shrinks by itself, and is kept within bounds by each turn."""
    atom = single_atom(before.terms)
    parts = (before,) if atom is None or atom.kind != kind else atom.arguments
    starts = [part for part in parts if part not in bounds]
    courses = [_unbounded(inner, own, start, turn, first) for start in starts]
    found = [each for each in courses if each is not None]
    if len(found) != len(courses):
        return None
    return lambda number: extreme(kind, [*bounds, *(each(number) for each in found)])


def _unbounded(
    update: Dim, own: str, before: Dim, turn: str, first: int
) -> Course | None:
    factor, more = linear_in(update, own) or (0, update)
    if factor > 0:
        return affine(before, factor, more, turn, first)
    return bounded(update, own, before, turn, first)


def linear_in(value: Dim, name: str) -> tuple[int, Dim] | None:
    """How often a name is in a value, and the rest of that; None where it is in it otherwise."""
    own = symbol(name)
    ((monomial, _),) = own.terms
    factor = dict(value.terms).get(monomial, 0)
    rest = value - own * factor
    return None if name in rest.symbols() else (factor, rest)
