"""What each block costs where it stands: levels of an outline with the figures of their cards.

A level is shown once for every way in which it is used (`Panel`). A card's figure is that of all its runs
in the whole program together, so the cards of a panel add up to the card that holds them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import cached_property

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.uses import Place, Site, Use
from nnspec.ir.dims import ZERO, Dim
from nnspec.picture.cards import Family
from nnspec.picture.outline import Card, Outline
from nnspec.records import dataclass

Runs = tuple[tuple[Use, Place, int, int], ...]
"""The uses of a function, how often each runs, and in how many of these runs it has weights of its own.

With the place of the call where a figure tells places apart.
"""


@dataclass(frozen=True)
class Panel:
    """A level as it is used somewhere: by card its figures by name, and the panel of its inside (or -1)."""

    level: str
    figures: tuple[Mapping[str, Dim], ...]
    inside: tuple[int, ...]


@dataclass
class Panels:
    """The panels of a program; the first is the model itself."""

    outline: Outline
    analysis: Analysis
    names: Sequence[str]
    found: list[Panel | None] = field(default_factory=list[Panel | None])
    _places: dict[tuple[str, Runs], int] = field(
        default_factory=dict[tuple[str, Runs], int]
    )

    def panels(self) -> list[Panel]:
        """All of them."""
        main = self.analysis.uses.main
        self._panel(self.outline.top, ((main, (), 1, 1),))
        return [panel for panel in self.found if panel is not None]

    def _panel(self, key: str, runs: Runs) -> int:
        if (key, runs) in self._places:
            return self._places[(key, runs)]
        place = self._places[(key, runs)] = len(self.found)
        self.found.append(None)
        cards = self.outline.levels[key].cards
        self.found[place] = Panel(
            key,
            tuple(self._figures(card, runs) for card in cards),
            tuple(self._inside(card, runs) for card in cards),
        )
        return place

    def _sites(self, card: Card, use: Use) -> list[Site]:
        sites = self.analysis.uses.inside(use).sites
        return [sites[node] for node in card.nodes]

    def _figures(self, card: Card, runs: Runs) -> Mapping[str, Dim]:
        return {name: self._figure(name, card, runs) for name in self.names}

    def _figure(self, name: str, card: Card, runs: Runs) -> Dim:
        parts = self.analysis.parts(name)
        counts: dict[Dim, int] = {}
        for use, place, count, owning in runs:
            times = owning if parts.owned else count
            for site in self._sites(card, use):
                value = parts.of_part(site, place)
                counts[value] = counts.get(value, 0) + times
        total = ZERO
        for value, times in counts.items():
            total = total + value * times
        return total.value

    def _inside(self, card: Card, runs: Runs) -> int:
        if card.inside is None:
            return -1
        if card.family is Family.LOOP:
            return self._panel(card.inside, runs)
        called: dict[tuple[Use, Place], tuple[int, int]] = {}
        for use, place, count, owning in runs:
            for site in self._sites(card, use):
                key = (site.use, (*place, site.node.id) if self._placed else ())
                own = owning if site.is_first else 0
                ran = 0 if site.is_left_out else count
                before = called.get(key, (0, 0))
                called[key] = (before[0] + ran, before[1] + own)
        inside = ((u, p, n, m) for (u, p), (n, m) in called.items())
        return self._panel(card.inside, tuple(inside))

    @cached_property
    def _placed(self) -> bool:
        """Whether a figure tells apart where functions are called."""
        return any(self.analysis.parts(name).placed for name in self.names)
