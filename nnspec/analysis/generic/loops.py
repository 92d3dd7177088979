"""Loops whose turns are alike: one turn said for all, by induction.

The first few turns and the last one may be unlike the others; they are run by themselves (`PLANS`). For the rest, the
sizes that the loop carries are supposed to grow by the same amount in each turn, by the same factor, or to be
what the number of the turn before makes of them. Every turn is then run with the
symbol of its number; if all come out the same, and leave the sizes that the next turn was supposed to
find, the turn holds for any number of turns, under the conditions that it noted. Where every other turn does
something else, two of them are taken as one (`PERIODS`), for loops whose turns come out even.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nnspec.analysis.generic.bodies import Body, Part, Repeated
from nnspec.analysis.generic.conditions import Condition, Turns, remaining
from nnspec.analysis.generic.constants import Progression, Unsaid
from nnspec.analysis.generic.courses import (
    Course,
    Grown,
    Guess,
    Supposed,
    Unlike,
    arithmetic,
    geometric,
)
from nnspec.analysis.generic.gathered import Element, Lists, Open, elements_of
from nnspec.analysis.generic.powers import canonical, ratio_of
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, DimError, dim, symbol
from nnspec.ir.graph import Loop, nodes_in
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.trace import Activation

PLANS = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0))
"""How many turns at the start and at the end may be unlike the others, as they are tried."""

PERIODS = {1: PLANS, 2: ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1))}
"""After how many turns a loop may do the same again, each with the plans for it."""

TURN, ROUND = "turn@", "round@"
"""Symbols of the number of a turn, and of several that are taken as one, begin so."""

UNLIKE = "the turns of its loop are unlike"


@dataclass(frozen=True)
class Plan:
    """How a loop is divided: turns at the start and at the end by themselves, and rounds of `period` turns between.

    Rounds are counted from 0, and turns as they are.
    """

    first: int
    last: int
    period: int
    guess: Guess

    @property
    def begin(self) -> int:
        """The number of the first round."""
        return self.first if self.period == 1 else 0

    def rounds(self, turns: int) -> int | None:
        """How many rounds so many turns have; None where it does not come out even, or there is none."""
        count, rest = divmod(turns - self.first - self.last, self.period)
        return None if rest or count < 1 else count

    def end(self, count: Dim) -> Dim:
        """The number behind the last round, of a loop of so many turns."""
        if self.period == 1:
            return count - self.last
        return (count - self.first - self.last) // self.period

    def number(self, number: Dim, place: int) -> Dim:
        """The number of a turn, by that of its round and its place in this."""
        return self.period * (number - self.begin) + self.first + place


@dataclass(frozen=True)
class Repetition:
    """A loop of `count` turns whose turns, but the `first` and `last` ones, do the same after every `period` of them.

    `loop` is its key.
    """

    first: int
    last: int
    count: Dim
    period: int
    loop: str


class Turning:
    """One loop of an activation.

    Its `key` tells it from other loops, and from itself in other turns of loops around it that are gone through
    turn by turn.
    """

    def __init__(self, activation: Activation, loop: Loop) -> None:
        self.activation = activation
        self.constants = activation.constants
        self.tracer = activation.tracer
        self.loop = loop
        self.lists = Lists(activation)
        self.turns = len(loop.iterations)
        self.key = ".".join(map(str, (loop.uid, *activation.outer)))

    def run(self) -> list[Part]:
        """The parts of all turns."""
        self.note_lists(0)
        iterable = self._iterable()
        if isinstance(iterable, Progression) and self._may_be_alike(iterable):
            found = self._planned(iterable)
            if found is not None:
                return found
        return self._one_by_one(iterable)

    def _planned(self, range_: Progression) -> list[Part] | None:
        """The parts by the first plan whose turns are alike however many there are; else by the best that goes.

        Turns may be alike but for what hangs on a rate that is 0 in some of them. Last comes that it is a condition
        for each turn that it is like the others.
        """
        possible: dict[int, Plan] = {}
        for plan in self._plans():
            start = _Start(self.activation)
            found = self._tried(range_, plan)
            if found is None:
                continue
            parts, conditions = found
            holds = _hold_for_any_number(conditions)
            if holds and Body(tuple(parts)).is_certain:
                return self._taken(found)
            start.again()
            if holds or plan.period == 1:
                possible.setdefault(1 if holds else 2, plan)
        if not possible:
            return None
        return self._taken(self._tried(range_, possible[min(possible)]) or ([], []))

    def _taken(self, found: tuple[list[Part], list[Condition]]) -> list[Part]:
        parts, conditions = found
        self.constants.conditions += conditions
        return parts

    def _plans(self) -> Iterator[Plan]:
        for period, plans in PERIODS.items():
            for guess in (arithmetic, geometric):
                for first, last in plans:
                    plan = Plan(first, last, period, guess)
                    if plan.rounds(self.turns) is not None:
                        yield plan

    def _may_be_alike(self, range_: Progression) -> bool:
        is_generic = not range_.count.generic.is_constant
        is_known = all(self.loop.lists.values())
        return is_generic and is_known and self.key not in self.tracer.unrolled

    def _iterable(self) -> Any:
        """What the loop goes through; None where its elements are tensors that no loop made."""
        if self.loop.elements is not None:
            return self._elements(self.loop.elements)
        if self.loop.iterable is None:
            return None
        return self.constants.term_or(self.loop.iterable, self.activation.names, None)

    def _elements(self, term: Term) -> Any:
        """The elements of a list that loops grew; None where these are gone through turn by turn, all of them.

        Raises `Unrolled` where others are, and how long the list is cannot be said.
        """
        try:
            return self.lists.spelled(self.lists.read(term))
        except Open:
            raise
        except Unsaid:
            self._unroll_lists()
            return None

    def _unroll_lists(self) -> None:
        """Raises `Unrolled` for a loop that makes a list and is not gone through turn by turn; `Unsaid` in an attempt."""
        from nnspec.analysis.generic.trace import Unrolled

        if self.constants.attempts:
            raise Unsaid("a list")
        for loop, repeated in self.activation.repeated.items():
            if loop.lists:
                raise Unrolled(repeated.loop)

    # ---- lists of tensors ----------------------------------------------------------------------

    def note_lists(self, turn: int) -> None:
        """Notes what the lists are that the loop carries, before a turn, as far as that can be said."""
        lists = self.activation.lists
        for name, terms in self.loop.lists.items():
            key = self.list_key(name)
            try:
                found = self.lists.read(terms[turn]) if terms else None
            except Open:
                raise
            except Unsaid:
                found = None
            if found is None:
                lists.pop(key, None)
            else:
                lists[key] = found

    def _take(self, turn: int) -> None:
        """Notes which elements of lists a turn takes, and what their sizes are."""
        from nnspec.analysis.generic.trace import Missing

        for taken in self.loop.iterations[turn].taken:
            try:
                found = self.lists.element(taken)
            except Open:
                raise
            except (Unsaid, Missing):
                self._unroll_lists()
                continue
            self._found(turn, found)
            for axis, size in enumerate(found.kind.shape):
                self.activation.names[f"at.{axis}@{taken.uid}"] = size

    def list_key(self, name: str) -> str:
        """What the terms of lists call a list that the loop carries."""
        return f"{name}@{self.loop.uid}"

    # ---- turn by turn ------------------------------------------------------------------------

    def _one_by_one(self, iterable: Any) -> list[Part]:
        self.activation.repeated.pop(self.loop, None)
        elements = None
        self.lists.fixed = True
        if iterable is not None:
            because = self.tracer.unrolled.get(self.key, UNLIKE)
            elements = self.constants.elements(iterable, because)
        parts: list[Part] = []
        for turn in range(self.turns):
            parts += self.turn(turn, None if elements is None else elements[turn])
        return parts

    def turn(
        self, turn: int, element: Any, *, is_one_of_many: bool = False
    ) -> list[Part]:
        """The parts of one turn, its variables and what it carries known by their names."""
        names, outer = self.activation.names, self.activation.outer
        self._bind(turn, element)
        for name, values in self.loop.carried.items():
            for axis, size in enumerate(self.activation.type_of(values[turn]).shape):
                names[f"{name}.{axis}@{self.loop.uid}"] = size
        hidden = dict(self.activation.hidden)
        self.activation.nested += 1
        self.activation.outer = outer if is_one_of_many else (*outer, turn)
        self.activation.taken[self.loop, turn] = {}
        try:
            self._show(turn, element)
            self._take(turn)
            parts = self.activation.run(self.loop.iterations[turn].body)
            self.note_lists(turn + 1)
            return parts
        finally:
            self.activation.nested -= 1
            self.activation.outer = outer
            self.activation.hidden |= hidden

    def _bind(self, turn: int, element: Any) -> None:
        names = self.activation.names
        for name, value in self.loop.iterations[turn].values.items():
            known = dim(value) if type(value) is int else value
            if isinstance(known, Dim):
                known = self.constants.size(known, names)
            names[name] = known
        if element is not None:
            _bind_pattern(self.loop.pattern, element, self.loop.uid, names)

    def _show(self, turn: int, element: Any) -> None:
        """The tensors of a list that are bound in a turn may be read in it."""
        for each in elements_of(element):
            self._found(turn, each)

    def _found(self, turn: int, element: Element) -> None:
        """A turn may read an element of a list."""
        self.activation.show(element.value, element.kind)
        self.activation.taken[self.loop, turn][element.value] = element.kind

    # ---- turns that are alike ----------------------------------------------------------------

    def _tried(
        self, range_: Progression, plan: Plan
    ) -> tuple[list[Part], list[Condition]] | None:
        """The parts with the rounds of a plan said at once, and the conditions of that; None where they are unlike."""
        start = _Start(self.activation)
        from nnspec.analysis.generic.trace import Missing

        self.constants.attempts += 1
        try:
            with self.constants.collecting() as conditions:
                planned = Planned(self, range_, plan)
                with self.constants.counting(planned.turn, plan.begin):
                    parts = planned.parts()
        except (Unlike, Missing, Unsaid, DimError):
            start.again()
            return None
        finally:
            self.constants.attempts -= 1
        return parts, conditions


class _Start:
    """What an activation knows before a plan is tried."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation
        self._types, self._names = dict(activation.types), dict(activation.names)
        self._hidden = dict(activation.hidden)
        self._lists = dict(activation.lists)

    def again(self) -> None:
        """Forgets what the plan has found."""
        self._activation.types, self._activation.names = self._types, self._names
        self._activation.hidden = self._hidden
        self._activation.lists = self._lists


class Planned:
    """A loop by one plan."""

    def __init__(self, loop: Turning, range_: Progression, plan: Plan) -> None:
        self.loop = loop
        self.activation = loop.activation
        self.constants = loop.constants
        self.range = range_
        self.plan = plan
        self.turn = f"{TURN if plan.period == 1 else ROUND}{loop.key}"

    def parts(self) -> list[Part]:
        """The parts of all turns. Raises `Unlike`."""
        plan, activation, turns = self.plan, self.activation, self.loop.turns
        count = self.range.count
        parts: list[Part] = []
        for turn in range(plan.first):
            parts += self.loop.turn(turn, self.range.element(dim(turn)))
        kept = dict(activation.types)
        grown = Grown(self)
        supposed = Supposed(self, self._courses(grown))
        middle = self._middle(supposed, grown)
        stop = plan.end(count).generic
        self._note(middle, stop)
        key = f"turns:{self.turn}:{plan.begin}:{stop.key}:{middle.key}"
        loop = self.loop.key
        parts.append(Repeated(middle, self.turn, plan.begin, stop, loop, key))
        activation.repeated[self.loop.loop] = Repetition(
            plan.first, plan.last, count.generic, plan.period, loop
        )
        made = activation.types
        activation.types = kept
        supposed.give(turns - plan.last, stop)
        grown.give(plan.end(count))
        for turn in range(turns - plan.last, turns):
            parts += self.loop.turn(turn, self.range.element(count - turns + turn))
        for value in made.keys() - activation.types.keys():
            activation.hidden[value] = loop
        return parts

    def _note(self, middle: Body, stop: Dim) -> None:
        """Notes what holds in each round, how many turns there must be, and that rounds come out even."""
        plan, count = self.plan, self.range.count
        with_turns = Turns(self.turn, plan.begin, stop)
        self.constants.conditions += [c.within(with_turns) for c in middle.conditions]
        fewest = dim(plan.first + plan.last)
        self.constants.note(">=", count.generic, fewest, UNLIKE)
        if plan.period > 1:
            rest = (count - fewest) % plan.period
            self.constants.note("==", rest.generic, dim(0), UNLIKE)

    def _courses(self, grown: Grown) -> dict[str, tuple[Course, ...]]:
        """What each carried size is supposed to be before a round, by the number of that."""
        plan = self.plan
        starts = self._carried(plan.first)
        grown.hold()
        with self.constants.collecting():
            self._round(plan.begin)
        ends = self._carried(plan.first + plan.period)
        found: dict[str, tuple[Course, ...]] = {}
        multiplied = False
        for name, start in starts.items():
            if ends[name].rank != start.rank or ends[name].dtype != start.dtype:
                raise Unlike
            sizes = zip(start.shape, ends[name].shape, strict=True)
            multiplied |= any(ratio_of(one.generic, two.generic) for one, two in sizes)
            found[name] = tuple(
                self._course(before.generic, after.generic)
                for before, after in zip(start.shape, ends[name].shape, strict=True)
            )
        if plan.guess is geometric and not multiplied:
            raise Unlike
        return found

    def _course(self, before: Dim, after: Dim) -> Course:
        """A size that is one thing before the first of the rounds, and another behind it."""
        first = self.plan.begin
        if self.turn not in (after - before).symbols():
            return self.plan.guess(before, after, first)
        left = canonical(after.at({self.turn: symbol(self.turn) - 1}))
        if canonical(left.at({self.turn: first})) != before:
            raise Unlike
        return lambda number: canonical(left.at({self.turn: number}))

    def _carried(self, turn: int) -> dict[str, TensorType]:
        """The types of what the loop carries, before a turn."""
        return {
            name: self.activation.type_of(values[turn])
            for name, values in self.loop.loop.carried.items()
        }

    def _round(self, number: int) -> list[Part]:
        """The parts of the turns of one round, which is known by the symbol of its number."""
        parts: list[Part] = []
        for place in range(self.plan.period):
            turn = self.plan.number(dim(number).named(symbol(self.turn)), place)
            self._check_instances(int(turn.value))
            with self.constants.turning(self.turn, number):
                parts += self.loop.turn(
                    int(turn.value), self.range.element(turn), is_one_of_many=True
                )
        return parts

    def _check_instances(self, turn: int) -> None:
        """Raises `Unlike` where a turn is the first to use an instance that others use again.

        The path of an instance has the turn of each loop in which it was made, or by which it was chosen; a loop
        behind this one may go through the same instances.
        """
        function, level = self.activation.function, self.activation.nested
        for number in nodes_in(self.loop.loop.iterations[turn].body):
            node = self.activation.sites[number].node
            if not node.owns:
                continue
            uid = self.loop.loop.uid
            made = node.loops[level : level + 1] == (uid,)
            if uid in node.loops and not made:
                raise Unlike
            is_first = self.activation.sites[number].is_first
            if (is_first and not made) or (
                made and not function.stays_in_turn(node, level)
            ):
                raise Unlike

    def _check_gradients(self, turn: int) -> None:
        """Raises `Unlike` where gradients pass otherwise behind a round than before it, or it alone is computed again in part."""
        inside = self.activation.inside
        for values in self.loop.loop.carried.values():
            before, behind = values[turn], values[turn + self.plan.period]
            for found in (inside.needed, inside.reached):
                if (before in found) != (behind in found):
                    raise Unlike
        if inside.use.ends and self.plan.rounds(self.loop.turns) == 1:
            turns = self.loop.loop.iterations[turn : turn + self.plan.period]
            numbers = (n for each in turns for n in nodes_in(each.body))
            sites = [self.activation.sites[number] for number in numbers]
            if len({(site.again, site.ends) for site in sites}) > 1:
                raise Unlike

    def _middle(self, supposed: Supposed, grown: Grown) -> Body:
        """One body that all rounds have. Raises `Unlike`."""
        plan = self.plan
        found: Body | None = None
        start = dict(self.activation.types)
        for number in range(plan.begin, int(plan.end(dim(self.loop.turns)))):
            turn = int(plan.number(dim(number), 0))
            self.activation.types = dict(start)
            supposed.give(turn, symbol(self.turn))
            grown.hold()
            with self.constants.collecting() as conditions:
                parts = self._round(number)
            supposed.check(turn + plan.period)
            grown.note()
            self._check_gradients(turn)
            body = Body(tuple(parts), tuple(conditions))
            if found is not None and body.key != found.key:
                raise Unlike
            found = body
        assert found is not None
        return found


def _hold_for_any_number(conditions: Iterable[Condition]) -> bool:
    """Whether turns are what they are said to be however many there are."""
    return not remaining((each for each in conditions if each.turns), Assumptions())


def _bind_pattern(pattern: Any, element: Any, uid: int, names: dict[str, Any]) -> None:
    """Binds the variables of a loop to what they are in the constants of the model; of tensors, their sizes."""
    if isinstance(element, Element):
        for axis, size in enumerate(element.kind.shape):
            names[f"{pattern}.{axis}@{uid}"] = size
        return
    if isinstance(pattern, str):
        if pattern != "_":
            names[f"{pattern}@{uid}"] = element
        return
    for part, item in zip(pattern, element, strict=True):
        _bind_pattern(part, item, uid, names)
