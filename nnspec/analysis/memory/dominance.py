"""Which amounts are never the largest of several: tried at some sizes first, and then proven.

A difference is no less than nothing for all sizes of at least 1 if each term that is missing is made up for
by a multiple of it: T * B is at least B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from functools import cache, cached_property, lru_cache
from itertools import groupby, islice
from operator import mul
from typing import TypeVar

from nnspec.ir.dims import ZERO, Atom, Dim, Monomial

# Sizes at which amounts are tried before anything is proven of them: of one or two symbols all pairs of the
# first ones, of more a choice of combinations. A proof takes as long as hundreds of tries.
TRIED = (1, 3, 60, 4000)
COMBINED = (1, 5, 2, 700, 30, 11, 5000)
COMBINATIONS = 48
FIRST = len(TRIED) ** 2
# Of more symbols so many pairs are tried to prove that one amount lies between two others, unless time is no matter.
MOST_PROOFS = 6
# So many pairs are asked for a mean of them that is no less: for one amount, and for all of them together.
MOST_MEANS = 2000
ALL_MEANS = 100 * MOST_MEANS
FINEST = 10**6

Term = TypeVar("Term")


class Trial:
    """Amounts at a few sizes: what does not hold there need not be proven.

    Amounts are known by their numbers, and sets of them by the bits of an integer.
    """

    def __init__(self, amounts: Sequence[Dim], *, thorough: bool = False) -> None:
        self._values: dict[Monomial, tuple[int, ...]] = {}
        self._symbols: dict[str, int] = {}
        self._atoms: dict[Atom, Sequence[int]] = {}
        names = {name for amount in amounts for name in amount.symbols()}
        self._count = FIRST + (COMBINATIONS if len(names) > 2 else 0)
        self._places = [*range(self._count)]
        few = len(names) > 2 and not thorough
        self._most = MOST_PROOFS if few else len(amounts) ** 2
        self._means = ALL_MEANS
        self._number = {id(amount): number for number, amount in enumerate(amounts)}
        self._at = [self._sampled(amount) for amount in amounts]
        # Monomials by number: hashing them takes longer than all the rest.
        self._numbers: dict[Monomial, int] = {}
        self._multiples: dict[tuple[int, int], bool] = {}
        self._terms = [self._numbered(amount) for amount in amounts]

    # ---- what is asked ----

    def undominated(self) -> list[int]:
        """The numbers of the amounts that none of the others is no less than for all sizes, as far as can be told.

        One that is no less than another comes before it when they are ordered by their sizes where tried.
        """
        found = 0
        for number in sorted(range(len(self._at)), key=self._at.__getitem__)[::-1]:
            larger = _members(self._nowhere_less[number] & found)
            if not any(self._proven((1, one), (-1, number)) for one in larger):
                found |= 1 << number
        return [*_members(found)]

    def at_least(self, one: Dim, other: Dim) -> bool:
        """Whether an amount is no less than another for all sizes, as far as can be told."""
        first, second = self._number[id(one)], self._number[id(other)]
        if not self._nowhere_less[second] >> first & 1:
            return False
        return self._proven((1, first), (-1, second))

    def is_reached(self, amount: Dim, others: Iterable[Dim]) -> bool:
        """Whether an amount is never more than some mean of two others, and so than the larger, as far as can be told."""
        number, among, left = self._number[id(amount)], 0, self._most
        for other in others:
            among |= 1 << self._number[id(other)]
        for pair in islice(self._covering(number, among), MOST_MEANS):
            self._means -= 1
            if left == 0 or self._means < 0:
                return False
            share = self._share(number, *pair)
            if share is not None:
                left -= 1
                if self._is_mean(number, share, *pair):
                    return True
        return False

    def _is_mean(self, number: int, share: Fraction, one: int, other: int) -> bool:
        whole, first = share.denominator, share.numerator
        return self._proven((first, one), (whole - first, other), (-whole, number))

    # ---- tries ----

    @cached_property
    def _no_less(self) -> list[list[int]]:
        """For each amount those that are no less, at each of the tried sizes."""
        found: list[list[int]] = [[] for _ in self._at]
        for values in zip(*self._at, strict=True):
            amounts = 0
            value_of = values.__getitem__
            downwards = sorted(range(len(values)), key=value_of, reverse=True)
            for _, equal in groupby(downwards, key=value_of):
                numbers = [*equal]
                amounts |= sum(1 << number for number in numbers)
                for number in numbers:
                    found[number].append(amounts)
        return found

    @cached_property
    def _nowhere_less(self) -> list[int]:
        """For each amount those that are no less at any of the tried sizes."""
        return [_in_all(each) for each in self._no_less]

    def _covering(self, number: int, among: int) -> Iterator[tuple[int, int]]:
        """Pairs of which one or the other is no less than an amount wherever tried, and neither less everywhere."""
        no_less = [each & among for each in {*self._no_less[number]}]
        if not all(no_less):
            return
        somewhere = 0
        for each in no_less:
            somewhere |= each
        for one in _members(somewhere):
            rest = somewhere & -(2 << one)
            for each in no_less:
                if not each >> one & 1:
                    rest &= each
                    if not rest:
                        break
            for other in _members(rest):
                yield one, other

    def _share(self, number: int, first: int, second: int) -> Fraction | None:
        """The share of the first of two in a mean that is no less than an amount wherever tried; None if there is none."""
        amounts, ones, others = self._at[number], self._at[first], self._at[second]
        low, high = 0.0, 1.0
        lowest = highest = 0
        for place in self._places:
            amount, one, other = amounts[place], ones[place], others[place]
            if other < amount:
                bound = (amount - other) / (one - other)
                if bound > low:
                    low, lowest = bound, place
            elif one < amount:
                bound = (amount - other) / (one - other)
                if bound < high:
                    high, highest = bound, place
            if low > high:
                self._try_first(lowest, highest)
                return None
        return Fraction((low + high) / 2).limit_denominator(FINEST)

    def _try_first(self, *places: int) -> None:
        """Tries sizes before all others from now on: what told of one pair mostly tells of the next one."""
        for place in places:
            if place not in self._places[: len(places)]:
                self._places.remove(place)
                self._places.insert(0, place)

    def _sampled(self, amount: Dim) -> list[int]:
        if amount.constant is not None:
            return [amount.constant] * self._count
        rows = [
            [coefficient * value for value in self._monomial(monomial)]
            for monomial, coefficient in amount.terms
        ]
        return list(map(sum, zip(*rows, strict=True)))

    def _monomial(self, monomial: Monomial) -> tuple[int, ...]:
        if monomial not in self._values:
            values: Iterable[int] = [1] * self._count
            for atom, power in monomial:
                factors = self._atom(atom)
                for _ in range(power):
                    values = map(mul, values, factors)
            self._values[monomial] = tuple(values)
        return self._values[monomial]

    def _atom(self, atom: Atom) -> Sequence[int]:
        """An atom at the sizes of all trials: each symbol takes the sizes in an order of its own."""
        if atom not in self._atoms:
            self._atoms[atom] = self._tried(atom)
        return self._atoms[atom]

    def _tried(self, atom: Atom) -> Sequence[int]:
        if atom.kind == "symbol":
            number = self._symbols.setdefault(atom.symbol, len(self._symbols))
            return _sizes_of(number, self._count)
        arguments = [self._sampled(each) for each in atom.arguments]
        if atom.kind == "//":
            above, below = arguments
            return [a // max(1, b) for a, b in zip(above, below, strict=True)]
        ones = [1] * self._count
        return [max(each) for each in zip(ones, *arguments, strict=True)]

    # ---- proofs ----

    def _proven(self, *parts: tuple[int, int]) -> bool:
        """Whether a sum of multiples of amounts is nothing or more for all sizes from 1 on."""
        left: dict[int, int] = {}
        for factor, amount in parts:
            for number, coefficient in self._terms[amount]:
                left[number] = left.get(number, 0) + factor * coefficient
        return is_made_up(left, self._is_multiple, self._degrees.__getitem__)

    def _numbered(self, amount: Dim) -> list[tuple[int, int]]:
        return [
            (self._numbers.setdefault(monomial, len(self._numbers)), coefficient)
            for monomial, coefficient in terms_of(amount).items()
        ]

    @cached_property
    def _monomials(self) -> list[Monomial]:
        return list(self._numbers)

    @cached_property
    def _degrees(self) -> list[int]:
        return [_degree(monomial) for monomial in self._numbers]

    def _is_multiple(self, lower: int, higher: int) -> bool:
        key = (lower, higher)
        if key not in self._multiples:
            one, other = self._monomials[lower], self._monomials[higher]
            self._multiples[key] = divides(one, other)
        return self._multiples[key]


def _in_all(sets: Sequence[int]) -> int:
    """What is in each of some sets."""
    found = sets[0]
    for each in sets:
        found &= each
    return found


def _members(numbers: int) -> Iterator[int]:
    """The numbers in a set, upwards."""
    while numbers:
        lowest = numbers & -numbers
        yield lowest.bit_length() - 1
        numbers ^= lowest


@cache
def _sizes_of(number: int, count: int) -> Sequence[int]:
    """The sizes of the symbol with a number in so many trials."""
    pairs = [
        TRIED[(place + place // len(TRIED) * number) % len(TRIED)]
        for place in range(FIRST)
    ]
    places = range(FIRST, count)
    return [*pairs, *(COMBINED[_mixed(number, at) % len(COMBINED)] for at in places)]


def _mixed(number: int, place: int) -> int:
    """A number that hangs on both without a pattern (Knuth's multiplicative hashing)."""
    return ((number * 1_000_003 + place) * 2_654_435_761 % 2**32) >> 13


def larger(one: Dim, other: Dim) -> int:
    """1 where the first of two amounts is no less at all sizes, -1 where the second is; 0 if it is not known."""
    left = terms_of(one)
    for monomial, coefficient in terms_of(other).items():
        left[monomial] = left.get(monomial, 0) - coefficient
    lowest, highest = min(left.values(), default=0), max(left.values(), default=0)
    if lowest >= 0:
        return 1
    if highest <= 0:
        return -1
    # At sizes of 1 the difference is the sum of its coefficients.
    if sum(left.values()) >= 0:
        return int(is_made_up(left, divides, _degree))
    turned = {monomial: -coefficient for monomial, coefficient in left.items()}
    return -is_made_up(turned, divides, _degree)


def is_made_up(
    left: dict[Term, int],
    divides: Callable[[Term, Term], bool],
    degree: Callable[[Term], int],
) -> bool:
    """Whether positive terms that are multiples of the negative ones cover these."""
    short = [term for term, coefficient in left.items() if coefficient < 0]
    if not short or len(short) == len(left):
        return not short
    over = sorted((m for m, c in left.items() if c > 0), key=degree)
    for term in sorted(short, key=degree, reverse=True):
        missing = -left[term]
        for larger in over:
            if missing > 0 and left[larger] and divides(term, larger):
                taken = min(missing, left[larger])
                left[larger] -= taken
                missing -= taken
        if missing > 0:
            return False
    return True


def terms_of(amount: Dim) -> dict[Monomial, int]:
    """The coefficient of each product of sizes in an amount, as if what is never above nothing were never below it.

    A quotient that is rounded up is the negative of one that is rounded down, of what is subtracted: `-(-a // b)`.
    """
    if amount.constant is not None:
        return {(): amount.constant}
    return {
        monomial: -coefficient if _is_turned(monomial) else coefficient
        for monomial, coefficient in amount.terms
    }


def _is_turned(monomial: Monomial) -> bool:
    """Whether a product is never above nothing."""
    turned = False
    for atom, power in monomial:
        if atom.kind == "//" and power % 2 and _is_ceiling(atom):
            turned = not turned
    return turned


@lru_cache(maxsize=4096)
def _is_ceiling(atom: Atom) -> bool:
    above, below = atom.arguments
    return below.constant is not None and larger(ZERO, above) > 0


def _degree(monomial: Monomial) -> int:
    return sum(power for _, power in monomial)


def divides(lower: Monomial, higher: Monomial) -> bool:
    """Whether a product of sizes is a multiple of another, the rest being sizes of at least 1."""
    powers = dict(higher)
    for atom, power in lower:
        if powers.get(atom, 0) < power:
            return False
        powers[atom] -= power
    return all(_is_size(atom) for atom, power in powers.items() if power)


def _is_size(atom: Atom) -> bool:
    """Whether an atom is known to be at least 1: a size, or a power of a number."""
    is_power = atom.kind == "^" and atom.arguments[0].constant is not None
    return is_power or atom.kind == "symbol"
