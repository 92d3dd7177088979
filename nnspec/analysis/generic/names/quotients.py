"""Constants that others divide without remainder, said so that sizes have no quotients in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cached_property
from math import gcd, lcm
from typing import TYPE_CHECKING, TypeAlias

from nnspec.ir.dims import (
    ONE,
    Atom,
    Dim,
    Monomial,
    Relation,
    Substitution,
    polynomial,
    related,
    symbol,
)
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.names.facts import Facts


@dataclass(frozen=True)
class Quotients:
    """Constants that others divide, as products: `width` as `heads` times a symbol for `width // heads`.

    A size is then a polynomial without quotients wherever a spec requires that nothing remains. `numbers` are
    constants that have to stay what they are. Of what is a product already, or a number, the quotient has a name
    (`names`, by their keys) of which `relations` tell: `heads` times the name is that product. `values` are what
    they are taken for where magnitudes are compared, of a number what they are.
    """

    products: Mapping[str, Dim]
    meanings: Mapping[str, Dim]
    numbers: Mapping[str, int]
    names: Mapping[str, Dim]
    relations: tuple[Relation, ...]
    values: Mapping[str, int]

    @staticmethod
    def of(
        facts: Facts, numbers: Mapping[str, int], known: Mapping[str, Dim]
    ) -> Quotients:
        """The products that hold by what the spec requires, and of constants as they are `known`."""
        products: dict[str, Dim] = {}
        meanings: dict[str, Dim] = {}
        scales: dict[str, int] = {}
        for above, below in facts.exact():
            if below.constant is not None:
                scales[above] = lcm(scales.get(above, 1), below.constant)
                continue
            if above in products or above in numbers:
                continue
            if any(
                name in numbers
                or _leads(products, name, above)
                or (name in known and known[name] == 0)
                for name in below.symbols()
            ):
                continue
            name = f"{above}//{below}"
            products[above] = below * symbol(name)
            meanings[name] = symbol(above) // below
        for whole, below in facts.sums():
            name = _summand(whole, below, known.keys() - {*products, *numbers})
            if name is not None and not any(
                known.get(each) == 0 or _leads(products, each, name)
                for each in {*whole.symbols(), *below.symbols()} - {name}
            ):
                quotient = f"({whole})//{below}"
                rest = whole - symbol(name)
                products[name] = below * symbol(quotient) - rest
                meanings[quotient] = whole // below
        for name, scale in scales.items():
            if name not in products and name not in numbers and scale > 0:
                products[name] = symbol(name, scale)
        plain = Quotients(products, meanings, numbers, {}, (), {})
        return plain.with_relations(facts, known)

    def with_relations(self, facts: Facts, known: Mapping[str, Dim]) -> Quotients:
        """The same with names for the quotients that are left.

        What divides several multiples of a product divides that by which all of these are multiples.
        """
        found: dict[tuple[str, Monomial], Group] = {}
        for above, below in facts.quotients():
            (name,) = below.symbols()
            if name in self.numbers or name in self.products or known.get(name) == 0:
                continue
            divided, product = above.at(self.numbers) // below, self.multiplied(above)
            if _is_monomial(product) and _is_quotient(self.multiplied(divided)):
                monomial, factor = _single_term(product)
                group = found.setdefault((name, monomial), {})
                group[divided.key] = above, factor
        names, meanings = dict(self.names), dict(self.meanings)
        values: dict[str, int] = {}
        relations: list[Relation] = []
        for (name, monomial), group in _in_steps(found):
            shared = gcd(*(factor for _, factor in group.values()))
            above, factor = next(iter(group.values()))
            least = above * shared // factor
            called = symbol(f"{least.at(self.numbers)}//{name}")
            if not monomial:
                value = int(known[name])
                values |= {name: value, str(called): shared // value}
            elif sum(power for _, power in monomial) == 1:
                values |= {name: SMALL, str(called): SMALL}
            meanings[str(called)] = least // symbol(name)
            names |= {key: called * (f // shared) for key, (_, f) in group.items()}
            one, other = (_atom(each) for each in (symbol(name), called))
            relations.append(Relation(one, other, shared, monomial))
        return replace(
            self,
            names=names,
            meanings=meanings,
            relations=tuple(relations),
            values=values,
        )

    def counted_from(
        self, counts: Iterable[Dim], known: Mapping[str, Dim]
    ) -> Quotients:
        """The same with the names of numbers of turns said as what they are more than one less than they are `known`."""
        names = (_counting(count) for count in counts)
        found = [n for n in names if n and n in known and n not in self.products]
        found = [name for name in found if name not in self.numbers]
        fewer = {name: int(known[name]) - 1 for name in found}
        more = {name: symbol(f"{name}-{fewer[name]}") for name in found}
        products = {name: more[name] + fewer[name] for name in found}
        meanings = {str(more[name]): symbol(name) - fewer[name] for name in found}
        return replace(
            self,
            products={**self.products, **products},
            meanings={**self.meanings, **meanings},
        )

    def plain_names(self, known: Iterable[str]) -> frozenset[str]:
        """The names in sizes that are constants of the model, or quotients of two, and nothing besides."""
        pairs = ((each.one, each.other) for each in self.relations)
        related = {atom.symbol for pair in pairs for atom in pair}
        return frozenset({*known, *self.meanings} - related - self.products.keys())

    def with_ones(self, ones: Set[str]) -> Quotients:
        """The same where some names in sizes are 1, of constants and of quotients."""
        if not ones:
            return self
        numbers = dict.fromkeys(ones, 1)
        products = {name: each.at(numbers) for name, each in self.products.items()}
        return replace(self, products={**products, **dict.fromkeys(ones, ONE)})

    def with_values(self, values: Mapping[str, int]) -> Quotients:
        """The same where magnitudes are compared with some more names at these values."""
        return replace(self, values={**values, **self.values})

    def holding(self) -> AbstractContextManager[None]:
        """Inside, sizes are written by the relations."""
        return related(self.relations, self.values)

    def multiplied(self, size: Dim) -> Dim:
        """A size with products for what is divided."""
        size = self._named.of(self._numbered.of(size))
        for _ in self.products:
            before, size = size, self._factored.of(size)
            if size is before:
                break
        return cancelled(size)

    def divided(self, size: Dim) -> Dim:
        """A size in the constants of the model again."""
        return self._plainly.of(self._meant.of(size))

    @cached_property
    def _numbered(self) -> Substitution:
        return Substitution.by_name(self.numbers)

    @cached_property
    def _named(self) -> Substitution:
        return Substitution(lambda atom: self.names.get(_of(atom).key))

    @cached_property
    def _factored(self) -> Substitution:
        return Substitution.by_name(self.products)

    @cached_property
    def _meant(self) -> Substitution:
        return Substitution.by_name(self.meanings)

    @cached_property
    def _plainly(self) -> Substitution:
        return Substitution(self._plain)

    def _plain(self, atom: Atom) -> Dim | None:
        """A part of a constant that is known to be a multiple, as a quotient."""
        if atom.kind != "symbol" or atom.scale == 1 or atom.symbol not in self.products:
            return None
        return symbol(atom.symbol) // atom.scale


def _counting(count: Dim) -> str | None:
    """The name that a number is, up to a number; None if it is anything else."""
    names = count.symbols()
    if len(names) != 1:
        return None
    (name,) = names
    return name if (count - symbol(name)).is_constant else None


def _of(atom: Atom) -> Dim:
    return polynomial([(((atom, 1),), 1)])


def _atom(size: Dim) -> Atom:
    """The atom that a size is."""
    (((atom, _),), _) = size.terms[0]
    return atom


def _is_quotient(size: Dim) -> bool:
    """Whether a size is a quotient and nothing else."""
    return any(size == _of(atom) and atom.kind == "//" for atom in size.atoms())


def _is_monomial(size: Dim) -> bool:
    """Whether a size is a number above 0, or one times names."""
    if size.constant is not None:
        return size.constant > 0
    return len(size.terms) == 1 and all(each.kind == "symbol" for each in size.atoms())


def _single_term(size: Dim) -> tuple[Monomial, int]:
    return size.terms[0] if size.terms else ((), int(size))


SMALL = 100
"""Stands for either factor of a name, where magnitudes are compared: above 1, and below what stands for a name."""

Group: TypeAlias = dict[str, tuple[Dim, int]]
"""What a name divides, by the key of the quotient, each with its factor."""


def _in_steps(
    found: Mapping[tuple[str, Monomial], Group],
) -> list[tuple[tuple[str, Monomial], Group]]:
    """Those of which no product has a name that divides another."""
    dividing = {name for name, _ in found}
    return [
        (key, group)
        for key, group in found.items()
        if dividing.isdisjoint(atom.symbol for atom, _ in key[1])
    ]


def _summand(whole: Dim, below: Dim, names: Set[str]) -> str | None:
    """The name that is said by the others of a sum that is a multiple of something: it stands there once, by itself.

    None unless there are no other names in either than some `names`.
    """
    atoms = [*whole.atoms(), *below.atoms()]
    if any(each.kind != "symbol" or each.symbol not in names for each in atoms):
        return None
    for name in sorted(whole.symbols() - below.symbols(), reverse=True):
        if name not in (whole - symbol(name)).symbols():
            return name
    return None


def _leads(products: Mapping[str, Dim], start: str, target: str) -> bool:
    """Whether a constant is a product of which another is a factor."""
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name == target:
            return True
        waiting.extend(products[name].symbols() if name in products else ())
    return False


def cancelled(size: Dim) -> Dim:
    """A size with quotients in lowest terms: `a * b // (a * c)` is `b // c`."""

    def replace(atom: Atom) -> Dim | None:
        if atom.kind != "//":
            return None
        above, below = (cancelled(part) for part in atom.arguments)
        if above.is_constant or below.is_constant:
            return above // below
        shared = _shared([*above.terms, *below.terms])
        return above // shared // (below // shared) if shared != 1 else above // below

    return size.substitute(replace) if size.terms else size


def _shared(terms: Sequence[tuple[Monomial, int]]) -> Dim:
    """The names that are factors of every term."""
    (monomial, _), *rest = terms or [((), 1)]
    powers = {atom: power for atom, power in monomial if atom.kind == "symbol"}
    for other, _ in rest:
        found = dict(other)
        powers = {a: min(p, found[a]) for a, p in powers.items() if a in found}
    return polynomial([(tuple(sorted(powers.items(), key=_key)), 1)])


def _key(factor: tuple[Atom, int]) -> str:
    return factor[0].key
