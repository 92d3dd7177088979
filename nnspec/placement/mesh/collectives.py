"""The seconds of collective operations on groups of equal devices, by rings.

A ring of n devices passes (n - 1) / n of the bytes through each link to gather or to
reduce-scatter them, and twice that to reduce them for all (Thakur et al., 2005). A group
that spans nodes is as fast as its slowest link.
"""

from __future__ import annotations

from nnspec.placement.clusters.cluster import Cluster
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Wire:
    """What one device can send at once: bytes a second, and seconds until they arrive."""

    bandwidth: float
    latency: float

    def send(self, amount: float) -> float:
        """The seconds to send bytes to one other device."""
        return self.latency + amount / self.bandwidth if amount else 0.0

    def gather(self, amount: float, count: int) -> float:
        """The seconds until each of `count` devices has all bytes, or the sum of its share."""
        if count < 2 or not amount:
            return 0.0
        return (count - 1) * (self.latency + amount / count / self.bandwidth)

    def reduce(self, amount: float, count: int) -> float:
        """The seconds until each device has the sums of all bytes."""
        return 2 * self.gather(amount, count)


def wires(cluster: Cluster) -> tuple[Wire, Wire]:
    """Between devices of one node, and between devices of different nodes.

    A link that the devices of a node share is as wide as its share. Devices are equal.
    """
    kind = cluster.kind(0)
    inside = Wire(float("inf"), 0.0)
    if kind.port is not None:
        inside = Wire(kind.port.bandwidth, kind.port.latency)
    uplink = cluster.uplinks.get(cluster.devices[0].name)
    if uplink is None:
        return inside, inside
    sharing = sum(each.name == uplink.name for each in cluster.uplinks.values())
    bandwidth = min(inside.bandwidth, uplink.kind.bandwidth / sharing)
    return inside, Wire(bandwidth, inside.latency + 2 * uplink.kind.latency)
