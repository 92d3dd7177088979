"""What loops carry from turn to turn, supposed from one turn: sizes by the number of a turn, and lists of tensors that grow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from nnspec.analysis.generic.blocks.values import Progression, Unsaid
from nnspec.analysis.generic.loops.gathered import Element, Held, Joined, Listed, joined
from nnspec.analysis.generic.names.even import apart, names_in_quotients
from nnspec.analysis.generic.names.powers import (
    canonical,
    divided,
    ratio_of,
    times_power,
    without_numbers,
)
from nnspec.analysis.generic.tracing.bodies import key_of
from nnspec.ir.dims import Dim, DimError, dim, symbol
from nnspec.ir.types import TensorType

if TYPE_CHECKING:
    from nnspec.analysis.generic.loops.induction import Planned

Course: TypeAlias = Callable[[Dim], Dim]
"""A size before a turn, by the number of that."""

Guess: TypeAlias = Callable[[Dim, Dim, int], Course]
"""A course from a size before a turn, behind it, and the number of that turn."""


class Unlike(Exception):
    """The turns of a loop are not alike."""


class Supposed:
    """What a loop is supposed to carry into each round: sizes by the number of the round."""

    def __init__(
        self, loop: Planned, courses: Mapping[str, tuple[Course, ...]]
    ) -> None:
        self._loop = loop
        self._carried = loop.loop.loop.carried
        self._activation = loop.activation
        self._courses = courses

    def give(self, turn: int, number: Dim) -> None:
        """Gives the carried values of a turn their types, the number of its round being said as `number`."""
        for name, values in self._carried.items():
            kind = self._type(name, values[turn], number)
            self._activation.show(values[turn], kind)
        for key, value in self._loop.constants_at(turn):
            (course,) = self._courses[key]
            self._activation.names[key] = value.value.named(course(number))

    def check(self, turn: int) -> None:
        """Whether the round before left what this turn is supposed to find. Raises `Unlike`."""
        for name, values in self._carried.items():
            found = self._activation.type_of(values[turn])
            wanted = self._type(name, values[turn], symbol(self._loop.turn) + 1)
            if found.dtype != wanted.dtype or not self._are_same(found, wanted):
                raise Unlike
        for key, _ in self._loop.constants_at(turn):
            (course,) = self._courses[key]
            found = self._activation.names[key].generic
            if not self._loop.is_same(found, course(symbol(self._loop.turn) + 1)):
                raise Unlike

    def _are_same(self, one: TensorType, other: TensorType) -> bool:
        """Whether two types have the same axes."""
        pairs = zip(one.shape, other.shape, strict=True)
        return one.rank == other.rank and all(
            self._loop.is_same(a.generic, b.generic) for a, b in pairs
        )

    def _type(self, name: str, value: int, number: Dim) -> TensorType:
        own = self._activation.function.types[value]
        shape = tuple(
            size.value.named(course(number))
            for size, course in zip(own.shape, self._courses[name], strict=True)
        )
        return TensorType(shape, own.dtype)


class Grown:
    """The lists of tensors that a loop carries: in each round one tensor comes before a list, or behind it."""

    def __init__(self, loop: Planned) -> None:
        self._loop = loop
        self._activation = loop.activation
        self._keys = [loop.loop.list_key(name) for name in loop.loop.loop.lists]
        lists = self._activation.lists
        if not all(key in lists for key in self._keys):
            raise Unlike
        self._starts = {key: lists[key] for key in self._keys}
        self._rounds: dict[str, list[Joined]] = {key: [] for key in self._keys}
        # What each round is supposed to put into a list, and the lists of which that was asked.
        self._kinds: dict[str, tuple[TensorType, ...]] = dict.fromkeys(self._keys, ())
        self._asked: set[str] = set()

    def hold(self) -> None:
        """A round begins: it is only supposed what the lists are in it."""
        turn, begin = self._loop.turn, self._loop.plan.begin
        for key in self._keys:
            asked = partial(self._put_into, key)
            held = Held(key, self._starts[key], asked, turn, begin)
            self._activation.lists[key] = Joined((), held, ())

    def _put_into(self, key: str) -> tuple[TensorType, ...]:
        self._asked.add(key)
        return self._kinds[key]

    def suppose(self) -> bool:
        """Supposes that every round puts into a list what this one did, and says whether that matters."""
        for key in self._asked:
            found = self._found(key)
            added = (*found.before, *found.after)
            self._kinds[key] = tuple(each.kind for each in _elements(added))
        return bool(self._asked)

    def _found(self, key: str) -> Joined:
        """What a list is behind a round. Raises `Unlike` where it is none that was added to."""
        found = self._activation.lists.get(key)
        if not isinstance(found, Joined) or not isinstance(found.middle, Held):
            raise Unlike
        if found.middle.name != key:
            raise Unlike
        return found

    def note(self) -> None:
        """A round is over. Raises `Unlike` where it did something else with a list than to put one tensor before it or behind it."""
        for key, rounds in self._rounds.items():
            found = self._found(key)
            rounds.append(found)
            is_more = bool(found.before or found.after)
            if is_more and self._loop.plan.period > 1:
                raise Unlike
            for one, other in (
                (found.before, rounds[0].before),
                (found.after, rounds[0].after),
            ):
                if len(one) > 1 or _kinds(one) != _kinds(other):
                    raise Unlike
            added = (*found.before, *found.after)
            supposed = [key_of(kind) for kind in self._kinds[key]]
            if key in self._asked and _kinds(added) != supposed:
                raise Unlike

    def give(self, stop: Dim) -> None:
        """Behind the rounds, the lists have what each of them made."""
        for key, rounds in self._rounds.items():
            value = self._starts[key]
            if rounds[0].before:
                found = [each for (each,) in (r.before for r in reversed(rounds))]
                value = self._with(found, value, stop, -1)
            if rounds[0].after:
                found = [each for (each,) in (r.after for r in rounds)]
                value = self._with(found, value, stop, 1)
            self._activation.lists[key] = value

    def _with(
        self, found: list[Element], value: Listed, stop: Dim, step: int
    ) -> Listed:
        """A list with what the rounds made: behind it in order or, with a step of -1, before it with the last one first.

        What it ends in may be what a round before the first one would have made; then it is one of these.
        """
        begin = self._loop.plan.begin
        kind = found[0].kind
        while isinstance(value, tuple) and value:
            next_one = value[0] if step < 0 else value[-1]
            if not self._is_made(next_one, kind, begin - 1):
                break
            found = [*found, next_one] if step < 0 else [next_one, *found]
            value = value[1:] if step < 0 else value[:-1]
            begin -= 1
        made = self._made(found, begin, stop, step)
        return joined(made, value) if step < 0 else joined(value, made)

    def _is_made(self, element: Any, kind: TensorType, turn: int) -> bool:
        """Whether an element is what a turn of that number would make."""
        if not isinstance(element, Element) or element.kind.rank != kind.rank:
            return False
        try:
            return key_of(self._of_turn(element, kind, dim(turn))) == key_of(
                self._of_turn(element, element.kind, dim(turn))
            )
        except DimError:
            return False

    def _of_turn(self, element: Element, kind: TensorType, turn: Dim) -> TensorType:
        """The type that an element has by what the turn of some number makes."""
        own = self._activation.function.types[element.value].shape
        shape = tuple(
            size.value.named(alike(known.generic.at({self._loop.turn: turn})))
            for size, known in zip(own, kind.shape, strict=True)
        )
        return TensorType(shape, kind.dtype)

    def _made(
        self, found: list[Element], begin: int, stop: Dim, step: int
    ) -> Progression:
        """What turns made, in order or with the last one first, by its place."""
        kind = self._rounds_kind(found, step)

        def element(number: Dim) -> Element:
            place = int(number.value)
            if not 0 <= place < len(found):
                raise Unsaid("no element of the list")
            turn = number + begin if step > 0 else stop - 1 - number
            of_turn = self._of_turn(found[place], kind, turn.generic)
            return Element(of_turn, found[place].value)

        return Progression(stop - begin, element)

    @staticmethod
    def _rounds_kind(found: list[Element], step: int) -> TensorType:
        """The type of what the rounds made, in the number of a turn."""
        return found[0].kind if step < 0 else found[-1].kind


def _kinds(items: Iterable[Any]) -> list[str]:
    """The types of tensors. Raises `Unlike` for anything else in a list."""
    return [key_of(each.kind) for each in _elements(items)]


def _elements(items: Iterable[Any]) -> list[Element]:
    found = list(items)
    if not all(isinstance(each, Element) for each in found):
        raise Unlike
    return found


def arithmetic(before: Dim, after: Dim, first: int) -> Course:
    """A size that grows by the same amount in each turn."""
    return lambda number: before + (after - before) * (number - first)


def geometric(before: Dim, after: Dim, first: int) -> Course:
    """A size that grows by the same factor in each turn."""
    ratio = ratio_of(before, after)
    if ratio is None:
        return arithmetic(before, after, first)
    base, times = ratio
    return lambda number: times_power(before, base, (number - first) * times)


def is_same(one: Dim, other: Dim) -> bool:
    """Whether two sizes are equal, as far as can be told."""
    return alike(one) == alike(other) or without_numbers(apart(one - other)[0])[0] == 0


def alike(size: Dim) -> Dim:
    """A size in the one form that equal ones share, as far as it goes."""
    if any("@" in name for name in names_in_quotients(size)):
        whole, below = apart(size)
        return divided(canonical(whole), below)
    return canonical(size)
