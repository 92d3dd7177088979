"""Who holds the memory at a peak: a table by part and kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nnspec.cli.shown.parts import part_name, share_bar, unfolded

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.figures import Figure
    from nnspec.analysis.memory.holders import Held
    from nnspec.analysis.summary import SummaryTree
    from nnspec.ir.dims import Size

TOTAL = "all"


def holders_of(analysis: Analysis, figure: Figure, sizes: Mapping[str, Size]) -> Held:
    """What is alive at a peak at some sizes. All of them must be given."""
    from nnspec.analysis.memory.holders import Held

    found = analysis.parts(figure.name, sizes)
    assert isinstance(found, Held)
    return found


def kinds_of(held: Held) -> dict[str, int]:
    """The bytes of each kind, and of what belongs to no part."""
    kinds = {name: int(parts.total()) for name, parts in held.kinds.items()}
    return {**kinds, **{name: int(amount) for name, amount in held.rest.items()}}


def peak_table(
    analysis: Analysis, figure: Figure, sizes: Mapping[str, Size], depth: int
) -> str:
    """The parts with what they hold at a peak, by kind; what belongs to no part below."""
    from nnspec.analysis.growing import thousandths
    from nnspec.analysis.summary import summary
    from nnspec.cli.render import table
    from nnspec.cli.shown.gathering import gathered

    held = holders_of(analysis, figure, sizes)
    kinds = {name: parts for name, parts in held.kinds.items() if parts.total() != 0}
    tree = summary(
        analysis.program,
        sizes,
        figures=(),
        analysis=analysis,
        more={**kinds, TOTAL: held},
    )
    whole = _bytes(tree, TOTAL)
    rows: list[list[str]] = []
    for row, level in unfolded(gathered(tree), depth):
        amounts = [_bytes(row, name) for name in kinds]
        rows.append(_row(part_name(row, level), amounts, _bytes(row, TOTAL)))
    blank = ["" for _ in kinds]
    for name, amount in held.rest.items():
        rows.append([name, *blank, *_row("", [], int(amount))[1:]])
    rows.append(_row("all of it", [_bytes(tree, name) for name in kinds], whole))
    for row in rows:
        row[-1] = share_bar(thousandths(int(row[-1]), whole))
    where = ", ".join(f"{name}={size}" for name, size in sizes.items())
    first = f"{figure.title}, at {where}" if where else figure.title
    headings = (first, *kinds, TOTAL, "share")
    return table(headings, rows, numeric=tuple(range(1, len(kinds) + 2)))


def _row(name: str, amounts: list[int], whole: int) -> list[str]:
    from nnspec.cli.shown.amounts import bytes_text

    shown = [bytes_text(amount) if amount else "" for amount in amounts]
    return [name, *shown, bytes_text(whole), str(whole)]


def _bytes(row: SummaryTree, name: str) -> int:
    return int(row.figures[name])
