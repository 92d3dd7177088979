"""Long runs of turns of a loop that are unlike, put together for a table that a person can read at a glance.

What is alike is one row by itself (`12 x blocks.0-11`). The layers of a DenseNet are not, each has more channels than
the one before: more of them in a row than `MOST_APART` are one row, too, with what they have together. What is
written for programs keeps each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nnspec.ir.dims import Dim

if TYPE_CHECKING:
    from nnspec.analysis.summary import SummaryTree

MOST_APART = 4
"""So many unlike turns in a row still have a row each."""

LONGEST_TURN = 16
"""So many rows may come again from turn to turn."""


def gathered(tree: SummaryTree) -> SummaryTree:
    """The same with long runs of turns put together, at every level; blocks nest at most some dozens."""
    rows = [gathered(child) for child in tree.children]
    return replace(tree, children=tuple(_joined(rows)))


def _joined(rows: Sequence[SummaryTree]) -> Iterator[SummaryTree]:
    start = 0
    while start < len(rows):
        period, turns = _run(rows, start)
        for place in range(start, start + period):
            yield _together(rows[place : start + period * turns : period])
        start += period * turns


def _run(rows: Sequence[SummaryTree], start: int) -> tuple[int, int]:
    """How many rows from `start` on come again in later turns of their loop, and in how many, if these are many."""
    for period in range(1, min(LONGEST_TURN, len(rows) - start) + 1):
        end = start + period
        while end < len(rows) and _is_next(rows[end - period], rows[end]):
            end += 1
        turns = (end - start) // period
        if turns > MOST_APART:
            return period, turns
    return 1, 1


def _is_next(row: SummaryTree, other: SummaryTree) -> bool:
    """Whether another row is that of the same layer or block in the turn behind."""
    if row.kind != other.kind:
        return False
    place = _changing(row.path, other.path)
    if place is None:
        return False
    (_, last), (first, _) = (_turns(each.path, place) for each in (row, other))
    return last >= 0 and first == last + 1


def _changing(path: str, other: str) -> int | None:
    """Where the only part of a path is in which another one differs."""
    parts = path.split("."), other.split(".")
    if len(parts[0]) != len(parts[1]):
        return None
    pairs = zip(*parts, strict=True)
    places = [place for place, (one, two) in enumerate(pairs) if one != two]
    return places[0] if len(places) == 1 else None


def _turns(path: str, place: int) -> tuple[int, int]:
    """The first and the last turn that a part of a path stands for; -1 where it is a name."""
    first, _, last = path.split(".")[place].partition("-")
    return (int(first), int(last or first)) if first.isdigit() else (-1, -1)


def _together(rows: Sequence[SummaryTree]) -> SummaryTree:
    """One row for several turns, with the sums of their figures."""
    if len(rows) == 1:
        return rows[0]
    first, last = rows[0].path, rows[-1].path
    place = _changing(first, last)
    assert place is not None
    parts = first.split(".")
    parts[place] = f"{_turns(first, place)[0]}-{_turns(last, place)[1]}"
    return _sum(rows, ".".join(parts))


def _sum(rows: Sequence[SummaryTree], path: str) -> SummaryTree:
    first, last = rows[0], rows[-1]
    is_one = all(row.output == first.output for row in rows)
    figures: dict[str, int | Dim] = {
        name: sum((row.figures[name] for row in rows[1:]), start=amount)
        for name, amount in first.figures.items()
    }
    return replace(
        first,
        path=path,
        output=first.output if is_one else f"{first.output} to {last.output}",
        figures=figures,
        count=sum(row.count for row in rows),
        children=tuple(_children(rows, path)),
    )


def _children(rows: Sequence[SummaryTree], path: str) -> Iterator[SummaryTree]:
    """The rows inside several turns, each with its like; none where they have not the same inside."""
    inside = [[_inner(row, child) for child in row.children] for row in rows]
    if any(names != inside[0] for names in inside):
        return
    columns = zip(*(row.children for row in rows), strict=True)
    for (name, _), column in zip(inside[0], columns, strict=True):
        yield _sum(column, f"{path}.{name}")


def _inner(row: SummaryTree, child: SummaryTree) -> tuple[str, str]:
    """The name of a row inside another one, and what it is."""
    return child.path.removeprefix(f"{row.path}."), child.kind
