"""The parts of a model in a table: rows to a depth, their names, their shares as bars."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnspec.analysis.summary import SummaryTree

_BAR = 12


def unfolded(tree: SummaryTree, depth: int) -> list[tuple[SummaryTree, int]]:
    """The rows below a row in order, as deep as asked, each with its level; without recursion."""
    found: list[tuple[SummaryTree, int]] = []
    waiting = [(child, 1) for child in reversed(tree.children)] if depth else []
    while waiting:
        row, level = waiting.pop()
        found.append((row, level))
        if level < depth:
            waiting += [(child, level + 1) for child in reversed(row.children)]
    return found


def part_name(row: SummaryTree, level: int) -> str:
    """The path of a part, indented by its level, and how often it is there."""
    repeated = f"{row.count} x " if row.count > 1 else ""
    return f"{'  ' * (level - 1)}{repeated}{row.path}"


def share_bar(thousandths: int) -> str:
    """A share as a bar and in percent."""
    from nnspec.cli.render import bar
    from nnspec.cli.shown.tables import Whole

    return Whole(f"{bar(thousandths, _BAR)} {thousandths / 10:5.1f} %")
