"""A model at many values of its constants and sizes: figures of each, exactly.

A point is elaborated only where no formula that is known holds for it: figures are taken in the model's
own constants, each with the conditions under which it holds (`nnspec.analysis.generic`), and numbers are put
in. What is no sum over the program is worked out anew for each value of the constants; sizes are always put
into formulas.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from nnspec import compiler
from nnspec.analysis.figures import Analysis, Measured
from nnspec.analysis.generic.closed import ClosedForms, closed_forms, has_closed_form
from nnspec.analysis.setting import Setting
from nnspec.compiler import Spec
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.explore.axes import Axis, combinations
from nnspec.ir.dim_values import number
from nnspec.ir.dims import DimError

# From so many elaborations on, they are shared out among processes.
WORTH_SHARING = 64


@dataclass(frozen=True, slots=True)
class Task:
    """What is swept: a model of a file, the figures and what they assume, and what stays fixed."""

    path: str
    name: str | None
    figures: tuple[str, ...]
    setting: Setting = field(default_factory=Setting)


@dataclass(frozen=True, slots=True)
class Point:
    """The figures at one point, in the order of the task, or why there is no such model."""

    values: Mapping[str, str]
    figures: tuple[Fraction | int, ...] = ()
    fault: str | None = None


def sweep(task: Task, axes: Sequence[Axis], processes: int = 1) -> list[Point]:
    """Every point, the last axis varying fastest.

    Raises `SpecErrors` for a spec that is wrong, and `SpecError` for an axis that is none of its names and for
    a size that is left open.
    """
    spec = _first(task, axes)
    sizes = [axis for axis in axes if axis.name in spec.program.symbols]
    constants = [axis for axis in axes if axis.name not in spec.program.symbols]
    _require_sizes(spec, sizes)
    models = combinations(constants)
    if processes > 1 and len(models) >= WORTH_SHARING:
        rows = _shared(task, models, sizes, processes)
    else:
        rows = list(_Sweep(task).rows(models, sizes))
    return _in_order(axes, models, rows)


def _first(task: Task, axes: Sequence[Axis]) -> Spec:
    """The model at the first point at which there is one; it says which names are sizes."""
    fault: SpecErrors | None = None
    for values in combinations(axes)[:1000]:
        try:
            return compiler.load(task.path, task.name, settings=values)
        except SpecErrors as errors:
            fault = fault or errors
    assert fault is not None
    raise fault


def _require_sizes(spec: Spec, sizes: Sequence[Axis]) -> None:
    given = {axis.name for axis in sizes}
    missing = [name for name in spec.program.symbols if name not in given]
    if missing:
        raise SpecError(
            "E0921",
            f"the figures depend on {' and '.join(missing)}, which nothing is said of",
            hint="give a size or several: " + " ".join(f"{n}=1" for n in missing),
        )


class _Sweep:
    """Elaborates what it must, and knows the formulas that it found so far."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.forms: list[ClosedForms] = []
        self.has_forms = all(map(has_closed_form, task.figures))

    def rows(
        self, models: Iterable[Mapping[str, str]], sizes: Sequence[Axis]
    ) -> Iterator[list[Point]]:
        """The points of each model: one for each combination of sizes."""
        every = combinations(sizes)
        for values in models:
            try:
                figures = self._figures(values)
            except SpecErrors as errors:
                fault = errors.diagnostics[0].message
                yield [Point({**values, **each}, fault=fault) for each in every]
                continue
            yield [self._point(figures, values, each) for each in every]

    def _figures(self, values: Mapping[str, str]) -> tuple[Measured, ...]:
        constants = _integers(values)
        if constants is not None:
            for form in self.forms:
                if constants.keys() <= form.constants.keys() and form.holds(constants):
                    names = {**form.constants, **constants}
                    return tuple(
                        form.figures[name].at(names) for name in self.task.figures
                    )
        return self._elaborated(values)

    def _elaborated(self, values: Mapping[str, str]) -> tuple[Measured, ...]:
        spec = compiler.load(self.task.path, self.task.name, settings=values)
        analysis = Analysis(spec.program, self.task.setting)
        if self.has_forms and _integers(values):
            self.forms.append(closed_forms(analysis, self.task.figures))
        return tuple(analysis.measured(name) for name in self.task.figures)

    def _point(
        self,
        figures: Sequence[Measured],
        values: Mapping[str, str],
        sizes: Mapping[str, str],
    ) -> Point:
        at = {name: int(text) for name, text in sizes.items()}
        try:
            found = tuple(_exact(figure, at) for figure in figures)
        except DimError as error:
            return Point({**values, **sizes}, fault=str(error))
        return Point({**values, **sizes}, found)


def _exact(figure: Measured, sizes: Mapping[str, int]) -> Fraction | int:
    value = number(figure.value, sizes)
    if figure.below == 1:
        return value
    below = number(figure.below, sizes)
    if below == 0:
        raise DimError("a quotient by nothing has no value")
    return Fraction(value, below)


def _integers(values: Mapping[str, str]) -> dict[str, int] | None:
    """The constants of a point, if all are integers."""
    if not all(text.lstrip("-").isdecimal() for text in values.values()):
        return None
    return {name: int(text) for name, text in values.items()}


# ---- many at once -----------------------------------------------------------------------------------


def _shared(
    task: Task,
    models: Sequence[Mapping[str, str]],
    sizes: Sequence[Axis],
    processes: int,
) -> list[list[Point]]:
    from concurrent.futures import ProcessPoolExecutor

    share = -(-len(models) // processes)
    parts = [models[i : i + share] for i in range(0, len(models), share)]
    with ProcessPoolExecutor(processes) as pool:
        futures = [pool.submit(_part, task, part, sizes) for part in parts]
        return [row for future in futures for row in future.result()]


def _part(
    task: Task, models: Sequence[Mapping[str, str]], sizes: Sequence[Axis]
) -> list[list[Point]]:
    return list(_Sweep(task).rows(models, sizes))


def _in_order(
    axes: Sequence[Axis],
    models: Sequence[Mapping[str, str]],
    rows: Sequence[Sequence[Point]],
) -> list[Point]:
    """The points in the order of all axes, which may mix constants and sizes."""
    found = {
        tuple(point.values[axis.name] for axis in axes): point
        for row in rows
        for point in row
    }
    return [found[tuple(values.values())] for values in combinations(axes)]
