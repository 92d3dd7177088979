"""Which amounts are never the largest of several: tried at some sizes first, and then proven.

A difference is no less than nothing for all sizes of at least 1 if each term that is missing is made up for
by a multiple of it: T * B is at least B.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import islice
from typing import TypeVar

from nnspec.ir.dims import Atom, Dim, Monomial

# Sizes at which amounts are tried before anything is proven of them: of one or two symbols all pairs of the
# first ones, of more a choice of combinations. A proof takes as long as hundreds of tries.
TRIED = (1, 3, 60, 4000)
COMBINED = (1, 5, 2, 700, 30, 11, 5000)
COMBINATIONS = 48
# Of more symbols so many pairs are tried to prove that one amount lies between two others, unless time is no matter.
MOST_PROOFS = 6
# So many pairs are asked for a mean of them that is no less.
MOST_MEANS = 2000
FINEST = 10**6

Term = TypeVar("Term")


class Trial:
    """Amounts at a few sizes: what does not hold there need not be proven."""

    def __init__(self, amounts: Sequence[Dim], *, thorough: bool = False) -> None:
        self._values: dict[Monomial, tuple[int, ...]] = {}
        self._symbols: dict[str, int] = {}
        names = {name for amount in amounts for name in amount.symbols()}
        self._first = len(TRIED) ** 2
        self._count = self._first + (COMBINATIONS if len(names) > 2 else 0)
        few = len(names) > 2 and not thorough
        self._most = MOST_PROOFS if few else len(amounts) ** 2
        self._at = {id(amount): self._sampled(amount) for amount in amounts}
        # Monomials by number: hashing them takes longer than all the rest.
        self._numbers: dict[Monomial, int] = {}
        self._multiples: dict[tuple[int, int], bool] = {}
        self._terms = {id(amount): self._numbered(amount) for amount in amounts}

    # ---- what is asked ----

    def at_least(self, one: Dim, other: Dim) -> bool:
        """Whether an amount is no less than another for all sizes, as far as can be told."""
        pairs = zip(self._at[id(one)], self._at[id(other)], strict=True)
        return all(a >= b for a, b in pairs) and self._proven((1, one), (-1, other))

    def between(self, amount: Dim, one: Dim, other: Dim) -> bool:
        """Whether an amount is never more than some mean of two others, and so than the larger."""
        share = self._share(
            self._at[id(amount)], self._at[id(one)], self._at[id(other)]
        )
        if share is None:
            return False
        whole, first = share.denominator, share.numerator
        return self._proven((first, one), (whole - first, other), (-whole, amount))

    def covering(self, amount: Dim, others: Sequence[Dim]) -> Iterator[tuple[Dim, Dim]]:
        """Pairs of which one or the other, and some mean of both, is no less than an amount where tried."""
        values = self._at[id(amount)]
        every = (1 << len(values)) - 1
        covers = [(self._covers(each, values), each) for each in others]
        covers = [(mask, each) for mask, each in covers if mask]
        if not self._is_covered(every, covers):
            return
        pairs = (
            (one, other)
            for place, (mask, one) in enumerate(covers)
            for also, other in covers[place + 1 :]
            if mask | also == every
        )
        tried = islice(pairs, MOST_MEANS)
        means = (pair for pair in tried if self._has_share(amount, *pair))
        yield from islice(means, self._most)

    # ---- tries ----

    def _is_covered(self, every: int, covers: Sequence[tuple[int, Dim]]) -> bool:
        for mask, _ in covers:
            every &= ~mask
        return not every

    def _covers(self, one: Dim, values: Sequence[int]) -> int:
        pairs = zip(self._at[id(one)], values, strict=True)
        return sum(1 << place for place, (a, b) in enumerate(pairs) if a >= b)

    def _has_share(self, *amounts: Dim) -> bool:
        return self._share(*(self._at[id(each)] for each in amounts)) is not None

    def _share(
        self, amounts: Sequence[int], ones: Sequence[int], others: Sequence[int]
    ) -> Fraction | None:
        """The share of the first in a mean that is no less at any of the tried sizes."""
        low, high = 0.0, 1.0
        for amount, one, other in zip(amounts, ones, others, strict=True):
            if one == other:
                if amount > one:
                    return None
                continue
            bound = (amount - other) / (one - other)
            if one > other:
                low = max(low, bound)
            else:
                high = min(high, bound)
            if low > high:
                return None
        return Fraction((low + high) / 2).limit_denominator(FINEST)

    def _sampled(self, amount: Dim) -> list[int]:
        if amount.constant is not None:
            return [amount.constant] * self._count
        found = [0] * self._count
        for monomial, coefficient in amount.terms:
            for place, value in enumerate(self._monomial(monomial)):
                found[place] += coefficient * value
        return found

    def _monomial(self, monomial: Monomial) -> tuple[int, ...]:
        if monomial not in self._values:
            values = [1] * self._count
            for atom, power in monomial:
                for place in range(len(values)):
                    values[place] *= self._atom(atom, place) ** power
            self._values[monomial] = tuple(values)
        return self._values[monomial]

    def _atom(self, atom: Atom, place: int) -> int:
        """An atom at the sizes of one trial: each symbol takes the sizes in an order of its own."""
        if atom.kind == "symbol":
            number = self._symbols.setdefault(atom.symbol, len(self._symbols))
            if place >= self._first:
                return COMBINED[_mixed(number, place) % len(COMBINED)]
            shift = place // len(TRIED) * number
            return TRIED[(place + shift) % len(TRIED)]
        return max(
            1, max((self._dim(each, place) for each in atom.arguments), default=1)
        )

    def _dim(self, size: Dim, place: int) -> int:
        if size.constant is not None:
            return size.constant
        return sum(c * self._monomial(m)[place] for m, c in size.terms)

    # ---- proofs ----

    def _proven(self, *parts: tuple[int, Dim]) -> bool:
        """Whether a sum of multiples of amounts is nothing or more for all sizes from 1 on."""
        left: dict[int, int] = {}
        for factor, amount in parts:
            for number, coefficient in self._terms[id(amount)]:
                left[number] = left.get(number, 0) + factor * coefficient
        return is_made_up(left, self._is_multiple, self._degree)

    def _numbered(self, amount: Dim) -> list[tuple[int, int]]:
        return [
            (self._numbers.setdefault(monomial, len(self._numbers)), coefficient)
            for monomial, coefficient in terms_of(amount).items()
        ]

    @cached_property
    def _monomials(self) -> list[Monomial]:
        return list(self._numbers)

    def _degree(self, number: int) -> int:
        return _degree(self._monomials[number])

    def _is_multiple(self, lower: int, higher: int) -> bool:
        key = (lower, higher)
        if key not in self._multiples:
            one, other = self._monomials[lower], self._monomials[higher]
            self._multiples[key] = _divides(one, other)
        return self._multiples[key]


def _mixed(number: int, place: int) -> int:
    """A number that hangs on both without a pattern (Knuth's multiplicative hashing)."""
    return ((number * 1_000_003 + place) * 2_654_435_761 % 2**32) >> 13


def larger(one: Dim, other: Dim) -> int:
    """1 where the first of two amounts is no less at all sizes, -1 where the second is; 0 if it is not known."""
    left = terms_of(one)
    for monomial, coefficient in other.terms or (((), other.constant or 0),):
        left[monomial] = left.get(monomial, 0) - coefficient
    lowest, highest = min(left.values(), default=0), max(left.values(), default=0)
    if lowest >= 0:
        return 1
    if highest <= 0:
        return -1
    # At sizes of 1 the difference is the sum of its coefficients.
    if sum(left.values()) >= 0:
        return int(is_made_up(left, _divides, _degree))
    turned = {monomial: -coefficient for monomial, coefficient in left.items()}
    return -is_made_up(turned, _divides, _degree)


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
    """The coefficient of each product of sizes in an amount."""
    if amount.constant is not None:
        return {(): amount.constant}
    return dict(amount.terms)


def _degree(monomial: Monomial) -> int:
    return sum(power for _, power in monomial)


def _divides(lower: Monomial, higher: Monomial) -> bool:
    """Whether a product of sizes is a multiple of another, the rest being sizes of at least 1."""
    powers = dict(higher)
    for atom, power in lower:
        if powers.get(atom, 0) < power:
            return False
        powers[atom] -= power
    return all(atom.kind == "symbol" for atom, power in powers.items() if power)
