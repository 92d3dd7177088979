"""What comes and goes in memory, in the constants of a model: saved activations and peaks as formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import Figure, figure_named
from nnspec.analysis.generic.conditions import Condition
from nnspec.analysis.generic.cutting import cuts
from nnspec.analysis.generic.normal import Normal, Written
from nnspec.analysis.generic.programs import Symbolic, Undecided
from nnspec.analysis.generic.quotients import Quotients
from nnspec.analysis.generic.reasons import FEWER_UNLIKE, LAID, ONE_TURN, STACKED, WHOLE
from nnspec.analysis.generic.stacks import Fewest, Tried, amounts_of, name_bound
from nnspec.analysis.generic.widest import widest
from nnspec.analysis.memory.calls import Calls
from nnspec.analysis.memory.rolling import UNSTEADY, Unlike
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import (
    Atom,
    Dim,
    DimError,
    dim,
    symbol,
    without_twins,
)
from nnspec.ops.base import OpError
from nnspec.ops.spatial import constants_as_names

if TYPE_CHECKING:
    from nnspec.analysis.generic.changing import Course
    from nnspec.analysis.generic.facts import Facts
    from nnspec.analysis.generic.trace import Outcome
    from nnspec.analysis.memory.optimizing import Ends
    from nnspec.analysis.memory.policy import Modes
    from nnspec.analysis.setting import Setting
    from nnspec.ir.graph import Program


class Running(Analysis):
    """A traced program that is run on sizes alone, its loops for as many turns as formulas say.

    `additive` gives figures that are sums; `numbers` are constants that have to stay what they are, of
    those that are `known`.
    """

    runs_alone = True

    def __init__(
        self,
        program: Program,
        setting: Setting,
        outcome: Outcome,
        facts: Facts,
        numbers: Mapping[str, int],
        known: Mapping[str, Dim],
        additive: Callable[[str], Dim],
    ) -> None:
        self._quotients = Quotients.of(facts, numbers, known)
        with self._quotients.holding():
            drops = setting.dropout == "configured"
            parts = [part.at(numbers) for part in outcome.made.constants.parts]
            self._symbolic = Symbolic(
                program, outcome, self._quotients, parts, known, drops=drops
            )
        values = self._symbolic.magnitudes()
        self._quotients = self._symbolic.quotients.with_values(values)
        super().__init__(self._symbolic.program, setting)
        self._facts = facts
        self._known = known
        self._additive = additive
        self._normal = Normal(self._quotients_in_sizes().__contains__)

        def again(more: Mapping[str, int]) -> Running:
            more = {**numbers, **more}
            return Running(program, setting, outcome, facts, more, known, additive)

        # The same with numbers for some more names.
        self._again = again
        self._tried: dict[tuple[tuple[str, int], ...], Running] = {}
        self._ran: list[Calls] = []
        # What names of numbers of layers must be at least for the figures that were found.
        self._fewest: dict[str, int] = {}
        # How many turns loops must have besides, by their number.
        self._turns: dict[Dim, int] = {}
        self._is_other = False

    def figure(self, name: str) -> Dim:
        """Another figure: of another program what comes and goes there, else as it is known."""
        figure = figure_named(name)
        if self._is_other and figure.whole is not None:
            with without_twins():
                found = figure.whole(self)
            assert isinstance(found, Dim)
            return found
        return self._quotients.multiplied(self._additive(name))

    def calls(self, modes: Modes) -> Calls:
        """The functions of the program, with what is known of its loops."""
        symbolic = self._symbolic
        made = Calls(
            self.program, modes, symbolic.turns, symbolic.stacks, symbolic.courses
        )
        self._ran.append(made)
        return made

    def takes_turns(self, functions: Iterable[str]) -> None:
        """Notes that as a condition. Raises `Unlike` where the program itself takes one turn only."""
        for name in functions:
            for loop, turns in self._symbolic.turns.get(name, {}).items():
                if len(loop.iterations) < 2:
                    raise Unlike(ONE_TURN, frozenset([turns.loop]))
                self._turns[turns.count] = 2

    def between_turns(
        self, across: Iterable[Ends], listed: Iterable[Ends]
    ) -> tuple[Iterable[Ends], Iterable[Ends]]:
        """Where a turn stands for many, its weights come after those of the turn before it, and before those of the next one."""
        places = {each.symbol: each.stop for each in self._symbolic.places()}
        among: list[Ends] = []
        for last, first in listed:
            for name in (last.symbols() | first.symbols()) & places.keys():
                before = last.at({name: symbol(name) - 1})
                behind = {name: places[name]}
                among += [(before, first), (before.at(behind), first.at(behind))]
        return (
            [*(pair for pair in across if not _speaks(pair, places)), *among],
            [pair for pair in listed if not _speaks(pair, places)],
        )

    def in_any_turn(self, amounts: Iterable[Dim]) -> list[Dim]:
        """Amounts of a turn that stands for many, at the most in any of these."""
        found = list(amounts)
        for each in self._symbolic.places():
            found = list(widest(found, each.symbol, each.stop))
        return found

    def of(self, program: Program) -> Analysis:
        """The same of another program, whose sums are the same."""
        other = copy(self)
        Analysis.__init__(other, program, self.setting)
        other._is_other = True
        return other

    def closed(self, figure: Figure) -> Dim:
        """A figure that comes and goes.

        Raises `Unlike` where the turns of a loop differ, and `Undecided` where names do not decide something.
        """
        found = self._found(figure)
        least = self._by_name()
        if not self._holds_for_counts():
            raise Undecided(STACKED, self._counted())
        said = self._said(found, least)
        return self._for_fewer_layers(figure, said, least) if least else said

    def _found(self, figure: Figure) -> Dim:
        """A figure as it comes from a run."""
        assert figure.whole is not None
        self._expect_cuts()
        try:
            with constants_as_names(), self._quotients.holding():
                found = figure.whole(self)
        except DimError as error:
            raise Undecided(f"{error}", frozenset()) from None
        except OpError as error:
            raise Undecided(error.message, self._behind(error.sizes)) from None
        except Unlike as error:
            symbolic = self._symbolic
            any_loop = any((*symbolic.turns.values(), *symbolic.courses.values()))
            if error.loops or (error.loops is None and any_loop):
                raise
            raise Undecided(str(error), self._counted()) from None
        assert isinstance(found, Dim)
        return self._outside_of_turns(found)

    def _expect_cuts(self) -> None:
        """Raises `Undecided` where a slice takes all of an axis as the constants are, and may leave something for others."""
        for size, length in self._cuts():
            if (size - length).at(self._known) == 0:
                raise Undecided(WHOLE, self._behind([size, length]))

    def _cuts(self) -> Iterator[tuple[Dim, Dim]]:
        """The sizes of axes, and what slices take of them, in the constants of the model."""
        for size, length in cuts(self.program, self._free):
            yield self._shortened(size), self._shortened(length)

    @property
    def _free(self) -> set[str]:
        """The sizes that are free."""
        return {*self.program.symbols, *(part.symbol for part in self._symbolic.parts)}

    def _outside_of_turns(self, found: Dim) -> Dim:
        """A figure that speaks of no single turn. Raises `Unlike`."""
        left = {each.loop for each in self._courses() if each.turn in found.symbols()}
        if left:
            raise Unlike(UNSTEADY, frozenset(left))
        return found

    def _courses(self) -> Iterator[Course]:
        for courses in self._symbolic.courses.values():
            yield from courses.values()

    def changing(self) -> set[str]:
        """The loops of which one turn stands for many though sizes change from turn to turn."""
        return {course.loop for course in self._courses()}

    def counting(self) -> set[str]:
        """The constants that say how many turns these loops have."""
        counts = (self._shortened(course.count) for course in self._courses())
        return {
            name for count in counts for name in count.symbols() & self._known.keys()
        }

    def _quotients_in_sizes(self) -> set[Atom]:
        """The quotients that sizes have, which may leave a remainder."""
        return {
            atom
            for function in self.program.functions.values()
            for kind in function.types.values()
            for size in kind.shape
            for atom in size.atoms()
            if atom.kind == "//"
        }

    # ---- stacks of any number of layers ------------------------------------------------------

    def _counted(self) -> frozenset[str]:
        """The constants that say how many layers stacks have."""
        stacks = self._symbolic.stacks.values()
        return self._behind([count for each in stacks for count in each.values()])

    def _counts(self) -> Iterator[tuple[Dim, int]]:
        """How many layers stacks must have, by their number."""
        for calls in self._ran:
            yield from calls.fewest.items()

    def _by_name(self) -> dict[str, int]:
        """The same by name, where one says it."""
        found: dict[str, int] = {}
        for count, least in self._counts():
            name, bound = name_bound(count, least) or ("", 0)
            if self._is_plain(name):
                found[name] = max(bound, found.get(name, 1))
        return found

    def _is_plain(self, name: str) -> bool:
        """Whether sizes have a constant as it is, and no product for it."""
        return name in self._known and name not in self._quotients.products

    def _by_count(self) -> Iterator[tuple[Dim, int]]:
        """Those of which no single name says it."""
        for count, least in self._counts():
            name, _ = name_bound(count, least) or ("", 0)
            if not self._is_plain(name):
                yield count, least

    def _holds_for_counts(self) -> bool:
        known = ((self._shortened(c).at(self._known), n) for c, n in self._by_count())
        return all(count >= least for count, least in known)

    def _for_fewer_layers(
        self, figure: Figure, said: Dim, least: Mapping[str, int]
    ) -> Dim:
        """A figure for as few layers as are proven, at most as many as the spec has."""
        known = {name: int(self._known[name]) for name in least}
        found = Fewest(
            Tried(amounts_of(said), least),
            self._lows({}),
            known,
            lambda numbers: self._with(numbers, figure),
        )
        few = [name for name, bound in found.bounds.items() if known[name] < bound]
        if few:
            raise Undecided(STACKED, frozenset(few))
        for name, bound in found.bounds.items():
            self._fewest[name] = max(bound, self._fewest.get(name, 1))
        return found.value

    def _with(self, numbers: Mapping[str, int], figure: Figure) -> Tried | None:
        """A figure with numbers for some names."""
        key = tuple(sorted(numbers.items()))
        other = self._tried.get(key) or self._again(numbers)
        self._tried[key] = other
        try:
            found = other._found(figure)
        except (Undecided, Unlike):
            return None
        known = dict(self._least()) | dict(self._by_count())
        for count, least in (*other._least(), *other._by_count()):
            so_many = count.constant or known.get(count, 0)
            if so_many < least:
                return None
        layers = other._by_name()
        return Tried(amounts_of(other._said(found, layers)), layers)

    # ---- what it holds for -------------------------------------------------------------------

    def _behind(self, sizes: Sequence[Dim]) -> frozenset[str]:
        """The constants of the model in some sizes."""
        divided = map(self._quotients.divided, sizes)
        names = frozenset(name for size in divided for name in size.symbols())
        return names & self._known.keys()

    def conditions(self) -> Iterator[Condition]:
        """How many turns loops must have for what was found, and which sizes must not be 1.

        An axis of one element lies otherwise in memory than any other.
        """
        for size in self._axes():
            is_one = self._shortened(size).at(self._known) == 1
            sign, bound = ("==", 1) if is_one else (">=", 2)
            yield self._said_of(Condition(sign, size, dim(bound), because=LAID))
        for size, length in self._cuts():
            yield self._said_of(Condition(">", size, length, because=WHOLE))
        for count, least in (*self._least(), *self._by_count()):
            condition = Condition(">=", count, dim(least), because=FEWER_UNLIKE)
            yield self._said_of(condition)
        for name, bound in self._fewest.items():
            yield Condition(">=", symbol(name), dim(bound), because=STACKED)

    def _said_of(self, condition: Condition) -> Condition:
        """A condition in the constants of the model, in each of the turns that it speaks of."""
        for each in self._symbolic.places():
            condition = condition.within(each)
        turns = tuple(
            replace(each, stop=self._shortened(each.stop)) for each in condition.turns
        )
        left = self._shortened(condition.left)
        return replace(condition, left=left, turns=turns)

    def _axes(self) -> Iterator[Dim]:
        """The sizes of axes that hang on constants alone, and on places of turns, each once."""
        found = {
            size.key: size
            for function in self.program.functions.values()
            for kind in function.types.values()
            for size in kind.shape
            if not size.is_constant and size.symbols().isdisjoint(self._free)
        }
        yield from found.values()

    def _said(self, value: Dim, layers: Mapping[str, int]) -> Dim:
        """A figure in the constants of the model again, as short as the spec allows."""
        lows = self._lows(layers)
        normal = self._normal if any(self._courses()) else None
        return Written(self._shortened, normal, lows).of(value)

    def _lows(self, layers: Mapping[str, int]) -> dict[str, int]:
        """The least that each name may be, 1 where nothing says more."""
        bounds = self.program.assumptions.bounds
        lows = {name: low for name, (low, _) in bounds.items()} | dict(layers)
        for count, least in self._least():
            for name in count.symbols():
                if count - symbol(name) == 0:
                    lows[name] = max(least, lows.get(name, 1))
        return lows

    def _least(self) -> Iterator[tuple[Dim, int]]:
        """How many turns loops must have, by their number."""
        for calls in self._ran:
            yield from calls.least.items()
        yield from self._turns.items()

    def _shortened(self, value: Dim) -> Dim:
        return self._facts.applied(self._quotients.divided(value))


def _speaks(pair: Ends, places: Mapping[str, Dim]) -> bool:
    """Whether weights are of a turn that stands for many."""
    return any(not each.symbols().isdisjoint(places) for each in pair)


def unsaid(figure: Figure, because: str) -> SpecError:
    """There is no formula in constants."""
    return SpecError(
        "E0906",
        f"`{figure.name}` has no formula in constants: {because}",
        hint="ask for it in the free sizes alone",
    )
