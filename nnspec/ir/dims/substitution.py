"""Values with other values in the place of some of their atoms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import nnspec.ir.dims.relations as relations
from nnspec.ir.dims.atoms import Atom, DimError, Monomial, Replace
from nnspec.ir.dims.integers import (
    ONE,
    Dim,
    Size,
    dim,
    floor_divide,
    multiply,
    of_atom,
    of_table,
    raised,
    remainder,
    terms_of,
)
from nnspec.ir.dims.polynomials import Table, Terms
from nnspec.ir.dims.several import extreme_of
from nnspec.ir.dims.turns import rebound, substituted


class Substitution:
    """Replaces atoms in values: each atom and each product once, however many values and places have it.

    The amounts of a maximum have mostly the same products, and few of them what is replaced. `replace` has to give
    the same for the same atom at all times.
    """

    __slots__ = ("_atoms", "_products", "_relations", "_replace")

    def __init__(self, replace: Replace) -> None:
        self._replace = replace
        self._relations = relations.current
        self._atoms: dict[Atom, Dim | None] = {}
        self._products: dict[Monomial, Terms | None] = {}

    @staticmethod
    def by_name(values: Mapping[str, Size]) -> Substitution:
        """Replaces symbols by sizes."""
        return Substitution(_replacing(values))

    def of(self, value: Dim) -> Dim:
        """A value with its atoms replaced; the value itself where all of them stay.

        The generic twin is left as it is, since it speaks of other names.
        """
        if self._relations is not relations.current:
            self._relations = relations.current
            self._atoms, self._products = {}, {}
        found, twin = self._inner(value), value.generic
        return found if found is value or twin is value else found.named(twin)

    def _inner(self, value: Dim) -> Dim:
        if value.constant is not None:
            return value
        products = self._products
        found: list[Terms | None] = []
        for monomial, _ in value.terms:
            if monomial not in products:
                products[monomial] = self._product(monomial)
            found.append(products[monomial])
        if not any(terms is not None for terms in found):
            return value
        return _summed(value.terms, found)

    def _product(self, monomial: Monomial) -> Terms | None:
        """A product with its atoms replaced; those that stay are multiplied at once. None where all of them do."""
        factor = ONE
        staying: list[tuple[Atom, int]] = []
        for atom, power in monomial:
            found = self._atom(atom)
            if found is None:
                staying.append((atom, power))
                continue
            change = found if power == 1 else raised(found, dim(power))
            factor = multiply(factor, change)
        if len(staying) == len(monomial):
            return _related(monomial)
        rest = _of_monomial(tuple(staying)) if staying else ONE
        return terms_of(multiply(rest, factor))

    def _atom(self, atom: Atom) -> Dim | None:
        """What takes the place of an atom; None where it stays."""
        if atom not in self._atoms:
            found = self._replace(atom)
            self._atoms[atom] = self._inside(atom) if found is None else found.value
        return self._atoms[atom]

    def _inside(self, atom: Atom) -> Dim | None:
        """An atom of which something inside is replaced; None where it stays."""
        if atom.opaque is not None:
            return atom.opaque.substitute(self._replace)
        if atom.bound:
            return substituted(atom, self._replace)
        arguments = [self._inner(each) for each in atom.arguments]
        pairs = zip(arguments, atom.arguments, strict=True)
        if not relations.current and all(new is old for new, old in pairs):
            return None
        return _made(atom.kind, arguments) if arguments else None


def _summed(terms: Terms, found: Sequence[Terms | None]) -> Dim:
    """The sum of terms whose products have become others, or stayed."""
    table: Table = {}
    known = table.get
    for (monomial, coefficient), product in zip(terms, found, strict=True):
        if product is None:
            table[monomial] = known(monomial, 0) + coefficient
            continue
        for one, count in product:
            table[one] = known(one, 0) + coefficient * count
    return of_table(table)


def _of_monomial(monomial: Monomial) -> Dim:
    if relations.current:
        return of_table(relations.reduced({monomial: 1}))
    return Dim(((monomial, 1),), None)


def _related(monomial: Monomial) -> Terms | None:
    """A product as relations write it; None where it stays."""
    if not relations.current:
        return None
    found = relations.reduced({monomial: 1})
    return None if monomial in found else terms_of(of_table(found))


def _made(kind: str, arguments: list[Dim]) -> Dim:
    match kind:
        case "//":
            return floor_divide(*arguments)
        case "%":
            return remainder(*arguments)
        case "^":
            return raised(*arguments)
        case "min":
            return extreme_of("min", arguments, min)
        case _:
            return extreme_of("max", arguments, max)


def rebuilt(atom: Atom, change: Callable[[Dim], Dim]) -> Dim:
    """An atom as a value, each of its arguments changed."""
    if not atom.arguments:
        return of_atom(atom)
    if atom.bound:
        return rebound(atom, change)
    return _made(atom.kind, [change(argument) for argument in atom.arguments])


def _replacing(values: Mapping[str, Size]) -> Replace:
    """Gives the sizes of symbols that have one by name."""

    def replace(atom: Atom) -> Dim | None:
        if atom.kind != "symbol" or atom.symbol not in values:
            return None
        value = dim(values[atom.symbol])
        if atom.scale == 1:
            return value
        if value.is_constant and int(value) % atom.scale:
            message = f"{atom.symbol} must divide by {atom.scale}, and {value} does not"
            raise DimError(message)
        return value // atom.scale

    return replace
