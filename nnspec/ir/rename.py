"""Generic twins on their way out of a function: its own names give way to those of the caller."""

from __future__ import annotations

from collections.abc import Mapping

from nnspec.ir.dims import Atom, Dim, lone_symbol
from nnspec.ir.graph import Function, Port, Running, values_of
from nnspec.ir.hanging import hanging, reasons
from nnspec.ir.settling import Settling
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.records import dataclass


@dataclass(frozen=True)
class Renaming:
    """What the names of a function are in the place where it is called."""

    sizes: Mapping[str, Dim]
    terms: Mapping[str, Term | None]
    function: Function

    def size(self, value: Dim) -> Dim:
        """A size with its twin in the caller's names: what it is there, or else what it hangs on."""
        twin = value.generic
        if twin is value:
            return value
        lone = lone_symbol(twin)
        if lone is not None and lone.scale == 1 and lone.symbol in self.sizes:
            return value.value.named(self.sizes[lone.symbol].generic)
        names = {name for atom in twin.atoms() for name in _names(atom)}
        if not all(
            name in self.sizes or self.terms.get(name) is not None for name in names
        ):
            return self._hanging(value.value, names)
        terms = {name: term for name, term in self.terms.items() if term is not None}

        def replace(atom: Atom) -> Dim | None:
            if atom.kind == "symbol":
                found = self.sizes[atom.symbol].generic
                return found if atom.scale == 1 else found // atom.scale
            if isinstance(atom.opaque, Term):
                from nnspec.ir import dims

                return dims.opaque(atom.opaque.replaced(replace, terms))
            return None

        return value.value.named(twin.substitute(replace))

    def _hanging(self, value: Dim, names: set[str]) -> Dim:
        """A size that the caller cannot say: known by all that it hangs on there, for it is not the same whatever that is."""
        if not value.is_constant:
            return value
        known = reasons(self.function, names | self.function.conditions)
        given = [self.sizes[name].generic for name in sorted(known & self.sizes.keys())]
        terms = [Term("dim", (twin,)) for twin in given if not twin.is_constant]
        found = (self.terms.get(name) for name in sorted(known - self.sizes.keys()))
        terms += [term for term in found if term is not None]
        if not terms:
            return value
        return value.named(hanging(f"{self.function.key} {value}", terms))


def _names(atom: Atom) -> set[str]:
    if atom.kind == "symbol":
        return {atom.symbol}
    return set(atom.opaque.names()) if isinstance(atom.opaque, Term) else set()


def renamed_type(kind: TensorType, renaming: Renaming) -> TensorType:
    """A type with the twins of its sizes in the caller's names."""
    return TensorType(tuple(renaming.size(size) for size in kind.shape), kind.dtype)


def settled(
    types: Mapping[int, TensorType],
    running: Mapping[str, Running],
    outputs: tuple[Port, ...],
) -> dict[int, TensorType]:
    """The types of a function, where the outputs' twins name no size that a loop only seemed to carry."""
    found, settling = dict(types), Settling(running)
    for value in values_of(outputs):
        kind = found[value]
        sizes = tuple(settling.of(size) for size in kind.shape)
        found[value] = TensorType(sizes, kind.dtype)
    return found
