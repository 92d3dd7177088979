"""Quotients of quotients, and extremes of extremes, written in one way: what turns divide again and again, or keep within bounds.

`((a // 2) + g) // 2` is `(a + 2 * g) // 4`, and `min(2 * min(a, most), most)` is `min(2 * a, most)`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nnspec.analysis.generic.names.even import apart
from nnspec.analysis.generic.names.powers import (
    canonical,
    divided,
    power_in,
    scaled,
    times_in,
    without_numbers,
)
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Atom, Dim, dim, polynomial
from nnspec.ir.dims.integers import terms_of
from nnspec.ir.dims.polynomials import single_atom
from nnspec.ir.dims.several import extreme_of

EXTREMES = ("min", "max")


def settled(value: Dim, assumptions: Assumptions) -> Dim:
    """A value with its quotients and extremes in this way, where that does not change it whatever names are."""

    def replace(atom: Atom) -> Dim | None:
        if atom.kind != "//" and atom.kind not in EXTREMES:
            return None
        parts = [settled(part, assumptions) for part in atom.arguments]
        if atom.kind == "//":
            return _quotient(parts[0], parts[1], assumptions)
        return _extreme(atom.kind, parts, assumptions)

    return _joined(value.substitute(replace))


def _joined(value: Dim) -> Dim:
    """A value with quotients that leave nothing as one, and powers of a number as one."""
    whole, below = apart(value)
    return divided(canonical(whole), below)


def _quotient(above: Dim, below: Dim, assumptions: Assumptions) -> Dim:
    above, below = _joined(above), canonical(below)
    if not is_positive(below):
        return above // below
    only = _only_extreme(above)
    if only is not None and only[1] == 1:
        atom, _, rest = only
        parts = (_quotient(p + rest, below, assumptions) for p in atom.arguments)
        return _extreme(atom.kind, parts, assumptions)
    for atom, factor, rest in lone_atoms(above):
        if factor != 1 or atom.kind in EXTREMES:
            continue
        top, bottom = atom.arguments
        if atom.kind == "//" and is_positive(bottom):
            return _quotient(top + rest * bottom, below * bottom, assumptions)
    return _plainly(above, below)


def _plainly(above: Dim, below: Dim) -> Dim:
    """A quotient by powers, without what they divide at once: (7 * 2^(n + 1) + w) // (3 * 2^n) is (2 * 2^n + w) // (3 * 2^n) + 4.

    Of one power the exponent is without a number, where it may be: 8 * w // 2^(n + 1) is 4 * w // 2^n.
    """
    if below.constant is not None:
        return above // below
    whole, scale = without_numbers(above)
    monomial, number = scaled(below)
    times = dict(terms_of(whole)).get(monomial, 0) // number
    if scale == 1 and times:
        rest = canonical(without_numbers(whole - below * times)[0])
        return times + _by_power(rest, below)
    return _by_power(above, below)


def _by_power(above: Dim, below: Dim) -> Dim:
    found = power_in(below)
    if found is None:
        return above // below
    base, exponent = found
    more = dict(exponent.terms).get((), 0)
    if more < 0:
        return above * base**-more // dim(base) ** (exponent - more)
    times = min((times_in(c, base) for _, c in terms_of(above) if c), default=0)
    less = min(more, times)
    return divided(above, base**less) // dim(base) ** (exponent - less)


def _extreme(kind: str, parts: Iterable[Dim], assumptions: Assumptions) -> Dim:
    found: list[Dim] = []
    for part in _spread(kind, parts):
        low, high = (0, 1) if kind == "max" else (1, 0)
        if any(
            _is_no_more((part, o)[low], (part, o)[high], assumptions) for o in found
        ):
            continue
        found = [
            each
            for each in found
            if not _is_no_more((each, part)[low], (each, part)[high], assumptions)
        ]
        found.append(part)
    return extreme(kind, found)


def extreme(kind: str, parts: Iterable[Dim]) -> Dim:
    """The least (`min`) or greatest (`max`) of sizes whose names may be anything."""
    return extreme_of(kind, list(parts), min if kind == "min" else max)


def _spread(kind: str, parts: Iterable[Dim]) -> Iterator[Dim]:
    """What an extreme is one of, without such extremes in sums with other terms."""
    for part in parts:
        part = _joined(part)
        only = _only_extreme(part)
        if only is None or only[0].kind != kind or only[1] < 0:
            yield part
            continue
        atom, factor, rest = only
        yield from _spread(kind, (p * factor + rest for p in atom.arguments))


def _is_no_more(one: Dim, other: Dim, assumptions: Assumptions) -> bool:
    """Whether a size is certainly not larger than another."""
    if assumptions.holds("<=", one, other):
        return True
    atom = single_atom(one.terms)
    if atom is None or atom.kind != "//" or not is_positive(atom.arguments[1]):
        return False
    above, below = atom.arguments
    return bool(assumptions.holds("<", above, (other + 1) * below))


def _only_extreme(value: Dim) -> tuple[Atom, int, Dim] | None:
    """The term of a sum that is a number times an extreme, if it is the only one: of several there would be too many parts."""
    found = [each for each in lone_atoms(value) if each[0].kind in EXTREMES]
    return found[0] if len(found) == 1 else None


def lone_atoms(value: Dim) -> Iterator[tuple[Atom, int, Dim]]:
    """The terms that are a number times one atom with arguments: it, the number, and the other terms."""
    for monomial, coefficient in value.terms:
        if len(monomial) == 1 and monomial[0][1] == 1 and monomial[0][0].arguments:
            rest = value - polynomial([(monomial, coefficient)])
            yield monomial[0][0], coefficient, rest


def is_positive(value: Dim) -> bool:
    """Whether a value is a number above 0, or one times powers of such."""
    if value.constant is not None:
        return value.constant > 0
    ((monomial, coefficient), *others) = value.terms
    bases = (a.arguments[0].constant if a.kind == "^" else None for a, _ in monomial)
    return not others and coefficient > 0 and all(base and base > 0 for base in bases)
