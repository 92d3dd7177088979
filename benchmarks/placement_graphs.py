"""Reads the graphs of "Efficient Algorithms for Device Placement of DNN Graph Operators".

The files give times instead of sizes: a value takes `cost` between an accelerator and
host memory; the host's cores move values in no time.
"""

from __future__ import annotations

import json
from math import inf
from pathlib import Path
from typing import Any

from nnspec.diagnostics import SpecError
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.graph import Operator, Value, WeightedGraph


def read_graph(
    path: Path, staged: bool = False, *, accelerators: int = 0
) -> tuple[WeightedGraph, Cluster]:
    """The graph of a file and the machine that it is for, with so many `accelerators`
    if it has fewer.

    Values between accelerators stream through host memory: the receiver may start when
    the sender starts. If `staged`, only when it has ended. Loads are the same.

    Raises SpecError (E1007) where the file says something else than a graph.
    """
    try:
        return _read(path, staged, accelerators)
    except (KeyError, TypeError, ValueError) as error:
        found = f"{type(error).__name__}: {error}"
        raise SpecError(
            "E1007",
            f"{path.name} is no graph of the benchmark ({found})",
            hint="it has `nodes`, `edges`, `maxFPGAs`, `maxCPUs` and `maxSizePerFPGA`",
        ) from error


def _read(path: Path, staged: bool, accelerators: int) -> tuple[WeightedGraph, Cluster]:
    data = json.loads(path.read_text())
    data["maxFPGAs"] = max(data["maxFPGAs"], accelerators)
    at = {node["id"]: place for place, node in enumerate(data["nodes"])}
    operators = tuple(_operator(node) for node in data["nodes"])
    targets: dict[tuple[int, float], list[int]] = {}
    for edge in data["edges"]:
        key = (at[edge["sourceId"]], float(edge["cost"]))
        targets.setdefault(key, []).append(at[edge["destId"]])
    values = tuple(
        Value(source, tuple(dict.fromkeys(readers)), seconds=cost)
        for (source, cost), readers in targets.items()
    )
    return WeightedGraph(operators, values), _cluster(path.stem, data, staged)


def _operator(node: dict[str, Any]) -> Operator:
    seconds = {"cpu": float(node["cpuLatency"])}
    if node.get("supportedOnFpga", True):
        seconds["accelerator"] = float(node["fpgaLatency"])
    color = node.get("colorClass")
    return Operator(
        name=str(node["id"]),
        seconds=seconds,
        memory=float(node["size"]),
        group=None if color is None else str(color),
        backward=bool(node.get("isBackwardNode", False)),
    )


def _cluster(name: str, data: dict[str, Any], staged: bool) -> Cluster:
    memory = float(data["maxSizePerFPGA"])
    accelerator = {
        "memory": None if memory == inf else int(memory),
        "port": {"bandwidth": 1.0},
    }
    # Memory binds accelerators only: the catalogue's figure for hosts does not count.
    kinds = {"accelerator": accelerator, "cpu": {"memory": None, "port": None}}
    devices = {"accelerator": data["maxFPGAs"], "cpu": data["maxCPUs"]}
    counted = {kind: count for kind, count in devices.items() if count}
    return cluster_of(
        {
            "name": name,
            "kinds": kinds,
            "nodes": [{"devices": counted}],
            "cut_through": not staged,
        }
    )
