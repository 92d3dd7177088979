"""The division of a mesh whose fullest rank has least in use: exact, by dynamic programming.

What a rank has in use, and for how long it is busy, depends on where its own stages start and end. So the
model is divided from rank to rank, and a state is how far each round has come: the first stages of
all ranks stand in a line, and so do the second ones, and so on. Where operators are
alike, as the blocks of a transformer, it does not matter which of them a stage has but how
many, so of all places among them one is kept, and the number of those that are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, combinations_with_replacement
from operator import lt
from typing import NamedTuple

from nnspec.placement.mesh.uses import Use, Uses, not_exceeded

Fronts = tuple[int, ...]
"""How far each round has come: places between operators, one for all that are inside of the run."""

State = tuple[Fronts, int]
"""That, and how many operators of the run have been taken."""

Lengths = tuple[int, ...]
"""How many operators each stage of a rank has."""

Step = tuple[Fronts, int, float, Lengths]
"""How far a rank takes each round, how many of the run it takes, and the measure of what it has in use."""


class Part(NamedTuple):
    """Some stages of a rank: how far they take their rounds, and what is in use there."""

    behind: Fronts
    taken: int
    use: Use
    lengths: Lengths

    def reached(self) -> tuple[Fronts, int]:
        """How far they take the rounds, and how many of the run they have."""
        return self.behind, self.taken

    def used(self) -> Use:
        """What is in use."""
        return self.use

    def with_stage(self, place: int, count: int, use: Use, length: int) -> Part:
        """With one more, up to a place, and with it so much in use."""
        lengths = (*self.lengths, length)
        return Part((*self.behind, place), self.taken + count, use, lengths)


class Unfinished(Exception):
    """More would have to be looked at than is allowed."""


class Packing:
    """The divisions of one mesh in which the measure of all ranks is less than `most`.

    `held` says how many of the operators that are alike each rank can hold at most.
    The measure is that of `uses`: bytes, seconds (`nnspec.placement.mesh.timed`), or a sum
    (`nnspec.placement.mesh.weighed`).
    """

    def __init__(
        self, uses: Uses, most: float, steps: int, held: Sequence[int] = ()
    ) -> None:
        self.uses = uses
        self.most = most
        self.steps, self.taken = steps, 0
        self._limits: Use = ()
        mesh = uses.cost.mesh
        self.ranks, self.rounds = mesh.pipeline, mesh.rounds
        self.back_again = mesh.schedule == "ZBVZeroBubble"
        self.first, self.last = uses.run.start, uses.run.stop
        self.alike = len(uses.run)
        behind = [sum(held[rank + 1 :]) for rank in range(self.ranks)]
        self.needed = [self.alike - more if held else 0 for more in behind]
        """So many of the run have to be taken up to each rank, for later ones to hold what is left."""
        self.inside = self.first + 1
        """The place that stands for all inside of the run."""
        inner = {*range(self.inside, self.last)} - {self.inside}
        self.places = [n for n in range(uses.count + 1) if n not in inner]

    def least(self) -> Sequence[int] | None:
        """Where stages start for which the measure of all ranks is least; None if there are none.

        `most` is that measure then.

        Raises Unfinished after too many steps.
        """
        best: Sequence[int] | None = None
        for fronts, ends in self._rounds():
            found = self._through(fronts, ends)
            if found is not None:
                self.most, best = found
        return best

    def _rounds(self) -> Iterator[tuple[Fronts, Fronts]]:
        """Where rounds start, and where they end."""
        count = self.uses.count
        if self.back_again:
            yield (0, count), (count, 0)
            return
        for middle in combinations_with_replacement(self.places, self.rounds - 1):
            borders = (0, *middle, count)
            yield borders[:-1], borders[1:]

    # ---- from rank to rank ---------------------------------------------------------------

    def _through(
        self, fronts: Fronts, ends: Fronts
    ) -> tuple[float, Sequence[int]] | None:
        """The least measure, and where stages start."""
        best: dict[State, float] = {(fronts, 0): 0.0}
        came: list[dict[State, tuple[State, Lengths]]] = []
        for rank in range(self.ranks):
            best, origin = self._behind(rank, best, ends)
            came.append(origin)
        if not best:
            return None
        state = min(best, key=best.__getitem__)
        return best[state], self._starts(state, came)

    def _behind(
        self, rank: int, before: Mapping[State, float], ends: Fronts
    ) -> tuple[dict[State, float], dict[State, tuple[State, Lengths]]]:
        """The states behind a rank, with the least measure so far, and where they come from."""
        reached: dict[State, float] = {}
        origin: dict[State, tuple[State, Lengths]] = {}
        refused: set[State] = set()
        steps: dict[Fronts, Sequence[Step]] = {}
        together = self.uses.together
        most_taken: dict[Fronts, int] = {}
        for fronts, taken in before:
            most_taken[fronts] = max(taken, most_taken.get(fronts, 0))
        for state, used in before.items():
            fronts, taken = state
            if fronts not in steps:
                needed = self.needed[rank] - most_taken[fronts]
                steps[fronts] = self._steps(rank, fronts, ends, needed)
            for behind, more, measure, lengths in steps[fronts]:
                after = behind, taken + more
                value = together(measure, used)
                if after in refused or value >= reached.get(after, self.most):
                    continue
                if after in reached or self._goes_on(rank, after, ends):
                    reached[after], origin[after] = value, (state, lengths)
                else:
                    refused.add(after)
        return reached, origin

    def _goes_on(self, rank: int, state: State, ends: Fronts) -> bool:
        """Whether later ranks may have room for what is left of the model."""
        fronts, taken = state
        if taken < self.needed[rank]:
            return False
        self._count()
        left = self.alike - taken
        if rank + 1 == self.ranks or left < 0:
            return not left
        if self.back_again:
            fronts, ends = fronts[:1], fronts[1:]
        amounts = [
            left * alike
            + sum(map(upto.__getitem__, ends))
            - sum(map(upto.__getitem__, fronts))
            for upto, alike in self._beside
        ]
        return self.uses.have_room(rank + 1, amounts, self.most)

    @cached_property
    def _beside(self) -> list[tuple[Sequence[float], float]]:
        """Up to each place what there is of each sum beside the run, and in one operator of it."""
        first, last = self.first, self.last
        found: list[tuple[Sequence[float], float]] = []
        for upto in self.uses.sums:
            beside = [
                upto[min(place, first)] + upto[max(place, last)] - upto[last]
                for place in range(len(upto))
            ]
            alike = upto[first + 1] - upto[first] if self.alike else 0.0
            found.append((beside, alike))
        return found

    def _starts(
        self, state: State, came: Sequence[Mapping[State, tuple[State, Lengths]]]
    ) -> Sequence[int]:
        lengths = [0] * self.ranks * self.rounds
        for rank, origin in reversed(list(enumerate(came))):
            state, its = origin[state]
            for stage, length in zip(self.uses.stages[rank], its, strict=True):
                lengths[stage] = length
        return list(accumulate(lengths, initial=0))

    # ---- the stages of one rank ----------------------------------------------------------

    def _steps(
        self, rank: int, fronts: Fronts, ends: Fronts, needed: int
    ) -> Sequence[Step]:
        """How far a rank may take the rounds: of those that come equally far, what has the least measure.

        Of the run it has to take so many at least.
        """
        self._limits = self.uses.limits(rank, self.most)
        parts = [Part((), 0, self.uses.nothing(rank, fronts[0]), ())]
        left = len(fronts)
        while left:
            left -= 1
            least = 0 if left else needed
            longer = (self._longer(rank, fronts, ends, each, least) for each in parts)
            parts = [part for each in longer for part in each]
            if 1 < left + 1 < len(fronts):
                parts = not_exceeded(parts, Part.reached, Part.used)
        best: dict[tuple[Fronts, int], Step] = {}
        for part in parts:
            key, measure = part.reached(), self.uses.measure(part.use)
            if key not in best or measure < best[key][2]:
                best[key] = (*key, measure, part.lengths)
        return list(best.values())

    def _longer(
        self, rank: int, fronts: Fronts, ends: Fronts, before: Part, needed: int
    ) -> Iterator[Part]:
        """All ways to go on with one more stage of a rank, with so many of the run in all its stages."""
        way = len(before.behind)
        stage = self.uses.stages[rank][way]
        for place in self._ends(rank, fronts, ends, before.behind):
            for count, first, last in self._spans(*sorted((fronts[way], place))):
                if before.taken + count < needed:
                    continue
                self._count()
                grown = self.uses.grown_at_moments(stage, first, last)
                if not self._is_within(_sum(before.use, grown)):
                    if not count:  # what ends farther has all of this
                        return
                    break
                use = _sum(before.use, self.uses.use(stage, first, last))
                if self._is_within(use):
                    yield before.with_stage(place, count, use, last - first)

    def _is_within(self, use: Use) -> bool:
        return all(map(lt, use, self._limits))

    def _count(self) -> None:
        self.taken += 1
        if self.taken > self.steps:
            raise Unfinished

    def _spans(self, first: int, last: int) -> Iterator[tuple[int, int, int]]:
        """Operators between two places, the fewest first, with how many of them are of the run."""
        if last <= self.first or first >= self.last:
            yield 0, first, last
        elif first <= self.first and last >= self.last:
            yield self.alike, first, last
        elif last == self.inside:
            begin = max(first, self.first)
            for count in range(1, self.last - begin):
                yield count, first, begin + count
        else:
            for count in range(1, self.alike):
                yield count, self.last - count, last

    def _ends(
        self, rank: int, fronts: Fronts, ends: Fronts, behind: Fronts
    ) -> Iterator[int]:
        """Where the next stage of a rank may end, the nearest first."""
        left, way = self.ranks - 1 - rank, len(behind)
        if not self.back_again:
            yield from self._between(fronts[way], ends[way], left, last=not left)
        elif not way:
            yield from self._between(fronts[0], fronts[1], 2 * left + 1)
        else:
            yield from self._between(fronts[1], behind[0], 2 * left, last=not left)

    def _between(
        self, front: int, goal: int, needed: int, *, last: bool = False
    ) -> Iterator[int]:
        """Places behind a front with so many operators up to a goal; with `last` the goal alone."""
        if last:
            if front != goal or goal == self.inside:
                yield goal
            return
        low, high = sorted((front, goal))
        places = self.places if front < goal else reversed(self.places)
        for place in places if front != goal else (goal,):
            if not low <= place <= high or place == front != self.inside:
                continue
            if abs(goal - place) >= needed or not self._are_beside(place, goal):
                yield place

    def _are_beside(self, place: int, other: int) -> bool:
        """Whether both are in front of the run, or both behind it."""
        return max(place, other) <= self.first or min(place, other) >= self.last


def _sum(one: Use, other: Use) -> Use:
    return tuple(map(float.__add__, one, other))
