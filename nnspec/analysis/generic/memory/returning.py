"""The backward pass through a loop whose sizes change from turn to turn: one turn stands for many there as well."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING

from nnspec.analysis.generic.memory.laid import Laid, Look, Moved, Source, look
from nnspec.analysis.generic.names.powers import expanded
from nnspec.analysis.memory.groups import Groups
from nnspec.analysis.memory.peaks import Peaks
from nnspec.ir.dims import ONE, ZERO, Dim, symbol

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.changing import Changing
    from nnspec.analysis.memory.gradients import Engine
    from nnspec.analysis.memory.machine import Storage, Tensor


class Returning:
    """One backward pass through the turn that stands for many."""

    def __init__(self, loop: Changing) -> None:
        self._loop = loop
        # What waited for the turn: the gradients, what lived, and those that parameters had.
        self._found: Mapping[Hashable, Look] = {}
        self._live = ZERO
        self._gradients = ZERO
        self._besides = ZERO
        self._outer = loop.machine.peaks
        # The storages of gradients that came from behind, with their sizes there.
        self._held: list[tuple[weakref.ref[Storage], Dim]] = []
        # The gradients of whole lists, which only the first turn may give back.
        self._wholes: list[weakref.ref[Storage]] = []

    def crossed(self, place: int, engine: Engine) -> None:
        """The backward pass comes to the turn from behind (1), or leaves it (0)."""
        self._loop.machine.mark()
        if place:
            self._come(engine)
        else:
            self._go(engine)

    # ---- into the turn ---------------------------------------------------------------------------

    def _come(self, engine: Engine) -> None:
        loop, machine = self._loop, self._loop.machine
        for each in (*loop.entering, *loop.leaving):
            each.enter()
        waiting = by_source(engine)
        for each in loop.leaving:
            if each.source is not None and each.source in waiting:
                self._inside(waiting[each.source], each.source, each)
        for each in loop.entering:
            if each.source is not None and each.source in waiting:
                self._earlier(waiting[each.source], each.source, waiting)
        self._wholes = [each for each in loop.wholes if each() is not None]
        self._found = self._waiting(engine, loop.course.generic)
        self._live = machine.live
        self._gradients = machine.taken.size
        self._besides = machine.gradients_besides
        self._outer, machine.peaks = machine.peaks, Peaks()

    def _inside(self, tensor: Tensor, source: Source, moved: Moved) -> None:
        """A gradient that waits for the turn lies as it does there."""
        loop, course = self._loop, self._loop.course
        outside = Laid.of(tensor).key
        found = loop.waits.get(source)
        if found is None or found.at(course.turn, course.stop - 1).key != outside:
            found = loop.reshaped(tensor, moved.inside.shape, loop.beside(1))
        loop.expect(found.at(course.turn, course.stop - 1).key == outside)
        self._move(tensor, found)

    def _earlier(
        self, tensor: Tensor, source: Source, waiting: Mapping[Source, Tensor]
    ) -> None:
        """What waits for the turn before is what others left for this one, or what waits for this one, as it is one turn earlier."""
        loop, turn = self._loop, self._loop.course.turn
        generic = loop.course.generic
        apart = loop.numbers[generic] - loop.numbers[generic - 1]
        own = source[0] + apart, source[1]
        known = [loop.waits[own]] if own in loop.waits else []
        known += [Laid.of(waiting[own])] if own in waiting else []
        outside = Laid.of(tensor).key
        earlier = (each.at(turn, symbol(turn) - 1) for each in known)
        inside = next((e for e in earlier if e.at(turn, ONE).key == outside), None)
        loop.expect(inside is not None)
        assert inside is not None
        self._move(tensor, inside)

    def _move(self, tensor: Tensor, inside: Laid) -> None:
        """A gradient lies as the turn sees it; others may hold its storage longer."""
        self._held.append((weakref.ref(tensor.storage), tensor.storage.size))
        inside.move(tensor)

    # ---- out of the turn -------------------------------------------------------------------------

    def _go(self, engine: Engine) -> None:
        loop, course = self._loop, self._loop.course
        machine = loop.machine
        step = expanded(machine.live - self._live)
        loop.expect(all(each() is not None for each in self._wholes))
        self._expect_regular(self._waiting(engine, course.generic - 1))
        waiting = by_source(engine).items()
        inside = [(source, each, Laid.of(each)) for source, each in waiting]
        # What is in lists comes last: it holds a storage longer than what the turns hand on of that.
        inside.sort(key=lambda each: each[0] in loop.taken)
        for each in (*loop.entering, *loop.leaving):
            each.leave()
        for held, size in self._held:
            storage = held()
            if storage is not None:
                storage.resize(size)
        begin, end = loop.numbers[0], loop.numbers[course.generic]
        for source, tensor, laid in inside:
            if source in loop.taken:
                maker, link = loop.taken[source]
                maker.waits[source] = laid.at(course.turn, link.back)
                behind = maker.course.stop - 1
                maker.waits[source].at(maker.course.turn, behind).move(tensor)
            elif begin < source[0] <= end:
                laid.at(course.turn, ONE).move(tensor)
        whole = loop.sum(step, course.stop)
        loop.spread(self._outer, lambda number: whole - loop.sum(step, number + 1))
        machine.live = self._live + whole
        self._sum_gradients()

    def _sum_gradients(self) -> None:
        """Those of parameters that the other turns have besides."""
        loop, machine = self._loop, self._loop.machine
        made = machine.taken.size - self._gradients
        besides = machine.gradients_besides - self._besides
        every = loop.sum(expanded(made + besides), loop.course.stop)
        machine.gradients_besides = self._besides + every - made

    # ---- both ------------------------------------------------------------------------------------

    def _waiting(self, engine: Engine, turn: int) -> dict[Hashable, Look]:
        """The gradients that wait for a turn, by their places in it, and for what was before the loop; what is in lists left out."""
        numbers = self._loop.numbers
        begin, start, end = numbers[0], numbers[turn], numbers[turn + 1]
        groups = Groups()
        found: dict[Hashable, Look] = {}
        for number, buffer in engine.waiting():
            for place, tensor in enumerate(buffer):
                if tensor is None or (number, place) in self._loop.lists:
                    continue
                if isinstance(number, int) and start < number <= end:
                    found[number - start, place] = look(tensor, groups)
                elif not isinstance(number, int) or number <= begin:
                    found["before", number, place] = look(tensor, groups)
        return found

    def _expect_regular(self, left: Mapping[Hashable, Look]) -> None:
        """What waits for the turn before is what waited for this one, as it is one turn earlier."""
        loop, turn = self._loop, self._loop.course.turn
        loop.expect(left.keys() == self._found.keys())
        for place, (laid, rest) in left.items():
            known, other = self._found[place]
            earlier = (symbol(turn) - 1, ZERO)
            loop.expect(rest == other)
            loop.expect(laid.key in [known.at(turn, each).key for each in earlier])


def by_source(engine: Engine) -> dict[Source, Tensor]:
    """The gradients that wait for results of operations."""
    return {
        (number, place): tensor
        for number, buffer in engine.waiting()
        for place, tensor in enumerate(buffer)
        if tensor is not None and isinstance(number, int)
    }
