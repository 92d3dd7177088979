"""Meshes that a person wrote or changed: whether they hold, and what they cost.

Decisions are `mesh`, and which operators each stage has: `assignment` (labels such as
`blocks.0-5`) or the `operators` of `stages`. Everything else is computed again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from nnspec.analysis.analysis import Analysis
from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors
from nnspec.ir.dims import Size
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import TOLERANCE
from nnspec.placement.mesh.bounds import mean_bound
from nnspec.placement.mesh.candidates import Meshes
from nnspec.placement.mesh.pipelines import refusal, refusal_of_shards
from nnspec.placement.mesh.plan import Mesh, MeshPlan
from nnspec.placement.mesh.result import Result, Verdict
from nnspec.placement.room import in_bytes, to_the_byte
from nnspec.placement.stages import stages_of_mesh

PROOF = (
    "no mesh takes less: the work of the mean rank, and what runs before and behind it"
)


def check_mesh(
    plan: MeshPlan, analysis: Analysis, cluster: Cluster, sizes: Mapping[str, Size]
) -> MeshPlan:
    """The plan with all that follows from its decisions.

    Raises SpecError and SpecErrors: E1019 (no meshes here), E1020 (axes that do not go
    with the devices or the model), E1016 (the batch does not divide), E1030 (batch
    statistics), E1031 (the schedule), E1012 (stages or their operators), E1017 (stages go
    back and forth), E1008 (unknown devices), E1011 (memory).
    """
    meshes = Meshes(analysis, cluster, sizes)
    mesh = plan.mesh
    _check_axes(meshes, mesh)
    stage_of = stages_of_mesh(analysis.program, plan)
    order = sorted(range(len(stage_of)), key=lambda place: (stage_of[place], place))
    counts = [stage_of.count(stage) for stage in range(mesh.stages)]
    starts = (0, *accumulate(counts))
    is_in_order = order == list(range(len(order)))
    cost = meshes.cost(mesh, None if is_in_order else order)
    result = Result(meshes, cost.divided(starts))
    _check_devices(meshes, plan, result)
    _check_room(meshes, result)
    every = list(meshes.all())
    bounds = (mean_bound(meshes.cost(each), meshes.usable) for each in every)
    value = result.divided.value
    return result.plan(
        Verdict(min(bounds, default=value), PROOF, "given", len(every), is_given=True)
    )


# ---- axes --------------------------------------------------------------------------------


def _check_axes(meshes: Meshes, mesh: Mesh) -> None:
    if mesh.devices != meshes.count:
        raise SpecError(
            "E1020",
            f"a mesh of data {mesh.data} x tensor {mesh.tensor} x pipeline {mesh.pipeline} "
            f"takes {mesh.devices} devices, and {meshes.cluster.name} has {meshes.count}",
            hint="change an axis, or choose another number of --devices",
        )
    _check_tensor(meshes, mesh.tensor)
    _check_batch(meshes, mesh)
    if mesh.microbatches > 1:
        meshes.refuse_batch_statistics()
    why = refusal(mesh.schedule, mesh.pipeline, mesh.rounds, mesh.microbatches)
    why = why or refusal_of_shards(mesh.schedule, mesh.sharded)
    if why is not None:
        hint = "change `schedule`, `rounds`, `sharded` or `microbatches` of the mesh"
        raise SpecError("E1031", why, hint=hint)


def _check_tensor(meshes: Meshes, tensor: int) -> None:
    node = meshes.wires.node
    if node % tensor:
        raise SpecError(
            "E1020",
            f"tensor {tensor} does not divide the {node} devices of a node",
            hint="tensor parallelism stays inside of nodes",
        )
    if tensor > 1 and not meshes.splits(tensor):
        widths = ", ".join(map(str, meshes.widths)) or "nothing"
        raise SpecError(
            "E1020",
            f"there is nothing in the model that {tensor} devices split evenly",
            hint=f"tensor has to divide the widths and heads of a part: {widths}",
        )


def _check_batch(meshes: Meshes, mesh: Mesh) -> None:
    parts = mesh.data * mesh.microbatches
    if meshes.batch % parts:
        raise SpecError(
            "E1016",
            f"a batch of {meshes.batch} does not divide over {mesh.data} places of the data "
            f"axis into {mesh.microbatches} micro-batches each",
            hint=f"choose a multiple, such as {meshes.symbol}={parts}",
        )


# ---- devices -----------------------------------------------------------------------------


def _check_devices(meshes: Meshes, plan: MeshPlan, result: Result) -> None:
    """Devices that the plan names for its stages are there, and are those that they run on."""
    for stage in plan.stages:
        if stage.devices is None:
            continue
        for name in stage.devices:
            meshes.cluster.place(name)
        group = result.group(result.cost.ranks[stage.stage])
        if stage.devices != (group[0].name, group[-1].name):
            raise SpecError(
                "E1012",
                f"stage {stage.stage} runs on {_span(group[0].name, group[-1].name)}, not on "
                f"{_span(*stage.devices)}",
                hint="devices are numbered with tensor innermost, then data, then pipeline; "
                "leave `devices` out",
            )


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _check_room(meshes: Meshes, result: Result) -> None:
    faults = list(_too_full(meshes, result.divided.peaks, result))
    if faults:
        raise SpecErrors(faults)


def _too_full(
    meshes: Meshes, peaks: Sequence[float], result: Result
) -> Iterator[Diagnostic]:
    reserved = meshes.cluster.kind(0).reserved
    for rank, peak in enumerate(peaks):
        if peak > meshes.usable * (1 + TOLERANCE):
            group = result.group(rank)
            yield Diagnostic(
                "E1011",
                f"the mesh does not fit: {_span(group[0].name, group[-1].name)} "
                f"{'needs' if len(group) == 1 else 'need'} {in_bytes(peak)}, and "
                f"{in_bytes(meshes.usable)} can be used",
                hint=f"it would fit with {to_the_byte(max(peaks) + reserved)} on each device; "
                "shard more, take smaller micro-batches, or move operators",
            )
