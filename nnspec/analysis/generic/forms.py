"""Figures in the constants of a model, and what they hold for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field

from nnspec.analysis.figures import Measured
from nnspec.analysis.generic.model import LENGTH
from nnspec.analysis.generic.names.conditions import Condition, tightest
from nnspec.analysis.generic.names.parts import Part
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Dim, Size, symbol
from nnspec.records import dataclass


@dataclass(frozen=True)
class ClosedForms:
    """Figures of a program in its constants.

    `constants` are the values that the program was elaborated with, by name, an element of a list as
    `depths[0]`, the length of one as `len(depths)`. `fixed` are those that were asked for and have to
    stay numbers, each with the reason; `kept` are those that one figure alone needs besides. The formulas hold
    for all constants of at least 1 (or as they are, if less) that satisfy the `conditions`, and for one figure those
    `besides`. `unsaid` are figures that have no formula, each with the error that says why. `parts` are free sizes
    that have to be multiples of powers; products `apart` must not be 1 for a figure.
    """

    name: str
    figures: Mapping[str, Measured]
    constants: Mapping[str, int]
    fixed: Mapping[str, str]
    conditions: tuple[Condition, ...]
    symbols: tuple[str, ...]
    unsaid: Mapping[str, SpecError] = field(default_factory=dict[str, SpecError])
    kept: Mapping[str, Mapping[str, str]] = field(
        default_factory=dict[str, Mapping[str, str]]
    )
    parts: tuple[Part, ...] = ()
    besides: Mapping[str, tuple[Condition, ...]] = field(
        default_factory=dict[str, tuple[Condition, ...]]
    )
    apart: Mapping[str, tuple[Dim, ...]] = field(
        default_factory=dict[str, tuple[Dim, ...]]
    )
    # Writes a formula so that those are equal which are equal by what the spec requires.
    plain: Callable[[Dim], Dim] = field(default=lambda value: value, repr=False)

    def conditions_of(self, figure: str) -> tuple[Condition, ...]:
        """All conditions of one figure."""
        return (*self.conditions, *self.besides.get(figure, ()))

    def multiples(self) -> list[str]:
        """What free sizes in the formulas have to be multiples of, as requirements."""
        used = {n for each in self.figures.values() for n in each.value.symbols()}
        return [
            f"{symbol(part.size) % part.divisor} == 0"
            for part in self.parts
            if part.size in used and part.divisor.symbols().isdisjoint(self.fixed)
        ]

    def names(self) -> list[str]:
        """The constants that formulas may have as names."""
        names = (name for name in self.constants if not name.startswith(LENGTH))
        return [name for name in names if name not in self.fixed]

    def holds(self, constants: Mapping[str, int], figure: str | None = None) -> bool:
        """Whether the formulas hold for these constants (that of one `figure`, if given); what is not given is as it was."""
        values = {**self.constants, **constants}
        figures = self.kept if figure is None else {figure}
        numbers = {
            *self.fixed,
            *(n for each in figures for n in self.kept.get(each, {})),
        }
        conditions = [*self.conditions, *(c for f in self._besides(figure) for c in f)]
        stay = all(values[name] == self.constants[name] for name in numbers)
        return stay and all(condition.holds(values) for condition in conditions)

    def _besides(self, figure: str | None) -> Iterable[tuple[Condition, ...]]:
        if figure is None:
            return self.besides.values()
        return (self.besides.get(figure, ()),)

    def at(self, name: str, constants: Mapping[str, Size]) -> Measured:
        """A figure with names replaced by values; a size is known as the multiple that it then has to be."""
        found = self.figures[name].at(constants)
        multiples: dict[str, Dim] = {}
        for part in self.parts:
            divisor = part.divisor.at(constants).constant
            if divisor is not None:
                multiples[part.size] = symbol(part.size, divisor)
        return found.at(multiples) if multiples else found


def common_and_besides(
    conditions: Mapping[str, Iterable[Condition]],
) -> tuple[tuple[Condition, ...], dict[str, tuple[Condition, ...]]]:
    """The conditions that all figures have, and those that each has besides."""
    every = {name: {c.key: c for c in own} for name, own in conditions.items()}
    first, *others = every.values() or [{}]
    common = {
        key: each
        for key, each in first.items()
        if all(key in other for other in others)
    }
    besides = {
        name: tightest(each for key, each in own.items() if key not in common)
        for name, own in every.items()
    }
    return tightest(common.values()), {n: own for n, own in besides.items() if own}
