"""The report of a model: one page with its architecture, its costs by block, and sizes to play with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nnspec.analysis.figures import FIGURES, Analysis, Figure, Measured
from nnspec.analysis.setting import Setting
from nnspec.analysis.typical import typical_sizes
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import ONE
from nnspec.ir.graph import Path, Program
from nnspec.picture.formulas import Formulas
from nnspec.picture.letters import plain
from nnspec.picture.outline import outline
from nnspec.picture.page import asset, data_script, drawing, page, positions
from nnspec.picture.panels import Panels
from nnspec.picture.skeleton import TooLarge

SLIDER_TOP = 65_536
"""How far a slider goes where a size has no bound; the field beside it takes any size."""
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
        return _report(Analysis(program, setting), symbols or {})
    except TooLarge as error:
        raise SpecError(
            "E0502", f"a part of this model is too large to draw: {error}"
        ) from None


def _report(analysis: Analysis, symbols: Mapping[str, int]) -> str:
    program = analysis.program
    found = outline(program)
    formulas = Formulas(program.symbols)
    additive = [each for each in FIGURES.values() if each.quantity is not None]
    panels = Panels(found, analysis, [each.name for each in additive]).panels()
    levels = {key: place for place, key in enumerate(found.levels)}
    opened: frozenset[Path] = frozenset()
    data: dict[str, Any] = {
        "name": plain(program.name),
        "about": _about(analysis),
        "note": _note(analysis.setting),
        "symbols": [_symbol(program, name, symbols) for name in program.symbols],
        "needs": [
            {"text": text, "formula": formulas.place(size)}
            for text, size in program.requirements
        ],
        "figures": [
            _figure(analysis, each, additive, formulas)
            for each in FIGURES.values()
            if not analysis.goes_without_saying(each)
        ],
        "chosen": CHOSEN if analysis.figure(CHOSEN) != 0 else "parameters",
        "panels": [
            {
                "level": levels[panel.level],
                "inside": panel.inside,
                "figures": [
                    [formulas.place(figures[each.name]) for each in additive]
                    for figures in panel.figures
                ],
            }
            for panel in panels
        ],
        "top": 0,
        "opened": positions(found, opened),
        **drawing(found),
    }
    scripts = [
        data_script(data),
        formulas.script(),
        asset("geometry.js"),
        asset("view.js"),
        asset("report.js"),
    ]
    return page(program.name, asset("report.html"), scripts)


def _about(analysis: Analysis) -> str:
    program = analysis.program
    doc = (program.doc or "").strip().split("\n")[0]
    return plain(f"{doc}  {program.source_name}".strip())


def _note(setting: Setting) -> str:
    return (
        f"Assumed: {setting.policy.name}, optimizer {setting.optimizer}, attention {setting.attention}, "
        f"dropout {setting.dropout}. A repeated block counts as often as it runs; shared weights count where "
        "they are used first."
    )


def _symbol(
    program: Program, name: str, chosen: Mapping[str, int]
) -> dict[str, str | None]:
    low, high = program.assumptions.bounds.get(name, (1, None))
    multiple = program.assumptions.multiples.get(name, 1)
    least = -(-low // multiple) * multiple
    most = None if high is None else high // multiple * multiple
    value = chosen.get(name, typical_sizes(program)[name])
    top = max(least, value, SLIDER_TOP // multiple * multiple) if most is None else most
    return {
        "name": name,
        "low": str(least),
        "high": None if most is None else str(most),
        "multiple": str(multiple),
        "value": str(value),
        "top": str(top),
    }


def _figure(
    analysis: Analysis, figure: Figure, additive: list[Figure], formulas: Formulas
) -> dict[str, Any]:
    found = analysis.measured(figure.name)
    below = "" if found.below == ONE else f" / ({formulas.text(found.below)})"
    above = formulas.text(found.value)
    return {
        "name": figure.name,
        "title": figure.title,
        "unit": figure.unit.value,
        "convention": figure.convention,
        "value": formulas.place(found.value),
        "below": formulas.place(found.below),
        "formula": _shown(f"({above}){below}" if below else above, found),
        "part": additive.index(figure) if figure in additive else -1,
    }


def _shown(formula: str, found: Measured) -> str:
    """A formula where it says more than the number does."""
    return "" if found.is_known else formula
