"""Meshes: data, tensor and pipeline parallelism of equal devices, with sharded states.

Every mesh of the devices is looked at, with every number of micro-batches that divides the
batch, and for each the best division of the model into stages. A step takes as long as the
slowest stage makes it,

    (microbatches + stages - 1) * load + synchronisation

where the load of a stage is the time of its operators for a micro-batch, forward and
backward, with the sums of tensor parallelism and the transfers to its neighbours
("Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM",
Narayanan et al., 2021), and its synchronisation that of gradients and weights over the
data axis (ZeRO, Rajbhandari et al., 2020) and the optimizer's step. Nothing overlaps.
Under this model the answer is the best there is: a mesh is only left out if its mean
stage is slower than a plan that was found.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import cache
from math import inf

from nnspec.analysis.figures import Analysis
from nnspec.analysis.kernels import ELEMENTS
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Size
from nnspec.placement.chain import Chain, widths_of
from nnspec.placement.cluster import Cluster
from nnspec.placement.collectives import wires
from nnspec.placement.mesh_plan import SHARDED, Mesh, MeshPlan, StageUse
from nnspec.placement.room import in_bytes
from nnspec.placement.tensor import split_parts
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class _Cost:
    """Of one stage: the seconds of a micro-batch, of a step's synchronisation, and bytes."""

    load: float
    synchronising: float
    memory: float


class Meshes:
    """All meshes of a model on a cluster."""

    def __init__(
        self,
        analysis: Analysis,
        cluster: Cluster,
        sizes: Mapping[str, Size],
    ) -> None:
        self.analysis = analysis
        self.cluster = cluster
        self.sizes = sizes
        self.symbol, self.batch = _batch(analysis, sizes)
        self.inside, self.across = wires(cluster)
        self.count = len(cluster.devices)
        first = cluster.devices[0].node
        self.node = sum(device.node == first for device in cluster.devices)
        self.parts = split_parts(analysis.program)
        self.widths = widths_of(self.parts, sizes)
        self.usable = cluster.kind(0).usable
        self.chain = cache(self._chain)

    def _chain(self, samples: int, tensor: int, copies: bool) -> Chain:
        return Chain(
            self.analysis,
            self.cluster,
            {**self.sizes, self.symbol: samples},
            self.parts,
            tensor,
            lambda amount: self.inside.reduce(amount, tensor),
            copies,
        )

    def all(self) -> Iterator[Mesh]:
        """Every mesh that uses all devices, tensor parallelism inside of nodes only."""
        operators = len(self.analysis.program.main.nodes)
        for tensor in _divisors(self.node):
            if tensor > 1 and not self._can_split(tensor):
                continue
            for pipeline in _divisors(self.count // tensor):
                data = self.count // tensor // pipeline
                if pipeline <= operators and self.batch % data == 0:
                    yield from self._with_microbatches(data, tensor, pipeline)

    def _can_split(self, tensor: int) -> bool:
        return bool(self.widths) and all(width % tensor == 0 for width in self.widths)

    def _with_microbatches(
        self, data: int, tensor: int, pipeline: int
    ) -> Iterator[Mesh]:
        for microbatches in _divisors(self.batch // data):
            for sharded in SHARDED if data > 1 else SHARDED[:1]:
                for schedule in ("1F1B", "GPipe") if pipeline > 1 else (None,):
                    yield Mesh(
                        data=data,
                        tensor=tensor,
                        pipeline=pipeline,
                        sharded=sharded,
                        schedule=schedule,
                        microbatches=microbatches,
                    )

    def chain_of(self, mesh: Mesh) -> Chain:
        """The model at the mesh's micro-batch."""
        samples = self.batch // mesh.data // mesh.microbatches
        return self.chain(samples, mesh.tensor, mesh.pipeline > 1)

    # ---- costs ---------------------------------------------------------------------------

    def turns(self, mesh: Mesh) -> int:
        """How many micro-batches a step lasts."""
        return mesh.microbatches + mesh.pipeline - 1

    def bound(self, mesh: Mesh) -> float:
        """What the mean stage takes at least, and so the slowest."""
        chain = self.chain_of(mesh)
        whole = self.turns(mesh) * chain.seconds.whole
        whole += self._synchronising(mesh, chain, 0, chain.count, latency=False)
        return whole / mesh.pipeline

    def cost(self, mesh: Mesh, stage: int, first: int, last: int) -> _Cost:
        """What a stage takes that has the operators from `first` to before `last`."""
        chain = self.chain_of(mesh)
        wire = self.inside if self.count <= self.node else self.across
        moved = chain.cuts[first] + chain.cuts[last]
        load = chain.seconds.between(first, last) + 2 * (
            wire.send(chain.cuts[first]) + wire.send(chain.cuts[last])
        )
        memory = self._lying(mesh, chain, first, last)
        memory += self._in_flight(mesh, stage) * (
            chain.kept.between(first, last) + chain.cuts[first]
        )
        memory += 2 * moved if mesh.pipeline > 1 else 0
        synchronising = self._synchronising(mesh, chain, first, last)
        return _Cost(load, synchronising, memory)

    def _in_flight(self, mesh: Mesh, stage: int) -> int:
        """For how many micro-batches a stage keeps values at once."""
        if mesh.schedule == "GPipe":
            return mesh.microbatches
        return min(mesh.microbatches, mesh.pipeline - stage)

    def _lying(self, mesh: Mesh, chain: Chain, first: int, last: int) -> float:
        level = SHARDED.index(mesh.sharded)
        states = chain.states.between(first, last)
        gradients = chain.gradients.between(first, last)
        weights = chain.weights.between(first, last)
        held = states / (mesh.data if level >= 1 else 1)
        held += gradients / (mesh.data if level >= 2 else 1)
        held += weights / (mesh.data if level >= 3 else 1)
        # An operator that runs has its weights whole, and the next one's are on the way.
        return held + (2 * min(chain.largest, weights) if level >= 3 else 0)

    def _synchronising(
        self, mesh: Mesh, chain: Chain, first: int, last: int, *, latency: bool = True
    ) -> float:
        """Gradients and weights over the data axis, shared weights, the optimizer's step."""
        wire = self.inside if mesh.tensor * mesh.data <= self.node else self.across
        if not latency:
            wire = type(wire)(wire.bandwidth, 0.0)
        level, turns = SHARDED.index(mesh.sharded), mesh.microbatches
        gradients = wire.gather(chain.gradients.between(first, last), mesh.data)
        weights = wire.gather(chain.weights.between(first, last), mesh.data)
        found = gradients * (turns if level >= 2 else 1)
        found += weights * 2 * turns if level == 3 else weights if level else gradients
        found += self._tied(chain.tied.between(first, last), mesh)
        moved = chain.updates.between(first, last) / (mesh.data if level else 1)
        return found + moved / (self.cluster.kind(0).bandwidth or inf)

    def _tied(self, amount: float, mesh: Mesh) -> float:
        if mesh.pipeline == 1:
            return 0.0
        wire = self.inside if self.count <= self.node else self.across
        return 2 * amount / wire.bandwidth

    # ---- stages --------------------------------------------------------------------------

    def divided(
        self, mesh: Mesh, most: float, *, by_memory: bool = False
    ) -> tuple[float, list[int]] | None:
        """The best division into stages, by where they start: below `most`, or None.

        Exact, by dynamic programming over the first operators and stages. The value is the
        time of a step, or with `by_memory` the largest memory.
        """
        count, turns = self.chain_of(mesh).count, self.turns(mesh)
        best: dict[int, float] = {0: 0.0}
        cuts: list[dict[int, int]] = []
        for stage in range(mesh.pipeline):
            final = stage == mesh.pipeline - 1
            reached: dict[int, float] = {}
            came: dict[int, int] = {}
            for first, before in best.items():
                for last in (count,) if final else range(first + 1, count):
                    cost = self.cost(mesh, stage, first, last)
                    value = turns * cost.load + cost.synchronising
                    if by_memory:
                        value = cost.memory
                    elif cost.memory > self.usable:
                        continue
                    value = max(value, before)
                    if value < reached.get(last, most):
                        reached[last], came[last] = value, first
            best = reached
            cuts.append(came)
        if count not in best:
            return None
        starts = [count]
        for came in reversed(cuts):
            starts.append(came[starts[-1]])
        return best[count], starts[::-1]


def best_mesh(
    analysis: Analysis,
    cluster: Cluster,
    sizes: Mapping[str, Size],
    fixed: Mapping[str, int | str] | None = None,
) -> MeshPlan:
    """The mesh of all devices whose step is shortest, with the stages of its pipeline.

    `fixed` gives some fields of the mesh. Raises SpecError: E1019 (unlike devices, or no
    batch to divide), E1016 (the batch does not divide), E1020 (no mesh is as fixed),
    E1011 (no mesh fits, with the least memory with which one would).
    """
    _check_equal(cluster)
    meshes = Meshes(analysis, cluster, sizes)
    every = list(meshes.all())
    if not every:
        raise _indivisible(meshes)
    every = [
        mesh
        for mesh in every
        if all(getattr(mesh, name) == value for name, value in (fixed or {}).items())
    ]
    if not every:
        raise _none_as_fixed(meshes, fixed or {})
    ordered = sorted(((meshes.bound(mesh), n) for n, mesh in enumerate(every)))
    value, chosen, starts = inf, every[0], list[int]()
    for bound, number in ordered:
        if bound >= value:
            break
        found = meshes.divided(every[number], value)
        if found is not None:
            value, chosen, starts = found[0], every[number], found[1]
    if not starts:
        raise _does_not_fit(meshes, every)
    return _plan(meshes, chosen, starts, value, len(every))


def _plan(
    meshes: Meshes, mesh: Mesh, starts: list[int], value: float, count: int
) -> MeshPlan:
    stages = _stages(meshes, mesh, starts)
    kind = meshes.cluster.kind(0)
    element = meshes.analysis.setting.policy.products
    # What is computed again is work, and none that utilisation counts.
    once = meshes.analysis.figure("training_flops") - meshes.analysis.figure(
        "recomputed_flops"
    )
    flops = int(once.at(meshes.sizes))
    peak = kind.flops[ELEMENTS[element]] * mesh.devices
    slowest = [
        stage
        for stage in stages
        if stage.load + stage.synchronising >= value * (1 - 1e-9)
    ]
    return MeshPlan(
        status="optimal",
        objective="train",
        value=value,
        bound=value,
        gap=0.0,
        limits=tuple(_limit(stage) for stage in slowest),
        method="enumeration of meshes, dynamic programming over stages",
        cluster=meshes.cluster.name,
        mesh=mesh,
        batch=meshes.batch,
        utilisation=flops / (value * peak),
        meshes=count,
        stages=tuple(stages),
    )


def _limit(stage: StageUse) -> str:
    what = "load" if stage.load >= stage.synchronising else "synchronisation"
    return f"{what} of stage {stage.stage}"


def _stages(meshes: Meshes, mesh: Mesh, starts: list[int]) -> list[StageUse]:
    names = meshes.chain_of(mesh).model.names
    width = mesh.data * mesh.tensor
    found: list[StageUse] = []
    for stage, (first, last) in enumerate(itertools.pairwise(starts)):
        cost = meshes.cost(mesh, stage, first, last)
        group = meshes.cluster.devices[stage * width : (stage + 1) * width]
        found.append(
            StageUse(
                stage=stage,
                devices=(group[0].name, group[-1].name),
                operators=names[first:last],
                load=meshes.turns(mesh) * cost.load,
                synchronising=cost.synchronising,
                memory=cost.memory,
                usable=None if meshes.usable == inf else meshes.usable,
            )
        )
    return found


def _divisors(number: int) -> list[int]:
    return [each for each in range(1, number + 1) if number % each == 0]


def _batch(analysis: Analysis, sizes: Mapping[str, Size]) -> tuple[str, int]:
    """The symbol that is the first size of every input, and its value."""
    main = analysis.program.main
    first = {
        str(main.types[value].shape[0])
        for port in main.inputs
        for value in (port.values if isinstance(port.values, tuple) else (port.values,))
        if value is not None and main.types[value].shape
    }
    if len(first) != 1 or not first <= set(analysis.program.symbols):
        raise SpecError(
            "E1019",
            "a mesh divides the batch, and the inputs have no first size in common",
            hint="let every input start with the same symbol, as in `input x: [B, 64]`",
        )
    (symbol,) = first
    if symbol not in sizes:
        raise SpecError(
            "E1105",
            f"`{symbol}` has no value",
            hint=f"give {symbol}=..., for all devices",
        )
    return symbol, int(sizes[symbol])


def _check_equal(cluster: Cluster) -> None:
    if len({device.kind for device in cluster.devices}) > 1:
        raise SpecError(
            "E1019",
            f"a mesh needs equal devices, and {cluster.name} has several kinds",
            hint="place the model without --mesh",
        )
    nodes = [device.node for device in cluster.devices]
    if len({nodes.count(node) for node in set(nodes)}) > 1:
        raise SpecError(
            "E1019",
            "a mesh needs nodes with equally many devices",
            hint="choose another number of --devices",
        )


def _indivisible(meshes: Meshes) -> SpecError:
    return SpecError(
        "E1016",
        f"a batch of {meshes.batch} does not divide over any mesh of {meshes.count} devices",
        hint=f"choose a batch that is a multiple, such as {meshes.symbol}={meshes.count}",
    )


def _none_as_fixed(meshes: Meshes, fixed: Mapping[str, int | str]) -> SpecError:
    wanted = ", ".join(f"{name}={value}" for name, value in fixed.items())
    widths = ", ".join(map(str, meshes.widths)) or "nothing"
    return SpecError(
        "E1020",
        f"no mesh of {meshes.count} devices has {wanted} for a batch of {meshes.batch}",
        hint="data, tensor and pipeline multiply to all devices; data and microbatches "
        f"divide the batch; tensor divides {meshes.node} devices of a node and what is "
        f"split ({widths})",
    )


def _does_not_fit(meshes: Meshes, every: list[Mesh]) -> SpecError:
    """The least memory with which a mesh would fit.

    Of meshes that differ in nothing else, those with more sharded and with smaller
    micro-batches take less.
    """
    most: dict[tuple[int, int], tuple[int, int, bool]] = {}
    for mesh in every:
        key = (mesh.tensor, mesh.pipeline)
        most[key] = max(most.get(key, (0, 0, False)), _thrift(mesh))
    least = inf
    for mesh in every:
        if _thrift(mesh) == most[mesh.tensor, mesh.pipeline]:
            found = meshes.divided(mesh, least, by_memory=True)
            least = least if found is None else found[0]
    reserved = meshes.cluster.kind(0).reserved
    return SpecError(
        "E1011",
        f"no mesh of {meshes.count} devices fits: each has {in_bytes(meshes.usable)} to use",
        hint=f"it would fit with {in_bytes(least + reserved)} on each device",
    )


def _thrift(mesh: Mesh) -> tuple[int, int, bool]:
    return mesh.microbatches, SHARDED.index(mesh.sharded), mesh.schedule != "GPipe"
