"""What a turn of a loop hands on in lists and constants: its names give way to those outside.

The twin of such a size speaks of this turn (`width * 2^i`); in the next one, and behind the loop, the same
name would mean another value. Tensors that the loop carries by name are not touched: their sizes are
running variables (see `graph.Running`).
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_

from nnspec.ir.dims import Atom, Dim, lone_symbol, symbol
from nnspec.ir.graph import Loop, Running
from nnspec.ir.terms import Term, Traced
from nnspec.ir.types import TensorType
from nnspec.ir.values import Range, Sequence, Tensor, Value
from nnspec.records import dataclass


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


@dataclass(eq=False)
class _Left:
    """The elements of a list as turns have left it, which are sizes and tensors, and the names that their twins speak of."""

    items: tuple[Value, ...]
    names: set[str]

    def begins(self, items: tuple[Value, ...], known: Mapping[str, Dim]) -> bool:
        """Whether a list begins with these very elements, and none of them speaks of what is known."""
        begun = len(items) >= len(self.items) and all(map(is_, self.items, items))
        return begun and self.names.isdisjoint(known)


class Escaping:
    """What the turns of a loop hand on, one after another: elements that a list had before are as they were left."""

    def __init__(self, uid: int) -> None:
        self._uid = uid
        self._left: dict[str, _Left] = {}

    def behind_turn(self, name: str, value: Value, known: Mapping[str, Dim]) -> Value:
        """What a name means at the end of a turn, for whoever comes next."""
        if not isinstance(value, Sequence):
            return escaped(value, self._uid, known)
        left = self._left.pop(name, None)
        if left is None or not left.begins(value.items, known):
            left = _Left((), set())
        more = value.items[len(left.items) :]
        left.items += tuple(_element(item, self._uid, known) for item in more)
        sizes = [_sizes(item) for item in left.items[-len(more) :]] if more else []
        if all(each is not None for each in sizes):
            twins = (size.generic for each in sizes if each for size in each)
            left.names.update(n for t in twins for a in t.atoms() for n in _names(a))
            self._left[name] = left
        term = _kept(value.term, self._uid)
        plain = value.plain or None  # what has no term gets none
        return Sequence(
            left.items, term, value.is_group, extent=value.extent, plain=plain
        )


def _sizes(value: Value) -> tuple[Dim, ...] | None:
    match value:
        case Dim():
            return (value,)
        case Tensor():
            return value.type.shape
        case _:
            return None


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
    lone = lone_symbol(twin)
    if lone is None or lone.scale != 1 or lone.symbol not in known:
        twin = twin.substitute(replace)
    else:
        twin = known[lone.symbol].generic
    return size.value if _speaks(twin, uid) else size.value.named(twin)


def constants_outside(loop: Loop) -> dict[str, tuple[Dim, ...]]:
    """The integers that a loop carries, before each turn and behind the last, as they are known outside."""
    found: dict[str, list[Dim]] = {name: [] for name in loop.constants}
    known: dict[str, Dim] = {}
    for place in range(len(loop.iterations) + 1):
        before = {
            name: outside(history[place], loop.uid, known)
            for name, history in loop.constants.items()
            if place < len(history)
        }
        for name, value in before.items():
            found[name].append(value)
        known = {loop.key_of(name): value for name, value in before.items()}
        if place < len(loop.iterations):
            values = loop.iterations[place].values.items()
            known |= {key: value for key, value in values if isinstance(value, Dim)}
    return {name: tuple(values) for name, values in found.items()}


def is_over(size: Dim, uid: int) -> bool:
    """Whether the twin of a size names something of the loop `uid`, or of one inside it (they stand behind)."""
    names = {name for atom in size.generic.atoms() for name in _names(atom)}
    places = (name.rpartition("@")[2] for name in names if "@" in name)
    return any(place.isdigit() and int(place) >= uid for place in places)


def behind(
    kind: TensorType, name: str, uid: int, running: Mapping[str, Running]
) -> TensorType:
    """The type of what the loop `uid` carried, behind it: sizes that speak of the last turn are the running ones."""
    shape: list[Dim] = []
    for axis, size in enumerate(kind.shape):
        known = running.get(f"{name}.{axis}@{uid}")
        if known is not None and not known.constant and is_over(size, uid):
            size = size.value.named(symbol(known.symbol))
        shape.append(size)
    return TensorType(tuple(shape), kind.dtype)


def _speaks(twin: Dim, uid: int) -> bool:
    names = {name for atom in twin.atoms() for name in _names(atom)}
    return any(name.endswith(f"@{uid}") for name in names)


def _names(atom: Atom) -> set[str]:
    if atom.kind == "symbol":
        return {atom.symbol}
    return set(atom.opaque.names()) if isinstance(atom.opaque, Term) else set()


def _kept(term: Term | None, uid: int) -> Term | None:
    """A term, unless it names something of the loop."""
    if term is None or any(name.endswith(f"@{uid}") for name in term.mentioned()):
        return None
    return term
