"""What a figure grows with, and which parts of the model make it grow so."""

from __future__ import annotations

from collections.abc import Mapping

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.formula.growth import Growth, growths
from nnspec.analysis.totals import Parts
from nnspec.analysis.uses import Place, Site, Use, Uses
from nnspec.ir.dims import ZERO, Dim, Size
from nnspec.records import dataclass

Label = tuple[str, ...]


@dataclass(frozen=True)
class Growing:
    """One part of a figure by what it grows with, and what each label of the model has of it."""

    growth: Growth
    causes: Mapping[str, Dim]

    def shares(self, sizes: Mapping[str, Size]) -> list[tuple[str, int]]:
        """The thousandths of it that each label has at some sizes, the greatest first."""
        whole = int(self.growth.value.at(sizes))
        found = [
            (label, thousandths(int(value.at(sizes)), whole))
            for label, value in self.causes.items()
        ]
        return sorted(found, key=lambda pair: -pair[1])


def thousandths(part: int, whole: int) -> int:
    """A share, rounded; 0 of nothing."""
    return (2000 * part + whole) // (2 * whole) if whole else 0


def growing(
    analysis: Analysis, name: str, known: Mapping[str, Size] | None = None
) -> tuple[Growing, ...]:
    """The parts of a figure by what they grow with, the fastest first, `known` sizes put in.

    Raises `SpecError` for a figure that has no parts.
    """
    totals = analysis.parts(name, known)
    symbols = analysis.program.symbols
    causes: dict[str, dict[str, Dim]] = {}
    for label, value in (
        _Labels(analysis.uses, totals).of_use(analysis.uses.main, ()).items()
    ):
        for growth in growths(value, symbols):
            causes.setdefault(growth.key, {})[".".join(label)] = growth.value
    return tuple(
        Growing(growth, causes.get(growth.key, {}))
        for growth in growths(totals.total().at(known or {}), symbols)
    )


class _Labels:
    """What each label has of an amount, the turns of loops together; worked out once for each use."""

    def __init__(self, uses: Uses, totals: Parts) -> None:
        self._uses = uses
        self._totals = totals
        self._made: dict[tuple[Use, Place], dict[Label, Dim]] = {}

    def of_use(self, use: Use, place: Place) -> dict[Label, Dim]:
        """The labels below a use of a function that is called at a place."""
        made = (use, place)
        if made not in self._made:
            counts: dict[tuple[Label, Dim], int] = {}
            for site in self._uses.inside(use).sites:
                for label, value in self._of_site(site, place).items():
                    key = (label, value)
                    counts[key] = counts.get(key, 0) + 1
            self._made[made] = _added(counts)
        return self._made[made]

    def _of_site(self, site: Site, place: Place) -> dict[Label, Dim]:
        own = tuple(part for part in site.node.path if isinstance(part, str))
        value = self._totals.of_part(site, place)
        if value == 0:
            return {}
        if site.node.callee is None:
            return {own: value}
        inside = (*place, site.node.id) if self._totals.placed else ()
        found = self.of_use(site.use, inside)
        return {(*own, *label): value for label, value in found.items()}


def _added(counts: Mapping[tuple[Label, Dim], int]) -> dict[Label, Dim]:
    found: dict[Label, Dim] = {}
    for (label, value), count in counts.items():
        found[label] = found.get(label, ZERO) + value * count
    return found
