"""What commands share that place models: clusters, pins and plans from the command line."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors

if TYPE_CHECKING:
    from nnspec.analysis.setting import Setting
    from nnspec.placement.clusters.cluster import Cluster
    from nnspec.placement.mesh.plan import MeshPlan
    from nnspec.placement.model import ModelGraph, Pin
    from nnspec.placement.plan import Plan
    from nnspec.spec import Spec

MOST_BYTES = 64 * 2**20


def load_cluster(name: str, devices: int | None = None) -> Cluster:
    """The cluster of a file or a short name, or its first devices.

    Raises SpecErrors and SpecError (E10xx), and OSError for a file that cannot be read.
    """
    from nnspec.placement.clusters.file import preset, read_cluster
    from nnspec.placement.request import first_devices

    is_file = os.path.exists(name) or name.endswith(".toml") or os.sep in name
    found = read_cluster(_text(name, "E1001")) if is_file else preset(name)
    return found if devices is None else first_devices(found, devices)


def load_plan_or_mesh(path: str) -> Plan | MeshPlan:
    """The plan of a file, of either kind. Raises SpecErrors (E1012), and OSError."""
    from nnspec.placement.mesh.plan import mesh_from_json
    from nnspec.placement.request import is_mesh, read_plan

    text = _text(path, "E1012")
    return mesh_from_json(text) if is_mesh(text) else read_plan(text)


@contextmanager
def plan_named(path: str | None) -> Generator[None]:
    """What is said of the plan of a file (E1012), with the file's name in front."""
    try:
        yield
    except SpecError as error:
        raise SpecErrors([_named(path, error.diagnostic)]) from error
    except SpecErrors as error:
        found = [_named(path, each) for each in error.diagnostics]
        raise SpecErrors(found, error.suppressed) from error


def _named(path: str | None, found: Diagnostic) -> Diagnostic:
    if path is None or found.code != "E1012" or found.message.startswith(path):
        return found
    return replace(found, message=f"{path}: {found.message}")


def _text(path: str, code: str) -> str:
    from nnspec.files import read_regular

    data = read_regular(path, MOST_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError(code, f"{path} is no text in UTF-8") from error


def read_pins(texts: Sequence[str]) -> list[Pin]:
    """Reads `PATH=DEVICE` arguments. Raises SpecError (E1015) for another form."""
    from nnspec.placement.model import Pin

    pins: list[Pin] = []
    for text in texts:
        label, equals, device = text.partition("=")
        if not (label and equals and device):
            raise SpecError(
                "E1015",
                f"`--pin {text}` is not of the form PATH=DEVICE",
                hint="write a pin as in `--pin blocks.0-5=h100:0`",
            )
        pins.append(Pin(label, device, "--pin"))
    return pins


def model_graph(
    model: Spec,
    setting: Setting,
    cluster: Cluster,
    *,
    trains: bool,
    pins: Sequence[Pin] = (),
) -> ModelGraph:
    """A model on a cluster at the sizes that were given."""
    from nnspec.analysis.analysis import Analysis
    from nnspec.placement.model import ModelGraph

    analysis = Analysis(model.program, setting)
    return ModelGraph(analysis, cluster, model.symbols, trains=trains, pins=pins)


def checked(plan: Plan, graph: ModelGraph) -> Plan:
    """A plan that a person wrote, with all that follows from it. Raises SpecErrors."""
    from nnspec.placement.evaluate import check_plan
    from nnspec.placement.request import completed

    found = check_plan(completed(plan, graph.graph), graph.graph, graph.cluster)
    kept = {"schedule": plan.schedule, "microbatches": plan.microbatches}
    return found.model_copy(update=kept)
