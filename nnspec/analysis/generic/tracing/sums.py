"""Adding up over bodies: each use counts, and turns that are alike add up to a formula in their number.

What has no such formula may stay a sum over the turns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache
from math import comb, lcm

from nnspec.analysis.generic.blocks.constants import Constants
from nnspec.analysis.generic.names.conditions import Condition, Turns, remaining
from nnspec.analysis.generic.names.even import apart
from nnspec.analysis.generic.names.powers import (
    Growth,
    Powers,
    expanded,
    growth_of,
    power_sum,
    spread,
)
from nnspec.analysis.generic.reasons import RULED
from nnspec.analysis.generic.tracing.bodies import (
    Body,
    Call,
    GenericSite,
    Leaf,
    Part,
    Repeated,
)
from nnspec.analysis.generic.tracing.trace import Unrolled
from nnspec.analysis.totals import Additive
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import (
    ZERO,
    Atom,
    Dim,
    Monomial,
    dim,
    polynomial,
    series,
    total,
    witnessed,
)
from nnspec.ir.dims.integers import terms_of
from nnspec.ir.dims.polynomials import multiplied_monomials as multiplied
from nnspec.ops.base import OpError, replaced
from nnspec.records import dataclass


class Unsteady(Exception):
    """Turns of a loop that count differently."""


class Unsummed(Unrolled):
    """What the turns of a loop count has no sum but one that goes through them."""


class Sums:
    """The sums of one quantity over bodies, in the constants of the model."""

    def __init__(self, quantity: Additive, constants: Constants) -> None:
        self._quantity = quantity
        self._constants = constants
        self._made: dict[str, Counted] = {}

    def counted(self, body: Body) -> Counted:
        """A body with all that is in it. Raises `Unrolled` for turns that do not add up to a formula."""
        if body.key not in self._made:
            counts: dict[str, tuple[Counted, int]] = {}
            conditions: list[Condition] = []
            for part in body.parts:
                found = self._part(part)
                key = f"{found.value.key}/{found.below}"
                counts[key] = (found, counts.get(key, (found, 0))[1] + 1)
                conditions += found.conditions
            unique = {each.key: each for each in conditions}
            self._made[body.key] = Counted.total(
                counts.values(), tuple(unique.values())
            )
        return self._made[body.key]

    def _part(self, part: Part) -> Counted:
        match part:
            case Leaf(site):
                if self._quantity.counts(site):
                    return self._leaf(site)
                return Counted(ZERO)
            case Call(body, site):
                if self._quantity.counts(site):
                    return self.counted(body)
                return Counted(ZERO)
            case Repeated():
                return self._repeated(part)

    def _leaf(self, site: GenericSite) -> Counted:
        with (
            self._constants.collecting() as conditions,
            witnessed(self._constants.witness),
        ):
            value = self._stacked(site)
            if value is None:
                value = self._constants.plain(self._quantity.rule(site).generic)
            for name in site.uncertain:
                self._check_either(site, name, value)
        return Counted(value, tuple(conditions))

    def _check_either(self, site: GenericSite, name: str, value: Dim) -> None:
        """Raises `Unsteady` where it matters whether an argument is 0, which some turns decide one way and some the other."""
        assert site.node.op is not None
        for number in (0.0, 0.5):
            node = replace(site.node, op=replaced(site.node.op, **{name: number}))
            if self._quantity.rule(replace(site, node=node)).generic != value:
                raise Unsteady

    def _stacked(self, site: GenericSite) -> Dim | None:
        """What a stack of layers takes, of any number of them; None if it is no such stack."""
        op = site.node.op
        assert op is not None
        count = None if op.stacked is None else getattr(op, op.stacked)
        if not isinstance(count, Dim) or count.generic.is_constant:
            return None
        try:
            one, two, three, four = (self._of(site, number) for number in (1, 2, 3, 4))
        except OpError:
            return None
        each = three - two
        if four - three != each:
            return None
        least = 1 if two - one == each else 2
        if count.value.falls_below(least):
            return None
        self._constants.note(">=", count.generic, dim(least), RULED)
        return two + (count.generic - 2) * each

    def _of(self, site: GenericSite, count: int) -> Dim:
        """The same of a stack of so many layers."""
        op = site.node.op
        assert op is not None
        assert op.stacked is not None
        node = replace(site.node, op=replaced(op, **{op.stacked: dim(count)}))
        return self._quantity.rule(replace(site, node=node)).generic

    def _repeated(self, part: Repeated) -> Counted:
        try:
            inner = self.counted(part.body)
        except Unsteady:
            raise Unrolled(part.loop) from None
        found = summed_evenly(inner.value, part.turn, part.first, part.stop)
        turns = Turns(part.turn, part.first, part.stop)
        conditions = [condition.within(turns) for condition in inner.conditions]
        rest = remaining((c for c in conditions if c.turns), Assumptions())
        if rest:
            raise Unrolled(part.loop)
        if found is None and self._constants.in_series:
            found = summed_in_parts(inner.value, part.turn, part.first, part.stop)
        if found is None:
            raise Unsummed(part.loop)
        value, below = found
        outer = tuple(c for c in conditions if not c.turns)
        return Counted(value, outer, below * inner.below)


@dataclass(frozen=True, slots=True)
class Counted:
    """A sum over what divides it without remainder, and the conditions under which it is right."""

    value: Dim
    conditions: tuple[Condition, ...] = ()
    below: int = 1

    @staticmethod
    def total(
        parts: Collection[tuple[Counted, int]], conditions: tuple[Condition, ...]
    ) -> Counted:
        """Sums, each so often."""
        below = lcm(*(part.below for part, _ in parts), 1)
        whole = total(p.value * (n * (below // p.below)) for p, n in parts)
        return Counted(whole, conditions, below)

    @property
    def quotient(self) -> Dim:
        """The sum as one formula."""
        return expanded(self.value, self.below)


def added_up(value: Dim, turn: str, first: int, stop: Dim) -> Dim | None:
    """The sum of a value over the turns from `first` to below `stop`, if it has a formula (see `summed`)."""
    found = summed(value, turn, first, stop)
    return None if found is None else expanded(*found)


def summed_evenly(
    value: Dim, turn: str, first: int, stop: Dim
) -> tuple[Dim, int] | None:
    """The same of a value with quotients that leave nothing."""
    whole, below = apart(value)
    found = summed(whole, turn, first, stop)
    return None if found is None else (found[0], found[1] * below)


def summed(value: Dim, turn: str, first: int, stop: Dim) -> tuple[Dim, int] | None:
    """The sum of a value over the turns from `first` to below `stop`, and what divides it without remainder.

    None unless it is a sum of powers of a turn's number, times powers of numbers with it in their exponents.
    """
    summands, left = _summands(value, turn, first, stop)
    return None if left else spread(summands)


def summed_in_parts(value: Dim, turn: str, first: int, stop: Dim) -> tuple[Dim, int]:
    """The same of any value, with a sum over the turns of what has no other."""
    whole, below = apart(value)
    summands, left = _summands(whole, turn, first, stop)
    found, scale = spread(summands)
    rest = series(polynomial(left), turn, first, stop)
    return found + rest * scale, below * scale


def _summands(
    value: Dim, turn: str, first: int, stop: Dim
) -> tuple[list[tuple[Fraction, Powers]], list[tuple[Monomial, int]]]:
    """The products that the sum of a value over turns is the sum of; and the terms of the value of which that cannot be said."""
    summands: list[tuple[Fraction, Powers]] = []
    left: list[tuple[Monomial, int]] = []
    for monomial, coefficient in terms_of(value):
        power = sum(p for atom, p in monomial if _is_turn(atom, turn))
        others = tuple((a, p) for a, p in monomial if not _is_turn(a, turn))
        growth = growth_of(others, turn)
        if growth is None:
            left.append((monomial, coefficient))
            continue
        summands += _summed(power, growth, stop, coefficient)
        summands += _summed(power, growth, dim(first), -coefficient)
    return summands, left


def _summed(
    power: int, growth: Growth, number: Dim, factor: int
) -> Iterator[tuple[Fraction, Powers]]:
    """The sum of t^p r^t over t up to below a number, up to what is the same for all numbers, times a factor."""
    exponents = dict(growth.besides.exponents)
    for base, times in growth.ratios.items():
        exponents[base] = exponents[base] + times * number
    coefficients = (
        power_sum(growth.ratio, power) if growth.ratio != 1 else _power_sum(power)
    )
    for place, coefficient in enumerate(coefficients):
        amount = number**place
        for monomial, inner in amount.terms or (((), int(amount)),):
            rest = multiplied(growth.besides.rest, monomial)
            yield coefficient * inner * factor, Powers(exponents, rest)


def _is_turn(atom: Atom, turn: str) -> bool:
    return atom.kind == "symbol" and atom.symbol == turn


@cache
def _power_sum(power: int) -> tuple[Fraction, ...]:
    """The coefficients of 0^p + 1^p + ... + (n - 1)^p as a polynomial in n (Faulhaber's formula)."""
    coefficients = [Fraction(0)] * (power + 2)
    for k in range(power + 1):
        coefficients[power + 1 - k] = comb(power + 1, k) * _bernoulli(k) / (power + 1)
    return tuple(coefficients)


@cache
def _bernoulli(index: int) -> Fraction:
    """The Bernoulli numbers with B_1 = -1/2."""
    if index == 0:
        return Fraction(1)
    rest = sum((comb(index + 1, k) * _bernoulli(k) for k in range(index)), Fraction(0))
    return -rest / (index + 1)
