"""From the normal form of a `Dim` to a formula with its common factors taken out, of equal value.

Greedy, in the manner of Horner's scheme for several variables (M. Ceberio and V. Kreinovich, "Greedy
algorithms for optimizing multivariate Horner schemes", 2004): what all terms share is taken out; then
the factor that most terms share divides the sum in two.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from math import gcd
from typing import TypeAlias

from nnspec.analysis.formula.tree import (
    Ceiling,
    Extreme,
    Formula,
    Name,
    Number,
    OverTurns,
    Power,
    Product,
    Quotient,
    Remainder,
    Sum,
    is_negative,
    legible,
    times,
)
from nnspec.ir.dims import Atom, Dim, DimError, Monomial, polynomial

Powers: TypeAlias = "tuple[tuple[Formula, int], ...]"
Term: TypeAlias = "tuple[Powers, int]"

_PLACES = re.compile(r"\[(\d+)\]")


def plain(value: Dim) -> Formula:
    """A formula that says a dim term by term, as it is."""
    return legible(added([_monomial(term) for term in terms_of(value)]))


def factored(value: Dim) -> Formula:
    """A formula for a dim, with common factors taken out."""
    return legible(_factored(value))


def _factored(value: Dim) -> Formula:
    return _sum(terms_of(value))


def terms_of(value: Dim) -> list[Term]:
    """The terms of a dim over formulas: the powers of each, and its coefficient."""
    if value.constant is not None:
        return [((), value.constant)]
    return [as_formulas(monomial, coefficient) for monomial, coefficient in value.terms]


def name_of(symbol: str) -> Name:
    """The name that a symbol stands for; without the number that tells loops apart."""
    name = symbol.split("@")[0]
    places = _PLACES.findall(name)
    return Name(name.split("[")[0], tuple(int(place) for place in places))


# ---- atoms ----------------------------------------------------------------------------------------


def as_formulas(
    monomial: Monomial,
    coefficient: int,
    over_turns: Callable[[Dim], Formula] | None = None,
) -> Term:
    """A monomial with what divides its coefficient taken from under multiples (`16 * (H // 16)`).

    What it is the largest or the sum of over turns is written by `over_turns`, factored where that is not given.
    """
    powers: Counter[Formula] = Counter()
    for atom, power in monomial:
        atom = _flat(atom) if atom.kind == "//" else atom
        if atom.kind == "//" and _is_subtracted(atom.arguments[0]):
            powers[_ceiling(atom)] += power
            coefficient *= (-1) ** power
            continue
        if atom.bound:
            powers[_over_turns(atom, over_turns or _factored)] += power
            continue
        if atom.kind == "^" and atom.arguments[0].constant is not None:
            powers[_power_of_number(atom, power)] += 1
            continue
        if atom.kind != "symbol" or atom.scale == 1:
            powers[_atom(atom)] += power
            continue
        for _ in range(power):
            shared = gcd(coefficient, atom.scale)
            coefficient //= shared
            powers[_part(name_of(atom.symbol), atom.scale // shared)] += 1
    return tuple(powers.items()), coefficient


def _power_of_number(atom: Atom, power: int) -> Formula:
    """`4^n` for the square of `2^n`."""
    base, exponent = atom.arguments
    return Power(Number(int(base) ** power), _factored(exponent))


def _part(name: Name, divisor: int) -> Formula:
    return name if divisor == 1 else Quotient(name, Number(divisor), exact=True)


def _flat(atom: Atom) -> Atom:
    """`(a // b + c) // d` is `(a + b * c) // (b * d)` where b and d are positive."""
    above, below = atom.arguments
    for monomial, coefficient in above.terms:
        inner = monomial[0][0] if len(monomial) == 1 and monomial[0][1] == 1 else None
        if inner is None or inner.kind != "//" or coefficient != 1:
            continue
        top, bottom = _flat(inner).arguments
        if not (_positive(below) and _positive(bottom)):
            continue
        rest = above - polynomial([(monomial, 1)])
        return _flat(Atom("//", (top + rest * bottom, bottom * below)))
    return atom


def _positive(value: Dim) -> bool:
    return value.constant is not None and value.constant > 0


def _is_subtracted(value: Dim) -> bool:
    """Whether more products are subtracted than added in a value, numbers apart."""
    signs = [c > 0 for monomial, c in value.terms if monomial]
    return signs.count(False) > signs.count(True)


def _ceiling(atom: Atom) -> Formula:
    """The quotient rounded up of which `(-a) // b` is the negative."""
    above, below = atom.arguments
    return Ceiling(_factored(-above), _factored(below))


def _atom(atom: Atom) -> Formula:
    if atom.kind == "symbol":
        return name_of(atom.symbol)
    if atom.opaque is not None:
        raise DimError(f"`{atom.opaque.key}` cannot be written as a formula")
    if atom.kind in ("min", "max"):
        return Extreme(atom.kind, tuple(_factored(part) for part in atom.arguments))
    if atom.kind == "//":
        return _quotient(*atom.arguments)
    left, right = (_factored(part) for part in atom.arguments)
    match atom.kind:
        case "%":
            return Remainder(left, right)
        case _:
            return Power(left, right)


def _over_turns(atom: Atom, write: Callable[[Dim], Formula]) -> Formula:
    value, first, stop = atom.arguments
    bounds = (_factored(bound) for bound in (first, stop - 1, stop))
    kind = "max" if atom.kind == "greatest" else atom.kind
    return OverTurns(kind, write(value), name_of(atom.bound), *bounds)


def _quotient(above: Dim, below: Dim) -> Formula:
    """A quotient rounded down, as one rounded up where that is shorter: `(a + 3) // 4`."""
    constant = dict(above.terms).get((), 0)
    if _positive(below) and int(below) > 1 and constant == int(below) - 1:
        return Ceiling(_factored(above - constant), _factored(below))
    return Quotient(_factored(above), _factored(below))


# ---- sums -----------------------------------------------------------------------------------------


def _sum(terms: list[Term]) -> Formula:
    if len(terms) == 1:
        return _monomial(terms[0])
    common = _common(terms)
    number = _content(terms, is_product=bool(common))
    rest = [(_without(powers, common), c // number) for powers, c in terms]
    inner = _divided(rest)
    if number == 1 and not common:
        return inner
    return _multiplied(number, raised(common), inner)


def _content(terms: list[Term], *, is_product: bool) -> int:
    """The number to take out of a sum: negative where all are.

    It divides all numbers, and is one of them unless there are other factors to take out.
    """
    numbers = [coefficient for _, coefficient in terms]
    shared = gcd(*numbers)
    number = shared if is_product or shared in map(abs, numbers) else 1
    return -number if all(each < 0 for each in numbers) else number


def _common(terms: list[Term]) -> Powers:
    """The powers that all terms share."""
    first, *others = [dict(powers) for powers, _ in terms]
    least = (
        (factor, min([p, *(o.get(factor, 0) for o in others)]))
        for factor, p in first.items()
    )
    return tuple((factor, power) for factor, power in least if power)


def _without(powers: Powers, common: Powers) -> Powers:
    taken = dict(common)
    rest = ((factor, power - taken.get(factor, 0)) for factor, power in powers)
    return tuple((factor, power) for factor, power in rest if power)


def _divided(terms: list[Term]) -> Formula:
    """A sum without a common factor: what holds the most frequent factor apart from the rest."""
    counts = Counter(factor for powers, _ in terms for factor, _ in powers)
    chosen, count = max(counts.items(), key=lambda item: item[1], default=(None, 0))
    if chosen is None or count < 2:
        return _alike(terms)
    holding = [term for term in terms if chosen in dict(term[0])]
    others = [term for term in terms if chosen not in dict(term[0])]
    return added([_sum(holding), _sum(others)] if others else [_sum(holding)])


def _alike(terms: list[Term]) -> Formula:
    """A sum without a common factor: terms with the same number together."""
    groups: dict[int, list[Term]] = {}
    for powers, coefficient in terms:
        groups.setdefault(coefficient if powers else 0, []).append(
            (powers, coefficient)
        )
    parts: list[Formula] = []
    for coefficient, group in groups.items():
        if len(group) == 1 or abs(coefficient) == 1:
            parts += (_monomial(term) for term in group)
        else:
            inner = added([_monomial((powers, 1)) for powers, _ in group])
            parts.append(times(coefficient, [inner]))
    return added(parts)


def added(parts: Iterable[Formula]) -> Formula:
    """A sum, sums in it spread out; what is subtracted comes last."""
    spread: list[Formula] = []
    for part in parts:
        spread += part.terms if isinstance(part, Sum) else (part,)
    spread.sort(key=is_negative)
    return spread[0] if len(spread) == 1 else Sum(tuple(spread))


# ---- products -------------------------------------------------------------------------------------


def _monomial(term: Term) -> Formula:
    powers, coefficient = term
    return times(coefficient, raised(powers))


def raised(powers: Powers) -> list[Formula]:
    """Each factor with its power."""
    return [f if p == 1 else Power(f, Number(p)) for f, p in powers]


def joined(formula: Formula, factors: Sequence[Formula]) -> Formula:
    """A formula times factors that come behind it."""
    if not factors:
        return formula
    if isinstance(formula, Number):
        return times(formula.value, list(factors))
    inner = formula.factors if isinstance(formula, Product) else (formula,)
    return Product((*inner, *factors))


def _multiplied(number: int, factors: list[Formula], last: Formula) -> Formula:
    if isinstance(last, Product):
        inner = last.factors
        if isinstance(inner[0], Number):
            number, inner = number * inner[0].value, inner[1:]
        return times(number, [*factors, *inner])
    if isinstance(last, Number):
        return times(number * last.value, factors)
    return times(number, [*factors, last])
