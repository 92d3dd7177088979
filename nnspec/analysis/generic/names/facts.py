"""What a spec requires of its constants, put to use: `width // heads * heads` is `width`.

Each fact is a monomial that equals something simpler wherever the spec can be elaborated at all. Formulas are
rewritten by facts until none applies, and keep their values there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nnspec.analysis.generic.names.conditions import Condition
from nnspec.ir.dims import Atom, Dim, Monomial, polynomial, symbol
from nnspec.records import dataclass

MOST_ROUNDS = 100


@dataclass(frozen=True, slots=True)
class Fact:
    """`factor` times a product of powers is `value`."""

    factor: int
    powers: Monomial
    value: Dim


def exact_quotient(above: Dim, below: Dim) -> Fact | None:
    """From `above % below == 0`: the quotient times the divisor is the dividend."""
    quotient = above // below
    return equality(quotient * below, above)


def equality(left: Dim, right: Dim) -> Fact | None:
    """From `left == right`: the side that is one product and says more, in terms of the other."""
    if _weight(left) < _weight(right):
        left, right = right, left
    if len(left.terms) != 1 or _weight(left) == _weight(right):
        return None
    powers, factor = left.terms[0]
    return Fact(factor, powers, right)


def divided(fact: Fact) -> Iterable[Fact]:
    """From `d * heads == width` follows `d == width // heads`, for every name that is a factor."""
    for atom, power in fact.powers:
        if atom.kind != "symbol" or power != 1 or len(fact.powers) < 2:
            continue
        rest = tuple((a, p) for a, p in fact.powers if a != atom)
        below = polynomial([(((atom, 1),), 1)])
        found = equality(polynomial([(rest, fact.factor)]), fact.value // below)
        if found is not None:
            yield found


def _weight(value: Dim) -> int:
    """How much there is to read in a value: names, numbers, and all that quotients and the like are made of."""
    signs = max(0, len(value.terms) - 1)
    return signs + sum(_term_weight(*term) for term in value.terms)


def _term_weight(monomial: Monomial, coefficient: int) -> int:
    factors = (
        power * (1 if atom.kind == "symbol" else 2 + sum(map(_weight, atom.arguments)))
        for atom, power in monomial
    )
    return sum(factors) + (coefficient != 1)


class Facts:
    """All facts of a program."""

    def __init__(self) -> None:
        self._found: dict[tuple[Monomial, int], Fact] = {}

    def require(self, left: Dim, right: Dim) -> None:
        """Takes note that two sizes are equal."""
        for one, other in ((left, right), (right, left)):
            remainder = _remainder(one)
            if remainder is not None and other == 0:
                self._add(exact_quotient(*remainder))
            elif remainder is not None and other.is_constant:
                self._leaves(*remainder, other)
        fact = equality(left, right)
        if fact is None:
            return
        self._add(fact)
        for further in divided(fact):
            self._add(further)
            self._add(exact_quotient(fact.value, _lone(fact, further)))

    def _leaves(self, above: Dim, below: Dim, rest: Dim) -> None:
        """Takes note of what remains of a division: of an odd `k`, `2 * (k // 2)` is `k - 1`."""
        self._add(equality(above // below * below, above - rest))
        self._add(exact_quotient(above - rest, below))

    def suppose(self, condition: Condition) -> None:
        """Takes note of a condition of the formulas that are rewritten, if it says that nothing remains of a division."""
        remainder = _remainder(condition.left)
        is_zero = condition.operator == "==" and condition.right == 0
        if remainder is not None and is_zero and not condition.turns:
            self._add(exact_quotient(*remainder))

    def divides(self, above: Dim, below: Dim) -> None:
        """Takes note that nothing remains of a division."""
        self._add(exact_quotient(above, below))

    def _add(self, fact: Fact | None) -> None:
        if fact is not None:
            self._found.setdefault((fact.powers, fact.factor), fact)

    def exact(self) -> Iterator[tuple[str, Dim]]:
        """Names that something divides without remainder: dividend, divisor (a number, or a product of names)."""
        for fact in self._found.values():
            above = _name(fact.value)
            for atom, _ in fact.powers:
                if above is not None and atom.kind == "//":
                    dividend, below = _name(atom.arguments[0]), atom.arguments[1]
                    if dividend == above and _is_product(below):
                        yield above, below

    def sums(self) -> Iterator[tuple[Dim, Dim]]:
        """Sums that something divides without remainder: dividend, divisor (a product of names)."""
        for fact in self._found.values():
            for atom, _ in fact.powers:
                if atom.kind == "//" and len(fact.value.terms) > 1:
                    above, below = atom.arguments
                    if above == fact.value and _is_product(below):
                        yield above, below

    def quotients(self) -> Iterator[tuple[Dim, Dim]]:
        """What a name divides without remainder, a product or a number, and the name."""
        for fact in self._found.values():
            divisions = [atom for atom, _ in fact.powers if atom.kind == "//"]
            if len(divisions) != 1 or fact.factor != 1:
                continue
            above, below = divisions[0].arguments
            if _name(below) is not None and above == fact.value and _is_product(above):
                yield above, below

    def applied(self, value: Dim) -> Dim:
        """A value rewritten by all facts until none applies."""
        for _ in range(MOST_ROUNDS):
            simpler = self._once(value)
            if simpler == value:
                break
            value = simpler
        return value

    def _once(self, value: Dim) -> Dim:
        for fact in self._found.values():
            value = _rewritten(value, fact)
        return value


def _lone(fact: Fact, further: Fact) -> Dim:
    """The name by which a fact was divided."""
    ((atom, _),) = set(fact.powers) - set(further.powers)
    return polynomial([(((atom, 1),), 1)])


def _name(value: Dim) -> str | None:
    """The name that is all of a value."""
    names = value.symbols()
    if len(names) != 1:
        return None
    (name,) = names
    return name if value == symbol(name) else None


def _is_product(value: Dim) -> bool:
    """Whether a value is a number other than 0, or names that are multiplied."""
    if value.constant is not None:
        return value.constant != 0
    if len(value.terms) != 1:
        return False
    monomial, coefficient = value.terms[0]
    return coefficient > 0 and all(atom.kind == "symbol" for atom, _ in monomial)


def _remainder(value: Dim) -> tuple[Dim, Dim] | None:
    """Dividend and divisor of `a % b`, if that is all."""
    if len(value.terms) != 1:
        return None
    monomial, coefficient = value.terms[0]
    if coefficient != 1 or len(monomial) != 1 or monomial[0][0].kind != "%":
        return None
    above, below = monomial[0][0].arguments
    return above, below


def rewritten(value: Dim, fact: Fact) -> Dim:
    """A value in which a fact is applied to every term that has its product, as often as it does."""
    while True:
        found = _rewritten(value, fact)
        if found == value:
            return value
        value = found


def _rewritten(value: Dim, fact: Fact) -> Dim:
    """A value in which a fact has taken the place of its product, once in each term."""
    left: list[tuple[Monomial, int]] = []
    over: list[tuple[Monomial, int]] = []
    for monomial, coefficient in value.terms:
        rest = _without(monomial, fact.powers)
        if rest is None or coefficient % fact.factor:
            left.append((monomial, coefficient))
        else:
            over.append((rest, coefficient // fact.factor))
    return polynomial(left) + polynomial(over) * fact.value if over else value


def _without(monomial: Monomial, powers: Monomial) -> Monomial | None:
    """A monomial divided by another, once; None where it does not divide."""
    left: dict[Atom, int] = dict(monomial)
    for atom, power in powers:
        if left.get(atom, 0) < power:
            return None
        left[atom] -= power
    return tuple((atom, power) for atom, power in left.items() if power)
