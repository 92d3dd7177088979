"""Loops whose turns are alike: one turn said for all, by induction.

The first few turns and the last one may be unlike the others; they are run by themselves (`PLANS`). For the rest, the
sizes that the loop carries are supposed to grow by the same amount in each turn, by the same factor, or to be
what the number of the turn before makes of them. Every turn is then run with the
symbol of its number; if all come out the same, and leave the sizes that the next turn was supposed to
find, the turn holds for any number of turns, under the conditions that it noted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from nnspec.analysis.generic.bodies import Body, Part, Repeated
from nnspec.analysis.generic.conditions import Turns
from nnspec.analysis.generic.constants import Progression, Unsaid
from nnspec.analysis.generic.powers import canonical
from nnspec.ir.dims import Dim, DimError, dim, symbol
from nnspec.ir.graph import Loop
from nnspec.ir.types import TensorType

if TYPE_CHECKING:
    from nnspec.analysis.generic.trace import Activation

PLANS = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0))
"""How many turns at the start and at the end may be unlike the others, as they are tried."""

UNLIKE = "the turns of its loop are unlike"

Course: TypeAlias = Callable[[Dim], Dim]
"""A size before a turn, by the number of that."""

Guess: TypeAlias = Callable[[Dim, Dim, int], Course]
"""A course from a size before a turn, behind it, and the number of that turn."""


class Unlike(Exception):
    """The turns of a loop are not alike."""


class Turning:
    """One loop of an activation."""

    def __init__(self, activation: Activation, loop: Loop) -> None:
        self.activation = activation
        self.constants = activation.constants
        self.tracer = activation.tracer
        self.loop = loop
        self.turns = len(loop.iterations)
        self.turn = f"turn@{loop.uid}"

    def run(self) -> list[Part]:
        """The parts of all turns."""
        iterable = self._iterable()
        if isinstance(iterable, Progression) and self._may_be_alike(iterable):
            for guess in (_arithmetic, _geometric):
                for first, last in PLANS:
                    found = self._tried(iterable, first, last, guess)
                    if found is not None:
                        return found
        return self._one_by_one(iterable)

    def _may_be_alike(self, range_: Progression) -> bool:
        is_generic = not range_.count.generic.is_constant
        return is_generic and self.loop.uid not in self.tracer.unrolled

    def _iterable(self) -> Any:
        """What the loop goes through; None where its elements are tensors."""
        if self.loop.iterable is None:
            return None
        return self.constants.term_or(self.loop.iterable, self.activation.names, None)

    # ---- turn by turn ------------------------------------------------------------------------

    def _one_by_one(self, iterable: Any) -> list[Part]:
        self.activation.repeated.pop(self.loop, None)
        elements = None
        if iterable is not None:
            because = self.tracer.unrolled.get(self.loop.uid, UNLIKE)
            elements = self.constants.elements(iterable, because)
        parts: list[Part] = []
        for turn in range(self.turns):
            parts += self._turn(turn, None if elements is None else elements[turn])
        return parts

    def _turn(self, turn: int, element: Any) -> list[Part]:
        """The parts of one turn, its variables and what it carries known by their names."""
        names = self.activation.names
        self._bind(turn, element)
        for name, values in self.loop.carried.items():
            for axis, size in enumerate(self.activation.type_of(values[turn]).shape):
                names[f"{name}.{axis}@{self.loop.uid}"] = size
        return self.activation.run(self.loop.iterations[turn].body)

    def _bind(self, turn: int, element: Any) -> None:
        names = self.activation.names
        for name, value in self.loop.iterations[turn].values.items():
            names[name] = dim(value) if type(value) is int else value
        if element is not None:
            _bind_pattern(self.loop.pattern, element, self.loop.uid, names)

    # ---- turns that are alike ----------------------------------------------------------------

    def _tried(
        self, range_: Progression, first: int, last: int, guess: Guess
    ) -> list[Part] | None:
        """The parts with the turns between the first and last ones said at once, or None."""
        if first + last >= self.turns:
            return None
        before = dict(self.activation.types), dict(self.activation.names)
        from nnspec.analysis.generic.trace import Missing

        try:
            with self.constants.collecting() as conditions:
                parts = self._alike(range_, first, last, guess)
        except (Unlike, Missing, Unsaid, DimError):
            self.activation.types, self.activation.names = before
            return None
        self.constants.conditions += conditions
        return parts

    def _alike(
        self, range_: Progression, first: int, last: int, guess: Guess
    ) -> list[Part]:
        parts: list[Part] = []
        for turn in range(first):
            parts += self._turn(turn, range_.element(dim(turn)))
        kept = dict(self.activation.types)
        supposed = Supposed(self, self._courses(range_, first, guess))
        middle = self._middle(range_, supposed, range(first, self.turns - last))
        stop = range_.count - last
        with_turns = Turns(self.turn, first, stop.generic)
        self.constants.conditions += [c.within(with_turns) for c in middle.conditions]
        self.constants.note(">=", range_.count.generic, dim(first + last), UNLIKE)
        key = f"turns:{self.turn}:{first}:{stop.generic.key}:{middle.key}"
        parts.append(
            Repeated(middle, self.turn, first, stop.generic, self.loop.uid, key)
        )
        self.activation.repeated[self.loop] = (first, last, range_.count.generic)
        made = self.activation.types
        self.activation.types = kept
        supposed.give(self.turns - last, stop.generic)
        if last:
            parts += self._turn(self.turns - 1, range_.element(range_.count - 1))
        for value in made.keys() - self.activation.types.keys():
            self.activation.hidden[value] = self.loop.uid
        return parts

    def _courses(
        self, range_: Progression, first: int, guess: Guess
    ) -> dict[str, tuple[Course, ...]]:
        """What each carried size is supposed to be before a turn, by the number of that."""
        starts = self._carried(first)
        with self.constants.collecting():
            self._turn(first, self._element(range_, first))
        ends = self._carried(first + 1)
        found: dict[str, tuple[Course, ...]] = {}
        multiplied = False
        for name, start in starts.items():
            if ends[name].rank != start.rank or ends[name].dtype != start.dtype:
                raise Unlike
            sizes = zip(start.shape, ends[name].shape, strict=True)
            multiplied |= any(_factor(one.generic, two.generic) for one, two in sizes)
            found[name] = tuple(
                self._course(before.generic, after.generic, first, guess)
                for before, after in zip(start.shape, ends[name].shape, strict=True)
            )
        if guess is _geometric and not multiplied:
            raise Unlike
        return found

    def _course(self, before: Dim, after: Dim, first: int, guess: Guess) -> Course:
        """A size that is one thing before the first of the turns, and another behind it."""
        if self.turn not in (after - before).symbols():
            return guess(before, after, first)
        left = canonical(after.at({self.turn: symbol(self.turn) - 1}))
        if canonical(left.at({self.turn: first})) != before:
            raise Unlike
        return lambda number: canonical(left.at({self.turn: number}))

    def _carried(self, turn: int) -> dict[str, TensorType]:
        """The types of what the loop carries, before a turn."""
        return {
            name: self.activation.type_of(values[turn])
            for name, values in self.loop.carried.items()
        }

    def _element(self, range_: Progression, turn: int) -> Any:
        return range_.element(dim(turn).named(symbol(self.turn)))

    def _middle(self, range_: Progression, supposed: Supposed, turns: range) -> Body:
        """One body that all these turns have. Raises `Unlike`."""
        found: Body | None = None
        start = dict(self.activation.types)
        for turn in turns:
            self.activation.types = dict(start)
            supposed.give(turn, symbol(self.turn))
            with self.constants.collecting() as conditions:
                parts = self._turn(turn, self._element(range_, turn))
            supposed.check(turn + 1)
            body = Body(tuple(parts), tuple(conditions))
            if found is not None and body.key != found.key:
                raise Unlike
            found = body
        assert found is not None
        return found


class Supposed:
    """What a loop is supposed to carry into each turn: sizes by the number of the turn."""

    def __init__(
        self, loop: Turning, courses: Mapping[str, tuple[Course, ...]]
    ) -> None:
        self._loop = loop
        self._carried = loop.loop.carried
        self._activation = loop.activation
        self._courses = courses

    def give(self, turn: int, number: Dim) -> None:
        """Gives the carried values of a turn their types, its number being said as `number`."""
        for name, values in self._carried.items():
            self._activation.types[values[turn]] = self._type(
                name, values[turn], number
            )

    def check(self, turn: int) -> None:
        """Whether the turn before left what this one is supposed to find. Raises `Unlike`."""
        for name, values in self._carried.items():
            found = self._activation.type_of(values[turn])
            wanted = self._type(name, values[turn], symbol(self._loop.turn) + 1)
            if found.dtype != wanted.dtype or _sizes(found) != _sizes(wanted):
                raise Unlike

    def _type(self, name: str, value: int, number: Dim) -> TensorType:
        own = self._activation.function.types[value]
        shape = tuple(
            size.value.named(course(number))
            for size, course in zip(own.shape, self._courses[name], strict=True)
        )
        return TensorType(shape, own.dtype)


def _arithmetic(before: Dim, after: Dim, first: int) -> Course:
    """A size that grows by the same amount in each turn."""
    return lambda number: before + (after - before) * (number - first)


def _geometric(before: Dim, after: Dim, first: int) -> Course:
    """A size that grows by the same factor in each turn."""
    ratio = _factor(before, after)
    if ratio is None:
        return _arithmetic(before, after, first)
    return lambda number: canonical(before * dim(ratio) ** (number - first))


def _factor(before: Dim, after: Dim) -> int | None:
    """The number of at least 2 that a size is multiplied by."""
    if before == 0:
        return None
    ratio = (after // before).constant
    return (
        ratio if ratio is not None and ratio > 1 and before * ratio == after else None
    )


def _sizes(kind: TensorType) -> list[Dim]:
    return [canonical(size.generic) for size in kind.shape]


def _bind_pattern(pattern: Any, element: Any, uid: int, names: dict[str, Any]) -> None:
    """Binds the variables of a loop to what they are in the constants of the model."""
    if isinstance(pattern, str):
        if pattern != "_":
            names[f"{pattern}@{uid}"] = element
        return
    for part, item in zip(pattern, element, strict=True):
        _bind_pattern(part, item, uid, names)
