"""Reads clusters: from TOML, and by short names such as `8xh100` or `64x8xh200`.

cut_through = true

[kinds.h100]              # only what differs from the catalogue, or a new kind
reserved = "4GiB"
reached = 0.6

[links.infiniband]
bandwidth = "50GB/s"
latency = "5us"
shared = true             # one for each node; otherwise one for each device

[[nodes]]
name = "node"             # node0 to node3
count = 4
devices = { h100 = 8 }
uplink = "infiniband"
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnspec.diagnostics import Diagnostic, SpecError, SpecErrors, did_you_mean
from nnspec.placement.clusters.catalogue import kind_fields, known_kinds
from nnspec.placement.clusters.cluster import (
    Cluster,
    Device,
    DeviceKind,
    Link,
    LinkKind,
)

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)
_PRESET = re.compile(r"(?:(?:(\d{1,6})x)?(\d{1,6})x)?([A-Za-z][\w.-]*)")
MOST_DEVICES = 100_000
BETWEEN_NODES = {"bandwidth": "50GB/s", "latency": "5us"}
"""Of a preset with several nodes: one 400 Gbit/s adapter for each device."""

Count = Annotated[int, Field(ge=1, le=MOST_DEVICES)]


class NodeGroup(BaseModel):
    """Equal nodes. A `port` and an `uplink` name links; a port replaces that of the kind."""

    model_config = _STRICT

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")] = "node"
    count: Count = 1
    devices: Annotated[Mapping[str, Count], Field(min_length=1)]
    port: str | None = None
    uplink: str | None = None


class Route(BaseModel):
    """The links between two nodes, both ways, in place of their uplinks."""

    model_config = _STRICT

    between: Annotated[list[str], Field(min_length=2, max_length=2)]
    links: list[str]


class ClusterFile(BaseModel):
    """What a cluster file says."""

    model_config = _STRICT

    name: str = "cluster"
    kinds: Mapping[str, DeviceKind] = {}
    links: Mapping[str, LinkKind] = {}
    nodes: Annotated[list[NodeGroup], Field(min_length=1)]
    routes: list[Route] = []
    cut_through: bool = False


def read_cluster(text: str) -> Cluster:
    """The cluster that a TOML text describes.

    Raises SpecErrors: E1001 for what is no TOML, E1002 for unknown, missing or wrong
    fields, E1003 for amounts, E1004 for unknown kinds, E1005 for unknown links and nodes.
    """
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of numbers too long, no TOML error
        raise _single("E1001", f"the cluster file is no TOML: {error}") from error
    return cluster_of(given)


def cluster_of(given: Mapping[str, Any]) -> Cluster:
    """As `read_cluster`, from the tables of the file."""
    try:
        file = ClusterFile.model_validate(_with_known_kinds(given))
    except ValidationError as error:
        raise SpecErrors(_diagnostics(error)) from error
    except SpecError as error:
        raise SpecErrors([error.diagnostic]) from error
    return _built(file)


def preset(name: str) -> Cluster:
    """The cluster `KIND`, `COUNTxKIND` or `NODESxCOUNTxKIND`.

    Raises SpecErrors (E1004) for an unknown kind or another form.
    """
    match = _PRESET.fullmatch(name)
    kind = match.group(3) if match else name
    if match is None or kind not in known_kinds():
        known = ", ".join(f"`{each}`" for each in known_kinds())
        hint = did_you_mean(kind, known_kinds())
        raise _single(
            "E1004",
            f"there is no cluster `{name}`",
            hint or f"write NODESxCOUNTxKIND, such as `2x8xh100`; kinds are {known}",
        )
    nodes, count = (int(each) if each else 1 for each in match.groups()[:2])
    if not 1 <= nodes * count <= MOST_DEVICES:
        message = f"`{name}` would be {nodes * count:,} devices"
        hint = f"a cluster has 1 to {MOST_DEVICES:,}"
        raise _single("E1004", message, hint)
    return cluster_of(_preset_tables(name, nodes, count, kind))


def _preset_tables(name: str, nodes: int, count: int, kind: str) -> dict[str, Any]:
    group: dict[str, Any] = {"count": nodes, "devices": {kind: count}}
    links: dict[str, Any] = {}
    if nodes > 1:
        links["network"] = BETWEEN_NODES
        group["uplink"] = "network"
    return {
        "name": name,
        "cut_through": kind != "cpu",
        "links": links,
        "nodes": [group],
    }


def _with_known_kinds(given: Mapping[str, Any]) -> dict[str, Any]:
    """The tables with the catalogue's figures below those of the file."""
    raw = given.get("kinds", {})
    if not isinstance(raw, dict):
        return dict(given)
    own = cast("dict[str, Any]", raw)
    names = {*own, *_kinds_of_nodes(given.get("nodes"))}.intersection(known_kinds())
    known = {name: kind_fields(name) for name in sorted(names)}
    filled = {name: _over(known.get(name), fields) for name, fields in own.items()}
    return {**given, "kinds": {**known, **filled}}


def _kinds_of_nodes(nodes: object) -> Iterator[str]:
    """The kinds that the nodes name, as far as the tables have the right form."""
    for group in cast("list[Any]", nodes) if isinstance(nodes, list) else []:
        fields = cast("dict[str, Any]", group) if isinstance(group, dict) else {}
        devices = fields.get("devices")
        if isinstance(devices, dict):
            yield from cast("dict[str, Any]", devices)


def _over(known: Mapping[str, object] | None, own: object) -> object:
    if known is None or not isinstance(own, dict):
        return own
    return {**known, **cast("dict[str, object]", own)}


def _diagnostics(error: ValidationError) -> Iterator[Diagnostic]:
    for found in error.errors(include_url=False):
        where = ".".join(str(part) for part in found["loc"])
        amount = found["type"] == "value_error"
        message = found["msg"].removeprefix("Value error, ")
        if not amount:
            message = message[:1].lower() + message[1:]
        yield Diagnostic("E1003" if amount else "E1002", f"`{where}`: {message}")


def _single(code: str, message: str, hint: str | None = None) -> SpecErrors:
    return SpecErrors([Diagnostic(code, message, hint=hint)])


def _built(file: ClusterFile) -> Cluster:
    count = sum(group.count * sum(group.devices.values()) for group in file.nodes)
    if count > MOST_DEVICES:
        message = f"a cluster has at most {MOST_DEVICES:,} devices, not {count:,}"
        raise _single("E1002", message)
    _check_names(file)
    devices = [
        (group, device) for group in file.nodes for device in _devices_of(group, file)
    ]
    return Cluster(
        kinds=_kinds_in_use(file),
        devices=tuple(device for _, device in devices),
        ports=_shared_ports(file, [device for _, device in devices]),
        uplinks=_uplinks(file, devices),
        routes=_routes(file),
        cut_through=file.cut_through,
        name=file.name,
    )


def _node_names(group: NodeGroup) -> list[str]:
    if group.count == 1:
        return [group.name]
    return [f"{group.name}{number}" for number in range(group.count)]


def _devices_of(group: NodeGroup, file: ClusterFile) -> Iterator[Device]:
    alone = len(file.nodes) == 1 and group.count == 1
    for node in _node_names(group):
        for kind, count in group.devices.items():
            for number in range(count):
                short = f"{kind}:{number}"
                own = kind if group.port is None else f"{kind}+{group.port}"
                yield Device(short if alone else f"{node}/{short}", own, node)


def _kinds_in_use(file: ClusterFile) -> dict[str, DeviceKind]:
    """The kinds, and beside them those whose port a group of nodes replaces."""
    found: dict[str, DeviceKind] = {}
    for group in file.nodes:
        for name in group.devices:
            kind = file.kinds[name]
            if group.port is None:
                found[name] = kind
            else:
                port = file.links[group.port]
                found[f"{name}+{group.port}"] = kind.model_copy(update={"port": port})
    return found


def _shared_ports(file: ClusterFile, devices: list[Device]) -> dict[str, Link]:
    kinds = _kinds_in_use(file)
    made: dict[tuple[str, str], Link] = {}
    found: dict[str, Link] = {}
    for device in devices:
        port = kinds[device.kind].port
        if port is not None and port.shared:
            key = (device.node, device.kind)
            link = Link(f"{device.node}/port of {device.kind}", port)
            found[device.name] = made.setdefault(key, link)
    return found


def _uplinks(
    file: ClusterFile, devices: list[tuple[NodeGroup, Device]]
) -> dict[str, Link]:
    found: dict[str, Link] = {}
    for group, device in devices:
        if group.uplink is not None:
            kind = file.links[group.uplink]
            owner = device.node if kind.shared else device.name
            found[device.name] = Link(f"{owner}/{group.uplink}", kind)
    return found


def _routes(file: ClusterFile) -> dict[tuple[str, str], tuple[Link, ...]]:
    found: dict[tuple[str, str], tuple[Link, ...]] = {}
    for route in file.routes:
        first, last = route.between
        links = tuple(Link(name, file.links[name]) for name in route.links)
        found[first, last] = links
        found[last, first] = links[::-1]
    return found


def _check_names(file: ClusterFile) -> None:
    nodes = [node for group in file.nodes for node in _node_names(group)]
    if len(set(nodes)) < len(nodes):
        raise _single("E1005", "two nodes have the same name")
    for group in file.nodes:
        for kind in group.devices:
            _check_name("E1004", "kind of devices", kind, file.kinds)
        for link in (group.port, group.uplink):
            if link is not None:
                _check_name("E1005", "link", link, file.links)
    _check_routes(file, nodes)


def _check_routes(file: ClusterFile, nodes: Sequence[str]) -> None:
    joined: set[frozenset[str]] = set()
    for route in file.routes:
        for node in route.between:
            _check_name("E1005", "node", node, dict.fromkeys(nodes))
        for link in route.links:
            _check_name("E1005", "link", link, file.links)
        ends = frozenset(route.between)
        if len(ends) == 1:
            raise _single("E1005", f"a route leads from `{route.between[0]}` to itself")
        if ends in joined:
            first, last = route.between
            raise _single("E1005", f"`{first}` and `{last}` have two routes")
        joined.add(ends)


def _check_name(code: str, what: str, name: str, known: Mapping[str, object]) -> None:
    if name not in known:
        raise _single(code, f"there is no {what} `{name}`", did_you_mean(name, known))
