"""How loops may be divided into turns by themselves and turns that are alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from nnspec.analysis.generic.loops.courses import Guess, arithmetic, geometric
from nnspec.ir.dims import Dim, symbol
from nnspec.ir.graph import Branch, Function, Program, walk
from nnspec.ir.terms import Term, Traced
from nnspec.ops.checked import fields_of
from nnspec.records import dataclass

PLANS = ((0, 0), (1, 0), (0, 1), (1, 1), (2, 0))
"""How many turns at the start and at the end may be unlike the others, as they are tried."""

PERIODS = {1: PLANS, 2: ((0, 0), (1, 0), (2, 0), (0, 1), (1, 1))}
"""After how many turns a loop may do the same again, each with the plans for it."""

LONGEST = 16
"""After more turns a loop is not looked at whether it does the same again."""

TURN, ROUND = "turn@", "round@"
"""Symbols of the number of a turn, and of several that are taken as one, begin so."""


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


def plans(turns: int, remainders: Iterable[int]) -> Iterator[Plan]:
    """How a loop of so many turns may be divided, as it is tried.

    Besides after one and after two turns, loops do the same again after as many as a remainder is taken by.
    """
    found: dict[int, tuple[tuple[int, int], ...]] = dict(PERIODS)
    for period in remainders:
        found[period] = tuple((first, (turns - first) % period) for first in (0, 1))
    for period, tried in found.items():
        for guess in (arithmetic, geometric):
            for first, last in tried:
                plan = Plan(first, last, period, guess)
                if plan.rounds(turns) is not None:
                    yield plan


def remainders(program: Program) -> list[int]:
    """By which numbers a program takes remainders (`i % 3 == 2`), as far as they are periods that `PERIODS` has not."""
    found: set[int] = set()
    for function in program.functions.values():
        known = _integers(program) if function is program.main else {}
        divisors = (divisor.at(known).constant for _, divisor in _divisions(function))
        found |= {each for each in divisors if each and each <= LONGEST}
    return sorted(found - PERIODS.keys())


def names_of_periods(program: Program) -> set[str]:
    """The constants by which a model divides numbers of turns with a remainder: `(i + 1) % every == 0`."""
    known = _integers(program)
    return {
        name
        for dividend, divisor in _divisions(program.main)
        if any("@" in name for name in dividend.symbols())
        for name in divisor.symbols() & known.keys()
        if divisor == symbol(name) and 1 < int(known[name]) <= LONGEST
    }


def _integers(program: Program) -> dict[str, Dim]:
    """The constants of a model that are integers."""
    values = {each.name: each.value for each in program.main.parameters}
    return {name: value for name, value in values.items() if isinstance(value, Dim)}


def _values(function: Function) -> Iterator[Any]:
    """What a function decides and computes in constants."""
    for item in walk(function.structure):
        if isinstance(item, Branch):
            yield item.condition
    for node in function.nodes:
        yield from node.terms.values()
        yield from node.arguments.values()
        if node.op is not None:
            yield from (getattr(node.op, name) for name in fields_of(type(node.op)))


def _divisions(function: Function) -> Iterator[tuple[Dim, Dim]]:
    """What is divided with a remainder in a function, and by what, as they are written."""
    waiting = list(_values(function))
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple):
            waiting += value
        elif isinstance(value, Traced):
            waiting.append(value.term)
        elif isinstance(value, Dim | Term):
            for atom in (value.generic if isinstance(value, Dim) else value).atoms():
                if atom.kind == "%":
                    yield atom.arguments[0], atom.arguments[1]
                waiting.append(atom.opaque)
