"""All meshes of a model on a cluster of equal devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property

from nnspec.analysis.analysis import Analysis
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Size
from nnspec.ir.graph import Node, values_of
from nnspec.ops.normalization import BatchNorm
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.mesh.chain import Chain
from nnspec.placement.mesh.cost import MeshCost, Wires
from nnspec.placement.mesh.pipelines import (
    MOST_MICROBATCHES,
    SCHEDULES,
    SEVERAL,
    Schedule,
    refusal,
    refusal_of_shards,
)
from nnspec.placement.mesh.plan import SHARDED, Mesh
from nnspec.placement.mesh.tensor import shared_nodes, widths_of

MOST_ROUNDS = 4
"""Of more stages on each rank, the search does not ask."""


class Meshes:
    """The meshes of a model on a cluster, and what they cost.

    Raises SpecError: E1019 (unlike devices, or no batch to divide), E1105 (sizes are open).
    """

    def __init__(
        self, analysis: Analysis, cluster: Cluster, sizes: Mapping[str, Size]
    ) -> None:
        check_equal(cluster)
        self.analysis = analysis
        self.cluster = cluster
        self.sizes = sizes
        self.symbol, self.batch = _batch(analysis, sizes)
        self.wires = Wires.of(cluster)
        self.count = len(cluster.devices)
        self.usable = cluster.kind(0).usable
        self.operators = len(analysis.program.main.nodes)
        self.chain = cache(self._chain)

    def on(self, cluster: Cluster) -> Meshes:
        """The meshes on another cluster with the same devices and nodes, more or less of them."""
        found = Meshes(self.analysis, cluster, self.sizes)
        found.chain = self.chain
        return found

    def _chain(
        self,
        samples: int,
        tensor: int,
        lines: bool,
        order: tuple[int, ...] | None = None,
    ) -> Chain:
        base = None if samples == 1 else self.chain(1, tensor, lines, order)
        return Chain(
            self.analysis,
            self.cluster,
            {**self.sizes, self.symbol: samples},
            tensor,
            self.wires.inside,
            lines=lines,
            order=order,
            base=base,
        )

    # ---- what there is -------------------------------------------------------------------

    def all(self) -> Iterator[Mesh]:
        """Every mesh that uses all devices, tensor parallelism inside of nodes only."""
        for tensor in divisors(self.wires.node):
            if tensor > 1 and not self.splits(tensor):
                continue
            for pipeline in divisors(self.count // tensor):
                data = self.count // tensor // pipeline
                if pipeline <= self.operators and self.batch % data == 0:
                    yield from self._with_microbatches(data, tensor, pipeline)

    def splits(self, tensor: int) -> bool:
        """Whether there is anything that so many devices split evenly."""
        shared = shared_nodes(self.analysis.program, tensor)
        return any(each.nodes for each in shared.values())

    @cached_property
    def widths(self) -> list[int]:
        """The numbers of which a degree of tensor parallelism divides some."""
        return widths_of(self.analysis.program)

    def _with_microbatches(
        self, data: int, tensor: int, pipeline: int
    ) -> Iterator[Mesh]:
        every = divisors(self.batch // data, MOST_MICROBATCHES)
        for microbatches in every if self.batch_statistics is None else (1,):
            for schedule, rounds in self._schedules(pipeline, microbatches):
                for sharded in SHARDED if data > 1 else SHARDED[:1]:
                    if refusal_of_shards(schedule, sharded) is not None:
                        continue
                    yield Mesh(
                        data=data,
                        tensor=tensor,
                        pipeline=pipeline,
                        rounds=rounds,
                        sharded=sharded,
                        schedule=schedule,
                        microbatches=microbatches,
                    )

    def _schedules(
        self, pipeline: int, microbatches: int
    ) -> Iterator[tuple[Schedule | None, int]]:
        if pipeline == 1:
            yield None, 1
            return
        for schedule in SCHEDULES:
            most = min(MOST_ROUNDS, self.operators // pipeline)
            for rounds in range(1, most + 1 if schedule in SEVERAL else 2):
                if refusal(schedule, pipeline, rounds, microbatches) is None:
                    yield schedule, rounds

    @cached_property
    def batch_statistics(self) -> Node | None:
        """A layer that normalises over the batch, which micro-batches would split, if there is one."""
        for function in self.analysis.program.functions.values():
            for node in function.nodes:
                if isinstance(node.op, BatchNorm) and not node.marks.frozen:
                    return node
        return None

    def refuse_batch_statistics(self) -> None:
        """Raises SpecError (E1030) if a layer normalises over the batch."""
        node = self.batch_statistics
        if node is not None:
            raise SpecError(
                "E1030",
                "batch normalisation under micro-batches takes the statistics of each "
                "micro-batch, so the program would compute something else",
                node.location,
                hint="use GroupNorm or LayerNorm, freeze it, or leave out micro-batches",
            )

    # ---- what it costs -------------------------------------------------------------------

    def cost(self, mesh: Mesh, order: Sequence[int] | None = None) -> MeshCost:
        """The costs of a mesh at its micro-batch, with the operators in an order."""
        samples = self.batch // mesh.data // mesh.microbatches
        given = None if order is None else tuple(order)
        chain = self.chain(samples, mesh.tensor, mesh.pipeline > 1, given)
        return MeshCost(mesh, chain, self.wires, self.cluster.kind(0).bandwidth)


def divisors(number: int, most: int | None = None) -> list[int]:
    """All of them from 1 on, or those up to `most`."""
    last = number if most is None else min(number, most)
    return [each for each in range(1, last + 1) if number % each == 0]


def check_equal(cluster: Cluster) -> None:
    """Raises SpecError (E1019) unless all devices and nodes are alike."""
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


def _batch(analysis: Analysis, sizes: Mapping[str, Size]) -> tuple[str, int]:
    """The symbol that is the first size of every input, and its value."""
    main = analysis.program.main
    first = {
        str(main.types[value].shape[0])
        for value in values_of(main.inputs)
        if main.types[value].shape
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
