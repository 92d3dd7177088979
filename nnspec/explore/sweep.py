"""A model at many values of its constants and sizes: figures of each, exactly.

Each model is elaborated, so that a point is never given figures of a model that there is not. What is put
into formulas are sizes, and constants that only say how often a loop runs (see `counts`): models that differ in
nothing else are elaborated once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from fractions import Fraction

from nnspec import compiler
from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import Measured
from nnspec.analysis.generic.closed import closed_forms, is_sum
from nnspec.analysis.setting import Setting
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.elaboration.given_sizes import check_sizes
from nnspec.explore.axes import Axis, combinations
from nnspec.explore.counts import loop_counts
from nnspec.ir.dims.numbers import number
from nnspec.ir.graph import Program
from nnspec.records import dataclass
from nnspec.spec import Spec

# From so many elaborations on, they are shared out among processes.
WORTH_SHARING = 64
# Longer ones are read as the language does, which knows when a number is too long.
LONGEST_PLAIN = 18


@dataclass(frozen=True, slots=True)
class Task:
    """What is swept: a model of a file, the figures and what they assume, and what stays fixed."""

    path: str
    name: str | None
    figures: tuple[str, ...]
    setting: Setting = field(default_factory=Setting)


@dataclass(frozen=True, slots=True)
class Point:
    """The figures at one point, in the order of the task, or why there is no such model.

    The values stand in the order of the axes.
    """

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
    file = compiler.read(task.path)
    for values in combinations(axes)[:1000]:
        try:
            return file.load(task.name, values)
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


@dataclass(frozen=True, slots=True)
class _Known:
    """A model that was elaborated: its figures in sizes and in the counts of turns, and the program, which says what sizes may be.

    Without formulas that hold for all sizes, `figures` are those of its analysis at each.
    """

    figures: tuple[Measured, ...]
    counts: frozenset[str]
    program: Program
    analysis: Analysis | None = None


Key = tuple[tuple[str, str], ...]


class _Sweep:
    """Elaborates what it must, once."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self._file = compiler.read(task.path)
        # By which names are counts, and by the values of all others.
        self._known: dict[frozenset[str], dict[Key, _Known | str]] = {}
        self._sizes: dict[tuple[str, str], int] = {}

    def rows(
        self, models: Iterable[Mapping[str, str]], sizes: Sequence[Axis]
    ) -> Iterator[list[Point]]:
        """The points of each model: one for each combination of sizes."""
        every = combinations(sizes)
        for values in models:
            known = self._model(values)
            yield [self._point(known, values, each) for each in every]

    def _model(self, values: Mapping[str, str]) -> _Known | str:
        """What is known of a model, or why there is none."""
        for counts, models in self._known.items():
            found = models.get(_key(values, counts))
            if found is not None and _are_turns(values, counts):
                return found
        found = self._elaborated(values)
        counts = frozenset[str]() if isinstance(found, str) else found.counts
        self._known.setdefault(counts, {})[_key(values, counts)] = found
        return found

    def _loaded(self, values: Mapping[str, str]) -> Spec | str:
        try:
            return self._file.load(self.task.name, values)
        except SpecErrors as errors:
            return errors.diagnostics[0].message

    def _elaborated(self, values: Mapping[str, str]) -> _Known | str:
        spec = self._loaded(values)
        if isinstance(spec, str):
            return spec
        analysis = Analysis(spec.program, self.task.setting)
        names, program = self.task.figures, spec.program
        counts = self._counts(spec, values)
        if counts:
            forms = closed_forms(analysis, names, counts)
            if not (forms.fixed or forms.conditions or forms.besides):
                figures = tuple(forms.figures[name] for name in names)
                return _Known(figures, frozenset(counts), program)
        if not all(map(is_sum, names)):
            return _Known((), frozenset(), program, analysis)
        figures = tuple(map(analysis.measured, names))
        return _Known(figures, frozenset(), program)

    def _counts(self, spec: Spec, values: Mapping[str, str]) -> list[str]:
        """The constants of the sweep that are put into formulas."""
        if not all(map(is_sum, self.task.figures)):
            return []
        if spec.program.requirements:
            return []  # what sizes must be may hang on how many turns there are
        counts = loop_counts(spec.program)
        return [n for n, text in values.items() if n in counts and _is_plain(text)]

    def _point(
        self, known: _Known | str, values: Mapping[str, str], sizes: Mapping[str, str]
    ) -> Point:
        point = {**values, **sizes}
        if isinstance(known, str):
            return Point(point, fault=known)
        at: dict[str, int] = {}
        for name, text in sizes.items():
            size = self._size(values, name, text)
            fault = size if isinstance(size, str) else _refused(known, name, size)
            if isinstance(size, str) or fault is not None:
                return Point(point, fault=fault)
            at[name] = size
        try:
            check_sizes(known.program, at)
        except SpecError as error:
            return Point(point, fault=error.diagnostic.message)
        counts = {name: int(values[name]) for name in known.counts}
        figures = known.figures
        if known.analysis is not None:
            there = known.analysis.where(at)
            figures = tuple(map(there.measured, self.task.figures))
        return Point(point, tuple(_exact(each, at | counts) for each in figures))

    def _size(self, values: Mapping[str, str], name: str, text: str) -> int | str:
        """The value of a size, which may be written as an expression, or why it is none."""
        if _is_plain(text):
            return int(text)
        if (name, text) not in self._sizes:
            found = self._loaded({**values, name: text})
            if isinstance(found, str):
                return found
            self._sizes[name, text] = found.symbols[name]
        return self._sizes[name, text]


def _key(values: Mapping[str, str], counts: frozenset[str]) -> Key:
    return tuple((name, text) for name, text in values.items() if name not in counts)


def _are_turns(values: Mapping[str, str], counts: frozenset[str]) -> bool:
    """Whether the values of some constants are numbers of turns, of at least one."""
    return all(_is_plain(values[name]) and int(values[name]) > 0 for name in counts)


def _is_plain(text: str) -> bool:
    """Whether a value is written as nothing but digits."""
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_PLAIN


def _refused(known: _Known, name: str, value: int) -> str | None:
    """Why a size cannot be had."""
    assumptions = known.program.assumptions
    low, high = assumptions.bounds.get(name, (1, None))
    factor = assumptions.multiples.get(name, 1)
    if value < low or (high is not None and value > high):
        bound = f"at least {low}" if value < low else f"at most {high}"
        return f"`{name}` is {bound} by a requirement of the model"
    return f"`{name}` is a multiple of {factor}" if value % factor else None


def _exact(figure: Measured, sizes: Mapping[str, int]) -> Fraction | int:
    value = number(figure.value, sizes)
    if figure.below == 1:
        return value
    below = number(figure.below, sizes)
    if below == 0:
        raise SpecError("E0921", "a quotient by nothing has no value")
    return Fraction(value, below)


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
    """The points, and the values of each, in the order of all axes, which may mix constants and sizes."""
    found = {
        tuple(point.values[axis.name] for axis in axes): point
        for row in rows
        for point in row
    }
    return [
        replace(found[tuple(values.values())], values=values)
        for values in combinations(axes)
    ]
