"""Loops whose sizes change from turn to turn: one turn, run with the symbol of its number, stands for many.

The first turns and the last ones are run with their numbers, and the one between them by the symbol of its number
(`Course`). If that turn leaves what it found, every size as it is one turn later, all turns between do the same, by
induction; what they leave then adds up, and of what lives in them the most is wanted over their numbers. That
holds of the forward pass and, in the opposite order, of the backward pass.

What goes in and out of that turn has other sizes outside, where the turns beside it have their numbers (`Moved`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from itertools import permutations
from typing import TYPE_CHECKING, TypeAlias

from nnspec.analysis.generic.powers import canonical, expanded
from nnspec.analysis.generic.sums import added_up
from nnspec.analysis.generic.widest import widest
from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.layout import contiguous, dense
from nnspec.analysis.memory.machine import Leaf, Machine, Storage, Tensor
from nnspec.analysis.memory.peaks import Peaks
from nnspec.analysis.memory.rolling import UNSTEADY, Unlike
from nnspec.ir.dims import ONE, ZERO, Dim, symbol, total
from nnspec.ir.graph import Loop, nodes_in
from nnspec.ir.types import TensorType
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.memory.frame import Frame
    from nnspec.analysis.memory.gradients import Engine

SUMMED = "what its turns leave in memory adds up to no formula"
VIEWED = "what it hands from turn to turn is a part of something larger"

Note: TypeAlias = Callable[[Dim, int], None]


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
        """One run of the loop on a machine; `note` is told how many turns there must be."""
        return Changing(self, loop, machine, note)


@dataclass(frozen=True)
class Laid:
    """How a tensor lies: its shape, its strides, and the size of its storage."""

    shape: tuple[Dim, ...]
    strides: tuple[Dim, ...]
    size: Dim

    @staticmethod
    def of(tensor: Tensor) -> Laid:
        """How a tensor lies now."""
        return Laid(tensor.shape, tensor.strides, tensor.storage.size)

    def at(self, turn: str, number: Dim) -> Laid:
        """The same in another turn."""
        known = {turn: number}
        shape = tuple(canonical(size.at(known)) for size in self.shape)
        strides = tuple(canonical(size.at(known)) for size in self.strides)
        return Laid(shape, strides, canonical(self.size.at(known)))

    def symbols(self) -> set[str]:
        """The names in it."""
        sizes = (*self.shape, *self.strides, self.size)
        return {name for size in sizes for name in size.symbols()}

    @property
    def key(self) -> Hashable:
        """Equal for tensors that lie alike."""
        sizes = (*self.shape, *self.strides)
        return tuple(canonical(s).key for s in sizes), expanded(self.size).key


@dataclass(eq=False)
class Moved:
    """A value that crosses the border of a turn, as it lies inside of the turn and outside of it; `source` is where its gradient goes."""

    value: int
    storage: Callable[[], Storage | None]
    inside: Laid
    outside: Laid
    source: tuple[int, int] | None

    def enter(self) -> None:
        """Its storage is seen from the turn."""
        self._set(self.inside.size)

    def leave(self) -> None:
        """Its storage is seen from outside."""
        self._set(self.outside.size)

    def _set(self, size: Dim) -> None:
        storage = self.storage()
        if storage is not None:
            storage.size = size


Look: TypeAlias = tuple[Laid, Hashable]
"""How a tensor lies, and what else an operation may tell of it."""


class Changing:
    """One run of a loop by its course."""

    def __init__(
        self, course: Course, loop: Loop, machine: Machine, note: Note
    ) -> None:
        self.course = course
        self.loop = loop
        self.machine = machine
        self._note = note
        self._loop = loop
        self._numbers: list[int] = []
        # The values that turns make, by turn and by place in it; and the other way round.
        self._places: dict[int, tuple[int, int]] = {}
        self._values: dict[tuple[int, int], int] = {}
        self._entering: list[Moved] = []
        self._leaving: list[Moved] = []
        self._found: Mapping[Hashable, Look] = {}
        self._behind: Mapping[Hashable, Look] = {}
        self._alive: frozenset[int] = frozenset()
        self._before: frozenset[int] = frozenset()
        self._live = ZERO
        self._kept = ZERO
        self._gradients = ZERO
        self._gradients_besides = ZERO
        self._outer = machine.peaks
        # What the turn takes of other loops, by where its gradient goes; and the gradients that others left for it.
        self._taken: dict[tuple[int, int], tuple[Changing, Link]] = {}
        self.waits: dict[tuple[int, int], Laid] = {}
        self._lists: frozenset[tuple[int, int] | None] = frozenset()
        self._types: Mapping[int, TensorType] = {}

    # ---- forward ---------------------------------------------------------------------------------

    def at(self, turn: int, frame: Frame) -> None:
        """Before a turn of the loop, and behind the last one."""
        if turn == 0:
            self._place(frame)
        generic = self.course.generic
        if turn == generic:
            self._enter(frame)
        elif turn == generic + 1:
            self._leave(frame)
        self._numbers.append(self.machine.operations)
        if turn in (generic, generic + 1):
            place = turn - generic
            self.machine.crossings.append((self.machine.operations, self, place))

    def _place(self, frame: Frame) -> None:
        self._types = frame.function.types
        listed = (frame.tensors[v] for v in self.course.listed if v in frame.tensors)
        self._lists = frozenset(map(_source, listed))
        counts: set[int] = set()
        for turn, iteration in enumerate(self._loop.iterations):
            numbers = nodes_in(iteration.body)
            made = [v for n in numbers for v in frame.function.nodes[n].outputs]
            self._places |= {value: (turn, place) for place, value in enumerate(made)}
            if abs(turn - self.course.generic) < 2:
                counts.add(len(made))
        self._values = {place: value for value, place in self._places.items()}
        self._expect(len(counts) == 1)

    def _enter(self, frame: Frame) -> None:
        machine, course = self.machine, self.course
        machine.mark()
        self._expect(not frame.pending)
        before = course.generic - 1
        for value, tensor in frame.tensors.items():
            inside = self._inside(value, tensor, frame)
            if inside is not None:
                self._entering.append(_moved(value, tensor, inside, Laid.of(tensor)))
                _lay(tensor, inside)
        for each in self._entering:
            each.enter()
        self._found = self._look(frame, before)
        self._before = self._older(frame, before - 1)
        self._alive = frozenset(frame.tensors)
        self._live, self._kept = machine.live, machine.kept_besides
        self._outer, machine.peaks = machine.peaks, Peaks()
        machine.turn = self

    def _inside(self, value: int, tensor: Tensor, frame: Frame) -> Laid | None:
        """How a tensor lies that the turn may read; None for one that is the same in all turns."""
        course = self.course
        turn, place = self._places.get(value, (-1, 0))
        if turn == course.generic - 1:
            if self._is_put_by(value, turn):
                return None
            kind = frame.function.types[self._values[course.generic, place]]
            earlier = symbol(course.turn) - 1
            shape = (canonical(s.value.at({course.turn: earlier})) for s in kind.shape)
            inside = self._relaid(tensor, tuple(shape))
            here = inside.at(course.turn, ONE)
            self._expect(here.key == Laid.of(tensor).key)
            return inside
        link = course.links.get(value)
        if link is None:
            return None
        self._expect(value in frame.changed)
        maker, made = frame.changed[value]
        source = _source(tensor)
        if source is not None:
            self._taken[source] = maker, link
        return made.at(link.turn, link.number)

    def _relaid(
        self, tensor: Tensor, shape: tuple[Dim, ...], *, as_part: bool = False
    ) -> Laid:
        """How a tensor lies when its shape is another one: it fills its storage, is a single element stretched, or `as_part` a part of a value of the turn behind."""
        own, width = Laid.of(tensor), tensor.dtype
        if all(stride == 0 for stride in own.strides) and own.size.is_constant:
            return Laid(shape, own.strides, own.size)
        whole = self.machine.bytes(own.shape, width)
        for order in permutations(reversed(range(len(shape)))):
            if expanded(whole - own.size) == 0 and _alike(
                dense(own.shape, order), own.strides
            ):
                return Laid(
                    shape, dense(shape, order), self.machine.bytes(shape, width)
                )
        for kind, later in self._kinds_behind() if as_part else ():
            if (
                kind.rank == len(shape)
                and expanded(self.machine.bytes(kind.shape, width) - own.size) == 0
                and _alike(contiguous(kind.shape), own.strides)
            ):
                size = self.machine.bytes(later.shape, width)
                return Laid(shape, contiguous(later.shape), size)
        raise Unlike(VIEWED, frozenset([self.course.loop]))

    def _kinds_behind(self) -> Iterator[tuple[TensorType, TensorType]]:
        """The types of what the turn behind makes, as they are and as they are behind any turn."""
        course = self.course
        for (turn, place), value in self._values.items():
            if turn == course.generic:
                behind = self._values[turn + 1, place]
                later = symbol(course.turn) + 1
                kind = self._types[value]
                shape = (
                    canonical(s.value.at({course.turn: later})) for s in kind.shape
                )
                found = TensorType(tuple(shape), kind.dtype)
                yield _valued(self._types[behind]), found

    def _leave(self, frame: Frame) -> None:
        machine, course = self.machine, self.course
        machine.mark()
        machine.turn = None
        self._expect(not frame.pending)
        self._expect_alike(self._found, self._look(frame, course.generic))
        older = self._older(frame, course.generic - 2)
        self._expect(self._before <= older | course.listed)
        self._expect(self._older(frame, course.generic - 1) - course.listed <= older)
        for value, tensor in frame.tensors.items():
            if self._places.get(value, (-1, 0))[0] == course.generic:
                inside = Laid.of(tensor)
                frame.changed[value] = self, inside
                outside = inside.at(course.turn, course.stop - 1)
                self._leaving.append(_moved(value, tensor, inside, outside))
                _lay(tensor, outside)
        for each in self._entering:
            if each.value in frame.tensors:
                _lay(frame.tensors[each.value], each.outside)
        for each in (*self._entering, *self._leaving):
            each.leave()
        step = expanded(machine.live - self._live)
        self._spread(lambda number: self._sum(step, number))
        machine.live = self._live + self._sum(step, course.stop)
        kept = expanded(machine.kept_besides - self._kept)
        machine.kept_besides = self._kept + self._sum(kept, course.stop)
        machine.needs_unknown = True
        machine.changing.append(self)
        self._note(course.count, len(self._loop.iterations))

    def _look(self, frame: Frame, turn: int) -> dict[Hashable, Look]:
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
                found[place] = _look(tensor, groups, name.rstrip("_0123456789"))
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

    def released(self) -> list[tuple[weakref.ref[Storage], Dim]]:
        """What the turns left that lives, each with what all of them left besides."""
        found: list[tuple[weakref.ref[Storage], Dim]] = []
        for each in self._leaving:
            storage = each.storage()
            if storage is not None and storage.counted:
                more = self._sum(each.inside.size, self.course.stop) - each.outside.size
                found.append((weakref.ref(storage), more))
        return found

    def kept_more(self, storage: Storage) -> Dim:
        """What all turns keep where the one that was run keeps a storage, besides that."""
        inside = next(
            (m.inside.size for m in self._leaving if m.storage() is storage),
            storage.size,
        )
        return self._sum(inside, self.course.stop) - storage.size

    # ---- backward --------------------------------------------------------------------------------

    def crossed(self, place: int, engine: Engine) -> None:
        """The backward pass comes to the turn from behind (1), or leaves it (0)."""
        self.machine.mark()
        if place:
            self._come(engine)
        else:
            self._go(engine)

    def _come(self, engine: Engine) -> None:
        machine = self.machine
        for each in (*self._entering, *self._leaving):
            each.enter()
        waiting = _by_source(engine)
        for each in self._leaving:
            if each.source is not None and each.source in waiting:
                tensor = waiting[each.source]
                _move(tensor, self._waits_inside(tensor, each))
        for each in self._entering:
            if each.source is not None and each.source in waiting:
                self._take_earlier(waiting[each.source], each.source)
        self._behind = self._waiting(engine, self.course.generic)
        self._live = machine.live
        self._gradients = total(each.size for each in machine.gradients.values())
        self._gradients_besides = machine.gradients_besides
        self._outer, machine.peaks = machine.peaks, Peaks()

    def _waits_inside(self, tensor: Tensor, moved: Moved) -> Laid:
        """How a gradient lies in the turn that waits for it, by how it does outside."""
        assert moved.source is not None
        known = self.waits.get(moved.source)
        if known is not None:
            outside = known.at(self.course.turn, self.course.stop - 1)
            if outside.key == Laid.of(tensor).key:
                return known
        return self._relaid(tensor, moved.inside.shape, as_part=True)

    def _take_earlier(self, tensor: Tensor, source: tuple[int, int]) -> None:
        """A gradient that waits for the turn before is what others left for this one, as it is one turn earlier."""
        turn, generic = self.course.turn, self.course.generic
        number, place = source
        apart = self._numbers[generic] - self._numbers[generic - 1]
        later = self.waits.get((number + apart, place))
        self._expect(later is not None)
        assert later is not None
        inside = later.at(turn, symbol(turn) - 1)
        self._expect(inside.at(turn, ONE).key == Laid.of(tensor).key)
        _move(tensor, inside)

    def _go(self, engine: Engine) -> None:
        machine, course = self.machine, self.course
        step = expanded(machine.live - self._live)
        self._expect_back(self._waiting(engine, course.generic - 1))
        for each in (*self._entering, *self._leaving):
            each.leave()
        begin, end = self._numbers[0], self._numbers[course.generic]
        for source, tensor in _by_source(engine).items():
            if source in self._taken:
                maker, link = self._taken[source]
                maker.wait(source, tensor, Laid.of(tensor).at(course.turn, link.back))
            elif begin < source[0] <= end:
                _move(tensor, Laid.of(tensor).at(course.turn, ONE))
        whole = self._sum(step, course.stop)
        self._spread(lambda number: whole - self._sum(step, number + 1))
        machine.live = self._live + whole
        self._sum_gradients()

    def wait(self, source: tuple[int, int], tensor: Tensor, inside: Laid) -> None:
        """A gradient waits for what the turn put into a list, which lies so, seen from the turn."""
        self.waits[source] = inside
        _move(tensor, inside.at(self.course.turn, self.course.stop - 1))

    def _sum_gradients(self) -> None:
        machine = self.machine
        made = total(each.size for each in machine.gradients.values()) - self._gradients
        besides = machine.gradients_besides - self._gradients_besides
        all_turns = self._sum(expanded(made + besides), self.course.stop)
        machine.gradients_besides = self._gradients_besides + all_turns - made

    def _waiting(self, engine: Engine, turn: int) -> dict[Hashable, Look]:
        """The gradients that wait for a turn, by their places in it, and for what was before the loop."""
        begin, start, end = (
            self._numbers[0],
            self._numbers[turn],
            self._numbers[turn + 1],
        )
        groups = Groups()
        found: dict[Hashable, Look] = {}
        for number, buffer in engine.waiting():
            for place, tensor in enumerate(buffer):
                if tensor is None or (number, place) in self._lists:
                    continue
                if isinstance(number, int) and start < number <= end:
                    found[number - start, place] = _look(tensor, groups, "")
                elif not isinstance(number, int) or number <= begin:
                    found["before", number, place] = _look(tensor, groups, "")
        return found

    # ---- both ------------------------------------------------------------------------------------

    def _sum(self, value: Dim, stop: Dim) -> Dim:
        """A value added up from the first turn that the one stands for to below a number."""
        course = self.course
        found = added_up(expanded(value), course.turn, 1, stop)
        if found is None:
            raise Unlike(SUMMED, frozenset([course.loop]))
        return found

    def _spread(self, before: Callable[[Dim], Dim]) -> None:
        """The most that lives in any turn, `before` which others have left something; machine and peaks are as outside again."""
        machine, course = self.machine, self.course
        earlier = before(symbol(course.turn))
        inside = [expanded(peak + earlier) for peak in machine.peaks.settled().amounts]
        machine.peaks = self._outer
        for amount in widest(inside, course.turn, course.stop):
            machine.peaks.add(amount)

    def _expect_alike(
        self, ones: Mapping[Hashable, Look], others: Mapping[Hashable, Look]
    ) -> None:
        """What a turn leaves is what it found, as it is one turn later."""
        turn = self.course.turn
        self._expect(ones.keys() == others.keys())
        for place, (laid, rest) in ones.items():
            later, other = others[place]
            self._expect(rest == other)
            self._expect(laid.at(turn, symbol(turn) + 1).key == later.key)

    def _expect_back(self, found: Mapping[Hashable, Look]) -> None:
        """What waits for the turn before is what waited for this one, as it is one turn earlier."""
        turn = self.course.turn
        self._expect(found.keys() == self._behind.keys())
        for place, (laid, rest) in found.items():
            known, other = self._behind[place]
            earlier = (symbol(turn) - 1, ZERO)
            self._expect(rest == other)
            self._expect(laid.key in [known.at(turn, each).key for each in earlier])

    def _expect(self, holds: bool) -> None:
        if not holds:
            raise Unlike(UNSTEADY, frozenset([self.course.loop]))


def _moved(value: int, tensor: Tensor, inside: Laid, outside: Laid) -> Moved:
    if isinstance(tensor.source, Leaf) and inside.key != outside.key:
        # An argument that the turn hands through has one shape.
        raise Unlike(UNSTEADY)
    storage = weakref.ref(tensor.storage)
    return Moved(value, storage, inside, outside, _source(tensor))


def _source(tensor: Tensor) -> tuple[int, int] | None:
    """Where its gradient goes: the number of an operation, and which of its results it is."""
    source = tensor.source
    return (source[0].number, source[1]) if isinstance(source, tuple) else None


def _lay(tensor: Tensor, laid: Laid) -> None:
    tensor.shape, tensor.strides = laid.shape, laid.strides


def _move(tensor: Tensor, laid: Laid) -> None:
    _lay(tensor, laid)
    tensor.storage.size = laid.size


def _look(tensor: Tensor, groups: Groups, name: str) -> Look:
    storage = tensor.storage
    return Laid.of(tensor), (
        tensor.dtype,
        groups.number(storage),
        storage.state,
        storage.kept,
        storage.counted,
        tensor.source is not None,
        name,
    )


def _valued(kind: TensorType) -> TensorType:
    return TensorType(tuple(size.value for size in kind.shape), kind.dtype)


def _alike(ones: Iterable[Dim], others: Iterable[Dim]) -> bool:
    pairs = zip(ones, others, strict=True)
    return all(canonical(one) == canonical(other) for one, other in pairs)


def _by_source(engine: Engine) -> dict[tuple[int, int], Tensor]:
    """The gradients that wait for results of operations."""
    return {
        (number, place): tensor
        for number, buffer in engine.waiting()
        for place, tensor in enumerate(buffer)
        if tensor is not None and isinstance(number, int)
    }
