"""What a change does to a model: its parts, side by side, and its figures.

Parts are aligned by where they stand (their path, with the first turn of a folded loop), in order. What
costs nothing is compared as well, with its constants and with where its inputs come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import FIGURES, Measured
from nnspec.analysis.summary import SummaryTree, summary
from nnspec.ir.dims import Dim, Size
from nnspec.ir.graph import Program
from nnspec.records import dataclass

COMPARED = ("parameters", "flops")
_RANGE = re.compile(r"(\d+)-\d+")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class Change:
    """A part before and after; one of them is None where it is new or gone."""

    before: SummaryTree | None
    after: SummaryTree | None
    children: tuple[Change, ...] = ()
    # How often it stands in the part above, before and after.
    repeats: tuple[int, int] = (1, 1)

    @property
    def part(self) -> SummaryTree:
        """The part as it is now, or as it was."""
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def kind(self) -> str:
        """`added`, `removed`, `changed` (itself), `inside` (only below it) or `same`."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        if self.aspects:
            return "changed"
        return "inside" if any(c.kind != "same" for c in self.children) else "same"

    @property
    def aspects(self) -> tuple[str, ...]:
        """In what a part that is on both sides differs, besides its figures."""
        if self.before is None or self.after is None:
            return ()
        found: list[str] = []
        for name in ("kind", "detail", "output"):
            if getattr(self.before, name) != getattr(self.after, name):
                found.append(name)
        if self.repeats[0] != self.repeats[1]:
            found.append("repeats")
        if _wiring(self.before) != _wiring(self.after):
            found.append("sources")
        return tuple(found)

    def walk(self) -> Iterator[tuple[Change, int]]:
        """This change and all below, in order, each with its level; without recursion."""
        waiting: list[tuple[Change, int]] = [(self, 0)]
        while waiting:
            change, level = waiting.pop()
            yield change, level
            waiting.extend((below, level + 1) for below in reversed(change.children))


@dataclass(frozen=True)
class Difference:
    """Two programs compared: every figure on both sides, and the parts."""

    figures: Mapping[str, tuple[Measured, Measured]]
    root: Change

    @property
    def is_empty(self) -> bool:
        """Whether the programs are the same in every respect that was compared."""
        return self.root.kind == "same" and all(
            before == after for before, after in self.figures.values()
        )


def difference(
    before: Program,
    after: Program,
    sizes_before: Mapping[str, Size] | None = None,
    sizes_after: Mapping[str, Size] | None = None,
) -> Difference:
    """Compares two programs, with what is known of the sizes of each put in."""
    sides = [
        (Analysis(program).where(sizes), sizes)
        for program, sizes in ((before, sizes_before or {}), (after, sizes_after or {}))
    ]
    figures = {
        name: (one, other)
        for name in FIGURES
        for one, other in [[a.at(name, sizes) for a, sizes in sides]]
    }
    one, other = (
        summary(a.program, sizes, figures=COMPARED, analysis=a, everything=True)
        for a, sizes in sides
    )
    return Difference(figures, _change(one, other, (1, 1)))


def _change(before: SummaryTree, after: SummaryTree, above: tuple[int, int]) -> Change:
    repeats = (before.count // above[0], after.count // above[1])
    if before == after:
        return Change(before, after, repeats=repeats)
    return Change(before, after, tuple(_aligned(before, after)), repeats)


def _aligned(before: SummaryTree, after: SummaryTree) -> Iterator[Change]:
    """The parts of two blocks in one order: what is gone stands where it was."""
    one, other = before.children, after.children
    above = (before.count, after.count)
    matcher = SequenceMatcher(None, _places(one), _places(other), autojunk=False)
    for operation, a, b, c, d in matcher.get_opcodes():
        if operation == "equal":
            pairs = zip(one[a:b], other[c:d], strict=True)
            yield from (_change(left, right, above) for left, right in pairs)
            continue
        yield from (Change(part, None) for part in one[a:b])
        yield from (Change(None, part) for part in other[c:d])


def _places(parts: Sequence[SummaryTree]) -> list[str]:
    """Where each part stands: its path, with the first turn of a folded loop."""
    return [_RANGE.sub(r"\1", part.path) for part in parts]


def _wiring(part: SummaryTree) -> tuple[str, ...]:
    """Where the inputs come from, whatever the turn of a loop."""
    return tuple(_NUMBER.sub("#", source) for source in part.sources)


def growth(before: Measured, after: Measured, sizes: Mapping[str, int]) -> str:
    """`+12.5 %`, `x 3.2` from twice on, at some sizes; nothing where it cannot be said."""
    before, after = before.at(sizes), after.at(sizes)
    if not (before.is_known and after.is_known):
        return ""
    if before.below == 0 or after.below == 0 or before.value == 0:
        return ""
    ratio = after.exactly() / before.exactly()
    if ratio >= 2:
        return f"x {float(ratio):.3g}" if ratio < 10**15 else "x 10^15 and more"
    return f"{float(ratio - 1) * 100:+.1f} %"


def known(amount: int | Dim, sizes: Mapping[str, int]) -> int:
    """A figure of a part at some sizes."""
    return amount if isinstance(amount, int) else int(amount.at(sizes))
