"""Turns of a loop that are written inside of one expression, which reads what all of them make: they run when that does."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeAlias
from weakref import ref

from nnspec.analysis.memory.rolling import UNSTEADY, Unlike
from nnspec.ir.dims import Dim

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.changing import Changing
    from nnspec.analysis.memory.frame import Frame
    from nnspec.analysis.memory.machine import Storage, Tensor

Left: TypeAlias = "list[tuple[ref[Storage], Dim]]"
"""Storages of a turn that stands for many, each with what those of the others have besides."""


class Deferred:
    """A loop of which one turn stands for many, and whether its turns wait for who reads them.

    `inline` are the values that have no variable.
    """

    def __init__(self, loop: Changing, turns: int, frame: Frame) -> None:
        self._loop = loop
        self._turns = turns
        self._frame = frame
        self._before = self._done()
        self._pending = set(frame.pending)
        self._waits = False
        # What each turn makes, and how many of them have run.
        self._made: list[int] = []
        self._run = 0
        self.inline: set[int] = set()

    def turn(self, number: int, run: Callable[[], None]) -> None:
        """One turn. Raises `Unlike` where only some of the turns wait, or they make several things."""
        if not self._waits:
            self._loop.at(number, self._frame)
        run()
        if number == 0:
            new = set(self._frame.pending) - self._pending
            self._waits = bool(new) and self._done() == self._before
        if self._waits:
            self._wait()

    def end(self) -> None:
        """Behind the last turn."""
        if not self._waits:
            self._loop.at(self._turns, self._frame)

    def _done(self) -> Hashable:
        """What has been computed so far."""
        machine = self._frame.machine
        return machine.operations, machine.live.key, frozenset(self._frame.tensors)

    def _wait(self) -> None:
        """What the turn makes is computed later."""
        pending = set(self._frame.pending)
        new = pending - self._pending
        self._loop.expect(len(new) == 1 and self._done() == self._before)
        self._pending = pending
        self._made += new
        self._frame.deferred |= dict.fromkeys(new, self)

    # ---- later -----------------------------------------------------------------------------------

    def begin(self, value: int) -> None:
        """What a turn makes is about to be computed. Raises `Unlike` where that is not the next one."""
        self._loop.expect(self._made[self._run] == value)
        self._loop.at(self._run, self._frame)

    def done(self, value: int, tensor: Tensor) -> None:
        """What a turn makes is there."""
        frame = self._frame
        frame.tensors[value] = tensor
        self._run += 1
        if self._run == self._turns:
            self._loop.at(self._turns, frame)
            if self.inline:
                frame.leaving += self._loop.released(frame)
            for each in self.inline:
                frame.tensors.pop(each, None)

    def is_waiting(self, value: int) -> bool:
        """Whether a value is one that a later turn makes."""
        return value in self._made[self._run :]


def let_go(frame: Frame) -> None:
    """What stood in an expression alone is gone behind it: of the turns that one stands for, too."""
    for storage, more in frame.leaving:
        if storage() is None:
            frame.machine.live = frame.machine.live - more
    frame.leaving.clear()


def expect_none(frame: Frame, loop: Changing) -> None:
    """Raises `Unlike` where anything but turns of a loop that wait is not computed yet."""
    for value in frame.pending:
        waits = frame.deferred.get(value)
        if waits is None or not waits.is_waiting(value):
            raise Unlike(UNSTEADY, frozenset([loop.course.loop]))
