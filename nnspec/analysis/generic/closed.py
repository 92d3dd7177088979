"""Figures in the constants of a model: the closed form of each, what it holds for, and its proof by number."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from math import lcm
from types import MappingProxyType
from typing import TypeAlias

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import Measured, figure_named
from nnspec.analysis.generic.forms import ClosedForms, common_and_besides
from nnspec.analysis.generic.model import Found, Generic, known_of
from nnspec.analysis.generic.names.conditions import Condition, tightest
from nnspec.analysis.generic.names.eligible import asked, differs_only
from nnspec.analysis.generic.names.parts import Part
from nnspec.analysis.generic.unsaid import unsaid
from nnspec.analysis.setting import Setting
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import ONE, Dim, DimError, symbol
from nnspec.ir.graph import Parameter, Program

WithNumbers: TypeAlias = Callable[[Mapping[str, int]], "Program | None"]
"""The same model with other numbers for some names; None where the spec refuses them."""

# So many more turns are taken where formulas are tried with more of them.
MORE = 2

# Sizes at which maxima are compared.
TRIED = (1, 2, 3, 16, 17, 100, 1000, 4096)


def closed_forms(
    analysis: Analysis,
    figures: Sequence[str],
    constants: Collection[str] | None = None,
    *,
    optional: Collection[str] = (),
    made: WithNumbers | None = None,
) -> ClosedForms:
    """Figures of a program in its constants: those of the names given, or all that are integers.

    With `made`, which gives the same model with other numbers for some names, loops of few turns may be compared
    with more of them, and formulas are tried where a loop has more turns. Raises `SpecError` for a name that is no integer constant of the model, and for a figure that
    has no formula, unless it is `optional`.
    """
    others = _Others(analysis, made)
    found = _closed(analysis, figures, constants, optional, others)
    if made is None:
        return found
    from nnspec.analysis.generic.loops.plans import remainders
    from nnspec.analysis.generic.turns import few_turns, with_more_turns

    periods = remainders(analysis.program)
    wanted = [name for name in found.figures if few_turns(found, name, periods)]
    known: dict[tuple[tuple[str, int], ...], ClosedForms | None] = {}

    def closed(
        numbers: Mapping[str, int], *, tried: bool = False
    ) -> ClosedForms | None:
        if all(found.constants[name] == number for name, number in numbers.items()):
            return found
        key = tuple(sorted(numbers.items()))
        if key not in known:
            other = others.with_numbers(numbers)
            more = others.beside(numbers) if tried else None
            known[key] = other and _closed(other, wanted, constants, wanted, more)
        return known[key]

    return with_more_turns(found, closed, periods)


def _closed(
    analysis: Analysis,
    figures: Sequence[str],
    constants: Collection[str] | None,
    optional: Collection[str],
    others: _Others | None = None,
) -> ClosedForms:
    program = analysis.program
    names = asked(program, constants)
    known = {name: int(value) for name, value in known_of(names).items()}
    search = _Search(analysis, figures, known, optional, others)
    for generic in _ways(analysis, names, search):
        search.through(generic)
    return search.forms()


def _ways(
    analysis: Analysis, names: Sequence[Parameter], search: _Search
) -> Iterator[Generic]:
    """How figures may be said, until all are.

    What numbers do not say may be said by the names of all constants (that nothing remains of `width // heads`).
    Loops whose turns differ in memory are gone through turn by turn, their number staying what it is, and so do
    constants that decide what happens there.
    """
    every = asked(analysis.program, None)
    undecided: set[str] = set()
    for named in [names] if len(every) == len(names) else [names, every]:
        undecided = set()
        yield from _turn_by_turn(analysis, names, named, search, undecided)
    kept = set[str]()
    while search.missing and undecided - kept:
        kept |= undecided
        named = [each for each in every if each.name not in kept]
        if not any(each in named for each in names):
            return
        yield from _turn_by_turn(analysis, names, named, search, undecided)


def _turn_by_turn(
    analysis: Analysis,
    names: Sequence[Parameter],
    named: Sequence[Parameter],
    search: _Search,
    undecided: set[str],
) -> Iterator[Generic]:
    """A program in some names, until no loop is left whose turns differ; `undecided` is told of constants that are."""
    unrolled: dict[str, str] = {}
    tried: list[tuple[Part, ...]] = [()]

    def made(divided: tuple[Part, ...], *, in_series: bool = False) -> Generic:
        program, setting, ones = analysis.program, analysis.setting, analysis.ones
        return Generic(
            program, setting, names, named, unrolled, ones, divided, in_series=in_series
        )

    plainly = in_series = False
    while search.missing:
        generic = made(tried[-1])
        generic = generic if plainly else _as_multiples(generic, made)
        if not in_series and generic.has_unlike_turns():
            in_series = True
            yield from _in_series(generic, made(generic.divided, in_series=True))
        yield generic
        undecided |= {name.partition("[")[0] for name in generic.undecided}
        if not plainly and generic.wanted and generic.wanted not in tried:
            tried.append(generic.wanted)
        elif generic.unsummed and not in_series:
            in_series = True
            yield made((), in_series=True)
        elif generic.unlike.keys() - unrolled.keys():
            unrolled |= generic.unlike
            tried = [()]
        elif generic.divided:
            plainly = True
            tried = [()]
        else:
            return


def _in_series(generic: Generic, other: Generic) -> Iterator[Generic]:
    """The same with sums over turns, if fewer constants have to stay numbers so."""
    if other.stays() < generic.stays():
        yield other


def _as_multiples(
    generic: Generic, made: Callable[[tuple[Part, ...]], Generic]
) -> Generic:
    """The same with constants said as multiples of what loops divide them by, if fewer have to stay numbers so."""
    found, seen = generic, [generic.divided]
    while (parts := found.helpful()) and parts not in seen:
        seen.append(parts)
        found = made(parts)
    return found if found.stays() < generic.stays() else generic


class _Others:
    """The same model with other numbers, which is `made` for some constants, `besides` those that have others anyway."""

    def __init__(
        self,
        analysis: Analysis,
        made: WithNumbers | None,
        besides: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        self._analysis = analysis
        self._made = made
        self._besides = besides
        self._known: dict[tuple[tuple[str, int], ...], Analysis | None] = {}

    def with_numbers(self, numbers: Mapping[str, int]) -> Analysis | None:
        """The model with such numbers; None if there is none that differs only in them."""
        numbers = {**self._besides, **numbers}
        key = tuple(sorted(numbers.items()))
        if key not in self._known:
            program = self._analysis.program
            other = self._made(numbers) if self._made is not None else None
            alike = other is not None and differs_only(other, program, numbers)
            known = Analysis(other, self._analysis.setting) if other and alike else None
            ones = dict.fromkeys(self._analysis.ones, 1)
            self._known[key] = known and known.where(ones)
        return self._known[key]

    def beside(self, numbers: Mapping[str, int]) -> _Others:
        """The same of the model that has these numbers."""
        return _Others(self._analysis, self._made, numbers)


class _Search:
    """The figures that were asked for, as far as they are found."""

    def __init__(
        self,
        analysis: Analysis,
        figures: Sequence[str],
        constants: Mapping[str, int],
        optional: Collection[str],
        others: _Others | None,
    ) -> None:
        self._analysis = analysis
        self._others = others
        self._figures = figures
        self._constants = constants
        multiples = analysis.program.assumptions.multiples
        self._multiples = {name: symbol(name, m) for name, m in multiples.items()}
        self._optional = optional
        self._parts: tuple[Part, ...] = ()
        self._first: Found | None = None
        self._found: dict[str, Found] = {}
        self._errors: dict[str, SpecError] = {}

    @property
    def missing(self) -> list[str]:
        """The figures that have no formula yet."""
        return [name for name in self._figures if name not in self._found]

    def through(self, generic: Generic) -> None:
        """Looks for what is missing. Raises `SpecError` for what is wrong, and not only without a formula."""
        values: dict[str, Measured] = {}
        for name in self.missing:
            try:
                values[name] = generic.measured(name)
            except SpecError as error:
                self._unsaid(name, error)
        self._parts = self._parts or generic.parts
        self._first = self._first or generic.forms({})
        for name in values:
            found = generic.forms({name: values[name]})
            value, known = found.figures[name], self._analysis.measured(name)
            error = _wrong(name, value, self._constants, self._multiples, known)
            error = error or self._wrong_with_more(generic, name, found)
            if error is None:
                self._found[name] = found
            else:
                generic.distrust()
                self._unsaid(name, error)

    def _wrong_with_more(
        self, generic: Generic, name: str, found: Found
    ) -> SpecError | None:
        """The same where loops whose sizes change from turn to turn take more turns: one turn was said for all of these.

        That is proven, and tried all the same: a rule of a machine that nobody thought of shows here.
        """
        counting = generic.counting() & self._constants.keys()
        numbers = {name: self._constants[name] + MORE for name in counting}
        constants = {**self._constants, **numbers}
        if numbers and not _hold(found.conditions, self._constants):
            return _unsaid(name)
        holds = _hold(found.conditions, constants)
        is_sum = figure_named(name).whole is None
        if is_sum or not numbers or not holds or self._others is None:
            return None
        if numbers.keys() & found.fixed.keys():
            return None
        other = self._others.with_numbers(numbers)
        if other is None:
            return None
        multiples = other.program.assumptions.multiples
        scaled = {name: symbol(name, m) for name, m in multiples.items()}
        value, known = found.figures[name], other.measured(name)
        return _wrong(name, value, constants, scaled, known)

    def forms(self) -> ClosedForms:
        """What was found. Raises `SpecError` for a figure without a formula, unless it is optional."""
        for name in self.missing:
            if name not in self._optional:
                raise self._errors[name]
        assert self._first is not None
        ways = list(self._found.values()) or [self._first]
        fixed = {
            name: because
            for name, because in ways[0].fixed.items()
            if all(name in each.fixed for each in ways)
        }
        kept = {
            figure: {n: why for n, why in each.fixed.items() if n not in fixed}
            for figure, each in self._found.items()
        }
        conditions, besides = common_and_besides(
            {n: f.conditions for n, f in self._found.items()}
        )
        if not self._found:
            conditions = tightest(self._first.conditions)
        return ClosedForms(
            self._analysis.program.name,
            {n: self._found[n].figures[n] for n in self._figures if n in self._found},
            self._constants,
            fixed,
            conditions,
            self._analysis.program.symbols,
            {name: self._errors[name] for name in self.missing},
            {figure: names for figure, names in kept.items() if names},
            self._parts,
            besides,
            {name: each.apart for name, each in self._found.items() if each.apart},
            ways[0].plain,
        )

    def _unsaid(self, name: str, error: SpecError) -> None:
        if error.diagnostic.code != "E0906":
            raise error
        self._errors.setdefault(name, error)


def is_sum(name: str) -> bool:
    """Whether a figure is a sum over a program, or composed of such figures."""
    figure = figure_named(name)
    if figure.composed is None:
        return figure.quantity is not None
    asked = _Asked()
    figure.composed(asked)
    return all(map(is_sum, asked.names))


class _Asked:
    """Notes which figures one is composed of."""

    def __init__(self) -> None:
        self.setting = Setting()
        self.names: set[str] = set()

    def figure(self, name: str) -> Dim:
        self.names.add(name)
        return ONE


def _wrong(
    name: str,
    found: Measured,
    constants: Mapping[str, int],
    multiples: Mapping[str, Dim],
    known: Measured,
) -> SpecError | None:
    """What there is to say of a formula that does not give the number that is known; None if it does."""
    try:
        value = found.at(constants).at(multiples)
    except DimError as error:
        message = f"`{name}` has no formula in constants: {error}"
        return SpecError("E0906", message, hint="ask for it in the free sizes alone")
    if _agree(value.below, known.below) and _agree(value.value, known.value):
        return None
    if figure_named(name).whole is not None:
        return _unsaid(name)
    return SpecError(
        "E0907",
        f"the closed form of `{name}` gives {value.value} where there are {known.value}",
        hint="this is a fault of nnspec: please report it with the spec",
    )


def _hold(conditions: Iterable[Condition], constants: Mapping[str, int]) -> bool:
    return all(each.holds(constants) for each in conditions)


def _unsaid(name: str) -> SpecError:
    """A layout of memory that sizes decide by being equal, or 1, as the constants are."""
    return unsaid(figure_named(name), "sizes that happen to be equal decide it")


def _agree(found: Dim, known: Dim) -> bool:
    """Whether two figures are equal; of maxima, which may leave out what is never largest, and of sums over turns, at some sizes."""
    if found == known or not (found - known).symbols():
        return found == known
    atoms = {each for one in (found, known) for each in one.atoms()}
    symbols: dict[str, int] = {}
    for atom in atoms:
        if atom.kind == "symbol":
            symbols[atom.symbol] = lcm(symbols.get(atom.symbol, 1), atom.scale)
    if all(atom.kind not in ("max", "greatest", "sum") for atom in atoms):
        return False
    return all(found.at(sizes) == known.at(sizes) for sizes in _tried(symbols))


def _tried(scales: Mapping[str, int]) -> Iterator[dict[str, int]]:
    """Sizes, multiples of some numbers: of two names each pair of those tried."""
    count = len(TRIED)
    for first in range(count):
        for further in range(count):
            yield {
                name: scale * TRIED[(first + further * place) % count]
                for place, (name, scale) in enumerate(scales.items())
            }
