"""Clusters: devices of several kinds, the links between them, and what a transfer takes.

A value that other devices need is sent once through the port of its device, crosses the
links between nodes once each, and is received once by each device that needs it. A
device neither computes nor moves anything else meanwhile. That is the model of the load
in "Efficient Algorithms for Device Placement of DNN Graph Operators" (Tarnawski et al.,
NeurIPS 2020), with links between nodes added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field
from functools import cached_property
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from nnspec.analysis.quantities import (
    BANDWIDTH,
    BYTES,
    RATE,
    SECONDS,
    QuantityError,
    Unit,
    read_number,
)
from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.placement.graph import Value
from nnspec.records import dataclass

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


def _read(unit: Unit) -> Callable[[object], int | float]:
    """Reads a field; a number without a unit is in the base unit."""

    def read(written: object) -> int | float:
        try:
            return read_number(written, unit)
        except QuantityError as error:
            raise ValueError(f"{error.message}; {error.hint}") from error

    return read


def _read_whole(written: object) -> int:
    size = _read(BYTES)(written)
    if not isinstance(size, int):
        raise ValueError(f"`{written}` is no whole number of bytes")
    return size


Bytes = Annotated[int, BeforeValidator(_read_whole)]
BytesPerSecond = Annotated[float, BeforeValidator(_read(BANDWIDTH))]
OperationsPerSecond = Annotated[float, BeforeValidator(_read(RATE))]
Seconds = Annotated[float, BeforeValidator(_read(SECONDS))]
Share = Annotated[float, Field(gt=0, le=1)]


MOST_BYTES = 2**53
"""Memory is counted in floats, which have every integer up to here."""


def too_large(what: str) -> SpecError:
    """The error of a model at sizes that no device is thought of with."""
    return SpecError(
        "E1011",
        f"the graph does not fit: {what} is beyond {MOST_BYTES // 2**50:,} PiB at these sizes",
        hint="give smaller sizes or constants",
    )


def countable(amount: int, what: str) -> int:
    """The bytes themselves. Raises SpecError (E1011) for more than are counted exactly."""
    if amount > MOST_BYTES:
        raise too_large(what)
    return amount


class LinkKind(BaseModel):
    """How fast a link is. A shared one serves all of its devices in turn."""

    model_config = _STRICT

    bandwidth: Annotated[BytesPerSecond, Field(gt=0)]
    latency: Seconds = 0.0
    shared: bool = False

    def seconds(self, value: Value) -> float:
        """The time of one value on this link."""
        if value.seconds is not None:
            return value.seconds
        return self.latency + value.bytes / self.bandwidth


class DeviceKind(BaseModel):
    """What a device can do.

    `memory` is all that it has, or None where memory does not bind; `reserved` of it is
    not ours. `flops` is its peak by dtype, `reached` the share of it that real operators
    get, `bandwidth` that of its memory, `launch` the time to start an operator. `port`
    is its link to everything else; without one, moving costs the device nothing.
    """

    model_config = _STRICT

    memory: Bytes | None = None
    reserved: Bytes = 0
    flops: Mapping[str, Annotated[OperationsPerSecond, Field(gt=0)]] = {}
    reached: Share = 1.0
    bandwidth: Annotated[BytesPerSecond, Field(gt=0)] | None = None
    launch: Seconds = 0.0
    port: LinkKind | None = None

    @model_validator(mode="after")
    def _has_room(self) -> Self:
        if self.memory is not None and self.reserved > self.memory:
            raise ValueError("more memory is reserved than there is")
        return self

    @property
    def usable(self) -> float:
        """The bytes that operators can hold; infinite where memory does not bind."""
        return float("inf") if self.memory is None else self.memory - self.reserved

    def seconds(self, flops: float, moved: float, dtype: str) -> float:
        """The time of one operator: the larger of its arithmetic and its memory traffic.

        `moved` counts the bytes read and written. The roofline of Williams et al.
        (2009), plus the launch. Raises SpecError (E1004) for a dtype without a figure, and
        (E1011) for what is too large for any time.
        """
        if flops and dtype not in self.flops:
            known = ", ".join(self.flops) or "none"
            message = f"a device has no figure for {dtype} (it has {known})"
            raise SpecError("E1004", message)
        try:
            arithmetic = flops / (self.flops[dtype] * self.reached) if flops else 0.0
            traffic = moved / self.bandwidth if self.bandwidth else 0.0
        except OverflowError:
            raise too_large("an operator") from None
        return self.launch + max(arithmetic, traffic)


@dataclass(frozen=True, slots=True)
class Device:
    """One device: `node0/h100:3` is the fourth H100 of the first node."""

    name: str
    kind: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """One link that values of several devices pass: between nodes, or a shared port."""

    name: str
    kind: LinkKind


@dataclass(frozen=True)
class Cluster:
    """Devices and what lies between them.

    `ports` gives the shared port of a device by its name, if it has one; `uplinks` the
    link that leads out of the node of a device; `routes` the links between two nodes,
    where those are not the two uplinks. With `cut_through` a device can start to
    receive a value when its sending starts, otherwise when it has ended (as through
    host memory).
    """

    kinds: Mapping[str, DeviceKind]
    devices: tuple[Device, ...]
    ports: Mapping[str, Link] = field(default_factory=dict[str, Link])
    uplinks: Mapping[str, Link] = field(default_factory=dict[str, Link])
    routes: Mapping[tuple[str, str], tuple[Link, ...]] = field(
        default_factory=dict[tuple[str, str], tuple[Link, ...]]
    )
    cut_through: bool = False
    name: str = "cluster"

    @cached_property
    def index(self) -> dict[str, int]:
        """The place of each device by its name."""
        return {device.name: place for place, device in enumerate(self.devices)}

    def kind(self, device: int) -> DeviceKind:
        """What the device at a place can do."""
        return self.kinds[self.devices[device].kind]

    def place(self, name: str) -> int:
        """The place of a device. Raises SpecError (E1008) if there is none."""
        if name not in self.index:
            raise SpecError(
                "E1008",
                f"there is no device `{name}` in {self.name}",
                hint=did_you_mean(name, self.index) or f"it has {self._some_names()}",
            )
        return self.index[name]

    def _some_names(self) -> str:
        names = [f"`{device.name}`" for device in self.devices]
        return ", ".join(names if len(names) <= 8 else [*names[:3], "...", names[-1]])

    def port_seconds(self, device: int, value: Value) -> float:
        """How long a device sends, or receives, a value."""
        port = self.kind(device).port
        return 0.0 if port is None else port.seconds(value)

    def passing(self, sending: float, receiving: float) -> float:
        """How long a value is on its way between two ports, for which it needs these seconds."""
        return max(sending, receiving) if self.cut_through else sending + receiving

    def between(self, source: int, target: int) -> tuple[Link, ...]:
        """The links of a route beyond the two devices' own ports, in order."""
        first, last = self.devices[source], self.devices[target]
        if first.node == last.node:
            return ()
        given = self.routes.get((first.node, last.node))
        if given is not None:
            return given
        return (*self._of(self.uplinks, first), *self._of(self.uplinks, last))

    def _of(self, links: Mapping[str, Link], device: Device) -> tuple[Link, ...]:
        return (links[device.name],) if device.name in links else ()
