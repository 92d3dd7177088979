"""A program in names of its constants, and its figures: traced, added up, and run on sizes alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from nnspec.analysis.figures import Figure, Measured, as_measured, figure_named
from nnspec.analysis.generic.blocks.constants import Constants
from nnspec.analysis.generic.loops.plans import names_of_periods
from nnspec.analysis.generic.names.certain import decided
from nnspec.analysis.generic.names.conditions import (
    Condition,
    Turns,
    at_least_zero,
    fixed_by,
    remaining,
)
from nnspec.analysis.generic.names.eligible import items_of
from nnspec.analysis.generic.names.even import evened
from nnspec.analysis.generic.names.parts import (
    Part,
    parts_of,
    restored,
    unsaid_multiples,
)
from nnspec.analysis.generic.names.powers import shrinks
from nnspec.analysis.generic.names.quotients import Quotients
from nnspec.analysis.generic.reasons import PERIOD, SUMMED, UNDECIDED, UNLIKE
from nnspec.analysis.generic.tracing.bodies import Body
from nnspec.analysis.generic.tracing.sums import Sums, Unsummed
from nnspec.analysis.generic.tracing.trace import Activation, Outcome, Tracer, Unrolled
from nnspec.analysis.generic.unsaid import unsaid
from nnspec.analysis.setting import Setting
from nnspec.analysis.totals import Additive
from nnspec.analysis.uses import Uses
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, dim, symbol
from nnspec.ir.graph import Parameter, Program
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory.running import Running

LENGTH = "len("
DIVIDED = "a power of a number is divided by it so often"


@dataclass(frozen=True)
class Found:
    """Figures in constants, what has to stay a number for them (with the reason), and what else they hold for.

    `apart` are products with free sizes that must not be 1. `plain` writes a formula in one way that values are equal in which are equal by what the spec requires.
    """

    figures: Mapping[str, Measured]
    fixed: Mapping[str, str]
    conditions: tuple[Condition, ...]
    plain: Callable[[Dim], Dim]
    apart: tuple[Dim, ...] = ()


class Generic:
    """A program in some of its constants, and its figures.

    `named` are the constants that are names at first, of which those that nobody `asked` for are numbers in the
    end; what was asked for and is no name stays as it is. `unrolled` are the loops that are gone through turn by
    turn, each with the reason. Free sizes among `ones` are 1. Constants may be said as multiples `divided` by what
    loops divide them by; `wanted` are those that would help where they are not. Sums may be `in_series`, over the turns of
    loops; then nothing is said that is no sum. `unsummed` says where that would help.
    """

    def __init__(
        self,
        program: Program,
        setting: Setting,
        asked: Sequence[Parameter],
        named: Sequence[Parameter],
        unrolled: Mapping[str, str],
        ones: tuple[str, ...] = (),
        divided: tuple[Part, ...] = (),
        *,
        in_series: bool = False,
    ) -> None:
        self.setting = setting
        self._ones = ones
        self.in_series = in_series
        self._program = program
        self._uses = Uses(program, setting)
        self._asked = asked
        self._periods = names_of_periods(program)
        self._named = [each for each in named if each.name not in self._periods]
        self._known = known_of(self._named)
        self.parts = parts_of(program, self._known.keys())
        self.divided = divided
        for part in divided:
            whole = self._known.pop(part.size)
            self._known[part.symbol] = whole // part.divisor.at(known_of(self._named))
        self._unrolled = dict(unrolled)
        self._ran: tuple[Outcome, Running] | None = None
        self._tracer, self._outcome = self._traced()
        self._found: dict[str, Measured] = {}
        self._conditions: list[Condition] = []
        # Whether a figure was found by running the program.
        self._runs = False
        # The loops whose turns differ in memory, and the constants that decide what is done there.
        self.unlike: dict[str, str] = {}
        self.undecided: set[str] = set()
        self.unsummed = False
        self.wanted: tuple[Part, ...] = ()

    def helpful(self) -> tuple[Part, ...]:
        """What constants would have to be multiples of for loops to be said at once that are gone through turn by turn."""
        return self._tracer.constants.wanted.parts()

    def stays(self) -> set[str]:
        """The constants that have to stay numbers by what the program is made of."""
        conditions = [self._said(each) for each in self._body.conditions]
        known = {name: int(v) for name, v in known_of(self._named).items()}
        return {*_pinned(conditions, known)[0]}

    def has_unlike_turns(self) -> bool:
        """Whether a number of turns has to stay because turns are unlike."""
        return any(
            each.because == UNLIKE and fixed_by(self._said(each)) is not None
            for each in self._body.conditions
        )

    def figure(self, name: str) -> Dim:
        """A figure that is one formula."""
        return self.measured(name).value

    def measured(self, name: str) -> Measured:
        """A figure in constants. Raises `SpecError` for one that no formula says."""
        if name not in self._found:
            figure = figure_named(name)
            if figure.composed is not None:
                self._found[name] = as_measured(figure.composed(self))
            elif figure.quantity is not None:
                self._found[name] = Measured(self._sum(figure, figure.quantity))
            else:
                self._found[name] = Measured(self._running(figure))
        return self._found[name]

    def _running(self, figure: Figure) -> Dim:
        from nnspec.analysis.generic.memory.running import Undecided
        from nnspec.analysis.memory.rolling import Unlike

        if self.in_series:
            raise unsaid(figure, SUMMED)
        # Sums may yet find that a loop has to be gone through turn by turn.
        for name in ("weight_bytes", "gradient_bytes", "optimizer_bytes"):
            self.figure(name)
        try:
            found = self._run_alone().closed(figure)
        except Unlike as error:
            loops = self._loops() if error.loops is None else error.loops
            self.unlike |= dict.fromkeys(loops, str(error))
            raise unsaid(figure, str(error)) from None
        except Undecided as error:
            sizes = {part.symbol: part.size for part in self.divided}
            self.undecided |= {sizes.get(name, name) for name in error.names}
            raise unsaid(figure, str(error)) from None
        self._runs = True
        return found

    def _run_alone(self) -> Running:
        """The program as it is traced by now, run on sizes alone."""
        from nnspec.analysis.generic.memory.running import Running

        if self._ran is None or self._ran[0] is not self._outcome:
            running = Running(
                self._program,
                self.setting,
                self._outcome,
                self._tracer.facts,
                self._numbers(),
                self._known,
                self.figure,
                free=self._ones,
            )
            self._ran = self._outcome, running
        return self._ran[1]

    def counting(self) -> set[str]:
        """The constants that say how many turns those loops have whose sizes change from turn to turn."""
        return self._ran[1].counting() if self._runs and self._ran else set()

    def distrust(self) -> None:
        """Loops whose sizes change from turn to turn are to be gone through turn by turn: a figure was found to be wrong."""
        if self._runs and self._ran is not None:
            from nnspec.analysis.memory.rolling import UNSTEADY

            self.unlike |= dict.fromkeys(self._ran[1].changing(), UNSTEADY)

    def _loops(self) -> set[str]:
        """The loops of which one turn was said for all."""
        return {
            repeated.loop
            for each in self._outcome.reached()
            for repeated in each.made.repeated.values()
        }

    def _sum(self, figure: Figure, quantity: Callable[[Setting], Additive]) -> Dim:
        """A figure that is a sum; turns that do not add up are a matter of this figure alone."""
        try:
            added = quantity(self.setting)
            found = Sums(added, self._tracer.constants).counted(self._body)
        except Unrolled as loop:
            self.unlike[loop.key] = UNLIKE
            self.unsummed |= isinstance(loop, Unsummed)
            self.wanted = self.helpful()
            raise unsaid(figure, UNLIKE) from None
        self._conditions += found.conditions
        value = decided(self._tracer.facts.applied(found.quotient), self._assumptions)
        self._conditions += _of_powers(value)
        return value

    @property
    def _assumptions(self) -> Assumptions:
        """What sizes and constants are at least; constants 1, or as they are, if less."""
        found = self._program.assumptions
        for name, value in self._known.items():
            least = min(1, int(value))
            found = Assumptions({**found.bounds, name: (least, None)}, found.multiples)
        return found

    @property
    def _body(self) -> Body:
        return self._outcome.body

    def _traced(self) -> tuple[Tracer, Outcome]:
        while True:
            assumptions = self._program.assumptions
            constants = Constants(
                assumptions,
                self._known,
                self.parts,
                self.divided,
                in_series=self.in_series,
            )
            tracer = Tracer(self._uses, constants, self._unrolled)
            try:
                outcome = self._run(tracer)
            except Unrolled as loop:
                self._unrolled[loop.key] = UNLIKE
                continue
            for condition in outcome.body.conditions:
                tracer.facts.suppose(condition)
            return tracer, outcome

    def _run(self, tracer: Tracer) -> Outcome:
        names = _names(self._program, self._named, self.parts, self.divided)
        entry = Activation(tracer, self._uses.main, dict(names))
        inputs = tuple(
            entry.own_type(port.values) if isinstance(port.values, int) else None
            for port in self._program.main.inputs
        )
        return tracer.traced(self._uses.main, names, inputs)

    def _numbers(self) -> dict[str, int]:
        """The constants that have to stay numbers by what is known so far."""
        known = {name: int(value) for name, value in self._known.items()}
        pinned, _ = _pinned([*self._body.conditions, *self._conditions], known)
        return {name: number for name, (number, _) in pinned.items()}

    def forms(self, figures: Mapping[str, Measured]) -> Found:
        """Figures as they were found, with what has to stay a number put in."""
        asked = known_of(self._asked)
        every = known_of(self._named)
        numbers = {n: int(v) for n, v in every.items() if n not in asked}
        conditions = [each.at(numbers) for each in self._conditions_of(figures)]
        known = {name: int(value) for name, value in asked.items()}
        pinned, rest = _pinned(conditions, known)
        numbers |= {name: number for name, (number, _) in pinned.items()}
        kept = {
            name: PERIOD if name in self._periods else UNDECIDED
            for name in known
            if name not in every and not name.startswith(LENGTH)
        }
        fixed = {name: because for name, (_, because) in pinned.items()}
        return Found(
            {
                n: _put(value, numbers, (*self.parts, *self.divided))
                for n, value in figures.items()
            },
            kept | fixed,
            rest,
            self._plain,
            tuple(
                restored(each, self.divided).at(numbers)
                for name in figures
                for each in self._apart(name)
            ),
        )

    def _said(self, condition: Condition) -> Condition:
        """A condition in the constants of the model."""
        return condition.said(lambda size: restored(size, self.divided))

    def _apart(self, figure: str) -> Iterable[Dim]:
        return self._ran[1].apart(figure) if self._ran is not None else ()

    @cached_property
    def _quotients(self) -> Quotients:
        return Quotients.of(self._tracer.facts, {}, self._known)

    def _plain(self, value: Dim) -> Dim:
        with self._quotients.holding():
            return self._quotients.multiplied(value)

    def _conditions_of(self, figures: Iterable[str]) -> list[Condition]:
        """What figures take for granted, in the constants of the model."""
        running: list[Condition] = []
        for name in figures:
            if figure_named(name).whole is not None and self._ran is not None:
                running += self._ran[1].conditions(name)
        own = [*self._body.conditions, *self._conditions, *running]
        lengths = [*_lengths(self._named), *_lengths(self._asked)]
        if self.divided:
            # What is plain of a multiple may not be plain of a quotient.
            own = list(remaining(own, self._assumptions))
            own += unsaid_multiples(self._program, self.divided)
        return [*map(self._said, own), *lengths]


def _put(
    value: Measured, numbers: Mapping[str, int], parts: Iterable[Part]
) -> Measured:
    """A figure with numbers for names, quotients that leave nothing joined, and what is plain left out of its maxima."""
    known = [each.at(numbers) for each in parts]
    sides = [evened(side.at(numbers)) for side in (value.value, value.below)]
    value = Measured(*(evened(restored(side, known)) for side in sides))
    if not numbers:
        return value
    from nnspec.analysis.memory.peaks import thinned

    found = value.at(numbers)
    return replace(found, value=thinned(found.value, {}))


def known_of(asked: Sequence[Parameter]) -> dict[str, Dim]:
    """The values of the names that formulas may have."""
    found: dict[str, Dim] = {}
    for each in asked:
        items = items_of(each)
        if items is None:
            found[each.name] = each.value
            continue
        found |= {f"{each.name}[{i}]": item for i, item in enumerate(items)}
        found[f"{LENGTH}{each.name})"] = dim(len(items))
    return found


def _of_powers(value: Dim) -> Iterator[Condition]:
    """That powers of numbers with something subtracted in their exponents are whole; within a sum, in each of its turns."""
    for monomial, _ in value.terms:
        for atom, _ in monomial:
            if shrinks(atom):
                yield at_least_zero(atom.arguments[1], DIVIDED)
            inside = (each for part in atom.arguments for each in _of_powers(part))
            if atom.bound:
                _, first, stop = atom.arguments
                turns = Turns(atom.bound, int(first), stop)
                inside = (each.within(turns) for each in inside)
            yield from inside


def _names(
    program: Program,
    asked: Sequence[Parameter],
    parts: Iterable[Part],
    divided: Iterable[Part],
) -> dict[str, Any]:
    """What the names of the model mean: those that were asked for by themselves, the rest by value."""
    multiples = program.assumptions.multiples
    names: dict[str, Any] = {s: symbol(s, multiples.get(s, 1)) for s in program.symbols}
    names |= {part.size: names[part.size].named(part.product) for part in parts}
    names |= {each.name: each.value for each in program.main.parameters}
    products = {part.size: part.product for part in divided}

    def named(name: str, value: Dim) -> Dim:
        return value.named(products.get(name, symbol(name)))

    for each in asked:
        items = items_of(each)
        if items is None:
            names[each.name] = named(each.name, each.value)
        else:
            pairs = enumerate(items)
            names[each.name] = tuple(named(f"{each.name}[{i}]", v) for i, v in pairs)
    return names


def _lengths(asked: Sequence[Parameter]) -> list[Condition]:
    """Formulas in the elements of a list hold for lists of that length."""
    return [
        Condition("==", symbol(f"{LENGTH}{each.name})"), dim(len(items)))
        for each in asked
        if (items := items_of(each)) is not None
    ]


def _pinned(
    conditions: Iterable[Condition], known: Mapping[str, int]
) -> tuple[dict[str, tuple[int, str]], tuple[Condition, ...]]:
    """The names that conditions leave one value, each with it and why; what the others say beside."""
    assumptions = Assumptions(
        {name: (min(1, value), None) for name, value in known.items()}
    )
    rest = remaining(conditions, assumptions)
    pinned: dict[str, tuple[int, str]] = {}
    while True:
        new = {
            name: (number, each.because)
            for each in rest
            for name, number in [fixed_by(each) or ("", 0)]
            if name in known and not name.startswith(LENGTH)
        }
        if not new:
            return pinned, rest
        pinned = new | pinned
        numbers = {name: number for name, (number, _) in new.items()}
        rest = remaining((each.at(numbers) for each in rest), assumptions)
