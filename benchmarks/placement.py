"""The public placement benchmark: what is found, what is proven, and how long that takes.

`python -m benchmarks.placement FOLDER` reads every graph below the folder in the format of
"Efficient Algorithms for Device Placement of DNN Graph Operators" (Tarnawski et al.,
NeurIPS 2020). Graphs below a folder `latency` are placed for the time of one sample,
others for the largest load, with the devices in a line and without. Of a graph with a
backward pass that is the value for `train` and for `throughput` alike: one plan has a row
for each, with the seconds that it took. Expert splits below
a folder `experts` are costed for both. `--json` prints a list for programs.

For latency, values stream through host memory from one accelerator to another; `--staged`
lets them arrive there as a whole first. An accelerator that moves a value does nothing
else meanwhile, in either case. The times that were published for expert splits are those
of `--staged`, with as many accelerators as the split names and as much memory as it
takes: what a split has beyond the limits is said, and no plan may have that.

A graph that no plan exists for, or a file that says something else, gets a row with an
`error` and no value.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.placement_graphs import read_graph
from nnspec.diagnostics import SpecError, SpecErrors
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import loads, value_of
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.place import Options, place
from nnspec.placement.plan import Objective


@dataclass(frozen=True)
class Row:
    """One placement. `expert` rows cost a published split instead of looking for one.

    Where there is no plan, `error` says why and there is no value.
    """

    graph: str
    objective: str
    contiguous: bool
    value: float | None
    bound: float | None
    seconds: float
    method: str = ""
    error: str = ""


def tasks(path: Path, folder: Path) -> Iterator[tuple[tuple[Objective, ...], bool]]:
    """What is asked of a graph: the objectives, which one plan answers, and whether devices
    stand in a line.
    """
    if "latency" in path.relative_to(folder).parts or folder.name == "latency":
        yield ("latency",), False
        return
    trains = _has_backward(path)
    for contiguous in (True, False):
        yield ("train", "throughput") if trains else ("throughput",), contiguous


def _has_backward(path: Path) -> bool:
    try:
        graph, _ = read_graph(path)
    except (SpecError, SpecErrors):
        return False
    return any(operator.backward for operator in graph.operators)


def measured(path: Path, folder: Path, effort: float, staged: bool) -> Iterator[Row]:
    name = path.relative_to(folder).with_suffix("").as_posix()
    for objectives, contiguous in tasks(path, folder):
        start = time.perf_counter()
        try:
            graph, cluster = read_graph(path, staged)
            plan = place(graph, cluster, objectives[0], Options(contiguous, effort))
            found = plan.value, plan.bound
            said = {"method": plan.method}
        except (SpecError, SpecErrors) as error:
            found, said = (None, None), {"error": _said(error)}
        seconds = time.perf_counter() - start
        for objective in objectives:
            yield Row(name, objective, contiguous, *found, seconds, **said)


def _said(error: SpecError | SpecErrors) -> str:
    """The code and message of the first fault, with what would help."""
    found = error.diagnostic if isinstance(error, SpecError) else error.diagnostics[0]
    hint = f"; {found.hint}" if found.hint else ""
    return f"{found.code}: {found.message}{hint}"


def expert(path: Path, folder: Path, kind: str, staged: bool) -> Row | None:
    """What a published split gives for a graph below `throughput` or `latency`."""
    stem = path.stem.removesuffix("_expert")
    graphs = sorted((folder / kind / "LayerGraphs").glob(f"{stem}.json"))
    if not graphs:
        return None
    start = time.perf_counter()
    split = json.loads(path.read_text())
    graph, cluster = read_graph(graphs[0], staged, accelerators=len(split["fpgas"]))
    placed = [-1] * len(graph.operators)
    for device, parts in (("accelerator", split["fpgas"]), ("cpu", split["cpus"])):
        for number, part in enumerate(parts):
            for node in part["nodes"]:
                placed[graph.index[str(node)]] = cluster.index[f"{device}:{number}"]
    objective: Objective = "latency" if kind == "latency" else "throughput"
    value = value_of(graph, cluster, objective, placed, graph.order)
    seconds = time.perf_counter() - start
    name = path.relative_to(folder).with_suffix("").as_posix()
    _, limits = read_graph(graphs[0])
    method = "published split" + "".join(_beyond(graph, cluster, placed, limits))
    return Row(name, objective, kind != "latency", value, 0.0, seconds, method)


def _beyond(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int], limits: Cluster
) -> Iterator[str]:
    """What a split has beyond the limits of the graph's file."""
    held = loads(graph, cluster, placed).held
    missing = len(cluster.devices) - len(limits.devices)
    if missing:
        yield f", {missing} more accelerators than there are"
    most = max(
        amount / cluster.kind(device).usable for device, amount in enumerate(held)
    )
    if most > 1:
        yield f", {most:.3g} times the memory of an accelerator"


def rows(folder: Path, effort: float, staged: bool) -> Iterator[Row]:
    for path in sorted(folder.rglob("*.json")):
        if path.parent.name == "experts":
            for kind in ("throughput", "latency"):
                found = expert(path, folder, kind, staged)
                if found is not None:
                    yield found
        elif _may_be_graph(path):
            yield from measured(path, folder, effort, staged)


def _may_be_graph(path: Path) -> bool:
    """Whether a file is a graph, or so broken that a row has to say it."""
    try:
        return "nodes" in json.loads(path.read_text())
    except ValueError:
        return True


def as_text(row: Row) -> str:
    line = "in a line" if row.contiguous else "free"
    if row.value is None or row.bound is None:
        return f"{row.graph:<42} {row.objective:<10} {line:<9} {row.error}"
    return (
        f"{row.graph:<42} {row.objective:<10} {line:<9} {row.value:>11.4f} "
        f"{row.bound:>11.4f} {row.seconds:>7.1f} s  {row.method}"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.placement")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="print a list for programs")
    parser.add_argument("--effort", type=float, default=10.0, help="see `Options`")
    parser.add_argument(
        "--staged",
        action="store_true",
        help="accelerators receive a value only when host memory has all of it",
    )
    given = parser.parse_args(arguments)
    if not given.folder.is_dir():
        parser.error(f"there is no folder {given.folder}")
    found: list[dict[str, Any]] = []
    for row in rows(given.folder, given.effort, given.staged):
        found.append(asdict(row))
        if not given.json:
            print(as_text(row), flush=True)
    if given.json:
        print(json.dumps(found, indent=2))
    return 0 if found else 1


if __name__ == "__main__":
    sys.exit(main())
