"""Lists of tensors that loops grow: how each was made, so that it is known what hangs on its length.

Such a list travels with a term (`Sequence.made`) in the names of loops: `skips@7` is the list `skips` in the
loop 7 and behind it (see `graph.Loop.lists`). Where it is put together, gone through in order or taken an element of, the
structure says so in that term. Any other use decides how often the loops behind it turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from nnspec.elaboration.frame import Builder, Frame
from nnspec.ir.dims import Dim, DimError, symbol
from nnspec.ir.graph import Taken
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.ir.values import Sequence, Tensor, Value, as_term
from nnspec.syntax import ast


def made_of(value: Value | None) -> Term | None:
    """How a list of tensors was made; None for anything else, and where there is too much to say."""
    if not isinstance(value, Sequence) or value.is_group:
        return None
    if value.made is not None:
        return value.made
    if not all(isinstance(item, Tensor) for item in value.items):
        return None
    ids = (item.id for item in value.items if isinstance(item, Tensor))
    return _term("list", tuple(Term("value", (number,)) for number in ids))


def is_grown(value: Value) -> bool:
    """Whether a list has as many elements as loops behind it have turns."""
    return isinstance(value, Sequence) and value.made is not None


def settled(frame: Frame, value: Sequence) -> Sequence:
    """A list whose length is asked for: loops behind it turn as often as they do, and it is one as any other."""
    if value.made is None:
        return value
    terms = reasons(frame.builder, value.made)
    if terms:
        frame.builder.decide(*terms)
    return replace(value, made=None)


def joined(frame: Frame, whole: Sequence, parts: Iterable[Value]) -> Sequence:
    """A list that was put together of several."""
    parts = list(parts)
    if not any(map(is_grown, parts)):
        return whole
    made = [term for term in map(made_of, parts) if term is not None]
    if len(made) == len(parts):
        sums: Term | None = made[0]
        for term in made[1:]:
            sums = sums and _term("arithmetic", ("+", sums, term))
        if sums is not None:
            return replace(whole, made=sums)
    return _lost(frame, whole, parts)


def computed(
    frame: Frame, name: str, whole: Sequence, arguments: Iterable[Value]
) -> Sequence:
    """What a function makes of lists: `zip`, `enumerate`, `reversed`."""
    arguments = list(arguments)
    if not any(map(is_grown, arguments)):
        return whole
    parts = [made_of(each) or as_term(each) for each in arguments]
    made = _term("call", (name, *parts)) if None not in parts else None
    if made is not None:
        return replace(whole, made=made)
    return _lost(frame, whole, arguments)


def element(
    frame: Frame, whole: Sequence, found: Value, place: Dim, node: ast.Index
) -> Value:
    """An element of a list, which a turn of a loop may take once at a place of the text.

    Its sizes are those of the place, whichever that is.
    """
    taken, position = frame.builder.taken, as_term(place)
    uid = frame.elaboration.place_number(frame, node)
    can_follow = whole.made is not None and position is not None and bool(taken)
    if not can_follow or not isinstance(found, Tensor) or uid in taken[-1]:
        settled(frame, whole)
        return found
    assert whole.made is not None
    assert position is not None
    taken[-1][uid] = Taken(uid, found.id, whole.made, position), found.type
    shape = tuple(
        size.value.named(symbol(key)) for key, size in sizes_at(uid, found.type).items()
    )
    return Tensor(found.id, TensorType(shape, found.type.dtype), found.origin)


def sizes_at(uid: int, kind: TensorType) -> dict[str, Dim]:
    """The sizes of an element that is taken at a place of the text, by their names."""
    return {f"at.{axis}@{uid}": size for axis, size in enumerate(kind.shape)}


def _lost(frame: Frame, whole: Sequence, parts: Iterable[Value]) -> Sequence:
    for part in parts:
        if isinstance(part, Sequence):
            settled(frame, part)
    return whole


def reasons(builder: Builder, *made: Term) -> tuple[Term, ...]:
    """What loops go through that lists of these terms hang on."""
    names = (name for term in made for name in term.names())
    found = (term for name in names for term in builder.grown.get(name, ()))
    return tuple(dict.fromkeys(found))


def _term(kind: str, arguments: tuple[object, ...]) -> Term | None:
    try:
        return Term(kind, arguments)
    except DimError:
        return None
