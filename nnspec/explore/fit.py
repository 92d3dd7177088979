"""The largest size or constant with which a model keeps within a bound, as a device's memory.

A free size is solved for in the figure's formula. A constant of the spec is solved for by elaborating
the model anew, since it decides what the model is made of. Either way the answer is exact: the figure
at the answer keeps the bound, and at the next value that the model allows it does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

from nnspec import compiler
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.at_one import conditions, differing, products_of
from nnspec.analysis.figures import Measured
from nnspec.analysis.setting import Setting
from nnspec.diagnostics import SpecError, SpecErrors, did_you_mean
from nnspec.ir.dims import Atom, Dim, symbol
from nnspec.ir.dims.numbers import number
from nnspec.records import dataclass
from nnspec.spec import Spec

LARGEST = 2**62
# A constant is tried at no larger value: a model of a million layers has to be elaborated.
LARGEST_CONSTANT = 2**20
MOST_STEPS = 4096


@dataclass(frozen=True, slots=True)
class Question:
    """Which figure of which model is bounded, and what varies."""

    path: str
    name: str | None
    vary: str
    figure: str
    limit: Fraction
    setting: Setting
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Fit:
    """The largest value, what the figure is there and at the next value that the model allows.

    `next_value` is None where the model itself allows no larger value, or, if it `stopped`, where no larger
    one was looked at. `formula` is the figure in the size
    that varies, for a constant None. `smallest` is the least value of the model, which may not fit: then
    `value` is None. The `formula` is right where what it `holds` for is so.
    """

    value: int | None
    figure: Fraction | None
    next_value: int | None
    next_figure: Fraction | None
    smallest: int
    formula: Measured | None = None
    stopped: bool = False
    holds: tuple[str, ...] = ()


def fit(question: Question) -> Fit:
    """Answers. Raises `SpecErrors` for a spec that is wrong, `SpecError` for a question that is."""
    spec = compiler.load(question.path, question.name, settings=question.settings)
    if question.vary in question.settings:
        raise SpecError(
            "E0922",
            f"`{question.vary}` is what is solved for, and it is given a value",
            hint="leave the value out",
        )
    if question.vary in spec.program.symbols:
        return _size(question, spec)
    return _constant(question, spec)


# ---- sizes ------------------------------------------------------------------------------------------


def _size(question: Question, spec: Spec) -> Fit:
    program, name = spec.program, question.vary
    analysis = Analysis(program, question.setting)
    formula = analysis.at(question.figure, spec.symbols)
    _require_known(spec, formula, name)
    _require_growth(spec, formula, question)
    low, high = program.assumptions.bounds.get(name, (1, None))
    step = program.assumptions.multiples.get(name, 1)
    first = -(-low // step)
    last = (LARGEST if high is None else high) // step

    def at(count: int) -> Fraction:
        if count * step == 1:
            return analysis.at(question.figure, {**spec.symbols, name: 1}).exactly()
        return _at(formula, {name: count * step})

    if last < first:
        raise SpecError("E0922", f"the model allows no value of `{name}`")
    found = _largest(at, question.limit, first, last)
    answer = _answer(at, found, first, last, step, formula)
    apart = products_of(differing(analysis, question.figure, spec.symbols))
    stopped = high is None and found == last
    return replace(answer, stopped=stopped, holds=tuple(conditions(apart)))


def _require_known(spec: Spec, formula: Measured, name: str) -> None:
    left = formula.value.symbols() | formula.below.symbols()
    others = [each for each in spec.program.symbols if each in left and each != name]
    if others:
        raise SpecError(
            "E0921",
            f"the figure depends on {' and '.join(others)}, which nothing is said of",
            hint="give a size: " + " ".join(f"{each}=1" for each in others),
        )
    if name not in left:
        raise SpecError(
            "E0922",
            f"the figure does not depend on `{name}`: it is {formula.value}",
            hint="solve for another size, or for another figure",
        )


def _require_growth(spec: Spec, formula: Measured, question: Question) -> None:
    """Raises `SpecError` unless the figure certainly never falls as the size grows."""
    if formula.below == 1 and grows(formula.value, question.vary, spec):
        return
    raise SpecError(
        "E0922",
        f"`{question.figure}` does not certainly grow with `{question.vary}`, so the largest "
        "value cannot be solved for",
        hint="tabulate it: `nnspec sweep`",
    )


def grows(value: Dim, name: str, spec: Spec) -> bool:
    """Whether a formula certainly never falls as one of its sizes grows.

    Either term by term, or by the sign of the difference of successive values.
    """
    if all(_term_grows(monomial, c, name) for monomial, c in value.terms):
        return True
    following = value.at({name: symbol(name) + 1})
    return spec.program.assumptions.holds(">=", following, value) is True


def _term_grows(monomial: tuple[tuple[Atom, int], ...], factor: int, name: str) -> bool:
    if not any(_has(atom, name) for atom, _ in monomial):
        return True
    return factor > 0 and all(_atom_grows(atom, name) for atom, _ in monomial)


def _has(atom: Atom, name: str) -> bool:
    if atom.kind == "symbol":
        return atom.symbol == name
    return any(name in part.symbols() for part in atom.arguments)


def _atom_grows(atom: Atom, name: str) -> bool:
    """Whether a factor, which is never negative, never falls."""
    if not _has(atom, name):
        return True
    match atom.kind:
        case "symbol":
            return True
        case "//":
            above, below = atom.arguments
            return below.is_constant and int(below) > 0 and _sum_grows(above, name)
        case "min" | "max":
            return all(_sum_grows(part, name) for part in atom.arguments)
        case "greatest":
            value, first, stop = atom.arguments
            more = name not in first.symbols() and _sum_grows(stop, name)
            return more and _sum_grows(value, name)
        case _:
            return False


def _sum_grows(value: Dim, name: str) -> bool:
    return all(_term_grows(monomial, c, name) for monomial, c in value.terms)


def _at(formula: Measured, sizes: Mapping[str, int]) -> Fraction:
    return Fraction(number(formula.value, sizes), number(formula.below, sizes))


# ---- constants --------------------------------------------------------------------------------------


def _constant(question: Question, spec: Spec) -> Fit:
    default = _default(question, spec)
    step = _step(question, default)
    first = default % step or step
    last = LARGEST_CONSTANT // step
    known: dict[int, Fraction | None] = {}

    def at(count: int) -> Fraction:
        """The figure at a value; what the model refuses counts as beyond every bound."""
        if count not in known:
            known[count] = _elaborated(question, first + (count - 1) * step)
        found = known[count]
        return Fraction(LARGEST) ** 4 if found is None else found

    found = _largest(at, question.limit, 1, last)
    _require_order(question, known)
    answer = _answer(at, found, 1, last, step, None)
    shift = first - step
    refused = found is not None and known.get(found + 1, Fraction()) is None
    return Fit(
        None if answer.value is None else answer.value + shift,
        answer.figure,
        None if refused or answer.next_value is None else answer.next_value + shift,
        None if refused else answer.next_figure,
        first,
        stopped=found == last,
    )


def _default(question: Question, spec: Spec) -> int:
    parameters = {p.name: p.value for p in spec.program.main.parameters}
    if question.vary not in parameters:
        known = [*spec.program.symbols, *parameters]
        hint = did_you_mean(question.vary, known) or f"it has: {', '.join(known)}"
        raise SpecError(
            "E0302",
            f"`{spec.name}` has no constant or size named `{question.vary}`",
            hint=hint,
        )
    value = parameters[question.vary]
    if not isinstance(value, Dim) or not value.is_constant or int(value) < 1:
        raise SpecError(
            "E0922",
            f"`{question.vary}` is no integer of at least 1, so there is no largest one",
            hint="solve for an integer constant or for a size",
        )
    return int(value)


def _step(question: Question, default: int) -> int:
    """By how much the constant must grow at least to give a model again."""
    for step in range(1, min(default, MOST_STEPS) + 1):
        if _elaborated(question, default + step) is not None:
            return step
    raise SpecError(
        "E0922",
        f"no larger value of `{question.vary}` up to {2 * default} gives a model",
        hint="other constants have to change with it: give them too",
    )


def _elaborated(question: Question, value: int) -> Fraction | None:
    """The figure at a value of the constant; None where there is no such model."""
    settings = {**question.settings, question.vary: str(value)}
    try:
        spec = compiler.load(question.path, question.name, settings=settings)
    except SpecErrors:
        return None
    analysis = Analysis(spec.program, question.setting)
    measured = analysis.at(question.figure, spec.symbols)
    if not measured.is_known:
        left = measured.value.symbols() | measured.below.symbols()
        names = [name for name in spec.program.symbols if name in left]
        raise SpecError(
            "E0921",
            f"the figure depends on {' and '.join(names)}, which nothing is said of",
            hint="give a size: " + " ".join(f"{name}=1" for name in names),
        )
    return measured.exactly()


def _require_order(question: Question, known: Mapping[int, Fraction | None]) -> None:
    """Raises `SpecError` if the figure was seen to fall while the constant grew."""
    values = [known[count] for count in sorted(known)]
    figures = [value for value in values if value is not None]
    if figures != sorted(figures):
        raise SpecError(
            "E0922",
            f"`{question.figure}` falls somewhere as `{question.vary}` grows, so the largest "
            "value cannot be solved for",
            hint="tabulate it: `nnspec sweep`",
        )


# ---- searching --------------------------------------------------------------------------------------


def _largest(
    at: Callable[[int], Fraction], limit: Fraction, first: int, last: int
) -> int | None:
    """The largest count whose figure keeps the limit, for figures that never fall."""
    if at(first) > limit:
        # A size of 1 lies otherwise in memory, and may take more than one of 2.
        if first > 1 or last < 2 or at(2) > limit:
            return None
        first = 2
    low = first
    for high in _doubled(first, last):
        if at(high) > limit:
            break
        low = high
    else:
        return last
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if at(middle) > limit else (middle, high)
    return low


def _doubled(first: int, last: int) -> Iterator[int]:
    count = first
    while count < last:
        count = min(2 * count, last)
        yield count


def _answer(
    at: Callable[[int], Fraction],
    found: int | None,
    first: int,
    last: int,
    step: int,
    formula: Measured | None,
) -> Fit:
    if found is None:
        return Fit(None, None, first * step, at(first), first * step, formula)
    following = found + 1 if found < last else None
    return Fit(
        found * step,
        at(found),
        None if following is None else following * step,
        None if following is None else at(following),
        first * step,
        formula,
    )
