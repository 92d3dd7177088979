"""Lists of tensors that loops grow, in the constants of the model: as many elements as the loop has turns, each by its number.

A loop that puts one tensor before (or behind) a list in each turn leaves a list whose elements are what its turns
made. In a turn that stands for all, the list before it is not known (`Held`); what the turn adds is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from nnspec.analysis.generic.blocks.constants import Constants
from nnspec.analysis.generic.blocks.values import Progression, Unsaid
from nnspec.analysis.generic.reasons import PLACED
from nnspec.ir.dims import Dim, dim
from nnspec.ir.graph import Taken
from nnspec.ir.terms import Term
from nnspec.ir.types import TensorType
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.tracing.trace import Activation


@dataclass(frozen=True, slots=True)
class Element:
    """A tensor in a list: its type in the constants of the model, and the value that it is as elaborated."""

    kind: TensorType
    value: int


@dataclass(frozen=True, slots=True)
class Held:
    """What a list is before a turn that stands for all: what it was at the `start`, and what each turn from `begin` on puts into it.

    The latter are tensors of some `kinds`, by the number `turn`, which somebody asks for.
    """

    name: str
    start: Listed
    kinds: Callable[[], tuple[TensorType, ...]]
    turn: str
    begin: int


@dataclass(frozen=True, slots=True)
class Joined:
    """Elements, what a loop made or a list as it was, and elements."""

    before: tuple[Any, ...]
    middle: Progression | Held
    after: tuple[Any, ...]


Listed: TypeAlias = "tuple[Any, ...] | Progression | Joined"


class Open(Unsaid):
    """A list is asked for more than what a turn that stands for all knows of it."""


def joined(left: Listed, right: Listed) -> Listed:
    """Two lists in a row. Raises `Unsaid` for two that loops made."""
    if isinstance(left, tuple) and isinstance(right, tuple):
        return (*left, *right)
    one, other = _pieces(left), _pieces(right)
    if isinstance(one, tuple):
        assert isinstance(other, Joined)
        return Joined((*one, *other.before), other.middle, other.after)
    if isinstance(other, tuple):
        return Joined(one.before, one.middle, (*one.after, *other))
    raise Unsaid("two lists of any length in a row")


def _pieces(value: Listed) -> tuple[Any, ...] | Joined:
    return Joined((), value, ()) if isinstance(value, Progression) else value


class Lists:
    """Reads how lists were made, in an activation."""

    def __init__(self, activation: Activation) -> None:
        self._activation = activation
        self._constants: Constants = activation.constants
        # Whether all lists have as many elements as they have, and no more or less.
        self.fixed = False

    def read(self, term: Term) -> Listed:
        """The list that a term means. Raises `Unsaid`."""
        match term.kind:
            case "name":
                return self._known(term.arguments[0])
            case "list":
                return tuple(self._element(part) for part in term.arguments)
            case "arithmetic":
                return joined(*(self.read(part) for part in term.arguments[1:]))
            case "call":
                name, *parts = term.arguments
                return self._constants.call(name, *map(self._argument, parts))
            case _:
                raise Unsaid(term.kind)

    def _known(self, name: str) -> Listed:
        found = self._activation.lists.get(name)
        if found is None:
            raise Unsaid(name)
        return found

    def _element(self, term: Term) -> Element:
        (value,) = term.arguments
        return Element(self._activation.type_of(value), value)

    def _argument(self, term: Term) -> Any:
        """An argument of `zip` and the like: a list of tensors, or one of constants."""
        if _speaks_of_lists(term, self._activation.lists):
            return self.spelled(self.read(term))
        return self._constants.term(term, self._activation.names)

    def unroll(self) -> None:
        """Raises `Unrolled` for a loop that makes a list and is not gone through turn by turn; `Unsaid` in an attempt."""
        from nnspec.analysis.generic.tracing.trace import Unrolled

        if self._constants.attempts:
            raise Unsaid("a list")
        for loop, repeated in self._activation.repeated.items():
            if loop.lists:
                raise Unrolled(repeated.loop)

    def spelled(self, value: Listed) -> tuple[Any, ...] | Progression:
        """A list as a loop goes through it."""
        if not isinstance(value, Joined):
            return value
        if isinstance(value.middle, Held):
            raise Open(value.middle.name)
        return Progression(
            value.middle.count + (len(value.before) + len(value.after)),
            lambda number: self._at(value, number),
        )

    def element(self, taken: Taken) -> Element:
        """An element that a turn takes. Raises `Unsaid`."""
        place = self._constants.term(taken.place, self._activation.names)
        found = self.spelled(self.read(taken.elements))
        if not isinstance(place, Dim):
            raise Unsaid("no place of a list")
        if isinstance(found, tuple):
            self._constants.note("==", place.generic, place.value, PLACED)
            return self._checked(found[int(place)], taken)
        if place.falls_below(0):
            place = found.count + place
        self._constants.note(">=", place.generic, dim(0))
        self._constants.note("<", place.generic, found.count.generic)
        return self._checked(found.element(place), taken)

    @staticmethod
    def _checked(found: Any, taken: Taken) -> Element:
        if not isinstance(found, Element) or found.value != taken.value:
            raise Unsaid("another element")
        return found

    def _at(self, value: Joined, number: Dim) -> Any:
        """An element by its number, which is counted from the start, from the end, or in what a loop made."""
        middle = value.middle
        assert isinstance(middle, Progression)
        ahead = len(value.before)
        if self.fixed:
            return self._where_it_lies(value, middle, number)
        if number.generic.constant is not None and int(number) < ahead:
            return value.before[int(number)]
        place = number - ahead
        left = middle.count - place
        if left.generic.constant is not None and int(left) <= 0:
            return value.after[-int(left)]
        if place.falls_below(0) or left.falls_below(1):
            raise Unsaid("another part of the list")
        self._constants.note(">=", place.generic, dim(0))
        self._constants.note(">=", left.generic, dim(1))
        return middle.element(place)

    def _where_it_lies(self, value: Joined, middle: Progression, number: Dim) -> Any:
        """An element of a list of a known length."""
        place = int(number) - len(value.before)
        count = int(middle.count)
        if place < 0:
            return value.before[int(number)]
        if place < count:
            return middle.element(number - len(value.before))
        return value.after[place - count]


def _speaks_of_lists(term: Term, lists: Mapping[str, Listed]) -> bool:
    return term.kind == "value" or any(
        part in lists if term.kind == "name" else _speaks_of_lists(part, lists)
        for part in term.arguments
        if isinstance(part, Term) or term.kind == "name"
    )


def elements_of(value: Any) -> list[Element]:
    """The tensors in an element of a list, which may be several side by side."""
    if isinstance(value, Element):
        return [value]
    if isinstance(value, tuple):
        items = cast("tuple[Any, ...]", value)
        return [each for item in items for each in elements_of(item)]
    return []
