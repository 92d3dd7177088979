"""One turn of a loop said for all, by induction: that of one plan of the loop.

The sizes that the loop carries are supposed to grow by the same amount in each turn, by the same factor, by both
(`2 * c + 1`), or to be what the number of the turn before makes of them; where sums may go through turns, also to be
divided and bounded in each. Every turn is then run with the
symbol of its number; if all come out the same, and leave the sizes that the next turn was supposed to
find, the turn holds for any number of turns, under the conditions that it noted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from nnspec.analysis.generic.blocks.values import Progression, Unsaid
from nnspec.analysis.generic.loops.courses import (
    Course,
    Grown,
    Supposed,
    Unlike,
    alike,
    geometric,
    is_same,
)
from nnspec.analysis.generic.loops.plans import ROUND, TURN, Plan, Repetition
from nnspec.analysis.generic.loops.updates import affine, bounded, linear_in
from nnspec.analysis.generic.names.conditions import Turns
from nnspec.analysis.generic.names.powers import expanded, ratio_of
from nnspec.analysis.generic.names.settled import settled
from nnspec.analysis.generic.reasons import UNLIKE
from nnspec.analysis.generic.tracing.bodies import Body, Part, Repeated
from nnspec.analysis.generic.tracing.sums import summed_evenly
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, DimError, dim, symbol
from nnspec.ir.graph import nodes_in
from nnspec.ir.types import TensorType

if TYPE_CHECKING:
    from nnspec.analysis.generic.loops.turning import Turning


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
        self._suppose_lists(supposed, grown)
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
        behind = plan.first + plan.period
        starts = self._carried(plan.first)
        integers = self._counted(plan.first)
        grown.hold()
        with self.constants.collecting():
            self._round(plan.begin)
        pairs: list[tuple[Dim, Dim]] = []
        found: dict[str, tuple[Course, ...]] = {}
        ends = self._counted(behind)
        for key in self._in_order(integers):
            start = integers[key]
            if key not in ends:
                raise Unlike
            pairs.append((start, ends[key]))
            self._note_quotient(start.generic, ends[key].generic)
            found[key] = (self._course_of(key, start, ends[key], found),)
        if integers:
            self._round_by(found, starts, grown)
        for name, end in self._carried(behind).items():
            start = starts[name]
            if end.rank != start.rank or end.dtype != start.dtype:
                raise Unlike
            sizes = [*zip(start.shape, end.shape, strict=True)]
            pairs += sizes
            for before, after in sizes:
                self._note_quotient(before.generic, after.generic)
            found[name] = tuple(
                self._course_of(self.loop.axis_key(name, axis), *size, found)
                for axis, size in enumerate(sizes)
            )
        multiplied = (ratio_of(one.generic, two.generic) for one, two in pairs)
        if plan.guess is geometric and not any(multiplied):
            raise Unlike
        return found

    def _round_by(
        self,
        courses: Mapping[str, tuple[Course, ...]],
        starts: Mapping[str, TensorType],
        grown: Grown,
    ) -> None:
        """The first round once more, with the integers that the loop carries said by the number of it."""
        for name, values in self.loop.loop.carried.items():
            self.activation.show(values[self.plan.first], starts[name])
        for key, value in self.constants_at(self.plan.first):
            (course,) = courses[key]
            named = value.value.named(course(symbol(self.turn)))
            self.activation.names[key] = named
        grown.hold()
        with self.constants.collecting():
            self._round(self.plan.begin)

    def _note_quotient(self, before: Dim, after: Dim) -> None:
        """Takes note of a size that each round divides by a number."""
        constants = self.constants
        if self.turn not in after.symbols():
            rounds = self.plan.end(self.range.count).generic - self.plan.begin
            constants.wanted.shrinks(before, after, rounds, constants.turns)

    def _suppose_lists(self, supposed: Supposed, grown: Grown) -> None:
        """Has it supposed what each round puts into lists, where one asks what these are."""
        if not grown.suppose():
            return
        plan = self.plan
        start = dict(self.activation.types)
        supposed.give(plan.first, symbol(self.turn))
        grown.hold()
        with self.constants.collecting():
            self._round(plan.begin)
        grown.suppose()
        self.activation.types = start

    def _course_of(
        self, key: str, before: Dim, after: Dim, known: Mapping[str, tuple[Course, ...]]
    ) -> Course:
        """The course of a size by its name in the loop; of integers some may be `known` by then."""
        running = self.activation.function.running.get(key)
        is_integer = running is not None and running.axis is None
        adds = running is not None and is_integer and key in running.update.symbols()
        update = self._update(key, before, known)
        factor, more = linear_in(update, key) or (0, dim(0))
        if factor > 1 and more != 0:
            first, turn = self.plan.begin, self.turn
            found = affine(before.generic, factor, more, turn, first)
            if found is not None and self.is_same(found(dim(first)), before.generic):
                return found
        if factor == 1 and is_integer and self.turn in more.symbols():
            return self._adding(before.generic, more)
        if self.constants.in_series and key in update.symbols() and not factor:
            found = self._bounded(key, update, before.generic)
            if found is not None:
                return found
        return self._course(before.generic, after.generic, adds=adds)

    def _in_order(self, integers: Mapping[str, Dim]) -> Iterator[str]:
        """The integers that the loop carries, those first that others are made of."""
        running = self.activation.function.running
        waiting = list(integers)
        while waiting:
            read = {
                key: running[key].update.symbols() & {*waiting} - {key}
                for key in waiting
            }
            ready = [key for key in waiting if not read[key]] or waiting
            yield from ready
            waiting = [key for key in waiting if key not in ready]

    def _bounded(self, key: str, update: Dim, before: Dim) -> Course | None:
        """The course of a size that each turn divides, or keeps within bounds, if it is that: from the first turn of all on, or of the rounds."""
        update, begin = self._settled(update), self.plan.begin
        for first, start in ((0, self._initial(key)), (begin, before)):
            if start is None:
                continue
            found = bounded(update, key, self._settled(start), self.turn, first)
            if found is not None and self.is_same(found(dim(begin)), before):
                return partial(self._settled_by, found)
        return None

    def _settled_by(self, course: Course, number: Dim) -> Dim:
        return self._settled(course(number))

    def _initial(self, key: str) -> Dim | None:
        """What a size is before the loop, by what elaboration noted."""
        initial = self.activation.function.running[key].initial
        with self.constants.collecting():
            try:
                return self.constants.generic(initial, self.activation.names)
            except (Unsaid, DimError):
                return None

    def _update(
        self, key: str, size: Dim, known: Mapping[str, tuple[Course, ...]]
    ) -> Dim:
        """What a turn makes of a size by what elaboration noted, by its name and the number of the turn; 0 where nothing is known of that.

        What several turns make of it, one after another, is not asked.
        """
        running = self.activation.function.running.get(key)
        if (
            running is None
            or self.plan.period > 1
            or key not in running.update.symbols()
            or running.update == symbol(key)
        ):
            return dim(0)
        names = dict(self.activation.names)
        for each in self.loop.carried_keys():
            names.pop(each, None)
        for each, _ in self.constants_at(self.plan.first):
            if each in known:
                (course,) = known[each]
                names[each] = course(symbol(self.turn))
        names[key] = size.value.named(symbol(key))
        with self.constants.collecting():
            try:
                return self.constants.generic(running.update, names)
            except (Unsaid, DimError):
                return dim(0)

    def is_same(self, one: Dim, other: Dim) -> bool:
        """Whether two sizes are equal, as far as can be told."""
        if is_same(one, other):
            return True
        in_series = self.constants.in_series
        return in_series and self._settled(one) == self._settled(other)

    def _settled(self, size: Dim) -> Dim:
        """A size with its quotients and extremes in one way, as constants and numbers of turns are at least."""
        known = {n: min(1, int(v)) for n, v in self.constants.known.items()}
        least = {**known, **self.constants.least}
        bounds = {name: (low, None) for name, low in least.items()}
        return settled(alike(size), Assumptions(bounds))

    def _course(self, before: Dim, after: Dim, *, adds: bool = False) -> Course:
        """A size that is one thing before the first of the rounds, and another behind it.

        What the number of the turn has to do with that is all that the size is, or what each round `adds` to it.
        """
        first, turn = self.plan.begin, self.turn
        if turn not in (after - before).symbols():
            return self.plan.guess(before, after, first)
        left = alike(after.at({turn: symbol(turn) - 1}))
        if adds or not self.is_same(left.at({turn: first}), before):
            return self._adding(before, after - before)
        return lambda number: alike(left.at({turn: number}))

    def _adding(self, before: Dim, more: Dim) -> Course:
        """A size to which each round adds something by its number. Raises `Unlike` where that has no sum."""
        first, turn = self.plan.begin, self.turn
        added = summed_evenly(more, turn, first, symbol(turn))
        if added is None:
            raise Unlike
        whole = before + expanded(*added)
        return lambda number: alike(whole.at({turn: number}))

    def _carried(self, turn: int) -> dict[str, TensorType]:
        """The types of what the loop carries, before a turn."""
        return {
            name: self.activation.type_of(values[turn])
            for name, values in self.loop.loop.carried.items()
        }

    def constants_at(self, turn: int) -> Iterator[tuple[str, Dim]]:
        """The integers that the loop carries, by their names in it, as elaborated before a turn."""
        for name, history in self.loop.loop.constants.items():
            if turn < len(history):
                yield self.loop.loop.key_of(name), history[turn]

    def _counted(self, turn: int) -> dict[str, Dim]:
        """The integers that the loop carries, before a turn."""
        names = self.activation.names
        return {key: names[key] for key, _ in self.constants_at(turn)}

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
