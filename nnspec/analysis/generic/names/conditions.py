"""What a formula in constants takes for granted: comparisons that went one way when the spec was elaborated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from nnspec.analysis.generic.names.congruences import without_certain_remainders
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Atom, Dim, DimError, Size, dim, symbol
from nnspec.ir.signs import MIRRORED
from nnspec.records import dataclass

# What is known of names that stand for what others are more than one less than their least.
_FREE = Assumptions()


@dataclass(frozen=True, slots=True)
class Turns:
    """The turns of a loop, by the symbol of their number: from `first` to below `stop`."""

    symbol: str
    first: int
    stop: Dim


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison of two sizes in the spec's constants; with `turns`, in each of these turns of loops.

    `because` says what in the spec makes it necessary.
    """

    operator: str
    left: Dim
    right: Dim
    turns: tuple[Turns, ...] = ()
    because: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for conditions that say the same in the same words."""
        turns = tuple((each.symbol, each.first, each.stop.key) for each in self.turns)
        return (self.operator, self.left.key, self.right.key, turns)

    def symbols(self) -> set[str]:
        """The names in it, and of the turns that it speaks of."""
        names = self.left.symbols() | self.right.symbols()
        return {*names, *(n for each in self.turns for n in each.stop.symbols())}

    def within(self, turns: Turns) -> Condition:
        """The condition, in each of the turns that its sides speak of."""
        if turns.symbol not in self.symbols():
            return self
        return replace(self, turns=(turns, *self.turns))

    def is_certain(self, assumptions: Assumptions) -> bool:
        """Whether it holds whatever the constants are."""
        if self.turns and self.turns[0].stop.is_constant:
            return all(each.is_certain(assumptions) for each in self._turn_by_turn())
        least = {
            name: symbol(name) + (low - 1)
            for name, (low, _) in assumptions.bounds.items()
            if low > 1
        }
        return any(
            assumptions.holds(self.operator, left, right)
            or (least and _FREE.holds(self.operator, left.at(least), right.at(least)))
            for left, right in self._counted_from_either_end()
        ) or self._is_certain_from_the_first(assumptions)

    def _is_certain_from_the_first(self, assumptions: Assumptions) -> bool:
        """The same with a turn as so many after the first one, which may be none: 2 i^2 - 2 i is no less than 0 from 1 on."""
        if not self.turns:
            return False
        past = {each.symbol: symbol(each.symbol) + each.first for each in self.turns}
        bounds = {**assumptions.bounds, **dict.fromkeys(past, (0, None))}
        from_none = replace(assumptions, bounds=bounds)
        return bool(
            from_none.holds(self.operator, self.left.at(past), self.right.at(past))
        )

    def holds(self, values: Mapping[str, Size]) -> bool:
        """Whether it holds for these values of all names."""
        if not self.turns:
            return self._holds_now(values)
        turns, *rest = self.turns
        inner = replace(self, turns=tuple(rest))
        stop = int(turns.stop.at(values))
        return all(
            inner.holds({**values, turns.symbol: t}) for t in range(turns.first, stop)
        )

    def _holds_now(self, values: Mapping[str, Size]) -> bool:
        """The same without turns; of sizes that have no value (a power with a negative exponent), nothing holds."""
        try:
            left, right = self.left.at(values), self.right.at(values)
        except DimError:
            return False
        return bool(Assumptions().holds(self.operator, left, right))

    def at(self, values: Mapping[str, Size]) -> Condition:
        """The condition with some names replaced by values."""
        return self.said(lambda size: size.at(values))

    def said(self, say: Callable[[Dim], Dim]) -> Condition:
        """The condition with its sizes said otherwise."""
        turns = tuple(Turns(t.symbol, t.first, say(t.stop)) for t in self.turns)
        return replace(self, left=say(self.left), right=say(self.right), turns=turns)

    def __str__(self) -> str:
        text = f"{self.left} {self.operator} {self.right}"
        for turns in reversed(self.turns):
            name = str(symbol(turns.symbol))
            text = f"{text} for each {name} from {turns.first} to {turns.stop - 1}"
        return text

    def _turn_by_turn(self) -> Iterator[Condition]:
        """The condition in each of the outermost turns, whose number is known."""
        turns, *rest = self.turns
        for turn in range(turns.first, int(turns.stop)):
            yield replace(self, turns=tuple(rest)).at({turns.symbol: turn})

    def _counted_from_either_end(self) -> list[tuple[Dim, Dim]]:
        """Both sides, a turn as so many after the first one, and as so many before the last one."""
        sides = [(self.left, self.right)]
        for turns in self.turns:
            after = symbol(turns.symbol) + (turns.first - 1)
            before = turns.stop - symbol(turns.symbol)
            sides = [
                (left.at({turns.symbol: turn}), right.at({turns.symbol: turn}))
                for left, right in sides
                for turn in (after, before)
            ]
        return sides


def remaining(
    conditions: Iterable[Condition], assumptions: Assumptions
) -> tuple[Condition, ...]:
    """Those of the conditions that say something, each once, bounds of single names first."""
    found: dict[object, Condition] = {}
    bounds: dict[str, tuple[int, Condition]] = {}
    for condition in conditions:
        if condition.is_certain(assumptions):
            continue
        bound = lower_bound(condition)
        if bound is None:
            found.setdefault(condition.key, condition)
            continue
        name, least = bound
        if name not in bounds or bounds[name][0] < least:
            bounds[name] = (least, condition)
    for name, (least, _) in bounds.items():
        assumptions = assumptions.with_lower(name, least)
    rest = [each for each in found.values() if not each.is_certain(assumptions)]
    rest = without_certain_remainders(rest)
    rest = _without_implied(_strictest(rest), assumptions)
    return (
        *(
            replace(c, operator=">=", left=symbol(n), right=dim(b))
            for n, (b, c) in bounds.items()
        ),
        *rest,
    )


def _strictest(conditions: Iterable[Condition]) -> list[Condition]:
    """The conditions without `a >= b` where there is `a > b` as well."""
    rest = list(conditions)
    strict = {key for each in rest for sign, key in [_difference(each)] if sign == ">"}
    return [
        each
        for each in rest
        if (pair := _difference(each))[0] != ">=" or pair[1] not in strict
    ]


def _difference(condition: Condition) -> tuple[str, object]:
    """The sign of a comparison with 0, with the greater side on the left, and what is compared in which turns."""
    left, right, sign = condition.left, condition.right, condition.operator
    if sign in ("<", "<="):
        left, right, sign = right, left, MIRRORED[sign]
    return sign, ((left - right).key, condition.turns)


def _without_implied(
    conditions: Iterable[Condition], assumptions: Assumptions
) -> list[Condition]:
    """The conditions without those that follow from bounds of quotients and the like among them."""
    rest = list(conditions)
    bounds: dict[Atom, tuple[int, Condition]] = {}
    for condition in rest:
        atom, least = _bounded(condition) or (None, 0)
        if atom is not None and least > bounds.get(atom, (0, condition))[0]:
            bounds[atom] = (least, condition)
    for atom, (least, _) in bounds.items():
        assumptions = assumptions.with_lower(f"@{atom.key}", least)
    kept = {id(condition) for _, condition in bounds.values()}

    def named(atom: Atom) -> Dim | None:
        return symbol(f"@{atom.key}") if atom in bounds else None

    def is_implied(each: Condition) -> bool:
        left, right = each.left.substitute(named), each.right.substitute(named)
        return replace(each, left=left, right=right).is_certain(assumptions)

    return [each for each in rest if id(each) in kept or not is_implied(each)]


def _bounded(condition: Condition) -> tuple[Atom, int] | None:
    """What is no name and at least a number by a condition, and the number."""
    if condition.operator not in (">", ">=") or condition.turns:
        return None
    difference = condition.left - condition.right
    terms = [term for term in difference.terms if term[0]]
    if len(terms) != 1 or len(terms[0][0]) != 1:
        return None
    ((atom, power),), coefficient = terms[0]
    if power != 1 or coefficient < 1 or atom.kind == "symbol":
        return None
    missing = (condition.operator == ">") - dict(difference.terms).get((), 0)
    return atom, -(-missing // coefficient)


def lower_bound(condition: Condition) -> tuple[str, int] | None:
    """The one name of which a condition says that it is at least a number, and the number."""
    left, right, sign = condition.left, condition.right, condition.operator
    if sign in ("<", "<="):
        left, right, sign = right, left, MIRRORED[sign]
    if sign not in (">", ">=") or condition.turns:
        return None
    difference = left - right
    names = difference.symbols()
    if len(names) != 1:
        return None
    (name,) = names
    rest = difference - symbol(name)
    if not rest.is_constant:
        return None
    return name, -int(rest) + (1 if sign == ">" else 0)


def at_least_zero(size: Dim, because: str) -> Condition:
    """The condition that a size is not negative, as a bound of the one name in it if it is one."""
    names = size.symbols()
    constant = dict(size.terms).get((), 0)
    for name in names if len(names) == 1 else ():
        times = (constant - size) // symbol(name)
        if times.constant is not None and times * symbol(name) == constant - size:
            bound = dim(constant // times.constant)
            return Condition("<=", symbol(name), bound, because=because)
    return Condition(">=", size, dim(0), because=because)


def tightest(conditions: Iterable[Condition]) -> tuple[Condition, ...]:
    """The conditions without upper bounds of names that others are below."""
    found: dict[object, Condition] = {}
    for each in conditions:
        is_bound = each.operator == "<=" and each.right.is_constant and not each.turns
        key = each.left.key if is_bound else each.key
        if is_bound and key in found and int(found[key].right) <= int(each.right):
            continue
        found[key] = each
    return tuple(found.values())


def fixed_by(condition: Condition) -> tuple[str, int] | None:
    """The one name that a condition leaves one number, and the number."""
    if condition.operator != "==" or condition.turns:
        return None
    difference = condition.left - condition.right
    names = difference.symbols()
    if len(names) != 1:
        return None
    (name,) = names
    for sign in (1, -1):
        rest = difference - sign * symbol(name)
        if rest.is_constant:
            return name, -sign * int(rest)
    return None
