"""Sizes that are multiples of a power: free ones that a spec requires to be (`require H % 2^depth == 0`), and constants.

Such a size is said as that power times a `Part` of its own, so that halving it takes one from the exponent; in
the end the part is `H // 2^depth`, and the power times it is `H` again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from nnspec.analysis.generic.names.conditions import Condition
from nnspec.analysis.generic.names.facts import Fact, rewritten
from nnspec.analysis.generic.names.powers import (
    divided,
    quotients,
    scaled,
    without_numbers,
)
from nnspec.analysis.generic.reasons import MULTIPLE
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Atom, Dim, dim, polynomial, rebuilt, symbol, total
from nnspec.ir.graph import Program, Requirement
from nnspec.records import dataclass

PART = "part@"
"""Symbols of parts begin so."""


@dataclass(frozen=True, slots=True)
class Part:
    """The size by its name, and what it is a multiple of; whether it is free, or a constant."""

    size: str
    divisor: Dim
    is_free: bool = True

    @property
    def symbol(self) -> str:
        return f"{PART}{self.size}"

    @property
    def product(self) -> Dim:
        """The size, said by its part."""
        return symbol(self.symbol) * self.divisor

    def said(self, value: Dim, multiple: int) -> Dim:
        """A value in the size, which is known to be so much a multiple, by the part; as it is where that is not enough."""
        own = symbol(self.size)
        plain = value.at({self.size: own * multiple})
        ((monomial, _),) = own.terms
        ((atom, _),) = monomial
        found: list[Dim] = []
        for factors, coefficient in plain.terms:
            power = dict(factors).get(atom, 0)
            if coefficient % multiple**power:
                return value
            rest = tuple((a, p) for a, p in factors if a != atom)
            number = coefficient // multiple**power
            found.append(polynomial([(rest, number)]) * self.product**power)
        whole = total(found)
        return value if self.size in whole.symbols() else whole

    def at(self, numbers: Mapping[str, int]) -> Part:
        """The same with some constants replaced by numbers."""
        return Part(self.size, self.divisor.at(numbers), self.is_free)

    def facts(self) -> Iterator[Fact]:
        """That the part times the divisor is the size, and times a name in that a quotient of it."""
        ((own, _),) = symbol(self.symbol).terms
        monomial, number = scaled(self.divisor)
        whole = symbol(self.size) * number.denominator
        yield Fact(number.numerator, (*own, *monomial), whole)
        for atom, power in monomial:
            if atom.kind == "symbol" and self.divisor.constant is None:
                factor = symbol(atom.symbol) ** power
                rest = symbol(self.size) // (self.divisor // factor)
                yield Fact(1, (*own, (atom, power)), rest)

    def quotient(self) -> Dim:
        """The part, said by the size."""
        known = self.divisor.constant
        if known is None or not self.is_free:
            return symbol(self.size) // self.divisor
        return symbol(self.size, known) // known


def parts_of(program: Program, names: Collection[str]) -> tuple[Part, ...]:
    """The parts that requirements of a model say, in these constants."""
    found: dict[str, Part] = {}
    multiples = program.assumptions.multiples
    values = {each.name: each.value for each in program.main.parameters}
    for size, divisor in _required(program):
        known = divisor.at({n: values[n] for n in divisor.symbols() if n in values})
        if (
            size in program.symbols
            and divisor.symbols() <= set(names)
            and any(atom.kind == "^" for atom in divisor.atoms())
            and known.constant == multiples.get(size)
        ):
            found.setdefault(size, Part(size, divisor))
    return tuple(found.values())


def unsaid_multiples(program: Program, parts: Iterable[Part]) -> Iterator[Condition]:
    """That constants are such multiples, where requirements of the model do not say so."""
    required = list(_required(program))
    for part in parts:
        known = (divisor for name, divisor in required if name == part.size)
        rests = (quotients(each % part.divisor, _surely) for each in known)
        if all(rest != 0 for rest in rests):
            rest = symbol(part.size) % part.divisor
            yield Condition("==", rest, dim(0), because=MULTIPLE)


def _surely(exponent: Dim, least: int) -> bool:
    return Assumptions().holds(">=", exponent, least) is True


def _required(program: Program) -> Iterator[tuple[str, Dim]]:
    """The sizes and divisors of what a model requires to be multiples."""
    for item in program.main.structure:
        if isinstance(item, Requirement):
            yield from _remainders(item)


def _remainders(item: Requirement) -> Iterator[tuple[str, Dim]]:
    """The size and the divisor of `require size % divisor == 0`."""
    if item.condition.kind != "compare" or item.condition.arguments[0] != "==":
        return
    left, right = item.condition.arguments[1:]
    if left.kind != "dim" or right.kind != "dim" or right.arguments[0].constant != 0:
        return
    atom = _lone(left.arguments[0].generic)
    above = _lone(atom.arguments[0]) if atom is not None and atom.kind == "%" else None
    if atom is None or above is None or above.kind != "symbol":
        return
    if len(atom.arguments[1].terms) == 1:
        yield above.symbol, atom.arguments[1]


def _lone(value: Dim) -> Atom | None:
    """The atom that is all of a size."""
    if len(value.terms) != 1:
        return None
    monomial, coefficient = value.terms[0]
    is_lone = coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1
    return monomial[0][0] if is_lone else None


def restored(value: Dim, parts: Iterable[Part]) -> Dim:
    """A value without symbols of parts: a part times what its size is a multiple of is that size."""
    parts = [part for part in parts if part.symbol in value.symbols()]
    if not parts:
        return value

    def inside(atom: Atom) -> Dim | None:
        if atom.bound:
            return rebuilt(atom, lambda part: restored(part, parts))
        if atom.kind not in ("//", "%", "max", "min"):
            return None
        arguments = [restored(part, parts) for part in atom.arguments]
        if atom.kind == "//":
            return arguments[0] // arguments[1]
        return polynomial([(((Atom(atom.kind, tuple(arguments)), 1),), 1)])

    value, below = without_numbers(value.substitute(inside))
    for part in parts:
        if part.divisor.constant is None or not part.is_free:
            for fact in part.facts():
                value = rewritten(value, fact)
    value = divided(value, below)
    return value.at({part.symbol: part.quotient() for part in parts})
