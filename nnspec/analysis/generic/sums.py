"""Adding up over bodies: each use counts, and turns that are alike add up to a formula in their number."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import cache
from math import comb, gcd, lcm

from nnspec.analysis.generic.bodies import (
    Body,
    Call,
    GenericSite,
    Leaf,
    Part,
    Repeated,
)
from nnspec.analysis.generic.conditions import Condition, Turns, remaining
from nnspec.analysis.generic.constants import RULED, Constants
from nnspec.analysis.generic.powers import growth_of, power_sum, raised
from nnspec.analysis.generic.trace import Unrolled
from nnspec.analysis.totals import Additive
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import ZERO, Atom, Dim, dim, polynomial, total, witnessed
from nnspec.ops.base import OpError, replaced
from nnspec.records import dataclass


class Unsteady(Exception):
    """Turns of a loop that count differently."""


class Sums:
    """The sums of one quantity over bodies, in the constants of the model."""

    def __init__(self, quantity: Additive, constants: Constants) -> None:
        self._quantity = quantity
        self._constants = constants
        self._made: dict[str, Counted] = {}

    def counted(self, body: Body) -> Counted:
        """A body with all that is in it. Raises `Unrolled` for turns that do not add up to a formula."""
        if body.key not in self._made:
            counts: dict[str, tuple[Dim, int]] = {}
            conditions: list[Condition] = []
            for part in body.parts:
                found = self._part(part)
                key = found.value.key
                counts[key] = (found.value, counts.get(key, (found.value, 0))[1] + 1)
                conditions += found.conditions
            whole = total(value * count for value, count in counts.values())
            unique = {each.key: each for each in conditions}
            self._made[body.key] = Counted(whole, tuple(unique.values()))
        return self._made[body.key]

    def _part(self, part: Part) -> Counted:
        match part:
            case Leaf(site):
                if self._quantity.owned and not site.is_first:
                    return Counted(ZERO)
                return self._leaf(site)
            case Call(body, is_first):
                if self._quantity.owned and not is_first:
                    return Counted(ZERO)
                return self.counted(body)
            case Repeated():
                return self._repeated(part)

    def _leaf(self, site: GenericSite) -> Counted:
        with (
            self._constants.collecting() as conditions,
            witnessed(self._constants.witness),
        ):
            value = self._stacked(site)
            if value is None:
                value = self._quantity.rule(site).generic
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
        found = added_up(inner.value, part.turn, part.first, part.stop)
        turns = Turns(part.turn, part.first, part.stop)
        conditions = [condition.within(turns) for condition in inner.conditions]
        rest = remaining((c for c in conditions if c.turns), Assumptions())
        if found is None or rest:
            raise Unrolled(part.loop)
        return Counted(found, tuple(c for c in conditions if not c.turns))


@dataclass(frozen=True, slots=True)
class Counted:
    """A sum, and the conditions under which it is right."""

    value: Dim
    conditions: tuple[Condition, ...] = ()


def added_up(value: Dim, turn: str, first: int, stop: Dim) -> Dim | None:
    """The sum of a value over the turns from `first` to below `stop`.

    None unless it is a sum of powers of a turn's number, times powers of numbers with it in their exponents.
    """
    summands: list[tuple[Fraction, Dim]] = []
    for monomial, coefficient in value.terms or (((), int(value)),):
        power = sum(p for atom, p in monomial if _is_turn(atom, turn))
        others = tuple((a, p) for a, p in monomial if not _is_turn(a, turn))
        growth = growth_of(others, turn)
        if growth is None:
            return None
        scale, rest = coefficient * growth.factor, polynomial([(growth.rest, 1)])
        for number, sign in ((stop, 1), (dim(first), -1)):
            for factor, amount in _summed(power, growth.ratio, number):
                summands.append((sign * scale * factor, rest * amount))
    scale = lcm(*(factor.denominator for factor, _ in summands), 1)
    return _divided(total(amount * int(f * scale) for f, amount in summands), scale)


def _summed(power: int, ratio: int, number: Dim) -> list[tuple[Fraction, Dim]]:
    """The sum of t^p r^t over t up to below a number, up to what is the same for all numbers."""
    if ratio == 1:
        return [(c, number**e) for e, c in enumerate(_power_sum(power)) if c]
    factor, raised_to = raised(ratio, number)
    return [
        (c * factor, number**e * raised_to)
        for e, c in enumerate(power_sum(ratio, power))
        if c
    ]


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


def _divided(value: Dim, divisor: int) -> Dim:
    """A value that divides without remainder, whatever its names are."""
    if value.is_constant:
        return dim(int(value) // divisor)
    shared = gcd(divisor, *(coefficient for _, coefficient in value.terms))
    reduced = polynomial((m, c // shared) for m, c in value.terms)
    return reduced // (divisor // shared)
