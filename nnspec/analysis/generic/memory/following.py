"""Loops whose sizes change from turn to turn: which of their turns stands for all, and which number each has.

Of lists that one loop makes and another goes through, both loops have the turns that belong together stand for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from typing import TYPE_CHECKING, TypeAlias

from nnspec.analysis.generic.loops.plans import TURN
from nnspec.analysis.generic.memory.changing import Course, Link
from nnspec.analysis.generic.names.powers import canonical
from nnspec.analysis.generic.reasons import LISTED, NESTED, ROUNDS, TOO_FEW
from nnspec.analysis.generic.tracing.bodies import key_of
from nnspec.analysis.memory.rolling import Unlike
from nnspec.analysis.memory.turns import has_weights
from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.graph import Function, Loop, Node, Path, nodes_in, values_of
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.loops.plans import Repetition
    from nnspec.analysis.generic.tracing.trace import Outcome

PLACE = "place@"
"""Symbols of places among the turns that one stands for begin so."""

Numbers: TypeAlias = Mapping[str, Dim]
"""What numbers of turns are, by their symbols."""


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
        taken = (value for each in self._made.taken.values() for value in each)
        joined = (
            v for node in self._function.nodes if node.lists for v in node.values()
        )
        self._listed = frozenset((*taken, *joined))
        self.found: dict[Loop, Course] = {}
        self.numbers: dict[int, dict[str, Dim]] = {}
        loops = [loop for loop in self._made.repeated if loop in changing]
        loops.sort(key=lambda loop: min(nodes_in(loop.iterations[0].body), default=0))
        for loop in loops:
            self._add(loop)
        self._check_joined()
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
            raise Unlike(TOO_FEW, key)
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

    def _check_joined(self) -> None:
        """Raises `Unlike` where lists are put together that do not have one tensor of each turn there was."""
        for node in self._function.nodes:
            if node.lists and not self._has_one_of_each_turn(node):
                loops = {
                    each[0] for v in node.values() if (each := self._turn_of.get(v))
                }
                keys = (self.found[loop].loop for loop in loops or self.found)
                raise Unlike(LISTED, frozenset(keys))

    def _has_one_of_each_turn(self, node: Node) -> bool:
        around = self._turn_around(node)
        made = [self._turn_of.get(value) for value in node.values()]
        turns = [each for each in made if each is not None]
        every: set[tuple[Loop, int]] = set()
        count = dim(len(made))
        for loop in {loop for loop, _ in turns}:
            chosen, before = self._chosen[loop], len(loop.iterations)
            if around is None:
                count = count + chosen.more
            elif around[0] is loop:
                # The turn may have put its own tensor into the list by then.
                before = around[1] + (around in turns)
                count = count + chosen.number(around[1]) - around[1]
            else:
                return False
            every |= {(loop, turn) for turn in range(before)}
        if around is not None and not self._are_of_one_size(node):
            return False
        known = self._made.joined.get(node.id)
        if known is None or len(turns) != len(every) or set(turns) != every:
            return False
        numbers = self.numbers.get(node.id, {})
        return canonical(self._said(known).at(numbers)) == count

    def _are_of_one_size(self, node: Node) -> bool:
        """Whether tensors that turns have put into a list are of one type in all of them."""
        made = [value for value in node.values() if value in self._turn_of]
        kinds = {key_of(self._made.given[value]) for value in made}
        return len(kinds) < 2 and not any(TURN in kind for kind in kinds)

    def _check(self, loop: Loop) -> None:
        """Whether the one turn is given what any turn is given, and gives what any gives. Raises `Unlike`."""
        one = loop, self.found[loop].generic
        given = set(values_of(self._function.outputs))
        leaves = any(self._turn_of.get(value) == one for value in given)
        if leaves or not (self._reads_alike(one) and self._has_own_weights(*one)):
            raise Unlike(LISTED, frozenset([self.found[loop].loop]))

    def _reads_alike(self, one: tuple[Loop, int]) -> bool:
        """Whether what the turn reads of others, and they of it, is handed on or an element of a list."""
        return all(
            self._may_read(one, self._turn_around(node), value)
            for node in self._function.nodes
            for value in node.values()
            if not node.lists
        )

    def _may_read(
        self, one: tuple[Loop, int], reads: tuple[Loop, int] | None, value: int
    ) -> bool:
        made = self._turn_of.get(value)
        if made is None or made == reads or one not in (made, reads):
            return True
        loop, generic = one
        if reads == one:
            handed = {values[generic] for values in loop.carried.values()}
        elif reads == (loop, generic + 1):
            handed = {values[generic + 1] for values in loop.carried.values()}
        else:
            handed = set[int]()
        return value in handed or self._takes(reads, value)

    def _takes(self, reads: tuple[Loop, int] | None, value: int) -> bool:
        """Whether a turn that stands for all takes an element of a list."""
        if reads is None or reads[0] not in self.found:
            return False
        course = self.found[reads[0]]
        return reads[1] == course.generic and value in course.links

    def _turn_around(self, node: Node) -> tuple[Loop, int] | None:
        """The turn in which a node lies, of the loops that are changing."""
        return next((self._turn_of.get(value) for value in node.outputs), None)

    def _has_own_weights(self, loop: Loop, generic: int) -> bool:
        """Whether the instances that a turn uses are its own, or those of all turns."""
        used = [self._instances(nodes_in(turn.body)) for turn in loop.iterations]
        nodes = {*nodes_in(loop.iterations[generic].body)}
        numbers = (node.id for node in self._function.nodes if node.id not in nodes)
        shared = used[generic] & self._instances(numbers)
        return all(shared <= each for each in used)

    def _instances(self, numbers: Iterable[int]) -> set[Path]:
        """The instances that nodes use."""
        nodes = map(self._function.nodes.__getitem__, numbers)
        return {node.path for node in nodes if has_weights(node)}
