"""What the fullest rank of a mesh has in use at least, by how many operators its ranks can hold.

Of each rank is asked how many operators its stages can hold, wherever they stand, before its
measure (that of `nnspec.placement.mesh.uses`, bytes in use or seconds) is larger; all ranks together
have to hold all. Operators that take little are not counted,
and stages that hold nothing else are no more than there are of those.
Where a model repeats one block, that is about all that matters, and a division is made of it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from math import inf
from operator import add, itemgetter, lt

from nnspec.placement.mesh.uses import Amounts, Use, Uses, not_exceeded

LITTLE = 0.5
"""Operators that take less than this share of the mean are not counted."""

Load = tuple[int, int]
"""How many operators a rank holds, and how many of its stages hold none."""

Counts = tuple[int, ...]
"""How many operators each stage of a rank holds."""

Way = tuple[Counts, Use]
"""So many, with what is in use at least."""


class Cover:
    """How many operators the ranks of a mesh can hold, with a measure below `most`."""

    def __init__(self, uses: Uses, most: float) -> None:
        self.uses = uses
        self.most = most
        sizes = [uses.grown(place, place + 1) for place in range(uses.count)]
        enough = LITTLE * sum(sizes) / len(sizes)
        self.upto = list(accumulate((size >= enough for size in sizes), initial=0))
        self.steps = uses.count**2 // 8
        """What making this takes, in steps of `nnspec.placement.mesh.packing`, about."""
        self.uncounted = len(sizes) - self.upto[-1]
        self._least: dict[object, Mapping[int, Amounts]] = {}

    @cached_property
    def bound(self) -> float:
        """The largest measure of a rank at least; `most` if that or more."""
        rooms = sorted({use for rank in self._ranks for use, _ in rank.values()})
        place = bisect_left(rooms, True, key=lambda room: self._hold_all(room))
        return rooms[place] if place < len(rooms) else self.most

    @cached_property
    def held(self) -> Sequence[int]:
        """How many operators of the run each rank can hold at most; nothing if they are not counted."""
        run = self.uses.run
        if self.upto[run.stop] - self.upto[run.start] < len(run):
            return ()
        return [max((count for count, _ in rank), default=0) for rank in self._ranks]

    def starts(self) -> Sequence[int] | None:
        """A division with the numbers of operators behind the bound, if there is one."""
        if self.bound >= self.most:
            return None
        chosen = list(self._chosen(self.bound))
        surplus = sum(count for count, _ in chosen) - self.upto[-1]
        for place, rank in enumerate(self._ranks):
            count, empty = chosen[place]
            while surplus and rank.get((count - 1, empty), (inf,))[0] <= self.bound:
                count, surplus = count - 1, surplus - 1
            chosen[place] = count, empty
        return None if surplus else self._cut(chosen)

    def _hold_all(self, room: float) -> bool:
        return sum(count for count, _ in self._chosen(room)) >= self.upto[-1]

    def _chosen(self, room: float) -> Sequence[Load]:
        """What ranks hold that hold most together, with no more empty stages than there can be."""
        best: dict[int, tuple[int, tuple[Load, ...]]] = {0: (0, ())}
        for rank in self._ranks:
            able: dict[int, int] = {}
            for (count, more), (use, _) in rank.items():
                if use <= room:
                    able[more] = max(count, able.get(more, 0))
            reached: dict[int, tuple[int, tuple[Load, ...]]] = {}
            for empty, (held, loads) in best.items():
                for more, count in able.items():
                    mine = held + count, (*loads, (count, more))
                    if empty + more <= self.uncounted:
                        before = reached.get(empty + more, mine)
                        reached[empty + more] = max(before, mine)
            best = reached
        return max(best.values(), default=(0, ()))[1]

    def _cut(self, chosen: Sequence[Load]) -> Sequence[int] | None:
        """Cuts as early as can be behind so many operators of each rank."""
        held: dict[int, int] = {}
        for stages, rank, load in zip(
            self.uses.stages, self._ranks, chosen, strict=True
        ):
            held.update(zip(stages, rank[load][1], strict=True))
        starts, count = [0], 0
        for stage in range(len(held) - 1):
            count += held[stage]
            starts.append(max(self.upto.index(count), starts[-1] + 1))
        last = self.uses.count
        return (*starts, last) if starts[-1] < last else None

    # ---- one rank ------------------------------------------------------------------------

    @cached_property
    def _ranks(self) -> list[Mapping[Load, tuple[float, Counts]]]:
        """For each rank and load the least measure, and how many operators are on each stage."""
        return [self._of_rank(rank) for rank in range(len(self.uses.stages))]

    def _of_rank(self, rank: int) -> Mapping[Load, tuple[float, Counts]]:
        *stages, last = self.uses.stages[rank]
        limits = self.uses.limits(rank, self.most)
        ways: Sequence[Way] = [((), self.uses.nothing(rank))]
        for stage in stages:
            ways = not_exceeded(self._longer(ways, stage, limits), _load, itemgetter(1))
        best: dict[Load, tuple[float, Counts]] = {}
        for way in self._longer(ways, last, limits):
            counts, use = way
            load, mine = _load(way), (self.uses.measure(use), counts)
            best[load] = min(mine, best.get(load, mine))
        return best

    def _longer(self, ways: Sequence[Way], stage: int, limits: Use) -> Iterator[Way]:
        """All ways with one more stage that stay within the limits."""
        least = [
            (count, self.uses.at_moments(stage, amounts))
            for count, amounts in self._least_of(stage).items()
        ]
        self.steps += len(ways) * len(least) * (1 + len(limits) // 8)
        for counts, before in ways:
            for count, more in least:
                use = tuple(map(add, before, more))
                if all(map(lt, use, limits)):
                    yield (*counts, count), use

    # ---- one stage -----------------------------------------------------------------------

    def _least_of(self, stage: int) -> Mapping[int, Amounts]:
        """The least of each amount for each number of operators, wherever the stage stands."""
        key = self.uses.kinds[stage]
        if key not in self._least:
            self._least[key] = self._least_anywhere(stage)
        return self._least[key]

    def _least_anywhere(self, stage: int) -> Mapping[int, Amounts]:
        count, last = self.uses.count, self.uses.cost.stages - 1
        found: dict[int, Amounts] = {}
        for first in range(1, count) if stage else (0,):
            for end in range(first + 1, count) if stage < last else (count,):
                if self.uses.is_too_much(first, end, self.most):
                    break
                amounts = self.uses.amounts(stage, first, end)
                number = self.upto[end] - self.upto[first]
                found[number] = tuple(map(min, amounts, found.get(number, amounts)))
        return found


def _load(way: Way) -> Load:
    counts, _ = way
    return sum(counts), counts.count(0)
