"""Free sizes that a spec requires to be multiples of a power: `require H % 2^depth == 0`.

Such a size is said as that power times a `Part` of its own, so that halving it takes one from the exponent; in
the end the part is `H // 2^depth`, and the power times it is `H` again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from nnspec.analysis.generic.names.facts import Fact, rewritten
from nnspec.analysis.generic.names.powers import expanded, scaled
from nnspec.ir.dims import Atom, Dim, polynomial, rebuilt, symbol, total
from nnspec.ir.graph import Program, Requirement
from nnspec.records import dataclass

PART = "part@"
"""Symbols of parts begin so."""


@dataclass(frozen=True, slots=True)
class Part:
    """The size by its name, and what it is a multiple of."""

    size: str
    divisor: Dim

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
        return Part(self.size, self.divisor.at(numbers))

    def quotient(self) -> Dim:
        """The part, said by the size."""
        known = self.divisor.constant
        if known is None:
            return symbol(self.size) // self.divisor
        return symbol(self.size, known) // known


def parts_of(program: Program, names: Collection[str]) -> tuple[Part, ...]:
    """The parts that requirements of a model say, in these constants."""
    found: dict[str, Part] = {}
    multiples = program.assumptions.multiples
    values = {each.name: each.value for each in program.main.parameters}
    for item in program.main.structure:
        if not isinstance(item, Requirement):
            continue
        for size, divisor in _remainders(item):
            known = divisor.at({n: values[n] for n in divisor.symbols() if n in values})
            if (
                divisor.symbols() <= set(names)
                and any(atom.kind == "^" for atom in divisor.atoms())
                and known.constant == multiples.get(size)
            ):
                found.setdefault(size, Part(size, divisor))
    return tuple(found.values())


def _remainders(item: Requirement) -> Iterator[tuple[str, Dim]]:
    """The free size and the divisor of `require size % divisor == 0`."""
    if item.condition.kind != "compare" or item.condition.arguments[0] != "==":
        return
    left, right = item.condition.arguments[1:]
    if left.kind != "dim" or right.kind != "dim" or right.arguments[0].constant != 0:
        return
    atom = _lone(left.arguments[0].generic)
    above = _lone(atom.arguments[0]) if atom is not None and atom.kind == "%" else None
    if atom is None or above is None or above.symbol not in item.symbols:
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
        return polynomial([(((Atom(atom.kind, tuple(arguments)), 1),), 1)])

    value = expanded(value.substitute(inside))
    for part in parts:
        if part.divisor.constant is None:
            monomial, number = scaled(part.divisor)
            ((own, _),) = symbol(part.symbol).terms
            fact = Fact(
                number.numerator,
                (*own, *monomial),
                symbol(part.size) * number.denominator,
            )
            value = rewritten(value, fact)
    return value.at({part.symbol: part.quotient() for part in parts})
