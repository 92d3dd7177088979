"""Whether a program keeps the budgets that its spec sets it.

A budget that is exceeded is an error that says the figure and the heaviest contributors. One that depends
on sizes which it does not give must hold for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import Figure, Measured, Unit, figure_named
from nnspec.analysis.quantities import with_prefix
from nnspec.analysis.setting import Setting
from nnspec.analysis.summary import SummaryTree, summary
from nnspec.analysis.typical import typical_sizes
from nnspec.diagnostics import Diagnostic, SpecError, did_you_mean
from nnspec.ir.dims import Dim, Size, dim
from nnspec.ir.graph import CostBudget, Program

HEAVIEST = 3
# The unit of a bound, as the language writes it, for each unit of a figure.
_WRITTEN = {
    Unit.COUNT: "",
    Unit.FLOP: "FLOPs",
    Unit.MAC: "MACs",
    Unit.BYTE: "B",
    Unit.INTENSITY: "",
}
# How many of a unit another one is; a bound without a unit is meant in the one that is wanted.
_TIMES = {
    ("MACs", "FLOPs"): Fraction(2),
    ("FLOPs", "MACs"): Fraction(1, 2),
    **{("", unit): Fraction(1) for unit in _WRITTEN.values()},
}


def exceeded(
    program: Program, symbols: Mapping[str, Size] | None = None
) -> Iterator[Diagnostic]:
    """What there is to say of the budgets of a program; `symbols` are sizes that are known."""
    analyses: dict[Setting, Analysis] = {}
    for budget in program.budgets:
        try:
            yield from _exceeded(program, budget, symbols or {}, analyses)
        except SpecError as error:
            found = error.diagnostic
            yield Diagnostic(
                found.code, found.message, budget.location, hint=found.hint
            )


def _exceeded(
    program: Program,
    budget: CostBudget,
    symbols: Mapping[str, Size],
    analyses: dict[Setting, Analysis],
) -> Iterator[Diagnostic]:
    figure = figure_named(budget.figure)
    _check_unit(budget, figure)
    sizes, setting = _arguments(program, budget)
    analysis = analyses.setdefault(setting, Analysis(program, setting))
    known = {**symbols, **sizes}
    measured = analysis.at(figure.name, known)
    if _holds(program, budget, measured):
        return
    if not measured.is_known:
        raise _undecided(program, budget, figure, measured)
    yield Diagnostic(
        "E0910",
        f"`cost.{figure.name}` is {_amount(measured, figure)}, and the budget is "
        f"{budget.operator} {_limit(budget)}",
        budget.location,
        hint=_hint(analysis, budget, figure, known),
    )


def _check_unit(budget: CostBudget, figure: Figure) -> None:
    wanted = _WRITTEN[figure.unit]
    if budget.unit == wanted:
        return
    given = f"in {_noun(budget.unit)}" if budget.unit else "without a unit"
    kind = f"counted in {_noun(wanted)}" if wanted else "a plain number"
    raise SpecError(
        "E0323",
        f"`cost.{figure.name}` is {kind}, and the bound is {given}",
        hint=_example(budget, wanted),
    )


def _noun(unit: str) -> str:
    """What people call a unit; `B` is a size in most specs."""
    return "bytes" if unit == "B" else unit


def _example(budget: CostBudget, wanted: str) -> str:
    """The same bound in the unit that is wanted; of what measures something else the unit alone."""
    if not wanted:
        return "leave the unit out, as in `26M`"
    factor = _TIMES.get((budget.unit, wanted))
    if factor is None:
        return (
            f"write a unit: `24Gi{wanted}`"
            if wanted == "B"
            else f"in {wanted}: `4.2G{wanted}`"
        )
    reason = "" if not budget.unit else "a MAC is 2 FLOPs: "
    return f"{reason}write `{with_prefix(budget.limit * factor)}{wanted}`"


def _arguments(program: Program, budget: CostBudget) -> tuple[dict[str, int], Setting]:
    sizes = {n: v for n, v in budget.arguments.items() if isinstance(v, int)}
    names = {n: v for n, v in budget.arguments.items() if isinstance(v, str)}
    for name, size in sizes.items():
        if name not in program.symbols:
            known = ", ".join(program.symbols) or "none"
            hint = did_you_mean(name, program.symbols) or f"its sizes are: {known}"
            raise SpecError(
                "E0302", f"`{program.name}` has no size named `{name}`", hint=hint
            )
        if size < 1:
            raise SpecError(
                "E0705",
                f"the size `{name}` must be an integer of at least 1",
                hint=f"write a number, such as `{name}=8`",
            )
        wrong = program.assumptions.fault(name, size)
        if wrong:
            message = f"`{name}` {wrong} by a requirement of the model, not {size}"
            raise SpecError("E0503", message)
    return sizes, Setting.named(**names)


def _holds(program: Program, budget: CostBudget, measured: Measured) -> bool:
    """Whether the budget is kept at all sizes; False too where that is not known."""
    # value / below <= numerator / denominator, both below being positive
    left = measured.value * budget.limit.denominator
    right = measured.below * budget.limit.numerator
    return program.assumptions.holds(budget.operator, left, right) is True


def _undecided(
    program: Program, budget: CostBudget, figure: Figure, measured: Measured
) -> SpecError:
    names = measured.value.symbols() | measured.below.symbols()
    open_sizes = [name for name in program.symbols if name in names]
    said = [f"{name}={_spelled(value)}" for name, value in budget.arguments.items()]
    given = ", ".join([*said, *(f"{name}=1" for name in open_sizes)])
    return SpecError(
        "E0911",
        f"`cost.{figure.name}` is {measured.value}, so whether it keeps the budget of "
        f"{_limit(budget)} depends on {' and '.join(open_sizes)}",
        hint=f"say at which sizes: `cost.{figure.name}({given})`",
    )


def _spelled(value: int | str) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)


# ---- what is said -----------------------------------------------------------------------------------


def _hint(
    analysis: Analysis, budget: CostBudget, figure: Figure, known: Mapping[str, Size]
) -> str:
    heaviest = _heaviest(analysis, figure, known)
    said = [budget.message] if budget.message else []
    if heaviest:
        said.append(f"the heaviest parts are {heaviest}")
    return "; ".join(said) or "make the model smaller, or the budget larger"


def _heaviest(analysis: Analysis, figure: Figure, known: Mapping[str, Size]) -> str:
    """The parts that take most of it, or of what it is explained by."""
    base = figure if figure.explained_by is None else figure_named(figure.explained_by)
    if not base.has_parts and base.by_part is None:
        return ""
    # A peak may not depend on a size that the budget leaves open; who holds it does not either.
    sizes = {**typical_sizes(analysis.program), **known}
    tree = summary(analysis.program, sizes, figures=[base.name], analysis=analysis)
    total = _known(tree.figures[base.name])
    leaves = sorted(_leaves(tree), key=lambda row: -_known(row.figures[base.name]))
    return ", ".join(
        f"`{row.path}` ({_share(_known(row.figures[base.name]), total)})"
        for row in leaves[:HEAVIEST]
        if _known(row.figures[base.name]) > 0
    )


def _leaves(tree: SummaryTree) -> Iterator[SummaryTree]:
    waiting = [tree]
    while waiting:
        row = waiting.pop()
        if row.children:
            waiting.extend(reversed(row.children))
        else:
            yield row


def _known(amount: int | Dim) -> int:
    return int(dim(amount)) if dim(amount).is_constant else 0


def _share(amount: int, total: int) -> str:
    """A share to the nearest percent, of something never `0 %`."""
    if 200 * amount < total:
        return "<1 %"
    return f"{(200 * amount + total) // (2 * total)} %"


def _amount(measured: Measured, figure: Figure) -> str:
    if measured.below != 1:
        return f"{float(measured.exactly()):.3g}"
    unit = _WRITTEN[figure.unit]
    return f"{int(measured.value):,}{f' {unit}' if unit else ''}"


def _limit(budget: CostBudget) -> str:
    unit = f" {budget.unit}" if budget.unit else ""
    if budget.limit.denominator == 1:
        return f"{budget.limit.numerator:,}{unit}"
    return f"{float(budget.limit):g}{unit}"
