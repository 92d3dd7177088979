"""Meshes for people: their axes, and a table of the stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnspec.cli.amounts import bytes_text
from nnspec.cli.placement_text import shortened
from nnspec.cli.render import table
from nnspec.cli.text import visible
from nnspec.picture.timeline import seconds_text
from nnspec.placement.labels import folded

if TYPE_CHECKING:
    from nnspec.placement.mesh_plan import MeshPlan, StageUse

HEADINGS = ("stage", "devices", "passes", "synchronising", "memory", "of", "holds")


def mesh_text(plan: MeshPlan, name: str) -> str:
    """What a step takes, the mesh, and what the devices of each stage do and hold."""
    mesh = plan.mesh
    schedule = "" if mesh.schedule is None else f", {mesh.schedule}"
    shared = (
        "nothing sharded" if mesh.sharded == "nothing" else f"{mesh.sharded} sharded"
    )
    lines = [
        f"{visible(name)} on {visible(plan.cluster)}: a step of {plan.batch} samples in "
        f"{seconds_text(plan.value)} ({plan.status} of {plan.meshes:,} meshes), "
        f"{plan.utilisation:.1%} of the peak",
        f"data {mesh.data} x tensor {mesh.tensor} x pipeline {mesh.pipeline}, {shared}, "
        f"{mesh.microbatches} micro-batches{schedule}",
        *(f"limited by the {limit}" for limit in plan.limits[:4]),
        "",
        table(HEADINGS, [_cells(stage) for stage in plan.stages], (0, 2, 3, 4, 5)),
    ]
    return "\n".join(lines)


def _cells(stage: StageUse) -> list[str]:
    first, last = stage.devices
    return [
        str(stage.stage),
        first if first == last else f"{first} - {last}",
        seconds_text(stage.load),
        seconds_text(stage.synchronising),
        bytes_text(round(stage.memory)),
        "-" if stage.usable is None else bytes_text(int(stage.usable)),
        shortened(", ".join(folded(stage.operators))),
    ]
