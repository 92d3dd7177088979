"""From a mesh with its stages to a plan: what each stage and device does and holds, and what limits it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import pairwise
from math import inf
from typing import Literal

from nnspec.analysis.sharding.plan import TensorPlan
from nnspec.analysis.timing.kernels import ELEMENTS
from nnspec.ir.graph import dotted
from nnspec.ir.unheeded import unheeded
from nnspec.placement.clusters.cluster import Device
from nnspec.placement.mesh.candidates import Meshes
from nnspec.placement.mesh.cost import Divided
from nnspec.placement.mesh.pipelines import HALVES
from nnspec.placement.mesh.plan import MeshDevice, MeshPlan, StageUse
from nnspec.placement.mesh.shards import (
    Weights,
    parameter_bytes,
    split_layers,
    weights_of_stages,
    whole_layers,
)
from nnspec.placement.mesh.tensor import tied_layers
from nnspec.placement.stages import at_readers
from nnspec.records import dataclass

NEARLY_FULL = 0.9
"""Memory limits a plan of which some device uses at least so much of what it has."""

OPTIMAL = 1e-9
"""The largest gap of an optimal plan."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good a plan is known to be: the bound, why it is one, and how many meshes it speaks of."""

    bound: float
    proof: str
    method: str
    meshes: int
    is_given: bool = False

    def status(self, value: float) -> Literal["optimal", "feasible", "checked"]:
        """Of a plan with this value."""
        if self.is_given:
            return "checked"
        return "optimal" if self.gap(value) <= OPTIMAL else "feasible"

    def gap(self, value: float) -> float:
        """How far the bound is from a value, as a share of it."""
        return max(0.0, value - self.bound) / value if value else 0.0


class Result:
    """The plan of a mesh with its stages."""

    def __init__(self, meshes: Meshes, divided: Divided) -> None:
        self.meshes = meshes
        self.divided = divided
        self.cost = divided.cost
        self.mesh = divided.cost.mesh
        self.chain = divided.cost.chain
        self.usable = None if meshes.usable == inf else meshes.usable

    def plan(self, verdict: Verdict) -> MeshPlan:
        """The plan, with what is known of how good it is."""
        value, program = self.divided.value, self.meshes.analysis.program
        whole = tied_layers(program) if self.mesh.pipeline > 1 else frozenset[str]()
        layers = TensorPlan(program, self.mesh.tensor, whole)
        return MeshPlan(
            status=verdict.status(value),
            value=value,
            bound=min(verdict.bound, value),
            gap=verdict.gap(value),
            limits=tuple(self._limits()),
            warnings=tuple(self._warnings()),
            method=verdict.method,
            proof=verdict.proof,
            cluster=self.meshes.cluster.name,
            batch=self.meshes.batch,
            utilisation=self._utilisation(value),
            waiting=self._waiting(value),
            meshes=verdict.meshes,
            mesh=self.mesh,
            stages=tuple(self._stages()),
            assignment=self._assignment(),
            split=split_layers(layers),
            whole=whole_layers(layers),
            devices=tuple(self._devices()),
        )

    def _utilisation(self, value: float) -> float:
        analysis, kind = self.meshes.analysis, self.meshes.cluster.kind(0)
        # What is computed again is work, and none that utilisation counts.
        once = analysis.figure("training_flops") - analysis.figure("recomputed_flops")
        flops = int(once.at(self.meshes.sizes))
        peak = kind.flops[ELEMENTS[analysis.setting.policy.products]]
        return flops / (value * peak * self.mesh.devices)

    def _waiting(self, value: float) -> float:
        busy = sum(map(self._load, range(self.mesh.pipeline)))
        return max(0.0, value * self.mesh.pipeline - busy) / busy if busy else 0.0

    def _load(self, rank: int) -> float:
        turns = self.mesh.microbatches
        return turns * self.divided.loads[rank] + self.divided.synchronising[rank]

    # ---- stages --------------------------------------------------------------------------

    def _assignment(self) -> Mapping[str, int]:
        return {
            name: stage
            for stage, (first, last) in enumerate(pairwise(self.divided.starts))
            for name in self.chain.names[first:last]
        }

    def _stages(self) -> Iterator[StageUse]:
        halves = self.mesh.schedule in HALVES
        for number, (first, last) in enumerate(pairwise(self.divided.starts)):
            stage, rank = self.divided.stages[number], self.cost.ranks[number]
            group = self.group(rank)
            yield StageUse(
                stage=number,
                rank=rank,
                devices=(group[0].name, group[-1].name),
                operators=self.chain.names[first:last],
                load=self.mesh.microbatches * stage.times.load(halves),
                forward=stage.times.forward,
                backward=stage.times.backward,
                inputs=stage.times.inputs,
                weights=stage.times.weights,
                synchronising=stage.synchronising,
                keeps=stage.times.keeps,
                memory=self.divided.peaks[rank],
                usable=self.usable,
            )

    def group(self, rank: int) -> tuple[Device, ...]:
        """The devices of a rank of the pipeline: `tensor` innermost, then `data`."""
        width = self.mesh.data * self.mesh.tensor
        return self.meshes.cluster.devices[rank * width : (rank + 1) * width]

    # ---- devices -------------------------------------------------------------------------

    def _devices(self) -> Iterator[MeshDevice]:
        for rank in range(self.mesh.pipeline):
            load, communicating = self._load(rank), self._communicating(rank)
            memory = self.divided.table.memory(rank, self.divided.lying[rank])
            for number, device in enumerate(self.group(rank)):
                data, tensor = divmod(number, self.mesh.tensor)
                yield MeshDevice(
                    name=device.name,
                    kind=device.kind,
                    pipeline=rank,
                    data=data,
                    tensor=tensor,
                    stages=self.divided.of_rank(rank),
                    load=load,
                    computing=max(0.0, load - communicating),
                    communicating=communicating,
                    peak=self.divided.peaks[rank],
                    usable=self.usable,
                    parameter_bytes=self._parameter_bytes(rank, data),
                    memory=memory,
                )

    def _communicating(self, rank: int) -> float:
        borders = list(pairwise(self.divided.starts))
        return sum(
            self.cost.communicating(stage, *borders[stage])
            for stage in self.divided.of_rank(rank)
        )

    def _parameter_bytes(self, rank: int, place: int) -> int:
        weights = [self._weights[stage] for stage in self.divided.of_rank(rank)]
        width = self.meshes.analysis.setting.policy.weights.bytes
        divides = (
            self.mesh.sharded != "nothing"
        )  # FSDP2, whatever it gathers for a step
        count = self.mesh.data if divides else 1
        return parameter_bytes(weights, count, place if divides else 0, width)

    @cached_property
    def _weights(self) -> tuple[Weights, ...]:
        program = self.meshes.analysis.program
        names = [""] * self.chain.count
        for stage, (first, last) in enumerate(pairwise(self.divided.starts)):
            for place in self.chain.order[first:last]:
                names[place] = str(stage)
        stages = [int(stage) for stage in at_readers(program, names)]
        return weights_of_stages(program, stages, self.mesh.tensor)

    # ---- what limits it ------------------------------------------------------------------

    def _limits(self) -> Iterator[str]:
        value = self.divided.value
        ends = [
            end + synchronising
            for end, synchronising in zip(
                self.divided.table.ends, self.divided.synchronising, strict=True
            )
        ]
        last = max(range(self.mesh.pipeline), key=lambda rank: ends[rank])
        shares = self._shares(last)
        for name, seconds in sorted(shares.items(), key=lambda each: -each[1])[:3]:
            yield f"{name}: {seconds / value:.0%} of what the end of the step waits for"
        yield from self._full()

    def _shares(self, rank: int) -> Mapping[str, float]:
        """The seconds of each stage on a chain of parts without a pause to the end of the step."""
        found: dict[str, float] = {}
        several = len(self.divided.stages) > 1
        for (part, stage), count in self.divided.table.path(rank).items():
            times = self.divided.stages[stage].times
            name = f"stage {stage}" if several else "the parts of all micro-batches"
            found[name] = found.get(name, 0.0) + count * times.of(part)
        synchronising = self.divided.synchronising[rank]
        if synchronising:
            where = f"synchronisation of rank {rank}" if several else "synchronisation"
            found[where] = synchronising
        return found

    def _full(self) -> Iterator[str]:
        if self.usable is None:
            return
        peak, rank = max((p, -n) for n, p in enumerate(self.divided.peaks))
        if peak >= NEARLY_FULL * self.usable:
            device = self.group(-rank)[0].name
            yield f"memory: {peak / self.usable:.0%} of that of {device} is in use"

    def _warnings(self) -> Iterator[str]:
        node = self.meshes.batch_statistics
        if node is not None and self.mesh.data > 1:
            yield (
                f"batch normalisation (`{dotted(node.path)}`) takes the statistics of "
                f"each of the {self.mesh.data} parts of the batch"
            )
        if "@device" in unheeded(self.meshes.analysis.program):
            yield "`@device` has no effect on a mesh, which numbers its devices itself"
