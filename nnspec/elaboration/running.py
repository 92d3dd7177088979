"""Sizes of tensors and integers that loops carry: their names in a turn, and what becomes of them (see `graph.Running`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nnspec.elaboration import escaping
from nnspec.elaboration.frame import Frame
from nnspec.elaboration.turning import Turning
from nnspec.ir.dims import Atom, Dim, symbol
from nnspec.ir.graph import Running
from nnspec.ir.settling import Settling
from nnspec.ir.types import TensorType
from nnspec.ir.values import Tensor


def entering(loop: Turning) -> dict[str, Dim]:
    """What a turn starts with, by its names in the loop, as the outside knows it."""
    found: dict[str, Dim] = {}
    for name in loop.carried:
        value = loop.frame.names.get(name)
        if isinstance(value, Tensor):
            for axis, size in enumerate(value.type.shape):
                known = escaping.outside(size, loop.uid, loop.known)
                found[loop.key(name, axis)] = known
        elif isinstance(value, Dim):
            found[loop.key(name)] = value
    return found


# ---- tensors ----------------------------------------------------------------------------------------


def enter_tensor(loop: Turning, name: str, value: Tensor) -> None:
    """Gives the sizes of a tensor symbols of the loop, at the start of a turn."""
    loop.history[name].append(value.id)
    shape: list[Dim] = []
    for axis, size in enumerate(value.type.shape):
        key = loop.key(name, axis)
        if not loop.iterations:
            running = Running(key, name, axis, size.generic, symbol(key), True)
            _note_initial(loop.frame, running)
        shape.append(size.value.named(symbol(key)))
    kind = TensorType(tuple(shape), value.type.dtype)
    loop.frame.names[name] = Tensor(value.id, kind, value.origin)


def leave_tensor(loop: Turning, name: str, value: Tensor) -> None:
    """Notes what became of the sizes of a tensor in a turn."""
    for axis, size in enumerate(value.type.shape):
        _note_update(loop.frame, loop.key(name, axis), size)


def tensor_behind(loop: Turning, name: str, value: Tensor) -> None:
    """A tensor behind the loop: a size that speaks of the last turn is the running one."""
    loop.history[name].append(value.id)
    running = loop.frame.builder.running
    kind = escaping.behind(value.type, name, loop.uid, running)
    loop.frame.names[name] = Tensor(value.id, kind, value.origin)


# ---- integers ---------------------------------------------------------------------------------------


def enter_integer(loop: Turning, name: str, value: Dim) -> None:
    """Gives an integer its name in the loop, at the start of a turn."""
    key = loop.key(name)
    if not loop.iterations and value.is_constant:
        loop.constants[name] = [value]
        running = Running(key, name, None, value.generic, symbol(key), True)
        _note_initial(loop.frame, running)
    if loop.counts(name):
        loop.frame.names[name] = value.value.named(symbol(key))


def leave_integer(loop: Turning, name: str, value: Dim) -> None:
    """Notes what became of an integer in a turn, the last one that is among the iterations."""
    if len(loop.constants.get(name, ())) == len(loop.iterations):
        loop.constants[name].append(value)
        _note_update(loop.frame, loop.key(name), value)


def integer_behind(loop: Turning, name: str, value: Dim) -> None:
    """An integer that changes in turns keeps its name behind the loop, where it means what the last turn left."""
    if any(key == loop.key(name) for key, _ in _changing(loop)):
        loop.frame.names[name] = value.value.named(symbol(loop.key(name)))


def _changing(loop: Turning) -> Iterator[tuple[str, list[Dim]]]:
    """The integers that change in the loop, with what they are before each turn and behind the last."""
    running = loop.frame.builder.running
    for name, constants in loop.constants.items():
        key = loop.key(name)
        if loop.iterations and loop.counts(name) and not running[key].constant:
            yield key, constants


# ---- what becomes of them ---------------------------------------------------------------------------


def _note_initial(frame: Frame, running: Running) -> None:
    """Notes what a carried size starts from.

    A loop inside a loop may start from one thing in the first turn, from another in the others
    (`if i > 0 { ... }` stands before it): what the last says is kept, which mostly holds in all.
    """
    known = frame.builder.running.setdefault(running.symbol, running)
    if known.initial != running.initial:
        frame.builder.running[running.symbol] = replace(known, initial=running.initial)


def _note_update(frame: Frame, key: str, size: Dim) -> None:
    running = frame.builder.running.get(key)
    if running is None:
        return
    update = size.generic
    same = update in (symbol(key), running.initial)
    if running.constant and not same:
        frame.builder.running[key] = replace(running, update=update, constant=False)


def note_same(loop: Turning) -> None:
    """Notes, behind the loop, which sizes of tensors are an integer that it carries: `c` in `x = x -> Conv(c)`.

    A loop inside a loop has to say so each time.
    """
    builder = loop.frame.builder
    for name, values in loop.history.items():
        ranks = [builder.types[value].rank for value in values]
        for axis in range(min(ranks, default=0)):
            own = builder.running.get(loop.key(name, axis))
            if own is None or own.constant or own.symbol in builder.apart:
                continue
            sizes = [builder.types[value].shape[axis] for value in values]
            found = _same(loop, own, sizes)
            if found is None or own.same not in (None, found):
                builder.apart.add(own.symbol)
                found = None
            builder.running[own.symbol] = replace(own, same=found)


def _same(loop: Turning, own: Running, sizes: list[Dim]) -> str | None:
    """The integer that a size of a tensor is before each turn and behind the last."""
    running = loop.frame.builder.running
    for key, constants in _changing(loop):
        is_it = [size.value for size in sizes] == [each.value for each in constants]
        if is_it and _goes_alike(own, running[key], running):
            return key
    return None


def _goes_alike(one: Running, other: Running, known: Mapping[str, Running]) -> bool:
    """Whether a carried size begins and goes on as another does."""

    def said(atom: Atom) -> Dim | None:
        is_own = atom.kind == "symbol" and atom.symbol == one.symbol
        return symbol(other.symbol) if is_own else None

    settle = Settling(known).of
    return settle(one.initial) == settle(other.initial) and (
        settle(one.update).substitute(said) == settle(other.update)
    )
