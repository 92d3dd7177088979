"""Divisions without remainder: what a block requires, and the sizes that it makes simpler.

`require width % heads == 0` lets `width // heads * heads` be written as `width`.
"""

from __future__ import annotations

from nnspec.ir import graph
from nnspec.ir.dims import Atom, Dim
from nnspec.ir.graph import Function


def divisions(function: Function) -> set[tuple[str, str]]:
    """Dividends and divisors (by key) of which `require a % b == 0` says that nothing remains."""
    found: set[tuple[str, str]] = set()
    for item in function.structure:
        if not isinstance(item, graph.Requirement) or item.condition.kind != "compare":
            continue
        operator, left, right = item.condition.arguments
        if operator != "==" or left.kind != "dim" or right.kind != "dim":
            continue
        terms = left.arguments[0].generic.terms
        if right.arguments[0] == 0 and len(terms) == 1 and terms[0][1] == 1:
            for atom, _ in terms[0][0]:
                if atom.kind == "%":
                    found.add((atom.arguments[0].key, atom.arguments[1].key))
    return found


def whole(size: Dim, known: set[tuple[str, str]]) -> Dim:
    """A size whose twin says `a` where it said `a // b * b`, for what divides evenly."""
    twin = size.generic
    if twin is size or not known:
        return size
    total = Dim((), 0)
    for monomial, coefficient in twin.terms:
        total = total + _term_without_division(dict(monomial), known) * coefficient
    return with_twin(size, total) if twin.terms else size


def _term_without_division(powers: dict[Atom, int], known: set[tuple[str, str]]) -> Dim:
    result = Dim((), 1)
    for atom in list(powers):
        if atom.kind != "//" or powers.get(atom) != 1:
            continue
        above, below = atom.arguments
        if (above.key, below.key) not in known or len(below.terms) != 1:
            continue
        divisor, factor = below.terms[0]
        if factor == 1 and all(powers.get(a, 0) >= p for a, p in divisor):
            for a, p in divisor:
                powers[a] -= p
            powers[atom] = 0
            result = result * above
    for atom, power in powers.items():
        if power:
            result = result * Dim(((((atom, 1),), 1),), None) ** power
    return result


def with_twin(size: Dim, twin: Dim) -> Dim:
    """A size known by a twin, even one that equals a constant elsewhere."""
    return size.value.named(twin)
