"""Plans of meshes as they are compiled: what must hold together, whoever wrote them."""

from __future__ import annotations

from collections.abc import Mapping

from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Program
from nnspec.placement.mesh.pipelines import refusal
from nnspec.placement.mesh.plan import Mesh, MeshPlan


def checked_mesh(
    plan: MeshPlan, schedule: str | None = None, microbatches: int | None = None
) -> tuple[Mesh, str | None]:
    """The mesh of a plan and its schedule, with those asked for in place of its own.

    Raises SpecError: E1012 where stages and mesh do not go together, E1016 where the batch does not divide.
    """
    mesh = plan.mesh
    if microbatches is not None:
        mesh = mesh.model_copy(update={"microbatches": microbatches})
    chosen = schedule or mesh.schedule
    parts = mesh.data * mesh.microbatches
    if plan.batch is not None and plan.batch % parts:
        raise SpecError(
            "E1016",
            f"a batch of {plan.batch} does not divide into {mesh.microbatches} micro-batches "
            f"on each of {mesh.data} places of the data axis",
            hint=f"choose a batch that is a multiple of {parts}",
        )
    if mesh.pipeline > 1 and chosen is None:
        raise SpecError(
            "E1012",
            f"the mesh is a pipeline of {mesh.pipeline} stages, and names no schedule",
            hint="set `schedule` to GPipe or 1F1B, or compile with `--schedule`",
        )
    why = refusal(chosen, mesh.pipeline, mesh.rounds, mesh.microbatches)
    if why is not None and mesh.pipeline > 1:
        hint = "change `schedule`, `rounds` or `microbatches` of the mesh"
        raise SpecError("E1031", why, hint=hint)
    return mesh, chosen


def sizes_of_part(
    program: Program, sizes: Mapping[str, int], batch: int | None, mesh: Mesh
) -> dict[str, int]:
    """The sizes of a micro-batch of one process: those given, and its share of the batch.

    Raises SpecError (E1012) for a plan that does not say its batch.
    """
    if batch is None:
        raise SpecError(
            "E1012",
            "the mesh does not say how large its batch is",
            hint='add `"batch": ...`, or let `nnspec place --plan` complete the plan',
        )
    ports = (port.values for port in program.main.inputs)
    kinds = (program.main.types[value] for value in ports if isinstance(value, int))
    first = {str(kind.shape[0]) for kind in kinds if kind.shape}
    named = dict.fromkeys(first & set(program.symbols), batch // mesh.data)
    shares = {name: size // mesh.microbatches for name, size in named.items()}
    return {**sizes, **shares}
