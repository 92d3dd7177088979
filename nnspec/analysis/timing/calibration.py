"""How fast a device really is: factors fitted to measurements, with the error on what was left out.

Two models are fitted, and the one is taken that does better on what was left out:

- computing and moving at once: f sum(max(C, M)) + l N,
- one after the other: c sum(C) + m sum(M) + l N,

where C and M are the seconds of each kernel's arithmetic and traffic at the published figures and N
counts launches. No factor is negative; the sum of squared relative errors is the least.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from math import hypot

from nnspec.analysis.timing.kernels import Kernel
from nnspec.analysis.timing.roofline import Factors, Roofline
from nnspec.diagnostics import SpecError
from nnspec.records import dataclass

LEAST = 4
"""Three factors, and one measurement more to tell an error."""

MOST_ABOVE_PEAK = 100
"""Caches beat the memory's published bandwidth many times over; nothing beats the device a hundredfold."""

Row = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """A measured run: what it is called, its kernels, its seconds."""

    name: str
    kernels: Counter[Kernel]
    seconds: float


@dataclass(frozen=True, slots=True)
class Fit:
    """Factors, and for each sample the relative error where it was left out of the fit."""

    factors: Factors
    left_out: tuple[tuple[str, float], ...]

    @property
    def mean_error(self) -> float:
        """The mean size of the errors: 0.1 is 10 %."""
        return sum(abs(error) for _, error in self.left_out) / len(self.left_out)

    @property
    def worst_error(self) -> float:
        """The largest size of an error."""
        return max(abs(error) for _, error in self.left_out)


def fit(samples: Sequence[Sample], roofline: Roofline) -> Fit:
    """Fits the factors, and once more for each sample without it.

    Raises `SpecError` if there are too few (E1109), or one is faster than the device can be (E1111).
    """
    unlike = len({each.name for each in samples})
    if unlike < LEAST:
        raise SpecError(
            "E1109",
            f"{unlike} measurements are too few to fit three factors and tell their error"
            if unlike == len(samples)
            else f"{len(samples)} measurements of {unlike} models and sizes are too few to fit",
            hint=f"measure at least {LEAST} different models or sizes",
        )
    for sample in samples:
        _check_possible(sample, roofline)
    models = (_at_once(samples, roofline), _in_turn(samples, roofline))
    return min(models, key=lambda each: each.mean_error)


def _check_possible(sample: Sample, roofline: Roofline) -> None:
    least, _ = _sums(sample, roofline, lambda compute, memory: (max(compute, memory),))
    if sample.seconds * MOST_ABOVE_PEAK >= least:
        return
    raise SpecError(
        "E1111",
        f"`{sample.name}` took {sample.seconds:.3g} s, and needs {least:.3g} s at the published figures "
        f"of `{roofline.device.name}`",
        hint="measurements are the seconds of one whole run, waited for until it ends",
    )


def _at_once(samples: Sequence[Sample], roofline: Roofline) -> Fit:
    rows = [
        _sums(each, roofline, lambda compute, memory: (max(compute, memory),))
        for each in samples
    ]
    return _fitted(samples, rows, lambda f: (f[0], f[0], f[1]), overlap=True)


def _in_turn(samples: Sequence[Sample], roofline: Roofline) -> Fit:
    rows = [
        _sums(each, roofline, lambda compute, memory: (compute, memory))
        for each in samples
    ]
    return _fitted(samples, rows, lambda f: f, overlap=False)


def _sums(
    sample: Sample,
    roofline: Roofline,
    parts: Callable[[float, float], Row],
) -> Row:
    """The parts of all kernels of a run, and its launches."""
    kernels = list(sample.kernels.items())
    found = [
        [part * count for part in parts(float(time.compute), float(time.memory))]
        for time, count in ((roofline.duration(k), count) for k, count in kernels)
    ]
    launches = sum(kernel.launches * count for kernel, count in kernels)
    return (*map(sum, zip(*found, strict=True)), float(launches))


def _fitted(
    samples: Sequence[Sample],
    rows: Sequence[Row],
    factors: Callable[[Row], Row],
    *,
    overlap: bool,
) -> Fit:
    seconds = [sample.seconds for sample in samples]
    errors: list[tuple[str, float]] = []
    for place, sample in enumerate(samples):
        others = [*rows[:place], *rows[place + 1 :]]
        solved = least_squares(others, [*seconds[:place], *seconds[place + 1 :]])
        errors.append((sample.name, _dot(solved, rows[place]) / sample.seconds - 1))
    compute, memory, launch = map(Fraction, factors(least_squares(rows, seconds)))
    return Fit(Factors(compute, memory, launch, overlap), tuple(errors))


# ---- least squares that are not negative --------------------------------------------------------------


def least_squares(rows: Sequence[Row], targets: Sequence[float]) -> Row:
    """Factors x >= 0 with the least sum of (row . x / target - 1)^2.

    A few unknowns have few sets of positive ones; the best of their exact solutions is the optimum
    (Lawson and Hanson, "Solving Least Squares Problems", 1974, state the conditions).
    """
    scaled = [
        tuple(value / target for value in row)
        for row, target in zip(rows, targets, strict=True)
    ]
    unknowns = range(len(rows[0]))
    best: Row = (0.0,) * len(unknowns)
    least = float(len(rows))
    for size in unknowns:
        for chosen in combinations(unknowns, size + 1):
            factors = _solved(scaled, chosen)
            if factors is None or min(factors) < 0:
                continue
            rest = sum((_dot(row, factors) - 1) ** 2 for row in scaled)
            if rest < least:
                best, least = factors, rest
    return best


def _solved(rows: Sequence[Row], chosen: Sequence[int]) -> Row | None:
    """The least squares with the other unknowns at 0; None where the columns depend on each other."""
    scales = {i: hypot(*(row[i] for row in rows)) for i in chosen}
    if not all(scales.values()):
        return None
    # Columns of length 1 first: squares of tiny numbers would be nothing.
    columns = {i: [row[i] / scales[i] for row in rows] for i in chosen}
    matrix = [
        [*(_dot(columns[i], columns[j]) for j in chosen), sum(columns[i])]
        for i in chosen
    ]
    solution = _eliminated(matrix)
    if solution is None:
        return None
    found = dict(zip(chosen, solution, strict=True))
    return tuple(
        found[i] / scales[i] if i in found else 0.0 for i in range(len(rows[0]))
    )


_SINGULAR = 1e-9


def _eliminated(matrix: list[list[float]]) -> list[float] | None:
    """Gauss and Jordan, with pivots; None for a matrix that is singular."""
    size = len(matrix)
    for place in range(size):
        pivot = max(range(place, size), key=lambda i: abs(matrix[i][place]))
        if abs(matrix[pivot][place]) < _SINGULAR:
            return None
        matrix[place], matrix[pivot] = matrix[pivot], matrix[place]
        scale = matrix[place][place]
        matrix[place] = [value / scale for value in matrix[place]]
        for other in range(size):
            if other != place:
                factor = matrix[other][place]
                pairs = zip(matrix[other], matrix[place], strict=True)
                matrix[other] = [value - factor * own for value, own in pairs]
    return [row[-1] for row in matrix]


def _dot(left: Iterable[float], right: Iterable[float]) -> float:
    return sum(one * other for one, other in zip(left, right, strict=True))
