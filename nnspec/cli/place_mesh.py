"""`nnspec place` of meshes: found with --mesh, or given back with --plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from nnspec.diagnostics import SpecError

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis
    from nnspec.analysis.setting import Setting
    from nnspec.placement.clusters.cluster import Cluster
    from nnspec.placement.mesh.plan import MeshPlan
    from nnspec.spec import Spec


def place_mesh(
    model: Spec,
    setting: Setting,
    cluster: Cluster,
    wanted: MeshPlan | str,
    schedule: str | None,
    microbatches: int | None,
) -> MeshPlan:
    """The best mesh with the axes that `wanted` fixes, or one that is given, checked and costed.

    Raises SpecErrors and SpecError (E10xx).
    """
    from nnspec.analysis.analysis import Analysis

    analysis = Analysis(model.program, setting)
    options = {"schedule": schedule, "microbatches": microbatches}
    said = {name: value for name, value in options.items() if value is not None}
    if isinstance(wanted, str):
        return _found(model, analysis, cluster, wanted, said)
    return _given(model, analysis, cluster, wanted, said)


def _found(
    model: Spec,
    analysis: Analysis,
    cluster: Cluster,
    axes: str,
    said: Mapping[str, str | int],
) -> MeshPlan:
    from nnspec.placement.mesh.place import best_mesh
    from nnspec.placement.mesh.plan import read_axes

    fixed = read_axes(axes)
    for name, value in said.items():
        if fixed.setdefault(name, value) != value:
            raise SpecError(
                "E1020",
                f"`--mesh` fixes {name}={fixed[name]}, and `--{name}` {value}",
                hint="say it once",
            )
    return best_mesh(analysis, cluster, model.symbols, fixed)


def _given(
    model: Spec,
    analysis: Analysis,
    cluster: Cluster,
    plan: MeshPlan,
    said: Mapping[str, str | int],
) -> MeshPlan:
    """With what options change of it."""
    from nnspec.placement.mesh.check import check_mesh

    mesh = plan.mesh.model_copy(update=dict(said))
    wanted = plan.model_copy(update={"mesh": mesh})
    return check_mesh(wanted, analysis, cluster, model.symbols)
