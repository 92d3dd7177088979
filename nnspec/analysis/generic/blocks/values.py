"""What constants are: sizes, lists of them, progressions of generic length, and numbers that are no integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

from nnspec.analysis.generic.blocks.reals import Real, zero_of
from nnspec.ir import dims
from nnspec.ir.dims import Atom, Dim
from nnspec.ir.signs import ARITHMETIC
from nnspec.ir.terms import Term
from nnspec.records import dataclass

Names: TypeAlias = Mapping[str, Any]


class Unsaid(Exception):
    """A value cannot be said in the constants of the model."""


@dataclass(frozen=True, slots=True)
class Progression:
    """What a loop over a `range` of generic length goes through: `count` elements, each by its turn from 0."""

    count: Dim
    element: Callable[[Dim], Any]


def progression(bounds: list[Dim]) -> Progression:
    """`range(stop)`, `range(start, stop)` or `range(start, stop, step)`."""
    start, stop = (dims.ZERO, bounds[0]) if len(bounds) == 1 else bounds[:2]
    step = bounds[2] if len(bounds) == 3 else dims.ONE
    return Progression(
        (stop - start).ceil_divide(step), lambda turn: start + step * turn
    )


def integer(value: Any) -> Dim:
    """A value that is an integer. Raises `Unsaid` for any other."""
    if isinstance(value, Dim):
        return value
    raise Unsaid(repr(value))


def plain(value: Any) -> Any:
    """A value for Python's own operators."""
    if isinstance(value, Real):
        return value.value
    if isinstance(value, Dim):
        return int(value)
    if isinstance(value, tuple):
        return tuple(plain(item) for item in cast("tuple[Any, ...]", value))
    return value


def concrete(value: Any) -> Any:
    """A size, or each size in a list, without what it is in the constants of the model."""
    if isinstance(value, Dim):
        return value.value
    if isinstance(value, tuple):
        return tuple(map(concrete, cast("tuple[Any, ...]", value)))
    return value


def computed(sign: str, left: Any, right: Any) -> Any:
    """What arithmetic makes of two values: an integer or a list of these, else a number that is none.

    Raises what Python's own operators raise for values that do not go together.
    """
    if isinstance(left, Dim) and isinstance(right, Dim) and sign != "/":
        return ARITHMETIC[sign](left, right)
    if isinstance(left, tuple) and isinstance(right, tuple) and sign == "+":
        return (*cast("tuple[Any, ...]", left), *cast("tuple[Any, ...]", right))
    result = ARITHMETIC[sign](float(plain(left)), float(plain(right)))
    names = names_behind(left) | names_behind(right)
    return Real(result, names, zero_of(sign, left, right))


def names_in(term: Term) -> set[str]:
    """The names of a term, those inside of its sizes too."""
    return {*term.names(), *(name for atom in term.atoms() for name in names_of(atom))}


def names_of(atom: Atom) -> set[str]:
    """The names in one atom of a size, those inside of its term too."""
    if atom.kind == "symbol":
        return {atom.symbol}
    return names_in(atom.opaque) if isinstance(atom.opaque, Term) else set()


def names_behind(value: Any) -> frozenset[str]:
    """The constants of the model that a value was computed from."""
    if isinstance(value, Real):
        return value.names
    if isinstance(value, Dim):
        return frozenset(value.generic.symbols() - value.value.symbols())
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        return frozenset[str]().union(*(names_behind(item) for item in items))
    return frozenset()


def behind(term: Term, names: Names) -> frozenset[str]:
    """The constants of the model that a term is computed from."""
    used = (names_behind(names.get(name)) for name in names_in(term))
    return frozenset[str]().union(*used)
