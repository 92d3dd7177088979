"""What the stages of one mesh have in use at each moment at which a rank can have most.

`Uses` says so wherever the model is cut, and what bounds it. What the programs that look for
divisions (`nnspec.placement.mesh.packing`, `nnspec.placement.mesh.cover`) are to make small on the
fullest rank is its measure, here the most bytes at any moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from operator import le
from typing import TypeVar

from nnspec.placement.mesh.cost import ROUNDED, MeshCost
from nnspec.placement.mesh.pipelines import flights

Amounts = tuple[float, ...]
"""The bytes that always lie on a stage, that it keeps of a micro-batch, and between halves."""

Use = tuple[float, ...]
"""The bytes in use at each moment."""


class Uses:
    """The bytes of stages, wherever the model is cut."""

    def __init__(self, cost: MeshCost) -> None:
        self.cost = cost
        mesh, self.chain = cost.mesh, cost.chain
        self.count = self.chain.count
        every = flights(mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches)
        self.stages = [[stage for stage, *_ in moments[0]] for moments in every]
        self.in_flight = {
            stage: [moment[place][1:] for moment in moments]
            for moments in every
            for place, (stage, *_) in enumerate(moments[0])
        }
        self.kinds = [self._kind(stage) for stage in range(cost.stages)]
        self._amounts: dict[tuple[object, int, int], Amounts] = {}
        self._uses: dict[tuple[int, int, int], Use] = {}
        self._grown: dict[tuple[int, int, int], Use] = {}

    def _kind(self, stage: int) -> tuple[bool, ...]:
        """What the amounts of a stage depend on, beside its operators."""
        moves = self.cost.moves
        return not stage, stage + 1 == self.cost.stages, moves(stage), moves(stage + 1)

    def nothing(self, rank: int, ahead: int = 0) -> Use:
        """What a rank has in use before it has a stage, the first behind so many operators or more."""
        return (0.0,) * len(self.in_flight[self.stages[rank][0]])

    def use(self, stage: int, first: int, last: int) -> Use:
        """What a stage has in use."""
        key = stage, first, last
        if key not in self._uses:
            self._uses[key] = self.at_moments(stage, self.amounts(stage, first, last))
        return self._uses[key]

    def amounts(self, stage: int, first: int, last: int) -> Amounts:
        """The amounts of a stage, which are the same for all of its kind."""
        key = self.kinds[stage], first, last
        if key not in self._amounts:
            self._amounts[key] = self._amounts_of(stage, first, last)
        return self._amounts[key]

    def _amounts_of(self, stage: int, first: int, last: int) -> Amounts:
        keeps = self.chain.kept.between(first, last) + self.chain.cuts[first]
        between = self.chain.between_halves.between(first, last) if stage else 0.0
        return self.cost.lying(stage, first, last), keeps, between

    def at_moments(self, stage: int, amounts: Amounts) -> Use:
        """What is in use of them."""
        lying, keeps, between = amounts
        return tuple(
            lying + flying * keeps + halves * between
            for flying, halves in self.in_flight[stage]
        )

    # ---- what is to be small -------------------------------------------------------------

    def measure(self, use: Use) -> float:
        """What is to be small of what a rank has in use."""
        return max(use)

    def together(self, one: float, other: float) -> float:
        """The measure of two ranks: here that of the fullest."""
        return max(one, other)

    def limits(self, rank: int, most: float) -> Use:
        """What a rank has to have less than at each moment, for its measure to be below `most`."""
        return (most,) * len(self.nothing(rank))

    # ---- bounds --------------------------------------------------------------------------

    def grown(self, first: int, last: int) -> float:
        """The bytes that are in use at least where these operators are, alone or with more of them."""
        lying, kept = self.cost.lying_upto, self.chain.kept.upto
        return lying[last] - lying[first] + kept[last] - kept[first]

    def is_too_much(self, first: int, last: int, most: float) -> bool:
        """Whether no rank with these operators has a measure below `most`."""
        return self.grown(first, last) >= most

    def grown_at_moments(self, stage: int, first: int, last: int) -> Use:
        """What is in use at least at each moment, where these operators are, alone or with more of them."""
        key = stage, first, last
        if key not in self._grown:
            amounts = self._grown_amounts(first, last)
            self._grown[key] = self.at_moments(stage, amounts)
        return self._grown[key]

    def _grown_amounts(self, first: int, last: int) -> Amounts:
        lying, kept = self.cost.lying_upto, self.chain.kept.upto
        return lying[last] - lying[first], kept[last] - kept[first], 0.0

    @cached_property
    def sums(self) -> list[Sequence[float]]:
        """Of the first n operators, for each n, what lies there at least, and what is kept."""
        return [self.cost.lying_upto, self.chain.kept.upto]

    def have_room(self, rank: int, left: Sequence[float], most: float) -> bool:
        """Whether the ranks from this one on may have room for so much, as in `room_of_all`.

        `left` is of `sums`.
        """
        lying, kept = left
        count, whole, least = self._behind[rank]
        most *= 1 + ROUNDED
        return lying <= most * count and kept <= most * whole - lying * least

    @cached_property
    def _behind(self) -> list[tuple[int, float, float]]:
        """Of the ranks from each on how many there are, and what they keep in a byte of room, together and at least."""
        each = self.cost.keeps_in_a_byte
        rest = [each[rank:] for rank in range(len(each))]
        return [(len(their), sum(their), min(their)) for their in rest]

    # ---- operators that are alike --------------------------------------------------------

    @cached_property
    def run(self) -> range:
        """The longest run of operators that take the same, with the same cuts between them."""
        best, first = range(self.count, self.count), 0
        for place in range(1, self.count + 1):
            if place < self.count and self._is_alike(first, place):
                continue
            if place - first > len(best):
                best = range(first, place)
            first = place
        return best if len(best) > 2 else range(self.count, self.count)

    def _is_alike(self, first: int, place: int) -> bool:
        """Whether an operator goes on with a run."""
        if place > first + 1 and self.chain.cuts[place] != self.chain.cuts[place - 1]:
            return False
        return (
            self._alone[first] is not None and self._alone[first] == self._alone[place]
        )

    @cached_property
    def _alone(self) -> list[tuple[float, ...] | None]:
        """The bytes of each operator; None where it shares weights with others."""
        chain = self.chain
        shared = {place for each in chain.weights.shared for place in each.places}
        sums = (
            chain.states,
            chain.gradients,
            chain.weights,
            chain.kept,
            chain.between_halves,
        )
        steps = zip(
            *([b - a for a, b in pairwise(each.upto)] for each in sums), strict=True
        )
        return [None if place in shared else step for place, step in enumerate(steps)]


Item = TypeVar("Item")


def not_exceeded(
    items: Iterable[Item], kind: Callable[[Item], object], use: Callable[[Item], Use]
) -> list[Item]:
    """Of each kind those that have something less in use than each other one; one of those that are equal."""
    best: dict[object, list[tuple[Use, Item]]] = {}
    for item in items:
        its, rivals = use(item), best.setdefault(kind(item), [])
        if not any(all(map(le, other, its)) for other, _ in rivals):
            rivals[:] = [each for each in rivals if not all(map(le, its, each[0]))]
            rivals.append((its, item))
    return [item for rivals in best.values() for _, item in rivals]
