"""Loops whose turns are alike: one turn said for all, else every turn by itself.

The first few turns and the last one may be unlike the others; they are run by themselves (`plans.PLANS`). For
the rest, `induction.py` shows that one holds for any number of turns. Where every other turn does something
else, two of them are taken as one (`plans.PERIODS`), for loops whose turns come out even; of every third or fourth as many.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from nnspec.analysis.generic.blocks.values import Progression, Unsaid
from nnspec.analysis.generic.loops.courses import Unlike
from nnspec.analysis.generic.loops.gathered import Element, Lists, Open, elements_of
from nnspec.analysis.generic.loops.induction import Planned
from nnspec.analysis.generic.loops.plans import Plan, plans
from nnspec.analysis.generic.names.conditions import Condition, remaining
from nnspec.analysis.generic.names.wanted import Within
from nnspec.analysis.generic.reasons import UNLIKE
from nnspec.analysis.generic.tracing.bodies import Body, Part
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, DimError, dim
from nnspec.ir.graph import Loop
from nnspec.ir.terms import Term

if TYPE_CHECKING:
    from nnspec.analysis.generic.tracing.trace import Activation


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
        self._note_constants(0)
        iterable = self._iterable()
        if isinstance(iterable, Progression) and self._may_be_alike(iterable):
            found = self._planned(iterable)
            if found is not None:
                self._name_sizes(self.turns)
                return found
        parts = self._one_by_one(iterable)
        self._name_sizes(self.turns)
        return parts

    def _planned(self, range_: Progression) -> list[Part] | None:
        """The parts by the first plan whose turns are alike however many there are; else by the best that goes.

        Turns may be alike but for what hangs on a rate that is 0 in some of them. Last comes that it is a condition
        for each turn that it is like the others, if one turn more can be so, too.
        """
        possible: dict[int, Plan] = {}
        for plan in plans(self.turns, self.tracer.remainders):
            start = _Start(self.activation)
            found = self._tried(range_, plan)
            if found is None:
                continue
            parts, conditions = found
            holds = _hold_for_any_number(conditions)
            if holds and Body(tuple(parts)).is_certain:
                return self._taken(found)
            start.again()
            if holds or (plan.period == 1 and self._has_more(range_, conditions)):
                possible.setdefault(1 if holds else 2, plan)
        if not possible:
            return None
        return self._taken(self._tried(range_, possible[min(possible)]) or ([], []))

    def _has_more(self, range_: Progression, conditions: Iterable[Condition]) -> bool:
        """Whether conditions hold with one more turn of the loop, too, as far as constants alone decide that."""
        count = range_.count.generic
        known = self.constants.known
        numbers = {name: known[name] for name in count.symbols() & known.keys()}
        more = {**known, **{name: number + 1 for name, number in numbers.items()}}
        bound = {turns.symbol for each in conditions for turns in each.turns}
        return all(
            each.holds(more)
            for each in conditions
            if each.symbols() <= known.keys() | bound
        )

    def _taken(self, found: tuple[list[Part], list[Condition]]) -> list[Part]:
        parts, conditions = found
        self.constants.conditions += conditions
        return parts

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
            self.lists.unroll()
            return None

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
        from nnspec.analysis.generic.tracing.trace import Missing

        for taken in self.loop.iterations[turn].taken:
            try:
                found = self.lists.element(taken)
            except Open:
                raise
            except (Unsaid, Missing):
                self.lists.unroll()
                for name in self.loop.iterations[turn].values:
                    if name.endswith(f"@{taken.uid}"):
                        self._bind_known(turn, name)
                continue
            self._found(turn, found)
            for axis, size in enumerate(found.kind.shape):
                self.activation.names[f"at.{axis}@{taken.uid}"] = size

    def axis_key(self, name: str, axis: int) -> str:
        """What an axis of a tensor that the loop carries is called in it."""
        return f"{name}.{axis}@{self.loop.uid}"

    def carried_keys(self) -> Iterator[str]:
        """What the sizes and integers that the loop carries are called in it."""
        for name, values in self.loop.carried.items():
            rank = self.activation.function.types[values[0]].rank
            yield from (self.axis_key(name, axis) for axis in range(rank))
        yield from map(self.loop.key_of, self.loop.constants)

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
        outer = self.activation.outer
        self._bind(turn, element)
        self._name_sizes(turn)
        hidden = dict(self.activation.hidden)
        self.activation.nested += 1
        self.activation.outer = outer if is_one_of_many else (*outer, turn)
        self.activation.taken[self.loop, turn] = {}
        try:
            self._show(turn, element)
            self._take(turn)
            parts = self.activation.run(self.loop.iterations[turn].body)
            self.note_lists(turn + 1)
            self._note_constants(turn + 1)
            return parts
        finally:
            self.activation.nested -= 1
            self.activation.outer = outer
            shown = self.activation.taken[self.loop, turn].keys() & hidden.keys()
            self.activation.hidden |= {value: hidden[value] for value in shown}

    def _name_sizes(self, turn: int) -> None:
        """The sizes of what the loop carries have their names before each turn, and behind the last one."""
        for name, values in self.loop.carried.items():
            for axis, size in enumerate(self.activation.type_of(values[turn]).shape):
                self.activation.names[self.axis_key(name, axis)] = size

    def _note_constants(self, turn: int) -> None:
        """The integers that the loop carries have their names before a turn, and behind the last one."""
        names = self.activation.names
        names |= {
            self.loop.key_of(name): self.constants.size(history[turn], names)
            for name, history in self.loop.constants.items()
            if turn < len(history)
        }

    def _bind(self, turn: int, element: Any) -> None:
        """Binds the variables; the sizes of elements that it takes have their names when it takes them."""
        names = self.activation.names
        bound: dict[str, Any] = {}
        if element is not None:
            _bind_pattern(self.loop.pattern, element, self.loop.uid, bound)
        names |= bound
        iteration = self.loop.iterations[turn]
        later = {str(taken.uid) for taken in iteration.taken}
        for name in iteration.values:
            if name not in bound and name.partition("@")[2] not in later:
                self._bind_known(turn, name)

    def _bind_known(self, turn: int, name: str) -> None:
        """Binds a variable to what elaboration bound it to."""
        value = self.loop.iterations[turn].values[name]
        known = dim(value) if type(value) is int else value
        names = self.activation.names
        if isinstance(known, Dim):
            known = self.constants.size(known, names)
        names[name] = known

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
        from nnspec.analysis.generic.tracing.trace import Missing

        self.constants.attempts += 1
        try:
            with self.constants.collecting() as conditions:
                planned = Planned(self, range_, plan)
                within = Within(plan.begin, plan.end(range_.count).generic)
                with self.constants.counting(planned.turn, within):
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
