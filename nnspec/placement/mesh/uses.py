"""What the stages of one mesh have in use at each moment at which a rank can have most."""

from __future__ import annotations

from functools import cached_property
from itertools import pairwise

from nnspec.placement.mesh.cost import ROUNDED, MeshCost
from nnspec.placement.mesh.pipelines import flights

Bytes = tuple[float, float, float]
"""What always lies on a stage, what it keeps of a micro-batch, and between halves."""

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
        self._uses: dict[tuple[int, int, int], Use] = {}

    def use(self, stage: int, first: int, last: int) -> Use:
        """What a stage has in use."""
        key = stage, first, last
        if key not in self._uses:
            self._uses[key] = self.at_moments(stage, self.bytes(stage, first, last))
        return self._uses[key]

    def bytes(self, stage: int, first: int, last: int) -> Bytes:
        """The bytes of a stage."""
        keeps = self.chain.kept.between(first, last) + self.chain.cuts[first]
        between = self.chain.between_halves.between(first, last) if stage else 0.0
        return self.cost.lying(stage, first, last), keeps, between

    def at_moments(self, stage: int, amounts: Bytes) -> Use:
        """What is in use of them."""
        lying, keeps, between = amounts
        return tuple(
            lying + flying * keeps + halves * between
            for flying, halves in self.in_flight[stage]
        )

    # ---- bounds --------------------------------------------------------------------------

    def grown(self, first: int, last: int) -> float:
        """What is in use at least where these operators are, alone or with more of them."""
        lying, kept = self.cost.lying_upto, self.chain.kept.upto
        return lying[last] - lying[first] + kept[last] - kept[first]

    def grown_at_moments(self, stage: int, first: int, last: int) -> Use:
        """The same, at each moment of the stage's rank."""
        lying, kept = self.cost.lying_upto, self.chain.kept.upto
        amounts = lying[last] - lying[first], kept[last] - kept[first], 0.0
        return self.at_moments(stage, amounts)

    def have_room(self, rank: int, lying: float, kept: float, most: float) -> bool:
        """Whether the ranks from this one on may have room for so much, as in `room_of_all`."""
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
