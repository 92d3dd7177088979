"""Loops of any number of turns: a few turns are run, and stand for as many as a formula says.

If a turn finds the machine as the turn before has found it, it does the same, and so does every turn after
it, by induction. All of them then add the same bytes, so that what lives at a place of a turn is linear in
the number of the turn, and the most of it is in the first such turn or in the last one. That holds of the
forward pass, and in the opposite order of the backward pass.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from nnspec.analysis.memory.peaks import Peaks, Unwatched
from nnspec.ir.dims import ZERO, Dim
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.memory.gradients import Engine
    from nnspec.analysis.memory.groups import Groups
    from nnspec.analysis.memory.machine import Machine, Storage


UNSTEADY = "the turns of its loop do not leave the memory as they found it"
UNKEPT = "what a loop leaves is not kept for a backward pass"


class Unlike(Exception):
    """The turns of a loop do not do the same in memory: of one of the `loops`, by what they are called, if that is known."""

    def __init__(self, message: str, loops: frozenset[str] | None = None) -> None:
        super().__init__(message)
        self.loops = loops


@dataclass(frozen=True)
class Turns:
    """A loop of `count` turns, of which the `first` ones and the `last` ones may be unlike the others.

    `period` of the others together do the same as those behind them: a round. `loop` is what it is called.
    """

    first: int
    last: int
    count: Dim
    period: int = 1
    loop: str = ""

    def fewest(self, rounds: int) -> int:
        """How many turns a loop of so many rounds has."""
        return self.first + self.last + rounds * self.period


@dataclass(frozen=True)
class Found:
    """What a turn finds: its variables and how they lie, and which storages it does not replace.

    `names` are the variables by where their gradients go (see `source_of`).
    """

    state: Hashable
    names: Mapping[Hashable, str]
    outer: list[weakref.ref[Storage]]


class Rolling:
    """One run of a loop: its rounds of turns but the first and last ones, `middle` of them for `count`.

    Where rounds are single turns, as they mostly are, what is said of turns here is meant of rounds.

    `shared` tells of turns that use the same weights: the first gradient of these is unlike later ones.
    `note` is told how many turns there must be.
    """

    def __init__(
        self,
        turns: Turns,
        machine: Machine,
        ran: int,
        *,
        shared: bool,
        note: Callable[[Dim, int], None],
    ) -> None:
        self.turns = turns
        self.machine = machine
        self.shared = shared
        self.middle = (ran - turns.first - turns.last) // turns.period
        self.count = (turns.count - turns.first - turns.last) // turns.period
        self.more = self.count - self.middle
        self.numbers: list[int] = []
        self._note = note
        # What lay there before the loop and is not rebound; whether its turns keep any of that.
        self._before: list[weakref.ref[Storage]] = []
        self._holds_before = False
        self._outer = machine.peaks
        self._lives: list[Dim] = []
        # What lives of that without being kept, until the loop has ended; and what each turn adds to it.
        self._held: list[Dim] = []
        self.held_step = ZERO
        self._states: list[Hashable] = []
        self._names: list[Mapping[Hashable, str]] = []
        # The turn from which on all are alike, and what each adds; the same for the backward pass.
        self._alike: int | None = None
        self.step = ZERO
        # The amounts up to what a turn keeps last, before the loop and in the turn from which on all are alike.
        self._needed: list[Dim] = machine.needed
        self._first_needed: list[Dim] = machine.needed
        self._again: list[Dim] | None = None
        self._behind: dict[int, tuple[Dim, Dim, Hashable]] = {}
        self._alike_behind: int | None = None
        self._step_behind = ZERO

    # ---- forward ----

    def at(self, turn: int, find: Callable[[], Found], held: Dim = ZERO) -> None:
        """Before a turn of the loop, and behind the last one; `find` says what the turn finds.

        `held` are bytes that turns have left to whoever runs the loop, and that no operation keeps.
        """
        place, within = divmod(turn - self.turns.first, self.turns.period)
        if within:
            return
        if 0 <= place <= self.middle:
            found = find()
            self.machine.mark()
            self._lives.append(self.machine.live)
            self._held.append(held)
            self._states.append(found.state)
            self._names.append(found.names)
            if place == 0:
                self._before = found.outer
                self._first_needed = self.machine.needed
                self.machine.rolling.append(self)
            self.numbers.append(self.machine.operations)
            self.machine.crossings.append((self.machine.operations, self, place))
            self._turned(place)
        if place == self.middle:
            self.machine.rolling.remove(self)
            self._before = []
            self._finish()

    def keeps_of(self, storage: Any) -> None:
        """A turn keeps a storage for its backward pass."""
        if any(each() is storage for each in self._before):
            self._holds_before = True

    def _turned(self, turn: int) -> None:
        machine = self.machine
        if turn == 0:
            self._outer, machine.peaks = machine.peaks, Peaks()
            self._begin()
            return
        step = self._lives[turn] - self._lives[turn - 1]
        held = self._held[turn] - self._held[turn - 1]
        if self._alike is not None:
            alike = step == self.step and held == self.held_step
            self._expect(alike and self._is_regular(turn))
        elif self._states[turn - 1] == self._states[turn]:
            self._alike, self.step, self.held_step = turn, step, held
            self._stop_in_last()
            self._spread(machine.peaks, self.count - turn, step)
            machine.peaks = Unwatched()
        else:
            self._merge()
            self._begin()

    def _begin(self) -> None:
        """A turn begins: what was before it belongs to the turns before."""
        self._needed = self.machine.needed

    def _stop_in_last(self) -> None:
        """The amounts up to what the last turn keeps last: of all turns before it, and of a part of that one."""
        machine = self.machine
        if machine.needed is self._needed:
            return
        assert self._alike is not None
        behind = (self.count - self._alike - 1) * self.step
        whole = machine.peaks.amounts
        self._again = [
            *self._outer.amounts,
            *whole,
            *(peak + behind for peak in whole),
            *(each + behind + self.step for each in machine.needed),
        ]

    def _is_regular(self, turn: int) -> bool:
        """Whether a turn has as many operations as the one before."""
        numbers = self.numbers
        return (
            numbers[turn] - numbers[turn - 1] == numbers[turn - 1] - numbers[turn - 2]
        )

    def _finish(self) -> None:
        self._expect(self._alike is not None)
        assert self._alike is not None
        self.machine.peaks = self._outer
        self.machine.live = self.machine.live + self.more * self.step
        self._finish_again()
        kept = self.more * self.kept_step
        self.machine.kept_besides = self.machine.kept_besides + kept
        self._note(self.turns.count, self.turns.fewest(self._alike))

    def _finish_again(self) -> None:
        """How far the loop is gone through when its function is computed again."""
        machine = self.machine
        if self._again is not None:
            machine.needed = self._again
            count = self.turns.count
            least = self.turns.fewest(int(self._alike or 0) + 1)
            machine.turns_needed.append((count, least))
        elif machine.needed is not self._first_needed:
            machine.needs_unknown = True

    @property
    def kept_step(self) -> Dim:
        """What each turn keeps for its backward pass."""
        return self.step - self.held_step

    @property
    def end(self) -> int:
        """Behind how many of the turns that are run the others are skipped."""
        return self.turns.first + self.middle * self.turns.period

    @property
    def turn(self) -> tuple[int, int]:
        """The numbers between which the operations of a turn lie that is like those behind it."""
        assert self._alike is not None
        return self.numbers[self._alike - 1], self.numbers[self._alike]

    # ---- backward ----

    def called(self, turn: int, place: Hashable) -> str:
        """Where a gradient waits, in words that are the same in turns that are alike."""
        name = self._names[turn].get(place)
        if name is not None:
            return f"variable {name}"
        if isinstance(place, int) and place > self.numbers[0]:
            return f"operation {place - self.numbers[turn]}"
        return f"before {place}"

    def turn_before(self, turn: int, place: Hashable) -> tuple[int, int] | None:
        """Where a gradient waits for a turn before the one that runs back next: that turn, and the operation in it."""
        if not isinstance(place, int):
            return None
        for each in range(turn - 1):
            if self.numbers[each] < place <= self.numbers[each + 1]:
                return each, place - self.numbers[each]
        return None

    def crossed(self, turn: int, engine: Engine) -> None:
        """The backward pass comes to a turn from behind (or, at the first one, leaves it)."""
        machine = self.machine
        state = engine.state(self, turn)
        if turn < self._end:
            return
        machine.mark()
        gradients = machine.taken.size + machine.gradients_besides
        self._behind[turn] = machine.live, gradients, state
        self._expect(self._end < self.middle)
        if turn == self.middle:
            self._outer, machine.peaks = machine.peaks, Peaks()
        else:
            self._turned_back(turn)
        if turn == self._end:
            self._finish_back()

    @property
    def _end(self) -> int:
        """How many turns are left when those that are alike have run backward.

        What all turns keep goes with the first of them.
        """
        assert self._alike is not None
        return self._alike if self._holds_before else self._alike - 1

    def _turned_back(self, turn: int) -> None:
        machine = self.machine
        live, _, state = self._behind[turn]
        before, _, found = self._behind[turn + 1]
        step = live - before
        ran = turn + 1
        if self._alike_behind is not None:
            self._expect(step == self._step_behind)
        elif state == found and not (self.shared and ran == self.middle):
            self._alike_behind, self._step_behind = ran, step
            self._spread(machine.peaks, self._steady - 1, step)
            machine.peaks = Unwatched()
        else:
            self._merge()

    @property
    def _steady(self) -> Dim:
        """How many turns of the backward pass are alike, of as many as the formula says."""
        assert self._alike_behind is not None
        return self.count - (self.middle - self._alike_behind) - self._end

    def _finish_back(self) -> None:
        machine = self.machine
        self._expect(self._alike_behind is not None)
        assert self._alike_behind is not None
        machine.peaks = self._outer
        _, after, _ = self._behind[self._alike_behind - 1]
        _, before, _ = self._behind[self._alike_behind]
        machine.live = machine.live + self.more * self._step_behind
        more = self.more * (after - before)
        machine.gradients_besides = machine.gradients_besides + more
        self._note(
            self.turns.count, self.turns.fewest(int(self.count - self._steady + 1))
        )

    # ---- both ----

    def _spread(self, peaks: Peaks, turns: Dim, step: Dim) -> None:
        """The peaks of a turn, and those of the turn at the other end."""
        for peak in peaks.amounts:
            self._outer.add(peak)
            self._outer.add(peak + turns * step)

    def _merge(self) -> None:
        for peak in self.machine.peaks.amounts:
            self._outer.add(peak)
        self.machine.peaks = Peaks()

    def _expect(self, holds: bool) -> None:
        if not holds:
            loop = self.turns.loop
            raise Unlike(UNSTEADY, frozenset([loop] if loop else []))


def source_of(tensor: Any) -> Hashable:
    """Where the gradient of a tensor goes: the number of an operation, or the key of a parameter or argument."""
    match tensor.source:
        case (record, _):
            return record.number
        case None:
            return None
        case leaf:
            return leaf.key


def layout_of(tensor: Any, groups: Groups) -> Hashable:
    """How a tensor lies: equal for tensors that an operation takes for the same.

    How an axis of one element lies tells nothing.
    """
    storage = tensor.storage
    shape = tuple(size.key for size in tensor.shape)
    strides = tuple(
        None if size.constant == 1 else stride.key
        for size, stride in zip(*tensor.placed, strict=True)
    )
    return (
        shape,
        strides,
        tensor.dtype,
        groups.number(storage),
        storage.state,
        storage.size.key,
        storage.kept,
        storage.counted,
    )
