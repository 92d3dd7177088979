"""What a stage of a mesh takes: the seconds of its parts, its synchronisation, and bytes.

A part is the time of the stage's kernels for a micro-batch, with the sums of tensor
parallelism, the transfers to and from its neighbours on other ranks ("Efficient
Large-Scale Language Model Training on GPU Clusters Using Megatron-LM", Narayanan et al.,
2021), and what sharded weights and gradients pass for every micro-batch (ZeRO,
Rajbhandari et al., 2020). What is left for the end of the step is its synchronisation:
of gradients and weights over the data axis, of weights that stages share, and the
optimizer's step. Nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from math import inf

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.mesh.chain import Chain
from nnspec.placement.mesh.collectives import Wire, wires
from nnspec.placement.mesh.pipelines import (
    HALVES,
    Flight,
    Order,
    flights,
    orders,
    rank_of,
    shares,
)
from nnspec.placement.mesh.plan import SHARDED, Mesh
from nnspec.placement.mesh.timetable import StageTimes, Timetable
from nnspec.records import dataclass

ROUNDED = 1e-12
"""The share by which sums of bytes may be rounded."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its parts, the seconds behind the last of them, and the bytes that always lie there."""

    times: StageTimes
    synchronising: float
    lying: float


@dataclass(frozen=True, slots=True)
class Wires:
    """What lies between devices of one node, and of different nodes."""

    inside: Wire
    across: Wire
    node: int
    count: int

    @staticmethod
    def of(cluster: Cluster) -> Wires:
        """Those of a cluster of equal nodes."""
        first = cluster.devices[0].node
        node = sum(device.node == first for device in cluster.devices)
        return Wires(*wires(cluster), node, len(cluster.devices))

    def over(self, devices: int) -> Wire:
        """Between so many devices that stand next to each other."""
        return self.inside if devices <= self.node else self.across


class MeshCost:
    """The stages of one mesh, wherever the model is cut; `bandwidth` is that of a device's memory."""

    def __init__(
        self, mesh: Mesh, chain: Chain, lines: Wires, bandwidth: float | None
    ) -> None:
        self.mesh = mesh
        self.chain = chain
        self.wires = lines
        self.level = SHARDED.index(mesh.sharded)
        self.data = lines.over(mesh.tensor * mesh.data)
        self.line = lines.over(lines.count)
        self.bandwidth = bandwidth or inf
        self._stages: dict[tuple[int, int, int], Stage] = {}
        self.stages = mesh.pipeline * mesh.rounds
        self.ranks = tuple(
            rank_of(stage, mesh.pipeline, mesh.schedule) for stage in range(self.stages)
        )

    @cached_property
    def orders(self) -> tuple[Order, ...]:
        """What each rank runs, in order."""
        mesh = self.mesh
        return orders(mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches)

    # ---- one stage -----------------------------------------------------------------------

    def moves(self, border: int) -> bool:
        """Whether values go from rank to rank in front of a stage."""
        if not 0 < border < self.stages:
            return False
        return self.ranks[border - 1] != self.ranks[border]

    def stage(self, stage: int, first: int, last: int) -> Stage:
        """A stage with the operators from `first` to before `last`."""
        key = (stage, first, last)
        if key not in self._stages:
            self._stages[key] = Stage(
                self.times(stage, first, last),
                self.synchronising(first, last),
                self.lying(stage, first, last),
            )
        return self._stages[key]

    def times(self, stage: int, first: int, last: int) -> StageTimes:
        """Its parts. The first stage has no gradients of inputs, so its last half is all."""
        chain, moving = self.chain, self.moving(stage, first, last)
        gathering, scattering = self.for_each_microbatch(first, last)
        inputs = chain.inputs.between(first, last) + moving + gathering
        backward = chain.backward.between(first, last) + moving + gathering + scattering
        weights = chain.weight_gradients.between(first, last) + scattering
        halves = (inputs, weights) if stage else (0.0, backward)
        return StageTimes(
            chain.forward.between(first, last) + moving + gathering,
            backward,
            *halves,
            keeps=chain.kept.between(first, last) + chain.cuts[first],
            between=chain.between_halves.between(first, last) if stage else 0.0,
        )

    def moving(self, stage: int, first: int, last: int) -> float:
        """What comes in and goes out in one direction."""
        cuts = self.chain.cuts
        before = self.line.send(cuts[first]) if self.moves(stage) else 0.0
        return before + (self.line.send(cuts[last]) if self.moves(stage + 1) else 0.0)

    @property
    def moving_at_least(self) -> float:
        """What all stages send and receive for a micro-batch, forward and back, wherever the cuts are."""
        borders = sum(self.moves(stage) for stage in range(self.stages))
        return 4 * sum(self.line.send(cut) for cut in self.chain.least_cuts[:borders])

    def for_each_microbatch(self, first: int, last: int) -> tuple[float, float]:
        """The seconds to gather sharded weights, and to scatter sharded gradients."""
        if self.level < 2:
            return 0.0, 0.0
        gradients = self.chain.gradients.between(first, last)
        scattering = self.data.gather(gradients, self.mesh.data)
        if self.level < 3:
            return 0.0, scattering
        weights = self.chain.weights.between(first, last)
        return self.data.gather(weights, self.mesh.data), scattering

    def synchronising(self, first: int, last: int) -> float:
        """What is left for the end of the step."""
        return self.agreeing(first, last) + self.updating(first, last)

    def updating(self, first: int, last: int) -> float:
        """The seconds of the optimizer's step."""
        share = self.mesh.data if self.level else 1
        return self.chain.updates.between(first, last) / share / self.bandwidth

    def agreeing(self, first: int, last: int) -> float:
        """The seconds until all have the same gradients and weights, over the data axis and stages."""
        chain, data = self.chain, self.mesh.data
        found = 0.0
        if self.level < 2:
            found += self.data.gather(chain.gradients.between(first, last), data)
        if self.level == 0:
            found += self.data.gather(chain.gradients.between(first, last), data)
        elif self.level < 3:
            found += self.data.gather(chain.weights.between(first, last), data)
        for each in chain.gradients.shared:
            if each.is_used(first, last) and each.is_used_outside(first, last):
                found += self.line.reduce(each.amount, len(each.places))
        return found

    def lying(self, stage: int, first: int, last: int) -> float:
        """Shares of weights, gradients and states, and what neighbours send."""
        chain, data = self.chain, self.mesh.data
        weights = chain.weights.between(first, last)
        found = chain.states.between(first, last) / (data if self.level >= 1 else 1)
        found += chain.gradients.between(first, last) / (data if self.level >= 2 else 1)
        found += weights / (data if self.level >= 3 else 1)
        if self.level >= 3:
            # An operator that runs has its weights whole, and the next one's are on the way.
            found += 2 * min(chain.largest, weights)
        found += 2 * chain.cuts[first] if self.moves(stage) else 0.0
        return found + (2 * chain.cuts[last] if self.moves(stage + 1) else 0.0)

    def communicating(self, stage: int, first: int, last: int) -> float:
        """Of the stage's work in a step what passes between devices, in seconds."""
        gathering, scattering = self.for_each_microbatch(first, last)
        turn = 2 * self.moving(stage, first, last) + 2 * gathering + scattering
        turn += self.chain.summing.between(first, last)
        return self.mesh.microbatches * turn + self.agreeing(first, last)

    @property
    def lying_of_all(self) -> float:
        """The weights, gradients and states of all stages, shares as on each rank, in bytes."""
        chain, data = self.chain, self.mesh.data
        found = chain.states.whole / (data if self.level >= 1 else 1)
        found += chain.gradients.whole / (data if self.level >= 2 else 1)
        return found + chain.weights.whole / (data if self.level >= 3 else 1)

    @property
    def weights_of_each(self) -> float:
        """That of the mean rank, which the fullest one has at least."""
        return self.lying_of_all / self.mesh.pipeline

    @cached_property
    def lying_upto(self) -> tuple[float, ...]:
        """The bytes of `lying_of_all` for the first n operators, for each n, without what several share."""
        chain, data, level = self.chain, self.mesh.data, self.level
        parts = zip(
            chain.states.upto, chain.gradients.upto, chain.weights.upto, strict=True
        )
        return tuple(
            states / (data if level >= 1 else 1)
            + gradients / (data if level >= 2 else 1)
            + weights / (data if level >= 3 else 1)
            for states, gradients, weights in parts
        )

    @cached_property
    def keeps_in_a_byte(self) -> tuple[float, ...]:
        """For each rank how much its stages keep of a micro-batch at most, in a byte of room."""
        mesh = self.mesh
        return shares(mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches)

    @cached_property
    def room_of_all(self) -> float:
        """What the fullest rank has in use at least, in bytes, wherever the model is cut.

        A rank that keeps at most so much of micro-batches at any moment holds a share of
        the model's values that the moments bound (`nnspec.placement.mesh.pipelines.shares`).
        """
        each, whole = self.keeps_in_a_byte, self.lying_of_all
        kept = (self.chain.kept.whole + whole * min(each)) / sum(each)
        return max(self.weights_of_each, kept)

    def has_room(self, usable: float) -> bool:
        """Whether all ranks together may have room for the model, wherever it is cut."""
        return self.room_of_all <= usable * (1 + ROUNDED)

    # ---- all of them ---------------------------------------------------------------------

    def without_latency(self) -> MeshCost:
        """The same mesh, with no latency between the devices of the data axis."""
        found = MeshCost(self.mesh, self.chain, self.wires, self.bandwidth)
        found.data = replace(found.data, latency=0.0)
        return found

    def divided(self, starts: Sequence[int]) -> Divided:
        """The mesh with its stages where the model is cut; `starts` ends with the number of operators."""
        stages = tuple(
            self.stage(stage, first, last)
            for stage, (first, last) in enumerate(pairwise(starts))
        )
        return Divided(self, tuple(starts), stages)


@dataclass(frozen=True)
class Divided:
    """A mesh with its stages."""

    cost: MeshCost
    starts: tuple[int, ...]
    stages: tuple[Stage, ...]

    @cached_property
    def value(self) -> float:
        """The seconds of a step."""
        if len(self.stages) == 1:
            (stage,) = self.stages
            turn = stage.times.forward + stage.times.backward
            return self.cost.mesh.microbatches * turn + stage.synchronising
        return max(map(sum, zip(self.table.ends, self.synchronising, strict=True)))

    @cached_property
    def table(self) -> Timetable:
        """When what runs."""
        times = [stage.times for stage in self.stages]
        return Timetable(self.cost.orders, times, self.cost.mesh.microbatches)

    def of_rank(self, rank: int) -> tuple[int, ...]:
        """The stages of a rank."""
        ranks = self.cost.ranks
        return tuple(stage for stage, its in enumerate(ranks) if its == rank)

    @cached_property
    def loads(self) -> tuple[float, ...]:
        """The seconds of all parts of one micro-batch on each rank."""
        halves = self.cost.mesh.schedule in HALVES
        return self._sums([stage.times.load(halves) for stage in self.stages])

    @cached_property
    def synchronising(self) -> tuple[float, ...]:
        """The seconds of each rank behind its last part."""
        return self._sums([stage.synchronising for stage in self.stages])

    @cached_property
    def lying(self) -> tuple[float, ...]:
        """The bytes that always lie on each rank."""
        return self._sums([stage.lying for stage in self.stages])

    @cached_property
    def least(self) -> float:
        """What a step takes at least: the work of the busiest rank. No timetable is made for it."""
        turns = self.cost.mesh.microbatches
        work = zip(self.loads, self.synchronising, strict=True)
        return max(turns * load + synchronising for load, synchronising in work)

    @cached_property
    def peaks(self) -> tuple[float, ...]:
        """The most bytes in use on each rank."""
        mesh, stages = self.cost.mesh, self.stages
        every = flights(mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches)
        return tuple(
            lying + max(_kept(stages, flight) for flight in its)
            for lying, its in zip(self.lying, every, strict=True)
        )

    def _sums(self, amounts: Sequence[float]) -> tuple[float, ...]:
        found = [0.0] * self.cost.mesh.pipeline
        for rank, amount in zip(self.cost.ranks, amounts, strict=True):
            found[rank] += amount
        return tuple(found)


def _kept(stages: Sequence[Stage], flight: Flight) -> float:
    """The bytes that stages keep of micro-batches at one moment."""
    return sum(
        flying * stages[stage].times.keeps + between * stages[stage].times.between
        for stage, flying, between in flight
    )
