"""Quotients by numbers that leave nothing, whatever names are: `n * (n - 1) // 2`, as sums of arithmetic progressions have them.

Over a common number they are polynomials again, so that what is equal is written alike, and adds up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from functools import lru_cache
from itertools import product
from math import gcd, lcm, prod

from nnspec.ir.dims import Atom, Dim, Monomial, polynomial
from nnspec.ir.dims.integers import terms_of
from nnspec.ir.dims.numbers import number
from nnspec.ir.dims.polynomials import Terms
from nnspec.ir.dims.polynomials import multiplied_monomials as multiplied

TRIED = 4096
"""Of so many cases at most it is seen that a division leaves nothing in any."""


def evened(value: Dim) -> Dim:
    """A value with all such quotients in it as one."""
    if not _has_even(value):
        return value
    whole, below = apart(value)
    return whole // below


def names_in_quotients(value: Dim) -> set[str]:
    """The names in all such quotients in a value."""
    return {
        name
        for atom in value.atoms()
        if _is_even(atom)
        for part in atom.arguments
        for name in part.symbols()
    }


def apart(value: Dim) -> tuple[Dim, int]:
    """A value without such quotients, and what divides it without remainder."""
    if not _has_even(value):
        return value, 1
    found: dict[Monomial, Fraction] = {}
    for monomial, coefficient in terms_of(value):
        for each, factor in _products(monomial, Fraction(coefficient)):
            found[each] = found.get(each, Fraction(0)) + factor
    below = lcm(*(factor.denominator for factor in found.values()))
    return polynomial((m, int(f * below)) for m, f in found.items()), below


def _has_even(value: Dim) -> bool:
    return any(_is_even(atom) for monomial, _ in value.terms for atom, _ in monomial)


def _products(
    monomial: Monomial, factor: Fraction
) -> Iterator[tuple[Monomial, Fraction]]:
    """The products that a product is the sum of, each with its factor."""
    even = next((atom for atom, _ in monomial if _is_even(atom)), None)
    if even is None:
        yield monomial, factor
        return
    powers = dict(monomial)
    powers[even] -= 1
    rest = tuple((atom, power) for atom, power in powers.items() if power)
    above, below = even.arguments
    for other, coefficient in terms_of(above):
        yield from _products(multiplied(rest, other), factor * coefficient / int(below))


@lru_cache(maxsize=4096)
def _is_even(atom: Atom) -> bool:
    """Whether a quotient surely leaves nothing."""
    if atom.kind != "//" or atom.arguments[1].constant is None:
        return False
    above, below = atom.arguments[0].terms, int(atom.arguments[1])
    return below <= TRIED and (
        _leaves_nothing(above, below) or _leaves_nothing_together(above, below)
    )


def _leaves_nothing(terms: Terms, below: int) -> bool:
    """Whether a number divides a sum of products, whatever remains of their factors, each by itself."""
    shared = set[tuple[Atom, int]].intersection(*(set(m) for m, _ in terms))
    rests = [
        ([each for each in monomial if each not in shared], coefficient)
        for monomial, coefficient in terms
    ]
    factors = sorted({atom for monomial, _ in rests for atom, _ in monomial})
    values = [_remainders(atom, below) for atom in factors]
    if not all(values) or prod(map(len, values)) > TRIED:
        return False
    for place in product(*values):
        known = dict(zip(factors, place, strict=True))
        if sum(c * prod(known[a] ** p for a, p in m) for m, c in rests) % below:
            return False
    return True


def _leaves_nothing_together(terms: Terms, below: int) -> bool:
    """The same of names that stand in exponents, too, and of powers of numbers that share nothing with what divides: 4^n - 3 * n - 1 by 9.

    What remains repeats itself then with each name.
    """
    factors = {atom for monomial, _ in terms for atom, _ in monomial}
    powers = [atom for atom in factors if atom.kind == "^"]
    spans = {atom.symbol: below for atom in factors if atom.kind == "symbol"}
    for atom in powers:
        base, exponent = atom.arguments
        if base.constant is None or gcd(base.constant, below) > 1:
            return False
        if any(each.kind != "symbol" or each.scale > 1 for each in exponent.atoms()):
            return False
        for name in exponent.symbols():
            spans[name] = lcm(spans.get(name, 1), _order(base.constant, below))
    if not powers or prod(spans.values()) > TRIED:
        return False
    if any(each.kind not in ("symbol", "^") or each.scale > 1 for each in factors):
        return False
    for place in product(*map(range, spans.values())):
        at = dict(zip(spans, place, strict=True))
        known = {atom: _remainder_at(atom, at, below) for atom in factors}
        if sum(c * prod(known[a] ** p for a, p in m) for m, c in terms) % below:
            return False
    return True


def _remainder_at(atom: Atom, at: Mapping[str, int], below: int) -> int:
    """What remains of a name, or of a power of a number, divided by a number."""
    if atom.kind == "symbol":
        return at[atom.symbol]
    base, exponent = atom.arguments
    raised = number(exponent, at) % _order(int(base), below)
    return pow(int(base), raised, below)


@lru_cache(maxsize=256)
def _order(base: int, below: int) -> int:
    """After how many powers of a number what remains of them, divided by one that shares nothing with it, is the same again."""
    found, value = 1, base % below
    while value != 1 % below:
        found, value = found + 1, value * base % below
    return found


def _remainders(atom: Atom, below: int) -> set[int]:
    """What may remain of a name, or of a power of a number, divided by a number; nothing of what may be anything."""
    if atom.kind == "symbol":
        return {*range(below)}
    base = atom.arguments[0].constant if atom.kind == "^" else None
    return set() if base is None else {pow(base, n, below) for n in range(2 * below)}
