"""The programs of a model on several devices: what a plan decides, handed to the engine that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Program
from nnspec.placement.mesh.pipelines import Schedule
from nnspec.placement.mesh.pipelines import orders as orders_of
from nnspec.placement.mesh.plan import Mesh, MeshPlan
from nnspec.placement.mesh.program import checked_mesh, sizes_of_part
from nnspec.placement.plan import Plan
from nnspec.placement.stages import line_of, line_of_mesh
from nnspec.targets.engines import keras_engines, stage_traffic, torch_stages
from nnspec.targets.engines.communication import Traffic
from nnspec.targets.engines.torch_sharded import MeshShape, emit_mesh


def placed_source(program: Program, plan: Plan, schedule: str | None = None) -> str:
    """The PyTorch program of a plan: one process, or with a schedule a pipeline of processes.

    Raises `SpecErrors` for a plan of another model or without a line of devices, and `SpecError`
    for what the engine cannot run.
    """
    wanted = schedule or plan.schedule
    if wanted is None:
        line = line_of(program, plan)
        return torch_stages.emit_on_devices(program, line.stage_of)
    rounds = wanted in torch_stages.SEVERAL
    line = line_of(program, plan, copies=True, rounds=rounds)
    return torch_stages.emit_pipeline(program, line.stage_of, line.ranks, wanted)


def mesh_source(
    program: Program,
    plan: MeshPlan,
    schedule: str | None = None,
    microbatches: int | None = None,
) -> str:
    """The PyTorch program of a mesh, with another schedule or number of micro-batches if given.

    Raises `SpecErrors` for a plan of another model, and `SpecError` for what the engines cannot run.
    """
    mesh, wanted = checked_mesh(plan, schedule, microbatches)
    line, shape = line_of_mesh(program, plan), _shape(mesh)
    if wanted is None or mesh.pipeline == 1:
        return emit_mesh(program, shape)
    return torch_stages.emit_pipeline(program, line.stage_of, line.ranks, wanted, shape)


def mesh_traffic(
    program: Program,
    symbols: Mapping[str, int],
    plan: MeshPlan,
    schedule: str | None = None,
    microbatches: int | None = None,
) -> tuple[Traffic, ...]:
    """What a process of a mesh's PyTorch program communicates in a step, at each place of its pipeline.

    Floats are float32. Raises `SpecError` (E1105) for a size that is open.
    """
    mesh, wanted = checked_mesh(plan, schedule, microbatches)
    line = line_of_mesh(program, plan)
    sizes = sizes_of_part(program, symbols, plan.batch, mesh)
    if mesh.pipeline == 1:
        return stage_traffic.mesh_traffic(program, _shape(mesh), sizes)
    stages = (line.stage_of, line.ranks)
    schedule_name = cast("Schedule", wanted)
    orders = orders_of(schedule_name, mesh.pipeline, mesh.rounds, mesh.microbatches)
    return stage_traffic.mesh_traffic(
        program,
        _shape(mesh),
        sizes,
        stages,
        [[(part, stage) for part, stage, _ in order] for order in orders],
    )


def keras_placed_source(
    program: Program, plan: Plan | MeshPlan, backend: str | None = None
) -> str:
    """The Keras program of a plan, for a backend: by itself, the one that has the engine.

    Raises `SpecErrors` for a plan of another model, and `SpecError` for what Keras cannot run, or would
    ignore on that backend.
    """
    if not isinstance(plan, MeshPlan):
        _refuse_pipeline(plan)
        line = line_of(program, plan)
        return keras_engines.emit_on_devices(
            program, line.stage_of, backend or "tensorflow"
        )
    mesh, _ = checked_mesh(plan)
    line_of_mesh(program, plan)
    return keras_engines.emit_keras_mesh(program, _shape(mesh), backend)


def _refuse_pipeline(plan: Plan) -> None:
    if plan.schedule is not None or plan.microbatches > 1:
        raise SpecError(
            "E1018",
            "Keras has no engine for pipelines of processes and micro-batches, which the plan asks for",
            hint="leave `schedule` and `microbatches` out of the plan, or compile for torch",
        )


def _shape(mesh: Mesh) -> MeshShape:
    return MeshShape(
        mesh.data, mesh.tensor, mesh.pipeline, mesh.sharded, mesh.microbatches
    )
