"""What is said when memory is not enough: how much, or how many devices, would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import ceil, inf

from nnspec.diagnostics import Diagnostic, SpecErrors
from nnspec.placement.clusters.cluster import Cluster, Device
from nnspec.placement.graph import WeightedGraph

Share = Callable[[Cluster], tuple[float, float]]
"""The largest share of a device's usable memory that a plan for a cluster has at least, as far
as is known, and what none has less than.
"""


def does_not_fit(
    graph: WeightedGraph, cluster: Cluster, share: Share, *, alive: bool = False
) -> SpecErrors:
    """The error E1011, with the least memory and number of devices that would do.

    What is not proven to be the least is said to be enough, with what surely is not. With `alive`, what operators hold would fit, were it not for the values beside it.
    """
    held = sum(operator.memory for operator in graph.operators)
    usable = sum(cluster.kinds[device.kind].usable for device in cluster.devices)
    message = f"the graph does not fit: it holds {in_bytes(held)}"
    if alive:
        message += " and values while they are alive"
    if usable < inf:
        message += f", and {cluster.name} has {in_bytes(usable)}"
    least, bound = share(cluster)
    ways = [] if least <= 1 else [*_enough_memory(cluster, least, bound)]
    if least > 1:
        ways += _enough_devices(graph, cluster, share)
    hint = f"it would fit {', or '.join(ways)}" if ways else None
    return SpecErrors([Diagnostic("E1011", message, hint=hint)])


def _enough_memory(cluster: Cluster, least: float, bound: float) -> list[str]:
    kinds = {device.kind for device in cluster.devices}
    if least == inf:
        return []
    if len(kinds) > 1:
        return [f"if each device had {least:.4g} times the usable memory"]
    kind = cluster.kinds[kinds.pop()]
    enough, needed = (
        to_the_byte(ceil(share * kind.usable * (1 - 1e-12)) + kind.reserved)
        for share in (least, bound)
    )
    surely = "" if enough == needed else f", surely not with less than {needed}"
    return [f"with {enough} on each device{surely}"]


def _enough_devices(graph: WeightedGraph, cluster: Cluster, share: Share) -> list[str]:
    """The least number of devices of the roomiest kind that would do, if any.

    With one more for each operator nothing more is won. Between that and what all
    operators take together, the number is looked for in growing steps, then by halves.
    """
    kind = max(
        (device.kind for device in cluster.devices),
        key=lambda name: cluster.kinds[name].usable,
    )
    present = sum(device.kind == kind for device in cluster.devices)
    most = present + len(graph.operators)

    def shares(count: int) -> tuple[float, float]:
        return share(_with_devices(cluster, kind, count))

    def does(count: int) -> bool:
        return shares(count)[0] <= 1

    if cluster.kinds[kind].usable <= 0 or not does(most):
        return []
    low = max(present, min(most, _too_few(graph, cluster, kind)))
    high, step = min(most, low + 1), 1
    while not does(high):
        low, step = high, 2 * step
        high = min(most, high + step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if does(middle) else (middle, high)
    most = "" if shares(low)[1] > 1 else "at most "
    return [f"on {most}{high} devices `{kind}` of this size"]


def _too_few(graph: WeightedGraph, cluster: Cluster, kind: str) -> int:
    """A number of devices of a kind that all operators together do not fit on."""
    held = sum(operator.memory for operator in graph.operators)
    others = sum(
        cluster.kinds[device.kind].usable
        for device in cluster.devices
        if device.kind != kind
    )
    if others == inf:
        return 0
    return ceil((held - others) / cluster.kinds[kind].usable * (1 - 1e-12)) - 1


def _with_devices(cluster: Cluster, kind: str, count: int) -> Cluster:
    """The cluster with more devices of a kind; links between nodes do not matter here."""
    present = sum(device.kind == kind for device in cluster.devices)
    more = tuple(Device(f"+{kind}:{n}", kind) for n in range(count - present))
    return replace(cluster, devices=cluster.devices + more)


def in_bytes(amount: float) -> str:
    """An amount of memory for people to read, rounded up: 12 B, 3.21 GiB."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if amount >= size:
            return f"{ceil(amount / size * 100) / 100:g} {unit}"
    return f"{amount:g} B"


def to_the_byte(amount: float) -> str:
    """The same with all bytes, as a cluster's file can say it: 3.21 GiB (3446711910 B)."""
    whole = ceil(amount)
    return in_bytes(whole) if whole < 1024 else f"{in_bytes(whole)} ({whole} B)"
