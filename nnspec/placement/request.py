"""What a person asks for: some devices of a cluster, and plans written or changed by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors
from nnspec.ir.graph import Program, spread
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.labels import selects
from nnspec.placement.model import BACKWARD
from nnspec.placement.plan import Plan, plan_from_json

_COMPUTED: Mapping[str, Any] = {
    "status": "checked",
    "value": 0,
    "bound": 0,
    "gap": 0,
    "limits": [],
    "method": "given",
    "cluster": "cluster",
    "devices": [],
}
"""What a plan that a person writes need not say."""


def first_devices(cluster: Cluster, count: int) -> Cluster:
    """The cluster with its first devices only. Raises SpecError (E1008) for too many."""
    if not 1 <= count <= len(cluster.devices):
        raise SpecError(
            "E1008",
            f"{cluster.name} has {len(cluster.devices)} devices, not {count}",
            hint=f"ask for 1 to {len(cluster.devices)}",
        )
    kept = cluster.devices[:count]
    names = {device.name for device in kept}
    return replace(
        cluster,
        devices=kept,
        ports={name: link for name, link in cluster.ports.items() if name in names},
        uplinks={name: link for name, link in cluster.uplinks.items() if name in names},
    )


def read_plan(text: str) -> Plan:
    """A plan of which only the decisions need to be there.

    Raises SpecErrors (E1012) for what is no plan.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"the plan is no JSON: {error}"
        raise SpecErrors([Diagnostic("E1012", message)]) from error
    if not isinstance(given, dict):
        raise SpecErrors([Diagnostic("E1012", "the plan is no JSON object")])
    fields = cast("dict[str, Any]", given)
    return plan_from_json(json.dumps({**_COMPUTED, **fields}))


def is_mesh(text: str) -> bool:
    """Whether a JSON text says a plan of a mesh, right or wrong."""
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(given, dict) and "mesh" in given


def completed(plan: Plan, graph: WeightedGraph) -> Plan:
    """The plan with labels spelled out, and backward passes beside their forward passes."""
    assignment = spelled_out(plan.assignment, list(graph.index))
    return plan.model_copy(update={"assignment": assignment})


def spelled_out(assignment: Mapping[str, str], names: Sequence[str]) -> dict[str, str]:
    """The device of each operator that a label names; of several the longest counts.

    What names no operator is left as it is. An operator of the backward pass is also
    named by the label of its forward pass.
    """
    labels = sorted(assignment, key=lambda label: (label.count("."), label))
    found: dict[str, str] = {}
    used: set[str] = set()
    for name in names:
        for label in labels:
            if selects(label, name.removesuffix(BACKWARD)):
                found[name] = assignment[label]
                used.add(label)
    given = {
        label: device
        for label, device in assignment.items()
        if label in names or label not in used
    }
    return {**found, **given}


def check_batch(program: Program, sizes: Mapping[str, int], microbatches: int) -> None:
    """Raises SpecError (E1016) for a batch that does not divide into micro-batches."""
    for port in program.main.inputs:
        for value in spread(port.values):
            if not program.main.types[value].shape:
                continue
            batch = program.main.types[value].shape[0].at(sizes)
            if batch.is_constant and int(batch) % microbatches:
                raise SpecError(
                    "E1016",
                    f"a batch of {int(batch)} (`{port.name}`) does not divide into "
                    f"{microbatches} micro-batches",
                    hint="choose a batch that is a multiple",
                )
