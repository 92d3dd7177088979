"""Figures in the constants of a model: the closed form of each, what it holds for, and its proof by number."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import field, replace
from math import lcm
from typing import TYPE_CHECKING, Any, NoReturn, cast

from nnspec.analysis.figures import (
    Analysis,
    Figure,
    Measured,
    as_measured,
    figure_named,
)
from nnspec.analysis.generic.bodies import Body
from nnspec.analysis.generic.conditions import Condition, fixed_by, remaining
from nnspec.analysis.generic.constants import Constants
from nnspec.analysis.generic.sums import Sums
from nnspec.analysis.generic.trace import Activation, Outcome, Tracer, Unrolled
from nnspec.analysis.setting import Setting
from nnspec.analysis.totals import Additive
from nnspec.analysis.uses import Uses
from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import ONE, Dim, Size, dim, symbol
from nnspec.ir.graph import Parameter, Program
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.generic.memory import Running

LENGTH = "len("
# Sizes at which maxima are compared.
TRIED = (1, 2, 3, 16, 17, 100, 1000, 4096)


@dataclass(frozen=True)
class ClosedForms:
    """Figures of a program in its constants.

    `constants` are the values that the program was elaborated with, by name, an element of a list as
    `depths[0]`, the length of one as `len(depths)`. `fixed` are those that were asked for and have to
    stay numbers, each with the reason. The formulas hold for all constants of at least 1 (or as they are,
    if less) that satisfy the `conditions`. `unsaid` are figures that have no formula, each with the reason.
    """

    name: str
    figures: Mapping[str, Measured]
    constants: Mapping[str, int]
    fixed: Mapping[str, str]
    conditions: tuple[Condition, ...]
    symbols: tuple[str, ...]
    unsaid: Mapping[str, str] = field(default_factory=dict[str, str])

    def names(self) -> list[str]:
        """The constants that formulas may have as names."""
        names = (name for name in self.constants if not name.startswith(LENGTH))
        return [name for name in names if name not in self.fixed]

    def holds(self, constants: Mapping[str, int]) -> bool:
        """Whether the formulas hold for these constants; those that are not given are as they were."""
        values = {**self.constants, **constants}
        kept = all(values[name] == self.constants[name] for name in self.fixed)
        return kept and all(condition.holds(values) for condition in self.conditions)

    def at(self, name: str, constants: Mapping[str, Size]) -> Measured:
        """A figure with names replaced by values."""
        return self.figures[name].at(constants)


def closed_forms(
    analysis: Analysis,
    figures: Sequence[str],
    constants: Collection[str] | None = None,
    *,
    optional: Collection[str] = (),
) -> ClosedForms:
    """Figures of a program in its constants: those of the names given, or all that are integers.

    Raises `SpecError` for a name that is no integer constant of the model, and for a figure that has no
    formula, unless it is `optional`.
    """
    found = Generic(
        analysis.program, analysis.setting, _asked(analysis.program, constants)
    )
    values: dict[str, Measured] = {}
    unsaid: dict[str, str] = {}
    for name in figures:
        try:
            values[name] = found.measured(name)
        except SpecError as error:
            if name not in optional or error.diagnostic.code != "E0906":
                raise
            unsaid[name] = error.diagnostic.message
    forms = found.forms(values)
    kept: dict[str, Measured] = {}
    for name, value in forms.figures.items():
        error = _wrong(name, value, forms.constants, analysis.measured(name))
        if error is None:
            kept[name] = value
        elif name in optional and error.diagnostic.code == "E0906":
            unsaid[name] = error.diagnostic.message
        else:
            raise error
    return replace(forms, figures=kept, unsaid=unsaid)


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
    name: str, found: Measured, constants: Mapping[str, int], known: Measured
) -> SpecError | None:
    """What there is to say of a formula that does not give the number that is known; None if it does."""
    value = found.at(constants)
    if value.below == known.below and _agree(value.value, known.value):
        return None
    if figure_named(name).whole is not None:
        # A layout of memory that sizes decide by being equal, or 1, as the constants are.
        from nnspec.analysis.generic.memory import unsaid

        return unsaid(figure_named(name), "sizes that happen to be equal decide it")
    return SpecError(
        "E0907",
        f"the closed form of `{name}` gives {value.value} where there are {known.value}",
        hint="this is a fault of nnspec: please report it with the spec",
    )


def _agree(found: Dim, known: Dim) -> bool:
    """Whether two figures are equal; of maxima, which may leave out what is never largest, at some sizes."""
    if found == known or not (found - known).symbols():
        return found == known
    atoms = {each for one in (found, known) for each in one.atoms()}
    symbols: dict[str, int] = {}
    for atom in atoms:
        if atom.kind == "symbol":
            symbols[atom.symbol] = lcm(symbols.get(atom.symbol, 1), atom.scale)
    if all(atom.kind != "max" for atom in atoms):
        return False
    return all(
        found.at(sizes) == known.at(sizes)
        for sizes in (
            {name: scale * (size + 7 * place) for place, (name, scale) in names}
            for size in TRIED
            for names in (
                list(enumerate(symbols.items())),
                list(enumerate(reversed(symbols.items()))),
            )
        )
    )


# ---- names ------------------------------------------------------------------------------------------


def _asked(program: Program, constants: Collection[str] | None) -> list[Parameter]:
    """The constants that are to be names. Raises `SpecError` for one that cannot be."""
    parameters = {each.name: each for each in program.main.parameters}
    if constants is None:
        return [each for each in parameters.values() if _integers(each)]
    for name in constants:
        if name not in parameters:
            _refuse(program, name, parameters)
        if not _integers(parameters[name]):
            raise SpecError(
                "E0905",
                f"`{name}` is no integer, and figures are formulas in integers",
                hint=_possible(parameters.values()),
            )
    return [parameters[name] for name in dict.fromkeys(constants)]


def _refuse(
    program: Program, name: str, parameters: Mapping[str, Parameter]
) -> NoReturn:
    if name in program.symbols:
        message = f"`{name}` is a size, which every formula has as a name"
    else:
        message = f"`{program.name}` has no constant named `{name}`"
    hint = did_you_mean(name, parameters) or _possible(parameters.values())
    raise SpecError("E0905", message, hint=hint)


def _possible(parameters: Iterable[Parameter]) -> str:
    names = [f"`{each.name}`" for each in parameters if _integers(each)]
    return (
        f"its integer constants are {', '.join(names)}"
        if names
        else "it has no integer constants"
    )


def _integers(parameter: Parameter) -> bool:
    items = _items(parameter)
    if items is not None:
        return bool(items) and all(map(_is_integer, items))
    return _is_integer(parameter.value)


def _items(parameter: Parameter) -> tuple[Dim, ...] | None:
    """The elements of a list."""
    value = parameter.value
    return cast("tuple[Dim, ...]", value) if isinstance(value, tuple) else None


def _is_integer(value: Any) -> bool:
    return isinstance(value, Dim) and value.is_constant


# ---- the program in names ---------------------------------------------------------------------------


class Generic:
    """A program in its constants, and its figures."""

    def __init__(
        self, program: Program, setting: Setting, asked: Sequence[Parameter]
    ) -> None:
        self.setting = setting
        self._program = program
        self._uses = Uses(program, setting)
        self._asked = asked
        self._known = _known(asked)
        self._unrolled = frozenset[int]()
        self._ran: tuple[Outcome, Running] | None = None
        self._tracer, self._outcome = self._traced()
        self._found: dict[str, Measured] = {}
        self._conditions: list[Condition] = []

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
                self._found[name] = Measured(self._sum(figure.quantity(self.setting)))
            else:
                self._found[name] = Measured(self._running(figure))
        return self._found[name]

    def _running(self, figure: Figure) -> Dim:
        from nnspec.analysis.generic.memory import Running, unsaid
        from nnspec.analysis.memory.rolling import Unlike

        # Sums may yet find that a loop has to be gone through turn by turn.
        for name in ("weight_bytes", "gradient_bytes", "optimizer_bytes"):
            self.figure(name)
        if self._ran is None or self._ran[0] is not self._outcome:
            try:
                running = Running(
                    self._program,
                    self.setting,
                    self._outcome,
                    self._tracer.facts,
                    self._numbers(),
                    self._known,
                    self.figure,
                )
            except Unlike as error:
                raise unsaid(figure, str(error)) from None
            self._ran = self._outcome, running
        return self._ran[1].closed(figure)

    def _sum(self, quantity: Additive) -> Dim:
        while True:
            try:
                found = Sums(quantity, self._tracer.constants).counted(self._body)
            except Unrolled as loop:
                self._unrolled |= {loop.uid}
                self._tracer, self._outcome = self._traced()
                continue
            self._conditions += found.conditions
            return self._tracer.facts.applied(found.value)

    @property
    def _body(self) -> Body:
        return self._outcome.body

    def _traced(self) -> tuple[Tracer, Outcome]:
        while True:
            constants = Constants(self._program.assumptions, self._known)
            tracer = Tracer(self._uses, constants, self._unrolled)
            try:
                return tracer, self._run(tracer)
            except Unrolled as loop:
                self._unrolled |= {loop.uid}

    def _run(self, tracer: Tracer) -> Outcome:
        names = _names(self._program, self._asked)
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

    def forms(self, figures: Mapping[str, Measured]) -> ClosedForms:
        """Figures as they were found, with what has to stay a number put in."""
        known = {name: int(value) for name, value in self._known.items()}
        lengths = _lengths(self._asked)
        running = () if self._ran is None else tuple(self._ran[1].conditions())
        own = (*self._body.conditions, *self._conditions)
        conditions = [*own, *running, *lengths]
        pinned, rest = _pinned(conditions, known)
        numbers = {name: number for name, (number, _) in pinned.items()}
        return ClosedForms(
            self._program.name,
            {name: value.at(numbers) for name, value in figures.items()},
            known,
            {name: because for name, (_, because) in pinned.items()},
            rest,
            self._program.symbols,
        )


def _known(asked: Sequence[Parameter]) -> dict[str, Dim]:
    """The values of the names that formulas may have."""
    found: dict[str, Dim] = {}
    for each in asked:
        items = _items(each)
        if items is None:
            found[each.name] = each.value
            continue
        found |= {f"{each.name}[{i}]": item for i, item in enumerate(items)}
        found[f"{LENGTH}{each.name})"] = dim(len(items))
    return found


def _names(program: Program, asked: Sequence[Parameter]) -> dict[str, Any]:
    """What the names of the model mean: those that were asked for by themselves, the rest by value."""
    multiples = program.assumptions.multiples
    names: dict[str, Any] = {s: symbol(s, multiples.get(s, 1)) for s in program.symbols}
    names |= {each.name: each.value for each in program.main.parameters}
    for each in asked:
        items = _items(each)
        if items is None:
            names[each.name] = each.value.named(symbol(each.name))
        else:
            pairs = enumerate(items)
            elements = (v.named(symbol(f"{each.name}[{i}]")) for i, v in pairs)
            names[each.name] = tuple(elements)
    return names


def _lengths(asked: Sequence[Parameter]) -> list[Condition]:
    """Formulas in the elements of a list hold for lists of that length."""
    return [
        Condition("==", symbol(f"{LENGTH}{each.name})"), dim(len(items)))
        for each in asked
        if (items := _items(each)) is not None
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
