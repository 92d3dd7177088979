"""What a figure grows with, as a table: which sizes, how fast, and which parts of the model are the cause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.figures import Figure
    from nnspec.analysis.growing import Growing

MOST_CAUSES = 3
LEAST_SHARE = 10


def growth_table(
    analysis: Analysis,
    figure: Figure,
    known: Mapping[str, int],
    sizes: Mapping[str, int],
) -> str | None:
    """What a figure grows with when sizes are `known`, shares being those at `sizes`; None if in one way."""
    from nnspec.analysis.formula.factor import factored
    from nnspec.analysis.formula.notation import Notation
    from nnspec.analysis.growing import growing, thousandths
    from nnspec.cli.render import table

    parts = growing(analysis, figure.name, known)
    if len(parts) < 2:
        return None
    total = sum(int(part.growth.value.at(sizes)) for part in parts)
    rows: list[list[str]] = []
    for part in parts:
        share = thousandths(int(part.growth.value.at(sizes)), total)
        times = Notation().write(factored(part.growth.factor))
        rows.append([_with(part), times, f"{share / 10:.1f} %", _causes(part, sizes)])
    where = ", ".join(f"{name}={size}" for name, size in sizes.items())
    headings = (f"{figure.title} grow with", "times", f"share at {where}", "by")
    return table(headings, rows, numeric=(1, 2))


def _with(part: Growing) -> str:
    from nnspec.analysis.formula.factor import joined
    from nnspec.analysis.formula.notation import Notation
    from nnspec.analysis.formula.tree import Number

    if not part.growth.sizes:
        return "fixed"
    return Notation().write(joined(Number(1), part.growth.sizes))


def _causes(part: Growing, sizes: Mapping[str, int]) -> str:
    """The labels that have most of it, with their shares."""
    shares = [pair for pair in part.shares(sizes) if pair[1] >= LEAST_SHARE]
    shown = [f"{label} {share / 10:.0f} %" for label, share in shares[:MOST_CAUSES]]
    return ", ".join([*shown, "..."] if len(shares) > MOST_CAUSES else shown)
