"""Traces on their way through a body: what their names and values mean, in a loop's turns too.

A trace is one specialisation of a block, or one turn of a loop in it. `Merger` takes several at once and
moves each of them along: into turns, out of them, and back where an attempt has failed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property
from typing import Any, TypeAlias

import nnspec.targets.merged as merged
from nnspec.elaboration.escaping import behind
from nnspec.ir import graph
from nnspec.ir.dims import Dim, symbol
from nnspec.ir.graph import Function, Node
from nnspec.ir.types import TensorType
from nnspec.pycode.expressions import Expr
from nnspec.records import dataclass
from nnspec.targets.layout import FunctionLayout
from nnspec.targets.merging.divisions import divisions
from nnspec.targets.spelling import (
    NoValue,
    boxed,
    size_at,
)

Layer: TypeAlias = "tuple[str, tuple[merged.Turn, ...]]"
"""A layer of a body: its label, and its place in lists."""


class Unlike(Exception):
    """Traces that cannot be laid together."""


@dataclass(eq=False)
class Track:
    """One trace on its way through the body: what its names and values mean."""

    function: Function
    layout: FunctionLayout
    meanings: dict[str, Any]
    values: dict[int, merged.Value] = field(default_factory=dict[int, merged.Value])
    # Other values of the body that are the same number in this trace.
    also: dict[int, tuple[merged.Value, ...]] = field(
        default_factory=dict[int, tuple[merged.Value, ...]]
    )
    names: dict[str, merged.Value] = field(default_factory=dict[str, merged.Value])
    types: dict[int, TensorType] = field(default_factory=dict[int, TensorType])
    constants: dict[str, Any] = field(default_factory=dict[str, Any])
    # The layers that it has made, each with what it is made by.
    made: dict[Layer, tuple[Expr, ...]] = field(
        default_factory=dict[Layer, "tuple[Expr, ...]"]
    )
    turns: tuple[merged.Turn, ...] = ()
    # The numbers of the turns that it is in, of loops that stay loops.
    numbers: dict[int, int] = field(default_factory=dict[int, int])
    ended: bool = False
    lineage: tuple[Track, ...] = ()

    @cached_property
    def divisions(self) -> set[tuple[str, str]]:
        """What divides evenly by a requirement of the block, as keys of dividend and divisor."""
        return divisions(self.function)

    def inside(self, uid: int, number: int) -> Track:
        """A trace of a turn of a loop, which sees what this one sees."""
        return Track(
            self.function,
            self.layout,
            dict(self.meanings),
            dict(self.values),
            dict(self.also),
            dict(self.names),
            dict(self.types),
            dict(self.constants),
            dict(self.made),
            (*self.turns, merged.Turn(None, uid)),
            {**self.numbers, uid: number},
            lineage=(*self.lineage, self),
        )

    def same(self, number: int) -> tuple[merged.Value, ...]:
        """Every value of the body that stands for a number. Raises `Unlike` where there is none."""
        if number not in self.values:
            raise Unlike
        return (self.values[number], *self.also.get(number, ()))

    def means(self, number: int, value: merged.Value) -> None:
        """From here on, a number is read as another value of the body."""
        self.also[number] = self.same(number) if number in self.values else ()
        self.values[number] = value

    def learn(self, number: int, value: merged.Value) -> None:
        """Notes that a value of the body stands for a number, too."""
        self.also[number] = (value, *self.also.get(number, ()))

    def first_use(self, layer: Layer) -> Node | None:
        """Where a layer is applied first in the whole function; None where it has no such layer."""
        label, turns = layer
        numbers = (
            turn.index if turn.loop is None else self.numbers[turn.loop]
            for turn in turns
        )
        path = (label, *(number for number in numbers if number is not None))
        return self.function.instances.get(path)

    def type(self, value: int) -> TensorType:
        """The type of a value, in the names that hold here."""
        return self.types.get(value, self.function.types[value])

    def input_types(
        self, node: Node
    ) -> tuple[TensorType | tuple[TensorType, ...] | None, ...]:
        """The types of a node's inputs: tuples for lists, None where missing."""
        return tuple(
            tuple(self.type(value) for value in argument)
            if isinstance(argument, tuple)
            else None
            if argument is None
            else self.type(argument)
            for argument in node.inputs
        )

    def given_types(self, node: Node) -> list[TensorType]:
        """The types of a node's inputs, lists spread out and missing ones left out."""
        return [self.type(value) for value in node.values()]


@dataclass(eq=False)
class Arm:
    """One way of a branch: the traces that went it, where names met on it, and what they mean at its end.

    Traces that end on it mean nothing behind it.
    """

    taken: bool
    tracks: frozenset[Track]
    joining: dict[str, merged.Branch]
    names: dict[Track, dict[str, merged.Value]]

    def has(self, track: Track) -> bool:
        """Whether a trace, or one that it is a part of, went this way."""
        return track in self.tracks or not self.tracks.isdisjoint(track.lineage)


def state_of(track: Track) -> tuple[Any, ...]:
    """What an attempt may change in a trace, to put it back when the attempt fails."""
    return (
        dict(track.values),
        dict(track.also),
        dict(track.names),
        dict(track.meanings),
        dict(track.made),
    )


def put_back(track: Track, state: tuple[Any, ...]) -> None:
    """Gives a trace the state again that it had."""
    track.values, track.also, track.names, track.meanings, track.made = state


def all_boxed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name, whole numbers as sizes."""
    return {key: boxed(value) for key, value in values.items()}


def enter(
    track: Track, loop: graph.Loop, place: int, carried: Mapping[str, merged.Carried]
) -> None:
    """A trace at the start of a turn: what the loop carries lies in variables."""
    for key, size in constants_at(loop, place):
        track.meanings[key] = size.value
    for name, history in loop.carried.items():
        value = history[place]
        known = track.function.types[value]
        sizes: list[Dim] = []
        for axis, size in enumerate(known.shape):
            key = f"{name}.{axis}@{loop.uid}"
            track.meanings[key] = size.value
            sizes.append(size.value.named(symbol(key)))
        track.types[value] = TensorType(tuple(sizes), known.dtype)
        track.means(value, carried[name].entry)
        track.names[name] = carried[name].entry


def leave(
    track: Track, loop: graph.Loop, carried: Mapping[str, merged.Carried]
) -> None:
    """A trace behind a loop: what it carried lies in its variables still."""
    for key, size in constants_at(loop, len(loop.iterations)):
        track.meanings[key] = size.value
    for name, history in loop.carried.items():
        value = history[-1]
        track.means(value, carried[name].exit)
        track.names[name] = carried[name].exit
        kind = track.function.types[value]
        track.types[value] = behind(kind, name, loop.uid, track.function.running)
        for axis, size in enumerate(kind.shape):
            track.meanings[f"{name}.{axis}@{loop.uid}"] = size.value


def constants_at(loop: graph.Loop, place: int) -> Iterator[tuple[str, Dim]]:
    """The integers that a loop carries, by their names in it, before a turn or behind the last one."""
    for name, history in loop.constants.items():
        if place < len(history):
            yield f"{name}@{loop.uid}", history[place]


def fix_running(track: Track, loop: graph.Loop, place: int) -> None:
    """In a loop that is written out, a carried size is what it is at that turn."""
    for name, history in loop.carried.items():
        if place >= len(history):
            continue
        for axis, size in enumerate(track.type(history[place]).shape):
            key = f"{name}.{axis}@{loop.uid}"
            track.meanings[key] = size.value
            track.constants[key] = size


def require_entries(track: Track, loop: graph.Loop) -> None:
    """Sizes that the constructor counts along must be, before a loop, what the graph says."""
    for running, size in _counted_along(track, loop, 0):
        initial = track.function.settling.of(running.initial).generic
        _require(track, initial, size)


def require_updates(track: Track, loop: graph.Loop, place: int) -> None:
    """Sizes that the constructor counts along must be, after a turn, what the graph says.

    What a loop in this one leaves, which is written out, nothing counts along.
    """
    written_out = track.constants.keys() - track.lineage[-1].constants.keys()
    for running, size in _counted_along(track, loop, place + 1):
        update = track.function.settling.of(running.update).generic
        initial = track.function.settling.of(running.initial).generic
        if not (_own_sizes(update, running) and _own_sizes(initial, running)):
            raise Unlike
        if not written_out.isdisjoint(update.symbols()):
            raise Unlike
        _require(track, update, size)


def _require(track: Track, said: Dim, size: Dim) -> None:
    """Raises `Unlike` where what is said of a size is not what it is in a trace."""
    try:
        found = size_at(said, track.meanings)
    except NoValue:
        raise Unlike from None
    if found != size.value:
        raise Unlike


def _counted_along(
    track: Track, loop: graph.Loop, place: int
) -> Iterator[tuple[graph.Running, Dim]]:
    """The sizes that a constructor counts along, with what they are before a turn or behind the last one."""
    known = track.function.running
    sizes = [
        (f"{name}.{axis}@{loop.uid}", size)
        for name, history in loop.carried.items()
        for axis, size in enumerate(track.function.types[history[place]].shape)
        if size.is_constant
    ]
    for key, size in (*sizes, *constants_at(loop, place)):
        running = known.get(key)
        if running is not None and not running.constant and running.same is None:
            yield running, size


def _own_sizes(size: Dim, running: graph.Running) -> bool:
    """Whether a carried size is counted along by itself alone: by no other that loops carry, but for integers."""
    mine = f"{running.name}.{running.axis}@"
    carried = [name for name in size.symbols() if "." in name]
    return all(name.startswith(mine) for name in carried)
