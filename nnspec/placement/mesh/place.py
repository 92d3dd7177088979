"""Meshes: data, tensor and pipeline parallelism of equal devices, with sharded states.

`best_mesh` finds the best of all meshes (`nnspec.placement.mesh.search`), `check_mesh` costs
one that a person wrote (`nnspec.placement.mesh.check`). Both give the same kind of plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from nnspec.analysis.analysis import Analysis
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Size
from nnspec.placement.clusters.cluster import Cluster, Device, Link
from nnspec.placement.mesh.candidates import Meshes
from nnspec.placement.mesh.least_room import MOST_STEPS, Room, least_room
from nnspec.placement.mesh.pipelines import MOST_MICROBATCHES
from nnspec.placement.mesh.plan import Mesh, MeshPlan
from nnspec.placement.mesh.result import Result, Verdict
from nnspec.placement.mesh.search import Found, Search
from nnspec.placement.room import in_bytes, to_the_byte

MOST_DEVICES = 1024
"""Beyond so many, the number that would do is not looked for."""


def best_mesh(
    analysis: Analysis,
    cluster: Cluster,
    sizes: Mapping[str, Size],
    fixed: Mapping[str, int | str] | None = None,
) -> MeshPlan:
    """The mesh of all devices whose step is shortest, with the stages of its pipeline.

    `fixed` gives some fields of the mesh. Raises SpecError: E1019 (unlike devices, or no
    batch to divide), E1016 (the batch does not divide), E1020 (no mesh is as fixed),
    E1030 (batch statistics), E1011 (no mesh fits, with the least memory or number of
    devices with which one would).
    """
    meshes = Meshes(analysis, cluster, sizes)
    wanted = fixed or {}
    if int(wanted.get("microbatches", 1)) > 1:
        meshes.refuse_batch_statistics()
    every = list(meshes.all())
    if not every:
        raise _indivisible(meshes)
    every = [mesh for mesh in every if _is_as_fixed(mesh, wanted)]
    if not every:
        raise _none_as_fixed(meshes, wanted)
    found = Search(meshes).run(every)
    if found.best is None:
        room = least_room(meshes, every)
        if room.divided is None or room.bytes > meshes.usable:
            raise _does_not_fit(meshes, room, wanted)
        found = Search(meshes).run(every, room.divided)
    assert found.best is not None
    verdict = Verdict(found.bound, _proof(found), METHOD, len(every))
    return Result(meshes, found.best).plan(verdict)


METHOD = "enumeration of meshes, their divisions by dynamic programming, timetables"


def _proof(found: Found) -> str:
    lines = "every mesh with one stage on each rank, however the model is cut"
    if found.bound >= found.lines:
        return f"{lines}, takes as long or longer, and so does every other one"
    return (
        f"{lines}, takes {found.lines:.6g} s or more; of those with several none is shorter "
        "than a mean of paths through its timetable, or than the work of its busiest rank"
    )


def _is_as_fixed(mesh: Mesh, fixed: Mapping[str, int | str]) -> bool:
    return all(getattr(mesh, name) == value for name, value in fixed.items())


def _indivisible(meshes: Meshes) -> SpecError:
    return SpecError(
        "E1016",
        f"a batch of {meshes.batch} does not divide over any mesh of {meshes.count} devices",
        hint=f"choose a batch that is a multiple, such as {meshes.symbol}={meshes.count}",
    )


def _none_as_fixed(meshes: Meshes, fixed: Mapping[str, int | str]) -> SpecError:
    wanted = ", ".join(f"{name}={value}" for name, value in fixed.items())
    widths = ", ".join(map(str, meshes.widths)) or "nothing"
    return SpecError(
        "E1020",
        f"no mesh of {meshes.count} devices has {wanted} for a batch of {meshes.batch}",
        hint="data, tensor and pipeline multiply to all devices; data and microbatches "
        f"(at most {MOST_MICROBATCHES:,}) divide the batch; tensor divides {meshes.wires.node} devices of a node and "
        f"something that is split ({widths}); `nnspec explain E1031` says what schedules need",
    )


# ---- room --------------------------------------------------------------------------------


def _does_not_fit(
    meshes: Meshes, room: Room, fixed: Mapping[str, int | str]
) -> SpecError:
    ways = list(_enough_memory(meshes, room))
    ways += _enough_devices(meshes, fixed)
    return SpecError(
        "E1011",
        f"no mesh of {meshes.count} devices fits: each has {in_bytes(meshes.usable)} to use",
        hint=f"it would fit {', or '.join(ways)}" if ways else None,
    )


def _enough_memory(meshes: Meshes, room: Room) -> Iterator[str]:
    """The least memory of each device with which a mesh fits."""
    if room.divided is None:
        return
    reserved = meshes.cluster.kind(0).reserved
    enough = f"with {to_the_byte(room.bytes + reserved)} on each device"
    bound = to_the_byte(room.bound + reserved)
    yield enough if room.is_least else f"{enough}, surely not with less than {bound}"


def _enough_devices(meshes: Meshes, fixed: Mapping[str, int | str]) -> Iterator[str]:
    """The least number of devices that would do, of whole nodes, more than there are."""
    node, surely, steps = meshes.wires.node, True, MOST_STEPS
    for nodes in range(meshes.count // node + 1, MOST_DEVICES // node + 1):
        larger = meshes.on(_of_nodes(meshes.cluster, nodes))
        every = [mesh for mesh in larger.all() if _is_as_fixed(mesh, fixed)]
        room = least_room(larger, every, meshes.usable, steps)
        steps = max(0, room.steps)
        if room.divided is not None:
            most = "" if surely else "at most "
            yield f"on {most}{larger.count} devices of this size"
            return
        surely = surely and room.is_least


def _of_nodes(cluster: Cluster, count: int) -> Cluster:
    """A cluster with so many of its first node in place of all nodes."""
    first = [each for each in cluster.devices if each.node == cluster.devices[0].node]
    devices: list[Device] = []
    uplinks: dict[str, Link] = {}
    for copy in range(count):
        for device in first:
            name = f"{device.name}+{copy}"
            devices.append(Device(name, device.kind, f"{device.node}+{copy}"))
            if device.name in cluster.uplinks:
                uplinks[name] = cluster.uplinks[device.name]
    return replace(
        cluster, devices=tuple(devices), ports={}, uplinks=uplinks, routes={}
    )
