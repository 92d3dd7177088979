"""The report of a model: one page with its architecture, its costs by block, and sizes to play with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import chain, combinations
from typing import Any

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.exactness import remarks
from nnspec.analysis.figures import FIGURES, Figure, Measured
from nnspec.analysis.setting import Setting
from nnspec.analysis.typical import typical_sizes
from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Program
from nnspec.picture.formulas import Formulas
from nnspec.picture.letters import plain
from nnspec.picture.outlining import outline
from nnspec.picture.page import asset, data_script, drawing, page, positions
from nnspec.picture.panels import Panels
from nnspec.picture.skeleton import TooLarge

SLIDER_TOP = 65_536
"""How far a slider goes where a size has no bound; the field beside it takes any size."""
MOST_SINGLE = 3
"""Of so many sizes that may be 1, memory is counted for each way in which they are."""
CHOSEN = "flops"


def report(
    program: Program,
    setting: Setting | None = None,
    symbols: Mapping[str, int] | None = None,
) -> str:
    """The page. `symbols` are the sizes at which it opens; all can be changed in it.

    Raises `SpecError` for an operator without a rule of costs, and E0502 for what is too large to draw.
    """
    try:
        return _Report(Analysis(program, setting), symbols or {}).page()
    except TooLarge as error:
        raise SpecError(
            "E0502", f"a part of this model is too large to draw: {error}"
        ) from None


class _Report:
    """The parts of the page, which share one table of formulas."""

    def __init__(self, analysis: Analysis, symbols: Mapping[str, int]) -> None:
        self.analysis = analysis
        self.program = analysis.program
        self.symbols = symbols
        self.outline = outline(self.program)
        self.formulas = Formulas(self.program.symbols)
        self.additive = [each for each in FIGURES.values() if each.has_parts]

    def page(self) -> str:
        data = {
            "name": plain(self.program.name),
            "about": _about(self.program),
            "note": self._note(),
            "symbols": [self._symbol(name) for name in self.program.symbols],
            "needs": self._needs(),
            "figures": self._figures(),
            "chosen": CHOSEN if self.analysis.figure(CHOSEN) != 0 else "parameters",
            "panels": self._panels(),
            "top": 0,
            "opened": positions(self.outline, ()),
            **drawing(self.outline),
        }
        scripts = [data_script(data), self.formulas.script()]
        scripts += [asset(f"{name}.js") for name in ("geometry", "view", "report")]
        return page(self.program.name, asset("report.html"), scripts)

    def _needs(self) -> list[dict[str, Any]]:
        """What must be at least 1 for the model to run."""
        return [
            {"text": text, "formula": self.formulas.place(size)}
            for text, size in self.program.requirements
        ]

    def _panels(self) -> list[dict[str, Any]]:
        levels = {key: place for place, key in enumerate(self.outline.levels)}
        names = [each.name for each in self.additive]
        return [
            {
                "level": levels[panel.level],
                "inside": panel.inside,
                "figures": [
                    [self.formulas.place(figures[name]) for name in names]
                    for figures in panel.figures
                ],
            }
            for panel in Panels(self.outline, self.analysis, names).panels()
        ]

    def _figures(self) -> list[dict[str, Any]]:
        return [
            self._figure(each)
            for each in FIGURES.values()
            if not self.analysis.goes_without_saying(each)
        ]

    def _figure(self, figure: Figure) -> dict[str, Any]:
        found = self.analysis.measured(figure.name)
        additive = self.additive
        return {
            "name": figure.name,
            "title": figure.title,
            "unit": figure.unit.value,
            "convention": self._convention(figure),
            "value": self.formulas.place(found.value),
            "below": self.formulas.place(found.below),
            "ones": self._ones(figure, found),
            "formula": "" if found.is_known else self._formula(found),
            "part": additive.index(figure) if figure in additive else -1,
        }

    @cached_property
    def _singles(self) -> Sequence[tuple[str, ...]]:
        """Which sizes may be 1 together, as far as they are counted."""
        assumptions = self.program.assumptions
        able = [
            name
            for name in self.program.symbols
            if assumptions.bounds.get(name, (1, None))[0] == 1
            and assumptions.multiples.get(name, 1) == 1
        ]
        sets = (combinations(able, count + 1) for count in range(len(able)))
        return [] if len(able) > MOST_SINGLE else [*chain.from_iterable(sets)]

    def _ones(self, figure: Figure, found: Measured) -> dict[str, int]:
        """Other formulas where sizes are 1, by which are (bit by bit): an axis of one element lies otherwise in memory."""
        if figure.whole is None:
            return {}
        ones: dict[str, int] = {}
        for names in self._singles:
            there = self.analysis.where(dict.fromkeys(names, 1)).measured(figure.name)
            sizes = dict.fromkeys(names, 1)
            if there.value.at(sizes) != found.value.at(sizes):
                bits = sum(1 << self.program.symbols.index(name) for name in names)
                ones[str(bits)] = self.formulas.place(there.value)
        return ones

    def _note(self) -> str:
        """What all figures assume."""
        setting, is_all = (
            self.analysis.setting,
            self._singles or not self.program.symbols,
        )
        return (
            f"Assumed: {setting.policy.name}, optimizer {setting.optimizer}, attention {setting.attention}, "
            f"dropout {setting.dropout}. A repeated block counts as often as it runs; shared weights count where "
            f"they are used first.{'' if is_all else ' Memory is that of sizes of at least 2.'}"
        )

    def _convention(self, figure: Figure) -> str:
        """How it is counted, and where that is not exact."""
        found = remarks(self.analysis, (figure.name,))
        said = (f"{each.direction}: {each.reason}" for each in found)
        return "; ".join([figure.convention, *said])

    def _formula(self, found: Measured) -> str:
        above = self.formulas.text(found.value)
        if found.below == 1:
            return above
        return f"({above}) / ({self.formulas.text(found.below)})"

    def _symbol(self, name: str) -> dict[str, str | None]:
        low, high = self.program.assumptions.bounds.get(name, (1, None))
        multiple = self.program.assumptions.multiples.get(name, 1)
        least = -(-low // multiple) * multiple
        most = None if high is None else high // multiple * multiple
        value = self.symbols.get(name, typical_sizes(self.program)[name])
        far = max(least, value, SLIDER_TOP // multiple * multiple)
        return {
            "name": name,
            "low": str(least),
            "high": None if most is None else str(most),
            "multiple": str(multiple),
            "value": str(value),
            "top": str(far if most is None else most),
        }


def _about(program: Program) -> str:
    doc = (program.doc or "").strip().split("\n")[0]
    return plain(f"{doc}  {program.source_name}".strip())
