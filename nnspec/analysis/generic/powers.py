"""Powers of numbers whose exponents speak of the turn of a loop: what grows geometrically, and its sum."""

from __future__ import annotations

from fractions import Fraction
from math import comb

from nnspec.ir.dims import Atom, Dim, Monomial, dim, polynomial, symbol, total
from nnspec.records import dataclass

# A turn's number may stand so often in an exponent.
MOST_TIMES = 8


@dataclass(frozen=True, slots=True)
class Growth:
    """`ratio` to the power of a turn's number, times `rest` and a `factor`."""

    ratio: int
    factor: Fraction
    rest: Monomial


def growth_of(monomial: Monomial, turn: str) -> Growth | None:
    """A product as powers of the number of a turn; None where its exponents are no multiples of that number."""
    ratio, factor = 1, Fraction(1)
    rest: list[tuple[Atom, int]] = []
    for atom, power in monomial:
        if all(turn not in each.symbols() for each in atom.arguments):
            rest.append((atom, power))
            continue
        found = _exponential(atom, turn)
        if found is None:
            return None
        base, times, besides = found
        ratio *= base ** (times * power)
        factor *= Fraction(base) ** (besides * power)
    return Growth(ratio, factor, tuple(rest))


def _exponential(atom: Atom, turn: str) -> tuple[int, int, int] | None:
    """The base of a power, how often its exponent has a turn's number, and what it has besides."""
    if atom.kind != "^":
        return None
    base, exponent = atom.arguments
    linear = exponent - symbol(turn)
    times = 1
    while turn in linear.symbols() and times < MOST_TIMES:
        linear = linear - symbol(turn)
        times += 1
    if base.constant is None or base.constant < 2 or linear.constant is None:
        return None
    return base.constant, times, linear.constant


def power_sum(ratio: int, power: int) -> tuple[Fraction, ...]:
    """The coefficients of a polynomial P with P(n) r^n - P(m) r^m = sum of t^p r^t over t from m to below n.

    From r P(n + 1) - P(n) = n^p, the highest power first.
    """
    found = [Fraction(0)] * (power + 1)
    for place in range(power, -1, -1):
        above = sum(
            (found[i] * comb(i, place) for i in range(place + 1, power + 1)),
            Fraction(0),
        )
        wanted = Fraction(1 if place == power else 0)
        found[place] = (wanted - ratio * above) / (ratio - 1)
    return tuple(found)


def raised(ratio: int, exponent: Dim) -> tuple[Fraction, Dim]:
    """A power of a number as a factor, and a power without a number in its exponent."""
    if exponent.constant is not None:
        return Fraction(ratio) ** exponent.constant, dim(1)
    besides = dict(exponent.terms).get((), 0)
    return Fraction(ratio) ** besides, dim(ratio) ** (exponent - besides)


def canonical(value: Dim) -> Dim:
    """A size with the powers of a number joined: 2 * 2^(n - 1) is 2^n."""
    return polynomial(_joined(*term) for term in value.terms) if value.terms else value


def _joined(monomial: Monomial, coefficient: int) -> tuple[Monomial, int]:
    powers = [each for each in monomial if _is_power(each[0])]
    bases = {int(atom.arguments[0]) for atom, _ in powers}
    if len(bases) != 1:
        return monomial, coefficient
    (base,) = bases
    exponent = total(atom.arguments[1] * power for atom, power in powers)
    while coefficient % base == 0:
        coefficient //= base
        exponent = exponent + 1
    rest = [each for each in monomial if not _is_power(each[0])]
    ((joined, _),) = (dim(base) ** exponent).terms
    return tuple(sorted((*rest, *joined), key=lambda each: each[0].key)), coefficient


def _is_power(atom: Atom) -> bool:
    return atom.kind == "^" and (atom.arguments[0].constant or 0) > 1
