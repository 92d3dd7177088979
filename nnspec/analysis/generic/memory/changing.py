"""Loops whose sizes change from turn to turn: one turn, run with the symbol of its number, stands for many.

The first turns and the last ones are run with their numbers, and the one between them by the symbol of its number
(`Course`). If that turn leaves what it found, every size as it is one turn later, all turns between do the same, by
induction; what they leave then adds up, and of what lives in them the most is wanted over their numbers. That
holds of the forward pass and, in the opposite order, of the backward pass (`returning.py`).

What goes in and out of that turn has other sizes outside, where the turns beside it have their numbers (`Moved`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from nnspec.analysis.generic.memory.laid import (
    Laid,
    Look,
    Moved,
    Pair,
    Source,
    look,
    reshaped,
    source_in,
)
from nnspec.analysis.generic.memory.returning import Returning
from nnspec.analysis.generic.memory.widest import widest
from nnspec.analysis.generic.names.powers import canonical, expanded
from nnspec.analysis.generic.reasons import SUMMED
from nnspec.analysis.generic.tracing.sums import added_up
from nnspec.analysis.memory.deferring import expect_none
from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.machine import Machine, Record, Storage, Tensor
from nnspec.analysis.memory.peaks import Peaks
from nnspec.analysis.memory.rolling import UNSTEADY, Unlike
from nnspec.ir.dims import ONE, ZERO, Dim, symbol
from nnspec.ir.graph import Loop, nodes_in
from nnspec.ir.types import TensorType
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.memory.frame import Frame
    from nnspec.analysis.memory.gradients import Engine

VIEWED = "what it hands from turn to turn is a part of something larger"

Note: TypeAlias = Callable[[Dim, int], None]
"""Told how many turns there must be, of so many as a formula says."""


@dataclass(frozen=True)
class Link:
    """An element that a turn takes of what the turns of another loop made, by the symbol `turn` of their place.

    `number` is the place of the turn that made it, by that of the turn that takes it; `back` the other way round.
    """

    turn: str
    number: Dim
    back: Dim


@dataclass(frozen=True)
class Course:
    """A loop of which the `generic` turn stands for several, by the symbol `turn` of the place among these: from 1 to below `stop`.

    `links` are the elements of lists that this turn takes, by value, `listed` those that any turn takes; there
    are `count` turns, and at least as many as are run.
    """

    turn: str
    generic: int
    stop: Dim
    count: Dim
    loop: str
    links: Mapping[int, Link]
    listed: frozenset[int]

    def run(self, loop: Loop, machine: Machine, note: Note) -> Changing:
        """One run of the loop on a machine."""
        return Changing(self, loop, machine, note)


class Changing:
    """One run of a loop by its course.

    `numbers` says how many operations there were before each turn. What crosses the border of the one turn is
    `entering` it or `leaving` it, and `taken` of other loops (by where its gradient goes). `waits` are the gradients that
    other loops left for what the turn put into lists, and `lists` says where those go of what any turn takes.
    """

    def __init__(
        self, course: Course, loop: Loop, machine: Machine, note: Note
    ) -> None:
        self.course = course
        self.machine = machine
        self._note = note
        self._loop = loop
        self.numbers: list[int] = []
        self.entering: list[Moved] = []
        self.leaving: list[Moved] = []
        self.taken: dict[Source, tuple[Changing, Link]] = {}
        self.waits: dict[Source, Laid] = {}
        self.lists: frozenset[Source | None] = frozenset()
        # The gradients of lists as a whole, of which those of the turns' parts are views.
        self.wholes: list[weakref.ref[Storage]] = []
        # The values that turns make, by turn and by place in it; the other way round; and their types.
        self._places: dict[int, tuple[int, int]] = {}
        self._values: dict[tuple[int, int], int] = {}
        self._types: Mapping[int, TensorType] = {}
        # What the turn found: how it lay, what of older turns lived, and the amounts before it.
        self._found: Mapping[Hashable, Look] = {}
        self._before: frozenset[int] = frozenset()
        self._live = ZERO
        self._kept = ZERO
        self._outer = machine.peaks
        self._returning = Returning(self)

    def at(self, turn: int, frame: Frame) -> None:
        """Before a turn of the loop, and behind the last one."""
        if turn == 0:
            self._begin(frame)
        generic = self.course.generic
        if turn == generic:
            self._enter(frame)
        elif turn == generic + 1:
            self._leave(frame)
        operations = self.machine.operations
        self.numbers.append(operations)
        if turn in (generic, generic + 1):
            self.machine.crossings.append((operations, self, turn - generic))

    def crossed(self, place: int, engine: Engine) -> None:
        """The backward pass comes to the turn from behind (1), or leaves it (0)."""
        self._returning.crossed(place, engine)

    # ---- into the turn ---------------------------------------------------------------------------

    def _begin(self, frame: Frame) -> None:
        self.numbers.clear()
        types = frame.function.types.items()
        self._types = {value: self.machine.sized(kind) for value, kind in types}
        listed = (frame.tensors[v] for v in self.course.listed if v in frame.tensors)
        self.lists = frozenset(map(source_in, listed))
        counts: set[int] = set()
        for turn, iteration in enumerate(self._loop.iterations):
            numbers = nodes_in(iteration.body)
            made = [v for n in numbers for v in frame.function.nodes[n].outputs]
            self._places |= {value: (turn, place) for place, value in enumerate(made)}
            if abs(turn - self.course.generic) < 2:
                counts.add(len(made))
        self._values = {place: value for value, place in self._places.items()}
        self.expect(len(counts) == 1)

    def _enter(self, frame: Frame) -> None:
        machine, before = self.machine, self.course.generic - 1
        machine.mark()
        expect_none(frame, self)
        for value, tensor in frame.tensors.items():
            inside = self._inside(value, tensor, frame)
            if inside is not None:
                moved = Moved.of(value, tensor, inside, Laid.of(tensor))
                self.entering.append(moved)
                inside.lay(tensor)
        for each in self.entering:
            each.enter()
        self._found = self._looks(frame, before)
        self._before = self._older(frame, before - 1)
        self._live, self._kept = machine.live, machine.kept_besides
        self._outer, machine.peaks = machine.peaks, Peaks()
        machine.turn = self

    def _inside(self, value: int, tensor: Tensor, frame: Frame) -> Laid | None:
        """How a tensor lies that the turn may read; None for one that is the same in all turns."""
        turn, place = self._places.get(value, (-1, 0))
        if turn == self.course.generic - 1:
            if self._is_put_by(value, turn):
                return None
            kind = self._types[self._values[self.course.generic, place]]
            shape = self._at(kind, symbol(self.course.turn) - 1).shape
            inside = self.reshaped(tensor, shape, self.beside(-1))
            self.expect(inside.at(self.course.turn, ONE).key == Laid.of(tensor).key)
            return inside
        link = self.course.links.get(value)
        if link is None:
            return None
        self.expect(value in frame.changed)
        maker, made = frame.changed[value]
        source = source_in(tensor)
        if source is not None:
            self.taken[source] = maker, link
        return made.at(link.turn, link.number)

    def reshaped(
        self, tensor: Tensor, shape: tuple[Dim, ...], within: Iterable[Pair]
    ) -> Laid:
        """How a tensor lies when its shape is another one, in a storage of its own or `within` that of another value. Raises `Unlike`."""
        found = reshaped(tensor, shape, within)
        if found is None:
            raise Unlike(VIEWED, frozenset([self.course.loop]))
        return found

    def beside(self, step: int) -> Iterator[Pair]:
        """The types of what the turn before (-1) or behind (1) makes, as they are and as they are beside any turn."""
        number = symbol(self.course.turn) + step
        for (turn, place), value in self._values.items():
            if turn == self.course.generic:
                other = self._types[self._values[turn + step, place]]
                yield _valued(other), self._at(self._types[value], number)

    def _at(self, kind: TensorType, number: Dim) -> TensorType:
        """The type of what the turn makes, made by the turn at another place."""
        known = {self.course.turn: number}
        shape = (canonical(size.value.at(known)) for size in kind.shape)
        return TensorType(tuple(shape), kind.dtype)

    # ---- out of the turn -------------------------------------------------------------------------

    def made_in_any_turn(self, tensor: Tensor) -> Laid | None:
        """How a tensor lies that the turn left, in any of the turns that it stands for; None for any other."""
        for each in self.leaving:
            is_same = each.storage() is tensor.storage
            if is_same and each.outside.key == Laid.of(tensor).key:
                return each.inside
        return None

    def wait_for(self, source: tuple[Record, int], gradient: Tensor) -> None:
        """Notes how a gradient lies that waits for what the turn left, in any of the turns that it stands for."""
        record, place = source
        self.waits[record.number, place] = Laid.of(gradient)
        self.wholes.append(weakref.ref(gradient.storage))

    def sums_for_others(self, old: Tensor) -> None:
        """The turns that one stands for get sums of gradients where it does, each a new tensor instead of a part of a whole.

        A sum instead of a tensor as large leaves as much.
        """
        machine, stop = self.machine, self.course.stop
        if any(each() is old.storage for each in self.wholes):
            size = machine.bytes(old.shape, old.dtype)
            self.expect(self.course.turn not in size.symbols())
            machine.allocate(size * (stop - 2))

    def _leave(self, frame: Frame) -> None:
        machine, course = self.machine, self.course
        machine.mark()
        machine.turn = None
        expect_none(frame, self)
        self._expect_regular(frame)
        for value, tensor in frame.tensors.items():
            if self._places.get(value, (-1, 0))[0] == course.generic:
                inside = Laid.of(tensor)
                frame.changed[value] = self, inside
                outside = inside.at(course.turn, course.stop - 1)
                self.leaving.append(Moved.of(value, tensor, inside, outside))
                outside.lay(tensor)
        for each in self.entering:
            if each.value in frame.tensors:
                each.outside.lay(frame.tensors[each.value])
        for each in (*self.entering, *self.leaving):
            each.leave()
        step = expanded(machine.live - self._live)
        self.spread(self._outer, lambda number: self.sum(step, number))
        machine.live = self._live + self.sum(step, course.stop)
        kept = expanded(machine.kept_besides - self._kept)
        machine.kept_besides = self._kept + self.sum(kept, course.stop)
        # How far it is computed again hangs on the turn.
        machine.needs_unknown = True
        machine.changing.append(self)
        self._note(course.count, len(self._loop.iterations))

    def _expect_regular(self, frame: Frame) -> None:
        """What the turn leaves is what it found, as it is one turn later."""
        turn, generic = self.course.turn, self.course.generic
        left = self._looks(frame, generic)
        self.expect(left.keys() == self._found.keys())
        for place, (laid, rest) in self._found.items():
            later, other = left[place]
            self.expect(rest == other)
            self.expect(laid.at(turn, symbol(turn) + 1).key == later.key)
        listed, older = self.course.listed, self._older(frame, generic - 2)
        self.expect(self._before <= older | listed)
        self.expect(self._older(frame, generic - 1) - listed <= older)

    def _looks(self, frame: Frame, turn: int) -> dict[Hashable, Look]:
        """How what a turn made lies that still lives, by its place in the turn."""
        groups = Groups()
        for value, tensor in sorted(frame.tensors.items()):
            if value not in self._places:
                groups.number(tensor.storage)
        names = {value: name for name, value in frame.variables.values.items()}
        found: dict[Hashable, Look] = {}
        for value, tensor in sorted(frame.tensors.items()):
            made, place = self._places.get(value, (-1, 0))
            if made == turn and not self._is_put_by(value, turn):
                name = "" if value in self.course.listed else names.get(value, "")
                found[place] = look(tensor, groups, name.rstrip("_0123456789"))
        return found

    def _is_put_by(self, value: int, turn: int) -> bool:
        """Whether what a turn made is in a list, and nothing that the next turn is handed."""
        carried = (values[turn + 1] for values in self._loop.carried.values())
        return value in self.course.listed and value not in carried

    def _older(self, frame: Frame, turn: int) -> frozenset[int]:
        """What turns up to this one made that still lives."""
        places = self._places
        return frozenset(
            v for v in frame.tensors if -1 < places.get(v, (-1, 0))[0] <= turn
        )

    # ---- what all turns leave --------------------------------------------------------------------

    def released(self, frame: Frame) -> list[tuple[weakref.ref[Storage], Dim]]:
        """What the turn left that lives, as what the turn before left does, each with what the others left besides."""
        found: list[tuple[weakref.ref[Storage], Dim]] = []
        for each in self.leaving:
            storage = each.storage()
            _, place = self._places[each.value]
            stays = self._values[self.course.generic - 1, place] in frame.tensors
            if storage is not None and storage.counted and stays:
                more = self.sum(each.inside.size, self.course.stop) - each.outside.size
                found.append((weakref.ref(storage), more))
        return found

    def kept_more(self, storage: Storage) -> Dim:
        """What the other turns keep where the one that was run keeps a storage."""
        sizes = (m.inside.size for m in self.leaving if m.storage() is storage)
        whole = self.sum(next(sizes, storage.size), self.course.stop)
        return whole - storage.size

    def sum(self, value: Dim, stop: Dim) -> Dim:
        """A value added up over the places from the first one to below a number. Raises `Unlike`."""
        found = added_up(expanded(value), self.course.turn, 1, stop)
        if found is None:
            raise Unlike(SUMMED, frozenset([self.course.loop]))
        return found

    def spread(self, outer: Peaks, before: Callable[[Dim], Dim]) -> None:
        """Adds the most that lives in any turn to the peaks outside; `before` says what others have left then."""
        machine, course = self.machine, self.course
        earlier = before(symbol(course.turn))
        inside = [expanded(peak + earlier) for peak in machine.peaks.settled().amounts]
        machine.peaks = outer
        for amount in widest(inside, course.turn, course.stop):
            outer.add(amount)

    def expect(self, holds: bool) -> None:
        """Raises `Unlike` where the turn is not like those beside it."""
        if not holds:
            raise Unlike(UNSTEADY, frozenset([self.course.loop]))


def _valued(kind: TensorType) -> TensorType:
    return TensorType(tuple(size.value for size in kind.shape), kind.dtype)
