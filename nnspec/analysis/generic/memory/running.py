"""What comes and goes in memory, in the constants of a model: saved activations and peaks as formulas."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

from nnspec.analysis.analysis import Analysis, Made
from nnspec.analysis.at_one import differing, fewest, possible, products_of
from nnspec.analysis.figures import Figure, figure_named
from nnspec.analysis.generic.memory.counted import Counted, TwoTurns
from nnspec.analysis.generic.memory.cutting import cuts
from nnspec.analysis.generic.memory.ones import (
    MOST_AMOUNTS,
    AxesOfOne,
    Names,
    are_equal,
    factors,
    quotients_in,
    shapes_of,
)
from nnspec.analysis.generic.memory.programs import Symbolic, Undecided
from nnspec.analysis.generic.memory.stacks import (
    Fewest,
    Tried,
    amounts_of,
    name_bound,
)
from nnspec.analysis.generic.memory.widest import between, widest
from nnspec.analysis.generic.names.conditions import Condition
from nnspec.analysis.generic.names.normal import Normal, Written
from nnspec.analysis.generic.names.quotients import Quotients
from nnspec.analysis.generic.reasons import FEWER_UNLIKE, LAID, ONE_TURN, STACKED, WHOLE
from nnspec.analysis.memory.calls import Calls
from nnspec.analysis.memory.rolling import UNSTEADY, Unlike
from nnspec.ir.dims import (
    Dim,
    DimError,
    dim,
    product,
    symbol,
    without_twins,
)
from nnspec.ops.base import OpError
from nnspec.ops.spatial import constants_as_names

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.changing import Course
    from nnspec.analysis.generic.names.facts import Facts
    from nnspec.analysis.generic.tracing.trace import Outcome
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
        ones: Names = frozenset(),
        free: tuple[str, ...] = (),
    ) -> None:
        self.ones = free
        self._quotients = Quotients.of(facts, numbers, known).with_ones(ones)
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
        self._plain = Analysis(program, setting)
        self._additive = additive
        self._normal = Normal(quotients_in(self.program).__contains__)

        def again(more: Mapping[str, int], ones: Names = frozenset()) -> Running:
            more = {**numbers, **more}
            sizes = tuple(n for n in program.symbols if n in ones or n in free)
            ones -= frozenset(sizes)
            return Running(
                program, setting, outcome, facts, more, known, additive, ones, sizes
            )

        # The same with numbers for some more names, and 1 in the place of some in sizes.
        self._again = again
        self._with_ones: dict[Names, Running] = {}
        # The names in sizes that are 1, besides those that are free.
        self._numbers: dict[str, int] = {}
        self._tried: dict[tuple[tuple[str, int], ...], Running] = {}
        # What was run for the figure that is being found, and for what it shares with others.
        self._ran: list[Counted] = []
        self._ran_for: dict[object, list[Counted]] = {}
        # By figure, what it takes for granted, and which products with free sizes must not be 1.
        self._conditions: dict[str, list[Condition]] = {}
        self._apart: dict[str, list[Dim]] = {}
        self._is_other = False

    def figure(self, name: str) -> Dim:
        """Another figure: of another program what comes and goes there, else as it is known."""
        figure = figure_named(name)
        if self._is_other and figure.whole is not None:
            with without_twins():
                found = figure.whole(self)
            assert isinstance(found, Dim)
            return found
        return self.known(self._quotients.multiplied(self._additive(name)))

    def known(self, amount: Dim) -> Dim:
        """An amount that hangs on no run, with the names put in that are 1."""
        return amount.at(self._numbers)

    def once(self, key: object, make: Callable[[], Made]) -> Made:
        """What several figures are read from; each of them takes for granted what it does."""
        if key not in self._ran_for:
            before = len(self._ran)
            found = super().once(key, make)
            self._ran_for[key] = self._ran[before:]
            return found
        self._ran += self._ran_for[key]
        return super().once(key, make)

    def calls(self, modes: Modes) -> Calls:
        """The functions of the program, with what is known of its loops."""
        symbolic = self._symbolic
        modes = replace(modes, ones=self.ones)
        made = Calls(
            self.program,
            modes,
            symbolic.turns,
            symbolic.stacks,
            symbolic.courses,
            bodies=self.bodies,
        )
        self._ran.append(made)
        return made

    def takes_turns(self, functions: Iterable[str]) -> None:
        """Notes that as a condition. Raises `Unlike` where the program itself takes one turn only."""
        for name in functions:
            for loop, turns in self._symbolic.turns.get(name, {}).items():
                if len(loop.iterations) < 2:
                    raise Unlike(ONE_TURN, frozenset([turns.loop]))
                self._ran.append(TwoTurns({turns.count: 2}))

    def between_turns(
        self, across: Iterable[Ends], listed: Iterable[Ends]
    ) -> tuple[Iterable[Ends], Iterable[Ends]]:
        """Where a turn stands for many, its weights come after those of the turn before it, and before those of the next one."""
        places = self._symbolic.places()
        return between(across, listed, {each.symbol: each.stop for each in places})

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
        other._ran_for = {}
        other._is_other = True
        return other

    def closed(self, figure: Figure) -> Dim:
        """A figure that comes and goes.

        Raises `Unlike` where the turns of a loop differ, and `Undecided` where names do not decide something.
        """
        found = self._found(figure)
        ones = self._tried_at_one(figure, found)
        least = self._by_name()
        if not self._holds_for_counts():
            raise Undecided(STACKED, self._counted())
        needed = [*self._needed(ones)]
        said = self._said(found, least)
        if least:
            said, fewest = self._for_fewer_layers(figure, said, least)
            needed += fewest
        self._conditions[figure.name] = needed
        self._apart[figure.name] = self._sizes_apart(figure, found, ones)
        return said

    def _found(self, figure: Figure) -> Dim:
        """A figure as it comes from a run."""
        assert figure.whole is not None
        self._ran.clear()
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

    # ---- stacks of any number of layers ------------------------------------------------------

    def _counted(self) -> frozenset[str]:
        """The constants that say how many layers stacks have."""
        stacks = self._symbolic.stacks.values()
        return self._behind([count for each in stacks for count in each.values()])

    def _counts(self) -> Iterator[tuple[Dim, int]]:
        """How many layers stacks must have, by their number."""
        for each in self._ran:
            yield from each.fewest.items()

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
    ) -> tuple[Dim, list[Condition]]:
        """A figure for as few layers as are proven, at most as many as the spec has, and how few these are."""
        known = {name: int(self._known[name]) for name in least}
        found = Fewest(
            Tried(amounts_of(said), least),
            self._lows({}),
            known,
            lambda numbers: self._with(numbers, figure),
        )
        bounds = found.bounds.items()
        if few := [name for name, bound in bounds if known[name] < bound]:
            raise Undecided(STACKED, frozenset(few))
        return found.value, [
            Condition(">=", symbol(name), dim(bound), because=STACKED)
            for name, bound in bounds
        ]

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

    def conditions(self, figure: str) -> Sequence[Condition]:
        """What a figure that was found takes for granted."""
        return self._conditions.get(figure, ())

    def apart(self, figure: str) -> Sequence[Dim]:
        """Products with free sizes that must not be 1 for a figure that was found."""
        return self._apart.get(figure, ())

    def _needed(self, ones: AxesOfOne) -> Iterator[Condition]:
        """How many turns loops must have for a figure, and which sizes must not be 1.

        An axis of one element lies otherwise in memory than any other.
        """
        for size in self._axes():
            if ones.may_be(size):
                continue
            sign, bound = ("==", 1) if self._is_one(size) else (">=", 2)
            yield self._said_of(Condition(sign, size, dim(bound), because=LAID))
        for size, length in self._cuts():
            yield self._said_of(Condition(">", size, length, because=WHOLE))
        for count, least in (*self._least(), *self._by_count()):
            condition = Condition(">=", count, dim(least), because=FEWER_UNLIKE)
            yield self._said_of(condition)

    # ---- axes of one element ------------------------------------------------------------------

    def _tried_at_one(self, figure: Figure, found: Dim) -> AxesOfOne:
        """Which sizes of axes may be 1. Raises `Undecided` where one is 1 in the spec, and may not."""
        axes = [*self._axes()]
        are_one = [size for size in axes if self._is_one(size) and factors(size)]
        possible = self._quotients.plain_names(self._known)
        if len(amounts_of(found)) > MOST_AMOUNTS:  # only what has to be
            possible &= {name for size in are_one for name in factors(size) or ()}
        ones = AxesOfOne.of(
            axes,
            possible,
            self.program,
            lambda ones: self._agrees_with(ones, figure, found),
        )
        if wrong := [size for size in are_one if not ones.may_be(size)]:
            raise Undecided(LAID, self._behind(wrong))
        return ones

    def _sizes_apart(self, figure: Figure, found: Dim, ones: AxesOfOne) -> list[Dim]:
        """What must not be 1 besides: products of free sizes, and of names that may be 1 beside others."""
        known = dict.fromkeys(self.ones, 1)
        if len(amounts_of(found)) > MOST_AMOUNTS:
            return products_of(differing(self._plain, figure.name, known))
        free, beside = [*possible(self.program, known)], ones.beside()
        apart = fewest(
            (sizes | each for each in beside for sizes in free),
            lambda names: self._agrees_with(names, figure, found),
        )
        return [self._shortened(product(map(symbol, sorted(n)))) for n in apart]

    def _is_one(self, size: Dim) -> bool:
        return self._shortened(size).at(self._known) == 1

    def _agrees_with(self, ones: Names, figure: Figure, found: Dim) -> bool:
        """Whether the program gives what the figure is where some names are 1."""
        other = self._with_ones.get(ones) or self._at_ones(ones)
        self._with_ones[ones] = other
        try:
            alone = other._found(figure)
        except (Undecided, Unlike):
            return False
        known = dict(self._least()) | dict(self._counts())
        for count, least in (*other._least(), *other._counts()):
            if (count.constant or known.get(count, 0)) < least:
                return False
        alone, found = (each.at(dict.fromkeys(ones, 1)) for each in (alone, found))
        return are_equal(alone, found, self._lows({}))

    def _at_ones(self, ones: Names) -> Running:
        """The same where some names are 1: the same program, unless these say how often something is done in it."""
        if any(self._courses()) or not ones.isdisjoint(self._counting()):
            return self._again({}, ones)
        other = copy(self)
        Analysis.__init__(other, self.program, self.setting)
        other.uses, other._common = self.uses, self._common
        other.ones = (*self.ones, *sorted(ones))
        other._numbers = dict.fromkeys(ones - {*self.program.symbols}, 1)
        other._ran, other._ran_for = [], {}
        return other

    def _counting(self) -> set[str]:
        """The names that say how many turns loops have, or how many layers stacks."""
        symbolic = self._symbolic
        turns = (each.count for own in symbolic.turns.values() for each in own.values())
        layers = (each for own in symbolic.stacks.values() for each in own.values())
        return {name for count in (*turns, *layers) for name in count.symbols()}

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
            for shape in shapes_of(self.program)
            for size in shape
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
        for each in self._ran:
            yield from each.least.items()

    def _shortened(self, value: Dim) -> Dim:
        return self._facts.applied(self._quotients.divided(value))
