"""Whether a size or term that one trace offers has the right value in all of them, and can be written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from nnspec.ir.dims import Dim, symbol
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.merging.traces import (
    Track,
    Unlike,
)
from nnspec.targets.spelling import (
    NoValue,
    Unspellable,
    size_at,
    spell_literal,
    spell_size,
    spell_term,
    term_at,
)


def distinct(found: Sequence[Any]) -> list[Any]:
    """Each once, by key, in order; the ones that say most first. Terms that are too long are none."""
    unique = {item.key: item for item in found if _is_candidate(item)}
    return sorted(
        unique.values(), key=lambda item: isinstance(item, Dim) and item.is_constant
    )


def _is_candidate(item: Any) -> bool:
    return not isinstance(item, Term) or item.comparable


def size_fits(tracks: Sequence[Track], twin: Dim, sizes: Sequence[Dim]) -> bool:
    """Whether a twin has the right value in every trace."""
    name = _lone_name(twin)
    if name is not None:
        return all(
            size.value == track.meanings.get(name)
            for track, size in zip(tracks, sizes, strict=True)
        )
    try:
        return all(
            size_at(twin, track.meanings) == size.value
            for track, size in zip(tracks, sizes, strict=True)
        )
    except NoValue:
        return False


def _lone_name(twin: Dim) -> str | None:
    """The symbol that a twin consists of."""
    if len(twin.terms) != 1:
        return None
    ((monomial, coefficient),) = twin.terms
    if coefficient != 1 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    atom = monomial[0][0]
    return atom.symbol if atom.kind == "symbol" and atom.scale == 1 else None


def folded(term: Term) -> Dim | None:
    """A term without names, as the integer that it is."""
    try:
        found = term_at(term, {})
    except NoValue:
        return None
    return found if isinstance(found, Dim) else None


def term_fits(tracks: Sequence[Track], term: Term, values: Sequence[Any]) -> bool:
    """Whether a term has the right value in every trace."""
    try:
        return all(
            equal(term_at(term, track.meanings), value)
            for track, value in zip(tracks, values, strict=True)
        )
    except NoValue:
        return False


def equal(one: Any, other: Any) -> bool:
    """Whether two values of the language are the same."""
    if isinstance(one, Dim) and isinstance(other, float):
        return one.is_constant and other.is_integer() and int(one) == int(other)
    if isinstance(one, tuple) and isinstance(other, tuple):
        ones = cast("tuple[Any, ...]", one)
        others = cast("tuple[Any, ...]", other)
        pairs = zip(ones, others, strict=False)
        return len(ones) == len(others) and all(equal(a, b) for a, b in pairs)
    return bool(one == other)


def one_value(tracks: Sequence[Track], name: str) -> bool:
    """Whether a constant is the same in all traces."""
    first = tracks[0].meanings.get(name)
    return all(equal(track.meanings.get(name), first) for track in tracks[1:])


def same_constant(sizes: Sequence[Dim]) -> Dim | None:
    """The size that all are, without their names."""
    if all(size.value == sizes[0].value for size in sizes):
        return sizes[0].value
    return None


def common_type(types: Sequence[TensorType]) -> TensorType:
    """A type for people: the sizes on which several types agree."""
    first = types[0]
    shape = tuple(
        size
        if all(kind.shape[axis].generic == size.generic for kind in types)
        else symbol("_")
        for axis, size in enumerate(first.shape)
    )
    return TensorType(shape, first.dtype)


def literal_terms(constants: Mapping[str, Any]) -> dict[str, Term]:
    """Constants as the terms that take the place of their names."""
    found: dict[str, Term] = {}
    for name, value in constants.items():
        is_size = isinstance(value, Dim)
        found[name] = (
            Term("dim", (value.generic,)) if is_size else Term("literal", (value,))
        )
    return found


def names_turns(size: Dim) -> bool:
    """Whether a size is said by what only a turn of a loop knows."""
    return any("@" in name for name in size.symbols())


def is_literal(value: Any) -> bool:
    """Whether a value can be written as it is."""
    try:
        spell_literal(value)
    except Unspellable:
        return False
    return True


def spells(term: Term) -> bool:
    """Whether a term can be written in Python."""
    try:
        spell_term(term, lambda name: tree.Name("name"))
    except Unspellable:
        return False
    return True


def spells_size(size: Dim) -> bool:
    """Whether a size can be written in Python."""
    try:
        spell_size(size, lambda name: tree.Name("name"))
    except Unspellable:
        return False
    return True


def as_literal(value: Any) -> Expr:
    """A value as it is written. Raises `Unlike`."""
    try:
        return spell_literal(value)
    except Unspellable:
        raise Unlike from None
