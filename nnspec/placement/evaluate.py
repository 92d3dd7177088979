"""What a placement gives: the loads, the memory, the value. All solvers are judged here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field

from nnspec.diagnostics import Diagnostic, SpecErrors, did_you_mean
from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.graph import WeightedGraph, check_graph
from nnspec.placement.latency.schedule import Schedule, scheduled
from nnspec.placement.plan import DeviceUse, LinkUse, Objective, Plan
from nnspec.placement.room import to_the_byte
from nnspec.records import dataclass

TOLERANCE = 1e-9
"""Two values closer than this share of the larger one count as equal."""


@dataclass(slots=True)
class Loads:
    """The seconds of each device, by its place, and link, and the bytes held."""

    computing: list[float]
    sending: list[float]
    receiving: list[float]
    held: list[float]
    links: dict[str, float] = field(default_factory=dict[str, float])

    def of(self, device: int) -> float:
        """All seconds for which one sample occupies a device."""
        return self.computing[device] + self.sending[device] + self.receiving[device]

    @property
    def largest(self) -> float:
        """The load of what is busiest."""
        devices = (self.of(device) for device in range(len(self.computing)))
        return max((*devices, *self.links.values()), default=0.0)


def loads(graph: WeightedGraph, cluster: Cluster, placed: Sequence[int]) -> Loads:
    """The loads of an assignment (for each operator, the place of its device)."""
    count = len(cluster.devices)
    found = Loads([0.0] * count, [0.0] * count, [0.0] * count, [0.0] * count)
    for place, device in enumerate(placed):
        operator = graph.operators[place]
        found.computing[device] += operator.seconds_on(cluster.devices[device])
        found.held[device] += operator.memory
    for value in graph.values:
        source = placed[value.source]
        targets = {placed[target] for target in value.targets} - {source}
        if targets:
            found.sending[source] += cluster.port_seconds(source, value)
        for target in targets:
            found.receiving[target] += cluster.port_seconds(target, value)
        for link in {each for to in targets for each in cluster.between(source, to)}:
            seconds = link.kind.seconds(value)
            found.links[link.name] = found.links.get(link.name, 0.0) + seconds
    _add_shared_ports(cluster, found)
    return found


def _add_shared_ports(cluster: Cluster, found: Loads) -> None:
    for name, link in cluster.ports.items():
        device = cluster.index[name]
        moving = found.sending[device] + found.receiving[device]
        found.links[link.name] = found.links.get(link.name, 0.0) + moving


def share_in_use(cluster: Cluster, peaks: Sequence[float]) -> float:
    """The largest share of a device's usable memory; 0 where memory does not bind."""
    return max(
        (
            share_of(most, cluster.kind(device).usable)
            for device, most in enumerate(peaks)
        ),
        default=0.0,
    )


def share_of(held: float, usable: float) -> float:
    """What share of its usable memory a device has in use; infinite where there is none."""
    if usable <= 0:
        return 0.0 if held <= 0 else float("inf")
    return held / usable


def value_of(
    graph: WeightedGraph,
    cluster: Cluster,
    objective: Objective,
    placed: Sequence[int],
    order: Sequence[int],
) -> float:
    """What an assignment, with an order of the operators, gives for an objective."""
    run = scheduled(graph, cluster, placed, order)
    return _value(cluster, objective, loads(graph, cluster, placed), run)


def _value(
    cluster: Cluster, objective: Objective, found: Loads, run: Schedule
) -> float:
    if objective == "latency":
        return run.makespan
    return share_in_use(cluster, run.peaks) if objective == "fit" else found.largest


def is_contiguous(graph: WeightedGraph, placed: Sequence[int]) -> bool:
    """Whether the devices can stand in a line that the forward pass goes along, and
    the backward pass all back or all along.

    Each device then holds a convex part of either pass, and no stages wait for each
    other in a circle; parts that are convex one by one may do that.
    """
    forward, backward = _follows(graph, placed)
    turned = {(last, first) for first, last in backward}
    return not (has_circle(forward | turned) and has_circle(forward | backward))


Pairs = set[tuple[int, int]]


def _follows(graph: WeightedGraph, placed: Sequence[int]) -> tuple[Pairs, Pairs]:
    """Which device hands something to which in the forward and in the backward pass."""
    found: tuple[Pairs, Pairs] = (set(), set())
    for value in graph.values:
        backward = graph.operators[value.source].backward
        for target in value.targets:
            pair = (placed[value.source], placed[target])
            if pair[0] != pair[1] and graph.operators[target].backward == backward:
                found[backward].add(pair)
    return found


def has_circle(pairs: Pairs) -> bool:
    """Whether one gets back to where one was along pairs of devices."""
    left: dict[int, set[int]] = {}
    for first, last in pairs:
        left.setdefault(first, set()).add(last)
    while left:
        ends = [device for device, others in left.items() if not others & left.keys()]
        if not ends:
            return True
        for device in ends:
            del left[device]
    return False


def faults(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int], order: Sequence[int]
) -> Iterable[Diagnostic]:
    """Why an assignment is not allowed: pins, groups, kinds of devices, memory in use."""
    groups: dict[str, int] = {}
    runs = True
    for place, operator in enumerate(graph.operators):
        found = cluster.devices[placed[place]]
        device = found.name
        if operator.pin is not None and operator.pin != device:
            yield _fault(f"`{operator.name}` is pinned to {operator.pin}, not {device}")
        able = operator.seconds_on(found) < float("inf")
        runs = runs and able
        if not able:
            yield _fault(f"`{operator.name}` cannot run on {device}")
        first = groups.setdefault(operator.group or f"\0{place}", place)
        if placed[first] != placed[place]:
            other = graph.operators[first].name
            yield _fault(f"`{operator.name}` and `{other}` must share a device")
    if runs:
        yield from _too_full(graph, cluster, placed, order)


def _too_full(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int], order: Sequence[int]
) -> Iterable[Diagnostic]:
    held = loads(graph, cluster, placed).held
    for device, most in enumerate(scheduled(graph, cluster, placed, order).peaks):
        usable = cluster.kind(device).usable
        if most > usable * (1 + TOLERANCE):
            beside = most - held[device]
            alive = f", {to_the_byte(beside)} of that values" if beside > 0 else ""
            yield _fault(
                f"{cluster.devices[device].name} has {to_the_byte(most)} in use{alive}, "
                f"and room for {to_the_byte(max(usable, 0.0))}"
            )


def _fault(message: str) -> Diagnostic:
    return Diagnostic("E1012", message)


def plan_of(
    graph: WeightedGraph,
    cluster: Cluster,
    objective: Objective,
    placed: Sequence[int],
    order: Sequence[int],
    *,
    contiguous: bool,
    bound: float,
    method: str,
) -> Plan:
    """The plan of an assignment and an order, with all that follows from them."""
    found = loads(graph, cluster, placed)
    run = scheduled(graph, cluster, placed, order)
    value = _value(cluster, objective, found, run)
    proven = min(bound, value)
    gap = (value - proven) / value if value > 0 else 0.0
    names = [operator.name for operator in graph.operators]
    return Plan(
        status="optimal" if gap <= TOLERANCE else "feasible",
        objective=objective,
        contiguous=contiguous,
        value=value,
        bound=proven,
        gap=gap,
        limits=limits(cluster, objective, found, run),
        method=method,
        cluster=cluster.name,
        devices=_device_uses(cluster, found, run),
        links=tuple(LinkUse(name=n, load=v) for n, v in sorted(found.links.items())),
        assignment={
            name: cluster.devices[device].name
            for name, device in zip(names, placed, strict=True)
        },
        order=tuple(names[place] for place in order),
    )


def _device_uses(
    cluster: Cluster, found: Loads, run: Schedule
) -> tuple[DeviceUse, ...]:
    uses: list[DeviceUse] = []
    for place, device in enumerate(cluster.devices):
        usable = cluster.kind(place).usable
        use = DeviceUse(
            name=device.name,
            kind=device.kind,
            load=found.of(place),
            computing=found.computing[place],
            sending=found.sending[place],
            receiving=found.receiving[place],
            peak=run.peaks[place],
            usable=None if usable == float("inf") else max(usable, 0.0),
            memory=tuple(run.memory[place]),
        )
        uses.append(use)
    return tuple(uses)


def limits(
    cluster: Cluster, objective: Objective, found: Loads, run: Schedule
) -> tuple[str, ...]:
    """What would have to be faster, or larger, for a smaller value."""
    if objective == "fit":
        return tuple(f"memory of {name}" for name in _fullest(cluster, run.peaks))
    if objective == "latency":
        return run.critical
    return tuple(_busiest(cluster, found))


def _fullest(cluster: Cluster, peaks: Sequence[float]) -> list[str]:
    most = share_in_use(cluster, peaks)
    return [
        device.name
        for place, device in enumerate(cluster.devices)
        if most and share_of(peaks[place], cluster.kind(place).usable) >= most
    ]


def _busiest(cluster: Cluster, found: Loads) -> Iterable[str]:
    least = found.largest * (1 - TOLERANCE)
    for place, device in enumerate(cluster.devices):
        if 0 < least <= found.of(place):
            moving = found.sending[place] + found.receiving[place]
            computes = found.computing[place] >= moving
            yield f"{'computation' if computes else 'transfers'} on {device.name}"
    yield from (
        f"link {name}" for name, load in found.links.items() if load >= least > 0
    )


def check_plan(plan: Plan, graph: WeightedGraph, cluster: Cluster) -> Plan:
    """The plan with everything computed anew from its decisions, its bound set to 0.

    For plans that a person wrote or changed. Raises SpecErrors with all that is wrong:
    E1008 (unknown devices) and E1012 (operators missing, unknown or where they cannot
    be, an order that does not hold, devices in a circle although `contiguous`).
    """
    check_graph(graph)
    placed = _read_assignment(plan, graph, cluster)
    order = _read_order(plan, graph)
    found = list(faults(graph, cluster, placed, order))
    if plan.contiguous and not is_contiguous(graph, placed):
        found.append(
            _fault("the plan is to be contiguous, and its devices wait in a circle")
        )
    if found:
        raise SpecErrors(found)
    computed = plan_of(
        graph,
        cluster,
        plan.objective,
        placed,
        order,
        contiguous=plan.contiguous,
        bound=0.0,
        method="given",
    )
    return computed.model_copy(update={"status": "checked"})


def _read_assignment(plan: Plan, graph: WeightedGraph, cluster: Cluster) -> list[int]:
    missing = [
        each.name for each in graph.operators if each.name not in plan.assignment
    ]
    if missing:
        raise SpecErrors([_fault(f"the plan places no `{name}`") for name in missing])
    unknown = [name for name in plan.assignment if name not in graph.index]
    if unknown:
        raise SpecErrors(
            Diagnostic(
                "E1012",
                f"the plan places `{name}`, which is no operator",
                hint=did_you_mean(name, graph.index),
            )
            for name in unknown
        )
    return [cluster.place(plan.assignment[each.name]) for each in graph.operators]


def _read_order(plan: Plan, graph: WeightedGraph) -> list[int]:
    if not plan.order:
        return graph.order
    order = [graph.index.get(name, -1) for name in plan.order]
    if sorted(order) != list(range(len(graph.operators))):
        raise SpecErrors([_fault("the order does not name each operator once")])
    at = {place: step for step, place in enumerate(order)}
    for source, targets in enumerate(graph.successors):
        for target in targets:
            if at[source] > at[target]:
                first, last = graph.operators[source].name, graph.operators[target].name
                raise SpecErrors([_fault(f"`{last}` reads `{first}`, which is later")])
    return order
