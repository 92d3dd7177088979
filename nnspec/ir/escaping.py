"""What a turn of a loop hands on in lists and constants: its names give way to those outside.

The twin of such a size speaks of this turn (`width * 2^i`); in the next one, and behind the loop, the same
name would mean another value. Tensors that the loop carries by name are not touched: their sizes are
running variables (see `graph.Running`).
"""

from __future__ import annotations

from collections.abc import Mapping

from nnspec.ir.dims import Atom, Dim
from nnspec.ir.terms import Term, Traced
from nnspec.ir.types import TensorType
from nnspec.ir.values import Range, Sequence, Tensor, Value


def escaped(value: Value, uid: int, known: Mapping[str, Dim]) -> Value:
    """A value at the end of a turn of the loop `uid`, whose names are `known` as sizes outside."""
    match value:
        case Dim():
            return outside(value, uid, known)
        case Sequence():
            items = tuple(_element(item, uid, known) for item in value.items)
            return Sequence(items, _kept(value.term, uid), value.is_group)
        case Traced():
            return Traced(value.value, _kept(value.term, uid))
        case Range():
            start, stop, step = (
                outside(bound, uid, known)
                for bound in (value.start, value.stop, value.step)
            )
            return Range(start, stop, step, _kept(value.term, uid))
        case _:
            return value


def _element(value: Value, uid: int, known: Mapping[str, Dim]) -> Value:
    if not isinstance(value, Tensor):
        return escaped(value, uid, known)
    shape = tuple(outside(size, uid, known) for size in value.type.shape)
    return Tensor(value.id, TensorType(shape, value.type.dtype), value.origin)


def outside(size: Dim, uid: int, known: Mapping[str, Dim]) -> Dim:
    """A size whose twin names nothing of the loop; without one where it cannot be said so."""

    def replace(atom: Atom) -> Dim | None:
        found = known.get(atom.symbol) if atom.kind == "symbol" else None
        if found is None:
            return None
        return found.generic if atom.scale == 1 else found.generic // atom.scale

    twin = size.generic
    if twin is size:
        return size
    twin = twin.substitute(replace)
    if any(name.endswith(f"@{uid}") for atom in twin.atoms() for name in _names(atom)):
        return size.value
    return size.value.named(twin)


def _names(atom: Atom) -> set[str]:
    if atom.kind == "symbol":
        return {atom.symbol}
    return set(atom.opaque.names()) if isinstance(atom.opaque, Term) else set()


def _kept(term: Term | None, uid: int) -> Term | None:
    """A term, unless it names something of the loop."""
    if term is None or any(name.endswith(f"@{uid}") for name in term.names()):
        return None
    return term
