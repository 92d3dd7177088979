"""How few layers a formula holds for that was found for stacks of any number of them.

The run of a stack is a proof by induction, which takes some layers for granted. Whether the formula holds for fewer,
too, is tried number by number: the program is run with just so many, and all other names have to say the same. Where
it does not, as the uppermost layer is unlike those below it, what only more layers take gets a factor that is 0 there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import TypeAlias

from nnspec.analysis.memory.peaks import exceeding
from nnspec.ir.dims import (
    ZERO,
    Atom,
    Dim,
    DimError,
    Monomial,
    maximum,
    minimum,
    polynomial,
    product,
    symbol,
    total,
)
from nnspec.records import dataclass

Lows: TypeAlias = Mapping[str, int]
"""What names are at least."""


@dataclass(frozen=True)
class Tried:
    """The amounts of which a figure is the largest, and what the names of numbers of layers are at least for it."""

    amounts: Sequence[Dim]
    least: Lows


Try: TypeAlias = Callable[[Mapping[str, int]], "Tried | None"]
"""The figure where some names are these numbers; None where there is none that holds without more conditions."""


At: TypeAlias = Callable[[Dim, Mapping[str, int]], Dim]
"""An amount where some names are these numbers."""


@dataclass(frozen=True)
class Amount:
    """An amount that counts where each of some names is `above` a number."""

    value: Dim
    above: tuple[tuple[str, int], ...] = ()

    def counts(self, numbers: Mapping[str, int]) -> bool:
        """Whether it does where some names are these numbers."""
        return all(numbers.get(name, low + 1) > low for name, low in self.above)

    @property
    def said(self) -> Dim:
        """The amount where it counts, and nothing, or less, elsewhere."""
        factors = (minimum(1, symbol(name) - low) for name, low in self.above)
        return product(factors) * self.value


class Fewest:
    """A figure, and what the names of numbers of layers must be at least for it: fewer and fewer.

    `lows` are the least sizes of all other names, `known` what the names are in the spec. `bounds` say which
    numbers of layers the amounts hold for. Numbers below the `lowest` are not tried, nor those that other conditions
    do not allow.
    """

    def __init__(
        self,
        found: Tried,
        lows: Lows,
        known: Lows,
        run: Try,
        *,
        lowest: Lows = MappingProxyType({}),
        allows: Callable[[str, int], bool] = lambda name, number: True,
        plain: Callable[[Dim], Dim] = lambda value: value,
        at: At = lambda value, numbers: value.at(numbers),
    ) -> None:
        self._amounts = [Amount(each) for each in found.amounts]
        self._at = at
        self.bounds = dict(found.least)
        self._lows = lows
        self._run = run
        self._allows = allows
        self._plain = cache(plain)
        for name in self.bounds:
            right = self.bounds[name]
            while self.bounds[name] > lowest.get(name, 1):
                number = self.bounds[name] - 1
                if allows(name, number):
                    if not self._is_found_below(name, number, known[name], right):
                        break
                    right = number
                self.bounds[name] = number

    @property
    def value(self) -> Dim:
        """The figure."""
        return maximum(*(each.said for each in self._amounts))

    def _is_found_below(self, name: str, number: int, known: int, right: int) -> bool:
        """Whether it can be told that the figure is right for that many, too; a power with fewer has no value."""
        before = self._amounts
        try:
            return self._holds_below(name, number, known, right)
        except DimError:
            self._amounts = before
            return False

    def _holds_below(self, name: str, number: int, known: int, right: int) -> bool:
        """Whether fewer layers than were `right` are said, too, by other amounts if that many are in the spec."""
        if self._holds({name: number}):
            return True
        tried = self._run({name: number}) if number >= known else None
        if tried is None:
            return False
        before = self._amounts
        lows = {**self._lows, name: right}
        self._amounts = with_case(
            before, name, number, tried.amounts, lows, self._plain, self._at
        )
        if self._holds({name: number}):
            return True
        self._amounts = before
        return False

    def _holds(self, numbers: Mapping[str, int]) -> bool:
        """Whether the amounts are right where some names are these numbers, and the others what they must be."""
        tried = self._run(numbers)
        counting = (each for each in self._amounts if each.counts(numbers))
        found = (self._at(each.value, numbers) for each in counting)
        amounts = [part for each in found if each != 0 for part in apart(each)]
        amounts = list(map(self._plain, amounts)) or [ZERO]
        if tried is None:
            return False
        if not same(amounts, list(map(self._plain, tried.amounts)), self._lows):
            return False
        return all(
            self._holds({**numbers, name: number})
            for name, least in tried.least.items()
            for number in range(self.bounds[name], least)
            if self._allows(name, number)
        )


def with_case(
    amounts: Sequence[Amount],
    name: str,
    number: int,
    case: Sequence[Dim],
    lows: Lows,
    plain: Callable[[Dim], Dim] = lambda value: value,
    at: At = lambda value, numbers: value.at(numbers),
) -> list[Amount]:
    """Amounts for a name above a number, and those of the `case` that it is this number, as amounts for both.

    What exceeds the case there counts above it alone; what is missing there counts everywhere if it is never the
    largest above the number, where names are at least `lows`, as far as can be told, else for the case alone.
    """
    cases = {plain(each): each for each in case}
    values = [
        plain(at(each.value, {name: number})) if each.counts({name: number}) else None
        for each in amounts
    ]
    there = [each for each in values if each is not None]
    too_much = set(exceeding(there, [*cases], lows))
    found = [
        Amount(each.value, (*each.above, (name, number))) if value in too_much else each
        for each, value in zip(amounts, values, strict=True)
    ]
    there = [each for each in there if each not in too_much]
    missing = exceeding(cases, there, lows)
    everywhere = [plain(each.value) for each in amounts if not each.above]
    alone = set(exceeding(missing, everywhere, lows))
    not_above = maximum(0, number + 1 - symbol(name))
    for each in missing:
        value = cases[each]
        found.append(Amount(not_above * value if each in alone else value))
    return found


def same(ones: Sequence[Dim], others: Sequence[Dim], lows: Lows) -> bool:
    """Whether the largest of some amounts is that of others at all sizes, as far as can be told."""
    return not exceeding(ones, others, lows) and not exceeding(others, ones, lows)


def apart(amount: Dim) -> list[Dim]:
    """The amounts of which one is the largest: of twice a maximum and something, twice each part of it and that."""
    factors = {atom for monomial, _ in amount.terms for atom, _ in monomial}
    for atom in sorted(each for each in factors if each.kind == "max"):
        inside = [term for term in amount.terms if any(a == atom for a, _ in term[0])]
        if not all(_may_come_apart(*each, atom) for each in inside):
            continue
        factor = total(_without(*each, atom) for each in inside)
        rest = amount - factor * polynomial([(((atom, 1),), 1)])
        parts = (rest + factor * part for part in atom.arguments)
        return [each for part in parts for each in apart(part)]
    return [amount]


def _may_come_apart(monomial: Monomial, coefficient: int, atom: Atom) -> bool:
    """Whether a product is so many times a maximum, and not less than nothing of it."""
    powers = dict(monomial)
    others = (each for each in powers if each != atom)
    return (
        coefficient > 0
        and powers.get(atom) == 1
        and all(each.kind in ("symbol", "^") for each in others)
    )


def _without(monomial: Monomial, coefficient: int, atom: Atom) -> Dim:
    rest = tuple(each for each in monomial if each[0] != atom)
    return polynomial([(rest, coefficient)])


def amounts_of(value: Dim) -> Sequence[Dim]:
    """The amounts of which a figure is the largest."""
    atoms = value.atoms() if len(value.terms) == 1 else ()
    for atom in atoms:
        if atom.kind == "max" and value == maximum(*atom.arguments):
            return atom.arguments
    return (value,)


def name_bound(count: Dim, least: int) -> tuple[str, int] | None:
    """The name that says a number of layers, and what it must be at least; None where more is computed of it."""
    products = [term for term in count.terms if term[0]]
    if len(products) != 1:
        return None
    ((monomial, times),) = products
    ((atom, power), *rest) = monomial
    if atom.kind != "symbol" or atom.scale != 1 or power != 1 or rest or times < 1:
        return None
    more = int(count - times * symbol(atom.symbol))
    return atom.symbol, -((more - least) // times)
