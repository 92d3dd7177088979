"""What the ranks of a mesh with several stages on each have in use at least.

The fullest rank has at least any mean of what ranks have in use, each at one moment of its
order. Such a mean is a sum over stages, wherever the model is cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

from nnspec.placement.mesh.cost import MeshCost
from nnspec.placement.mesh.pipelines import Flight, flights
from nnspec.placement.mesh.sums import Share


class Rooms:
    """The bytes that stages of a mesh take, wherever the model is cut.

    Weights that stages share, and copies of sharded ones, are left out: what fits may
    be refused by them, never the other way round.
    """

    def __init__(self, cost: MeshCost, usable: float) -> None:
        self.cost = cost
        mesh = cost.mesh
        self.usable = usable
        self.ranks = range(mesh.pipeline)
        self.flights = flights(
            mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches
        )
        self.weights = [[0.0, 0.0, 0.0] for _ in cost.ranks]
        self.whole = 0.0

    def fullest(self, stages: Sequence[Sequence[float]]) -> float:
        """What the fullest rank has in use."""
        return max(self._most(rank, stages)[0] for rank in self.ranks)

    def add_fullest(self, stages: Sequence[Sequence[float]], often: float) -> None:
        """Counts the fullest rank at its fullest moment in the mean.

        When nothing has been counted yet, all ranks: their mean says most at once.
        """
        every: Sequence[int] = self.ranks
        if self.whole:
            every = [max(every, key=lambda each: self._most(each, stages)[0])]
        for rank in every:
            self._add(rank, self._most(rank, stages)[1], often / len(every))
        self.whole += often

    def bytes(self, starts: Sequence[int]) -> list[list[float]]:
        """For each stage what lies there, what it keeps of a micro-batch, and between halves."""
        cuts, cost = self.cost.chain.cuts, self.cost
        found: list[list[float]] = []
        for stage, (first, last) in enumerate(pairwise(starts)):
            lying, keeps, between = (upto[last] - upto[first] for upto in self._upto)
            lying += 2 * cuts[first] * cost.moves(stage)
            lying += 2 * cuts[last] * cost.moves(stage + 1)
            found.append([lying, keeps + cuts[first], between if stage else 0.0])
        return found

    def _most(
        self, rank: int, stages: Sequence[Sequence[float]]
    ) -> tuple[float, Flight]:
        """The most bytes in use on a rank, and the moment."""
        lying = sum(
            own[0]
            for own, its in zip(stages, self.cost.ranks, strict=True)
            if its == rank
        )
        return max(
            (
                lying
                + sum(
                    flying * stages[stage][1] + between * stages[stage][2]
                    for stage, flying, between in moment
                ),
                moment,
            )
            for moment in self.flights[rank]
        )

    def _add(self, rank: int, moment: Flight, often: float) -> None:
        for stage, its in enumerate(self.cost.ranks):
            self.weights[stage][0] += often * (its == rank)
        for stage, flying, between in moment:
            self.weights[stage][1] += often * flying
            self.weights[stage][2] += often * between

    def shares(self) -> list[Share]:
        """What each stage has of the mean, in units of what there is to use."""
        cuts = self.cost.chain.cuts
        found: list[Share] = []
        for stage, (lying, keeps, between) in enumerate(self.weights):
            lying, keeps = lying / self.usable, keeps / self.usable
            factors = lying, keeps, between / self.usable if stage else 0.0
            upto = [
                sum(factor * each for factor, each in zip(factors, row, strict=True))
                for row in zip(*self._upto, strict=True)
            ]
            before = keeps + 2 * lying * self.cost.moves(stage)
            behind = 2 * lying * self.cost.moves(stage + 1)
            first = [before * cut for cut in cuts]
            found.append(Share(upto, first, [behind * cut for cut in cuts]))
        return found

    @cached_property
    def _upto(self) -> tuple[Sequence[float], ...]:
        """What the first n operators have of each, for each n."""
        chain = self.cost.chain
        return self.cost.lying_upto, chain.kept.upto, chain.between_halves.upto
