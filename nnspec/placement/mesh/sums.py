"""The division of operators into stages for which a sum over the stages is least."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Share:
    """What a stage adds: by the operators up to its ends, and by what is cut at either end.

    Each has a number for each position in the line of operators.
    """

    upto: Sequence[float]
    first: Sequence[float]
    last: Sequence[float]

    def of(self, first: int, last: int) -> float:
        """What the stage adds with the operators from `first` to before `last`."""
        return self.upto[last] - self.upto[first] + self.first[first] + self.last[last]


def least_sum(shares: Sequence[Share]) -> tuple[float, tuple[int, ...]]:
    """The least sum, and where the stages start that have it, with the end of the last.

    Exact: dynamic programming over positions, stage by stage. Every stage has operators.
    """
    operators, stages = len(shares[0].upto) - 1, len(shares)
    best = [0.0] + [inf] * operators
    came: list[list[int]] = []
    for stage, share in enumerate(shares):
        best, origin = _behind(
            best, share, range(stage + 1, operators - stages + stage + 2)
        )
        came.append(origin)
    starts = [operators]
    for origin in reversed(came):
        starts.append(origin[starts[-1]])
    return best[operators], tuple(reversed(starts))


def _behind(
    best: Sequence[float], share: Share, ends: range
) -> tuple[list[float], list[int]]:
    """The least sums behind one more stage that ends at each position, and its start."""
    reached, origin = [inf] * len(best), [0] * len(best)
    least, at = inf, 0
    for end in ends:
        first = end - 1
        before = best[first] - share.upto[first] + share.first[first]
        if before < least:
            least, at = before, first
        reached[end] = least + share.upto[end] + share.last[end]
        origin[end] = at
    return reached, origin
