"""Constants of blocks, said in the constants of the model: concrete as elaborated, and generic at once.

An integer is a `Dim` whose twin speaks of the model's constants. Everything else keeps its value, and what it
was computed from is lost; so a decision that hangs on such a value fixes the constants behind it
(`Real.names`). Every comparison that was decided is noted as a `Condition`.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from typing import Any, cast

from nnspec.analysis.generic.blocks.functions import CALLS
from nnspec.analysis.generic.blocks.reading import READERS
from nnspec.analysis.generic.blocks.reals import Real
from nnspec.analysis.generic.blocks.values import (
    Names,
    Progression,
    Unsaid,
    behind,
    integer,
    names_behind,
    names_in,
    names_of,
    plain,
    progression,
)
from nnspec.analysis.generic.names.conditions import Condition
from nnspec.analysis.generic.names.parts import Part
from nnspec.analysis.generic.names.powers import quotients
from nnspec.analysis.generic.names.wanted import Wanted, Within
from nnspec.analysis.generic.reasons import COMPARED, COMPUTED, COUNTED, RULED
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Atom, Dim, DimError, dim, symbol
from nnspec.ir.signs import COMPARISONS, OPPOSITE
from nnspec.ir.terms import Term, Traced
from nnspec.ir.values import Range, Sequence


class Constants:
    """Reads sizes and terms of blocks; `conditions` are the comparisons that were decided on the way.

    `known` are the values of the model's constants, `least` what numbers of turns are at least, `turns` what else is known
    of them, and `now` what they are while a turn is gone through. Free sizes may be said by `parts`, and constants by
    `divided`, of which `wanted` knows what more would help. `attempts` says how many ways to say loops are being
    tried, one inside of another. What hangs on the number of a turn may be said `in_series`: sizes by quotients and bounds
    that nothing adds up to, and sums that go through the turns.
    """

    def __init__(
        self,
        assumptions: Assumptions,
        known: Mapping[str, Dim],
        parts: tuple[Part, ...] = (),
        divided: tuple[Part, ...] = (),
        *,
        in_series: bool = False,
    ) -> None:
        self.assumptions = assumptions
        self.known = known
        self.least: dict[str, int] = {}
        self.turns: dict[str, Within] = {}
        self.now: dict[str, int] = {}
        self.attempts = 0
        self.parts = parts
        self.in_series = in_series
        self.divided = {part.symbol: part for part in divided}
        self.wanted = Wanted(known, divided)
        self.conditions: list[Condition] = []

    @contextmanager
    def collecting(self) -> Generator[list[Condition]]:
        """Collects the conditions that are noted inside apart from those outside."""
        outer = self.conditions
        self.conditions = found = list[Condition]()
        try:
            yield found
        finally:
            self.conditions = outer

    @contextmanager
    def turning(self, turn: str, number: int) -> Generator[None]:
        """Inside, the number of a turn is this one."""
        outer = self.now
        self.now = {**outer, turn: number}
        try:
            yield
        finally:
            self.now = outer

    @contextmanager
    def counting(self, turn: str, within: Within) -> Generator[None]:
        """Inside, there is the number of a turn."""
        outer = self.least, self.turns
        self.least = {**self.least, turn: within.first}
        self.turns = {**self.turns, turn: within}
        try:
            yield
        finally:
            self.least, self.turns = outer

    # ---- sizes -------------------------------------------------------------------------------

    def size(self, value: Dim, names: Names) -> Dim:
        """A size of a block in the constants of the model; without its twin where it cannot be said."""
        twin = value.generic
        if twin is value:
            return self._by_parts(value) if self.parts else value
        try:
            return value.value.named(self.generic(twin, names))
        except (Unsaid, DimError):
            self.fix_names({n for atom in twin.atoms() for n in names_of(atom)}, names)
            return value.value

    def _by_parts(self, value: Dim) -> Dim:
        """A size of the model itself, which has no twin."""
        names = value.symbols()
        multiples = self.assumptions.multiples
        found = value
        for part in self.parts:
            if part.size in names:
                found = part.said(found, multiples[part.size])
        return value.named(found)

    def generic(self, twin: Dim, names: Names) -> Dim:
        """A twin in the constants of the model. Raises `Unsaid`."""

        def replace(atom: Atom) -> Dim | None:
            if atom.kind == "symbol":
                found = names.get(atom.symbol)
                if not isinstance(found, Dim):
                    raise Unsaid(atom.symbol)
                return found.generic // atom.scale if atom.scale > 1 else found.generic
            if isinstance(atom.opaque, Term):
                return integer(self.term(atom.opaque, names)).generic
            return None

        return self.plain(twin.substitute(replace))

    def plain(self, generic: Dim) -> Dim:
        """A size in the constants of the model, powers of numbers in one form and without quotients by those numbers."""
        found = quotients(generic, self._is_at_least)
        if self.turns:
            self.wanted.note(found, self.turns)
        return found

    def _is_at_least(self, exponent: Dim, least: int) -> bool:
        """Whether an exponent is at least a number, which is noted: as constants are, and in the turn that is gone through.

        Where none is, it has to be so in every turn.
        """
        found = exponent.at({**self.known, **self.now})
        if found.constant is not None and found.constant < least:
            return False
        self.note(">=", exponent, dim(least))
        return True

    # ---- other constants ---------------------------------------------------------------------

    def value(self, value: Any, names: Names) -> Any:
        """An argument of a call: a value of the language with the term that it came from."""
        match value:
            case Dim():
                return self.size(value, names)
            case Traced(term=None):
                return value.value
            case Traced(value=float(), term=Term() as term):
                return Real(value.value, behind(term, names), self.zero(term, names))
            case Traced(term=Term() as term):
                return self.term_or(term, names, value.value)
            case Sequence(term=Term() as term):
                return self.term_or(term, names, self._items(value, names))
            case Sequence():
                return self._items(value, names)
            case Range():
                bounds = (value.start, value.stop, value.step)
                return progression([self.size(bound, names) for bound in bounds])
            case _:
                return value

    def term_or(self, term: Term, names: Names, otherwise: Any) -> Any:
        """What a term means; else a value that is known of it, for constants as they are."""
        try:
            return self.term(term, names)
        except (Unsaid, DimError):
            self.fix_names(names_in(term), names)
            return otherwise

    def _items(self, value: Sequence, names: Names) -> tuple[Any, ...]:
        return tuple(self.value(item, names) for item in value.items)

    def term(self, term: Term, names: Names) -> Any:
        """What a term means. Raises `Unsaid`, and `DimError` where arithmetic has no result."""
        read = READERS.get(term.kind)
        if read is None:
            raise Unsaid(term.kind)
        try:
            return read(self, term.arguments, names)
        except (TypeError, ValueError, KeyError, IndexError, ArithmeticError) as error:
            raise Unsaid(str(error)) from None

    def zero(self, term: Term, names: Names) -> Dim | None:
        """A size that is 0 where a number is that is no integer; None if none is known."""
        with self.collecting():
            try:
                found = self.term(term, names)
            except (Unsaid, DimError):
                return None
        return found.zero if isinstance(found, Real) else None

    def call(self, name: str, *values: Any) -> Any:
        """A function of constants. Raises `Unsaid` for one that no formula says."""
        if name not in CALLS:
            raise Unsaid(name)
        return CALLS[name](self, *values)

    # ---- decisions ---------------------------------------------------------------------------

    def truth(self, term: Term, names: Names) -> bool:
        """Which way a condition goes, noting what that hangs on. Raises `Unsaid`."""
        found = self.term(term, names)
        if not isinstance(found, bool):
            raise Unsaid(term.kind)
        return found

    def decide(self, sign: str, left: Any, right: Any) -> bool:
        """A comparison, noted as a condition where constants of the model stand in it."""
        if isinstance(left, Dim) and isinstance(right, Dim):
            return self._decide_sizes(sign, left, right)
        self.fix(left)
        self.fix(right)
        return bool(COMPARISONS[sign](plain(left), plain(right)))

    def _decide_sizes(self, sign: str, left: Dim, right: Dim) -> bool:
        found = self.assumptions.holds(sign, left.value, right.value)
        if found is None:
            raise Unsaid(f"{left} {sign} {right}")
        self.note(sign if found else OPPOSITE[sign], left.generic, right.generic)
        return found

    def note(self, sign: str, left: Dim, right: Dim, because: str = COMPARED) -> None:
        """Notes a comparison of twins, where it says something."""
        if not (left.is_constant and right.is_constant):
            self.conditions.append(Condition(sign, left, right, because=because))

    def witness(self, sign: str, left: Dim, right: Dim) -> None:
        """Notes what a rule of an operator decided by the values of sizes (see `dims.witnessed`).

        Equality is no decision where rules ask for it to refuse the rest: of two sizes, or of a remainder and
        0. That a size is not a number is none either; axes of 1 that stretch are noted apart.
        """
        one, other = left.generic, right.generic
        if any(side.value.symbols() for side in (left, right)):
            return
        if sign == "int":
            self.note("==", one, left.value, COUNTED)
        elif sign in ("<", "<=", ">", ">=") or (
            sign == "==" and other.is_constant and not _is_remainder(one)
        ):
            self.note(sign, one, other, RULED)

    def elements(self, value: Any, because: str = COUNTED) -> tuple[Any, ...]:
        """The elements of a list or range, whose number has to stay as it is. Raises `Unsaid`."""
        if isinstance(value, Progression):
            count = max(0, int(value.count.value))
            self.note("==", value.count.generic, dim(count), because)
            return tuple(value.element(dim(turn)) for turn in range(count))
        if isinstance(value, tuple):
            return cast("tuple[Any, ...]", value)
        raise Unsaid(repr(value))

    def uncertain_turns(self, size: Dim) -> frozenset[str]:
        """The loops, by their keys, on whose turns it hangs whether a size is 0."""
        turns = {
            name: self.least[name]
            for name in self.least
            if name in size.generic.symbols()
        }
        counted = size.generic.at(
            {n: symbol(n) + (low - 1) for n, low in turns.items()}
        )
        if not turns or self.assumptions.holds(">", counted, dim(0)):
            return frozenset()
        return frozenset(name.partition("@")[2] for name in turns)

    def fix(self, value: Any) -> None:
        """Notes that what a value was computed from has to stay as it is."""
        if isinstance(value, Dim):
            self.note("==", value.generic, value.value, COMPUTED)
            return
        for name in names_behind(value):
            if (
                name not in self.known
            ):  # the number of a turn, which is not the same in all
                raise Unsaid(name)
            part = self.divided.get(name)
            known = self.known[name]
            if part is None:
                self.note("==", symbol(name), known, COMPUTED)
            else:
                whole = (part.product.at(self.known), part.product)
                self.note("==", whole[1], whole[0], COMPUTED)

    def fix_names(self, used: Iterable[str], names: Names) -> None:
        """Notes that constants of a block, by name, have to stay as they are."""
        for name in used:
            self.fix(names.get(name))


def _is_remainder(value: Dim) -> bool:
    return any(atom.kind == "%" for atom in value.atoms())
