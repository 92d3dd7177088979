"""Powers of numbers whose exponents speak of the turn of a loop: what grows or shrinks geometrically, and its sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cache
from math import comb, gcd, lcm

from nnspec.ir.dims import Atom, Dim, DimError, Monomial, dim, polynomial, symbol, total
from nnspec.ir.dims.integers import terms_of
from nnspec.records import dataclass

# A turn's number may stand so often in an exponent.
MOST_TIMES = 8


@dataclass(frozen=True, slots=True)
class Powers:
    """A product: numbers to some exponents, each number once, times what is no such power."""

    exponents: dict[int, Dim]
    rest: Monomial

    @staticmethod
    def of(monomial: Monomial) -> Powers:
        """A product with the powers of each number joined: 2^n * 4^n is 2^(3 * n)."""
        exponents: dict[int, Dim] = {}
        rest: list[tuple[Atom, int]] = []
        for atom, power in monomial:
            base = _base(atom)
            if base is None:
                rest.append((atom, power))
                continue
            root, times = root_of(base)
            more = atom.arguments[1] * (power * times)
            exponents[root] = exponents.get(root, dim(0)) + more
        return Powers(exponents, tuple(rest))


@dataclass(frozen=True, slots=True)
class Growth:
    """`ratios` to so many times the number of a turn, times a product without that."""

    ratios: dict[int, int]
    besides: Powers

    @property
    def ratio(self) -> Fraction:
        """What one turn multiplies by."""
        found = Fraction(1)
        for base, times in self.ratios.items():
            found *= Fraction(base) ** times
        return found


def growth_of(monomial: Monomial, turn: str) -> Growth | None:
    """A product as powers of the number of a turn; None where its exponents are no multiples of that number."""
    powers = Powers.of(monomial)
    if any(turn in a.symbols() for atom, _ in powers.rest for a in atom.arguments):
        return None
    ratios: dict[int, int] = {}
    besides: dict[int, Dim] = {}
    for base, exponent in powers.exponents.items():
        times = times_of(exponent, turn)
        if times is None:
            return None
        if times:
            ratios[base] = times
        besides[base] = exponent - symbol(turn) * times
    return Growth(ratios, Powers(besides, powers.rest))


def times_of(exponent: Dim, turn: str) -> int | None:
    """How often the number of a turn stands in an exponent; None if it stands there otherwise."""
    ((own, _),) = symbol(turn).terms
    times = dict(exponent.terms).get(own, 0)
    rest = exponent - symbol(turn) * times
    return None if turn in rest.symbols() or abs(times) > MOST_TIMES else times


def power_sum(ratio: Fraction, power: int) -> tuple[Fraction, ...]:
    """The coefficients of a polynomial P with P(n) r^n - P(m) r^m = sum of t^p r^t over t from m to below n.

    From r P(n + 1) - P(n) = n^p, the lowest power first.
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


# ---- written in one way ---------------------------------------------------------------------------


def canonical(value: Dim) -> Dim:
    """A size with the powers of each number joined: 2 * 2^(n - 1) is 2^n."""
    if all(atom.kind != "^" for atom in value.atoms()):
        return value
    return total(_joined(*term) for term in value.terms) if value.terms else value


def _joined(monomial: Monomial, coefficient: int) -> Dim:
    powers = Powers.of(monomial)
    found = polynomial([(powers.rest, 1)])
    for base, exponent in powers.exponents.items():
        while coefficient % base == 0 and exponent.constant is None:
            coefficient //= base
            exponent = exponent + 1
        found = found * dim(base) ** exponent
    return found * coefficient


def spread(terms: Iterable[tuple[Fraction, Powers]]) -> tuple[Dim, int]:
    """A sum without numbers in exponents, and what divides it without remainder: 2^(n + 1) + 4^n is 2 * 2^n + (2^n)^2.

    Products that are the same are written in the same way, so that what cancels is gone.
    """
    raised = [_with_numbers(*term) for term in collected(terms).items()]
    scale = lcm(*(each.denominator for _, each in raised), 1)
    return polynomial((m, int(c * scale)) for m, c in raised), scale


def collected(terms: Iterable[tuple[Fraction, Powers]]) -> dict[Monomial, Fraction]:
    """The coefficients of products without numbers in exponents, those that are the same added up."""
    found: dict[Monomial, Fraction] = {}
    for factor, powers in terms:
        monomial, number = _without_numbers(powers)
        found[monomial] = found.get(monomial, Fraction(0)) + factor * number
    return {monomial: factor for monomial, factor in found.items() if factor}


def scaled(value: Dim) -> tuple[Monomial, Fraction]:
    """A product as one without numbers in exponents, and a factor."""
    ((monomial, coefficient),) = terms_of(value)
    found, number = _without_numbers(Powers.of(monomial))
    return found, number * coefficient


def expanded(value: Dim, below: int = 1) -> Dim:
    """A value over what divides it without remainder, without numbers in exponents."""
    whole, scale = without_numbers(value)
    return divided(whole, scale * below)


def exactly(value: Dim, below: int) -> Dim:
    """A value over what divides it without remainder, powers of the numbers in that being lower instead: (3^n - 9) // 6 is (3^(n - 1) - 3) // 2."""
    whole, scale = without_numbers(value)
    below *= scale
    bases = {base for atom in whole.atoms() if (base := _base(atom)) is not None}
    for base in sorted(root_of(each)[0] for each in bases):
        power = times_in(below, base)
        try:
            whole = times_power(whole, base, dim(-power))
        except DimError:
            continue
        below //= base**power
    return divided(whole, below)


def without_numbers(value: Dim) -> tuple[Dim, int]:
    """A value without numbers in exponents, and what divides that without remainder."""
    if all(atom.kind != "^" for atom in value.atoms()):
        return value, 1
    return spread((Fraction(c), Powers.of(m)) for m, c in value.terms)


def _without_numbers(powers: Powers) -> tuple[Monomial, Fraction]:
    number = Fraction(1)
    found = polynomial([(powers.rest, 1)])
    for base, exponent in powers.exponents.items():
        besides = exponent.constant
        if besides is None:
            besides = dict(exponent.terms).get((), 0)
        number *= Fraction(base) ** besides
        rest = exponent - besides
        if all(times > 0 for _, times in rest.terms):
            for monomial, times in rest.terms:
                found = found * _repeated(
                    dim(base) ** polynomial([(monomial, 1)]), times
                )
        else:
            found = found * dim(base) ** rest
    ((monomial, _),) = found.terms or (((), 1),)
    return monomial, number


def _with_numbers(monomial: Monomial, factor: Fraction) -> tuple[Monomial, Fraction]:
    """A term in which powers that shrink have as much in their exponents as the factor gives: 5 * 2^(4 - n) for 80 * 2^(-n)."""
    found = polynomial([((), 1)])
    for atom, power in monomial:
        value = polynomial([(((atom, power),), 1)])
        if shrinks(atom) and power == 1:
            base, exponent = atom.arguments
            times = 0
            while factor and factor.numerator % int(base) == 0:
                factor, times = factor / int(base), times + 1
            value = base ** (exponent + times)
        found = found * value
    ((whole, _),) = found.terms or (((), 1),)
    return whole, factor


def shrinks(atom: Atom) -> bool:
    """Whether an atom is a power of a number with something subtracted in its exponent."""
    return _base(atom) is not None and any(
        times < 0 for monomial, times in atom.arguments[1].terms if monomial
    )


def _repeated(value: Dim, times: int) -> Dim:
    ((monomial, _),) = value.terms
    return polynomial([(tuple((atom, power * times) for atom, power in monomial), 1)])


def divided(value: Dim, divisor: int) -> Dim:
    """A value that divides without remainder, whatever its names are."""
    if value.is_constant:
        return dim(int(value) // divisor)
    shared = gcd(divisor, *(coefficient for _, coefficient in value.terms))
    reduced = polynomial((m, c // shared) for m, c in value.terms)
    return reduced // (divisor // shared)


# ---- quotients ------------------------------------------------------------------------------------


def ratio_of(before: Dim, after: Dim) -> tuple[int, int] | None:
    """A number and the power of it that the second size is times the first; None where there is none."""
    if len(terms_of(before)) != 1 or len(terms_of(after)) != 1:
        return None
    ((one, factor),), ((other, number),) = terms_of(before), terms_of(after)
    if factor == 0 or number == 0:
        return None
    old, new = Powers.of(one), Powers.of(other)
    if sorted(old.rest) != sorted(new.rest):
        return None
    found = Fraction(number, factor)
    for base in {*old.exponents, *new.exponents}:
        zero = dim(0)
        more = new.exponents.get(base, zero) - old.exponents.get(base, zero)
        if more.constant is None:
            return None
        found *= Fraction(base) ** more.constant
    return _power_of(found)


def _power_of(ratio: Fraction) -> tuple[int, int] | None:
    if ratio == 1 or 1 not in (ratio.numerator, ratio.denominator) or ratio < 0:
        return None
    base, times = root_of(max(ratio.numerator, ratio.denominator))
    return base, times if ratio > 1 else -times


def times_power(value: Dim, base: int, exponent: Dim) -> Dim:
    """A size times a power of a number, which may have a negative exponent where the size is a multiple."""
    return total(
        _raised(monomial, coefficient, base, exponent)
        for monomial, coefficient in terms_of(value)
    )


def _raised(monomial: Monomial, coefficient: int, base: int, exponent: Dim) -> Dim:
    powers = Powers.of(monomial)
    exponents = dict(powers.exponents)
    exponents[base] = exponents.get(base, dim(0)) + exponent
    found = polynomial([(powers.rest, 1)])
    for each, raised in exponents.items():
        while coefficient % each == 0 and coefficient and raised.constant != 0:
            coefficient //= each
            raised = raised + 1
        found = found * dim(each) ** raised
    return found * coefficient


def quotients(value: Dim, is_at_least: Callable[[Dim, int], bool]) -> Dim:
    """A size without quotients and remainders by numbers and powers of which its terms are multiples: (h * 2^n - 1) // 2 is h * 2^(n - 1) - 1.

    It is asked of exponents whether they are at least a number, where that matters.
    """

    def replace(atom: Atom) -> Dim | None:
        if atom.kind not in ("//", "%"):
            return None
        above, below = atom.arguments
        above = quotients(above, is_at_least)
        found = _over(above, below, is_at_least)
        if found is None:
            return None
        whole, rest = found
        return whole + rest // below if atom.kind == "//" else rest % below

    if all(atom.kind != "^" for atom in value.atoms()):
        return value
    return canonical(value.substitute(replace))


def _over(
    above: Dim, below: Dim, is_at_least: Callable[[Dim, int], bool]
) -> tuple[Dim, Dim] | None:
    """What divides a size, divided by it, and the rest; None if that is nothing."""
    number, power = below.constant, power_in(below)
    whole, rest = dim(0), dim(0)
    for monomial, coefficient in above.terms:
        found = None
        if number is not None and number > 1:
            found = _term_over(monomial, coefficient, number, is_at_least)
        elif power is not None:
            found = _term_over_power(monomial, coefficient, *power, is_at_least)
        if found is None:
            rest = rest + polynomial([(monomial, coefficient)])
        else:
            whole = whole + found
    return None if whole == 0 else (whole, rest)


def _term_over(
    monomial: Monomial,
    coefficient: int,
    below: int,
    is_at_least: Callable[[Dim, int], bool],
) -> Dim | None:
    shared = gcd(coefficient, below)
    base, times = root_of(below // shared)
    if below == shared:
        return None
    value = monomial, coefficient // shared
    return _term_over_power(*value, base, dim(times), is_at_least)


def _term_over_power(
    monomial: Monomial,
    coefficient: int,
    base: int,
    exponent: Dim,
    is_at_least: Callable[[Dim, int], bool],
) -> Dim | None:
    """A term over a power of a number, of which it has one itself."""
    own = Powers.of(monomial).exponents.get(base)
    if own is None or own.constant is not None:
        return None
    own = own + times_in(coefficient, base)
    more = exponent.constant or 0
    if not is_at_least(own - (exponent - more), more):
        return None
    return times_power(polynomial([(monomial, coefficient)]), base, -exponent)


def power_in(value: Dim) -> tuple[int, Dim] | None:
    """The number and the exponent of a power, which has names in it."""
    if len(value.terms) != 1:
        return None
    ((monomial, coefficient),) = value.terms
    powers = Powers.of(monomial)
    if powers.rest or len(powers.exponents) != 1:
        return None
    ((base, exponent),) = powers.exponents.items()
    more = times_in(coefficient, base)
    return (base, exponent + more) if coefficient == base**more else None


def times_in(number: int, base: int) -> int:
    """How often one number divides another, which is not 0."""
    times = 0
    while number % base == 0:
        number, times = number // base, times + 1
    return times


# ---- numbers --------------------------------------------------------------------------------------


def _base(atom: Atom) -> int | None:
    """The number of at least 2 that a power is one of."""
    if atom.kind != "^":
        return None
    base = atom.arguments[0].constant
    return base if base is not None and base > 1 else None


@cache
def root_of(number: int) -> tuple[int, int]:
    """The least number of which this one is a power, and the exponent."""
    for times in range(number.bit_length(), 1, -1):
        root = round(number ** (1 / times)) if number.bit_length() < 1000 else 0
        for each in (root - 1, root, root + 1):
            if each > 1 and each**times == number:
                return each, times
    return number, 1
