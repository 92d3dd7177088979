"""Loops whose sizes change from turn to turn: which of their turns stands for all, and which number each has.

Of lists that one loop makes and another goes through, both loops have the turns that belong together stand for all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from typing import TYPE_CHECKING, TypeAlias

from nnspec.analysis.generic.changing import Course, Link
from nnspec.analysis.generic.loops import TURN
from nnspec.analysis.memory.rolling import Unlike
from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.graph import Function, Loop, nodes_in, values_of
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.loops import Repetition
    from nnspec.analysis.generic.trace import Outcome

LISTED = "what its turns make is in a list"
NESTED = "a size changes from turn to turn of its loop, in which is another such loop"
ROUNDS = "a size changes from turn to turn of its loop, which does the same after several turns"
FEW = "its loop takes too few turns to tell how its sizes change"

PLACE = "place@"
"""Symbols of places among the turns that one stands for begin so."""

Numbers: TypeAlias = Mapping[str, Dim]
"""What numbers of turns are, by their symbols."""

FEWEST = 3
"""One turn that stands for all, and one on either side."""


@dataclass(frozen=True)
class Chosen:
    """The turn of a loop that stands for all, by its `place` among these; of so many turns, in all `count` in the constants of the model."""

    generic: int
    turns: int
    count: Dim
    place: str

    @property
    def more(self) -> Dim:
        """How many turns there are besides those that are run."""
        return self.count - self.turns

    def number(self, turn: int) -> Dim:
        """The number of a turn: those behind the one that stands for all are counted from the end."""
        if turn == self.generic:
            return symbol(self.place) + (turn - 1)
        return dim(turn) if turn < self.generic else self.more + turn


class Courses:
    """The courses of a function's loops that are `changing`; `said` gives sizes in the constants of the model.

    `numbers` are those of turns, for the nodes in turns that have one. Raises `Unlike` where turns are too few, or
    make and take what another turn may not.
    """

    def __init__(
        self, outcome: Outcome, changing: Set[Loop], said: Callable[[Dim], Dim]
    ) -> None:
        self._made = outcome.made
        self._function: Function = outcome.made.function
        self._said = said
        self._chosen: dict[Loop, Chosen] = {}
        # The turn that made a value, of the loops that are changing.
        self._turn_of: dict[int, tuple[Loop, int]] = {}
        listed = (value for taken in self._made.taken.values() for value in taken)
        self._listed = frozenset(listed)
        self.found: dict[Loop, Course] = {}
        self.numbers: dict[int, dict[str, Dim]] = {}
        loops = [loop for loop in self._made.repeated if loop in changing]
        loops.sort(key=lambda loop: min(nodes_in(loop.iterations[0].body), default=0))
        for loop in loops:
            self._add(loop)
        for loop in loops:
            self._check(loop)

    def _add(self, loop: Loop) -> None:
        repetition = self._made.repeated[loop]
        key = frozenset([repetition.loop])
        turns = len(loop.iterations)
        if repetition.period > 1:
            raise Unlike(ROUNDS, key)
        nodes = {n for turn in loop.iterations for n in nodes_in(turn.body)}
        if not nodes.isdisjoint(self.numbers):
            raise Unlike(NESTED, key)
        generic = self._generic(loop, repetition)
        if not max(1, repetition.first) <= generic < turns - max(1, repetition.last):
            raise Unlike(FEW, key)
        name = f"{TURN}{repetition.loop}"
        place = f"{PLACE}{repetition.loop}"
        chosen = Chosen(generic, turns, self._said(repetition.count), place)
        self._chosen[loop] = chosen
        for turn, iteration in enumerate(loop.iterations):
            for number in nodes_in(iteration.body):
                self.numbers[number] = {name: chosen.number(turn)}
                made = self._function.nodes[number].outputs
                self._turn_of |= dict.fromkeys(made, (loop, turn))
        self.found[loop] = Course(
            place,
            generic,
            chosen.more + 2,
            chosen.count,
            repetition.loop,
            self._links(loop, key),
            self._listed,
        )

    def _taken(self, loop: Loop, turn: int) -> dict[int, tuple[Loop, int]]:
        """What a turn takes of lists, with the turn that made it."""
        values = self._made.taken.get((loop, turn), {})
        return {v: self._turn_of[v] for v in values if v in self._turn_of}

    def _generic(self, loop: Loop, repetition: Repetition) -> int:
        """The turn that takes what the one turn of another loop made; else the one in the middle."""
        wanted = {
            turn
            for turn in range(len(loop.iterations))
            for maker, made in self._taken(loop, turn).values()
            if made == self._chosen[maker].generic
        }
        if len(wanted) > 1:
            raise Unlike(LISTED, frozenset([repetition.loop]))
        return wanted.pop() if wanted else len(loop.iterations) // 2

    def _links(self, loop: Loop, key: frozenset[str]) -> dict[int, Link]:
        own = self._chosen[loop]
        found: dict[int, Link] = {}
        for value, (maker, made) in self._taken(loop, own.generic).items():
            other = self._chosen[maker]
            if made != other.generic or own.more != other.more:
                raise Unlike(LISTED, key)
            found[value] = self._link(loop, maker)
        return found

    def _link(self, loop: Loop, maker: Loop) -> Link:
        """How the places of turns belong together: in the same order, or in the opposite one."""
        own, other = self._chosen[loop], self._chosen[maker]
        takes, made = symbol(own.place), symbol(other.place)
        later = {
            turn
            for by, turn in self._taken(loop, own.generic + 1).values()
            if by is maker
        }
        if later == {other.generic + 1}:
            return Link(other.place, takes, made)
        if later == {other.generic - 1}:
            both = own.more + 2
            return Link(other.place, both - takes, both - made)
        raise Unlike(LISTED, frozenset([self._made.repeated[loop].loop]))

    # ---- what turns read ---------------------------------------------------------------------

    def _check(self, loop: Loop) -> None:
        """Whether the one turn is given what any turn is given, and gives what any gives."""
        course = self.found[loop]
        generic = course.generic
        carried = [values[generic] for values in loop.carried.values()]
        left = {values[generic + 1] for values in loop.carried.values()}
        for node in self._function.nodes:
            for value in node.values():
                made = self._turn_of.get(value)
                reads = self._place(node.id)
                if made == reads or (made is None and reads != (loop, generic)):
                    continue
                if reads == (loop, generic):
                    known = value in carried or value in course.links
                    if made is not None and not known:
                        raise Unlike(LISTED, frozenset([course.loop]))
                elif made == (loop, generic):
                    follows = reads == (loop, generic + 1) and value in left
                    if not follows and not self._takes(reads, value):
                        raise Unlike(LISTED, frozenset([course.loop]))
        given = set(values_of(self._function.outputs))
        if any(self._turn_of.get(value) == (loop, generic) for value in given):
            raise Unlike(LISTED, frozenset([course.loop]))
        self._check_instances(loop, generic)

    def _takes(self, reads: tuple[Loop, int] | None, value: int) -> bool:
        """Whether a turn that stands for all takes an element of a list."""
        if reads is None or reads[0] not in self.found:
            return False
        course = self.found[reads[0]]
        return reads[1] == course.generic and value in course.links

    def _place(self, node: int) -> tuple[Loop, int] | None:
        """The turn in which a node lies."""
        for value in self._function.nodes[node].outputs:
            return self._turn_of.get(value)
        return None

    def _check_instances(self, loop: Loop, generic: int) -> None:
        """Whether the instances that the turn uses are its own, or those of all turns."""
        used = [
            {
                self._function.nodes[n].path
                for n in nodes_in(turn.body)
                if self._function.nodes[n].owns
                or self._function.nodes[n].weight is not None
            }
            for turn in loop.iterations
        ]
        nodes = set(nodes_in(loop.iterations[generic].body))
        others = {
            node.path
            for node in self._function.nodes
            if node.id not in nodes and (node.owns or node.weight is not None)
        }
        for path in used[generic]:
            if path in others and not all(path in each for each in used):
                raise Unlike(LISTED, frozenset([self.found[loop].loop]))
