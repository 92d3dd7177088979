"""Random placements and their optima by trying everything; shares no code with solvers.

Only what graphs and clusters say is used, and the definitions of the documentation.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np

from nnspec.placement.clusters.cluster import Cluster, Link
from nnspec.placement.clusters.file import cluster_of
from nnspec.placement.graph import Operator, Value, WeightedGraph

KINDS = ("a", "b", "c")


@dataclass(frozen=True)
class Instance:
    graph: WeightedGraph
    cluster: Cluster


def random_instance(seed: int, most: int, *, nodes: bool = False) -> Instance:
    """A graph of up to `most` operators on up to 3 devices, on two `nodes` if asked."""
    draw = random.Random(seed)
    cluster = _random_nodes(draw) if nodes else _random_cluster(draw)
    count = draw.randint(1, most)
    backward_from = count if draw.random() < 0.5 else draw.randint(1, count)
    groups = draw.random() < 0.5
    pins = draw.random() < 0.3
    kinds = sorted(cluster.kinds)
    operators = []
    for n in range(count):
        able = [kind for kind in kinds if draw.random() < 0.9] or [draw.choice(kinds)]
        scale = draw.choice((0, 1, 1, 1))
        operators.append(
            Operator(
                f"n{n}",
                {kind: scale * draw.randint(1, 9) for kind in able},
                memory=draw.randint(0, 5),
                group=f"g{draw.randint(0, 2)}"
                if groups and draw.random() < 0.4
                else None,
                pin=draw.choice(cluster.devices).name
                if pins and draw.random() < 0.2
                else None,
                backward=n >= backward_from,
            )
        )
    return Instance(
        WeightedGraph(tuple(operators), _random_values(draw, count)), cluster
    )


def mirrored_instance(seed: int, most: int) -> Instance:
    """A forward pass of up to `most` operators, and each one's gradient beside it.

    Many of them take no time, some are read by several, and most hold nothing.
    """
    draw = random.Random(seed)
    cluster, count = _random_cluster(draw), draw.randint(2, most)
    operators: list[Operator] = []
    for n in range(2 * count):
        name = f"g{n % count}"
        idle = random.Random(f"{seed} {name}").random() < 0.5
        seconds = {
            kind: 0 if idle else draw.randint(1, 9) for kind in sorted(cluster.kinds)
        }
        held = draw.choice((0, 0, 3))
        operators.append(
            Operator(f"n{n}", seconds, held, group=name, backward=n >= count)
        )
    values: list[Value] = []
    for n in range(1, count):
        source, amount = draw.randrange(n), draw.randint(0, 4)
        readers = (n, draw.randrange(source + 1, count))[: draw.choice((1, 1, 2))]
        values.append(Value(source, tuple(dict.fromkeys(readers)), bytes=amount))
        values.append(Value(n + count, (source + count,), bytes=amount))
    return Instance(WeightedGraph(tuple(operators), tuple(values)), cluster)


def _random_cluster(draw: random.Random) -> Cluster:
    chosen = [draw.choice(KINDS) for _ in range(draw.randint(1, 3))]
    capped = draw.random() < 0.5
    kinds: dict[str, Any] = {}
    for kind in sorted(set(chosen)):
        ported = draw.random() < 0.8
        kinds[kind] = {
            "memory": draw.randint(4, 25) if capped else None,
            "port": {"bandwidth": draw.choice((0.5, 1.0, 2.0))} if ported else None,
        }
    devices = {kind: chosen.count(kind) for kind in sorted(set(chosen))}
    return cluster_of(
        {
            "kinds": kinds,
            "nodes": [{"devices": devices}],
            "cut_through": draw.random() < 0.5,
        }
    )


def _random_nodes(draw: random.Random) -> Cluster:
    """Two nodes with a slow link between them; some share it, some share their ports."""
    port = {"bandwidth": draw.choice((1.0, 2.0)), "shared": draw.random() < 0.3}
    memory = draw.randint(10, 40) if draw.random() < 0.4 else None
    kinds = {
        kind: {"memory": memory, "port": port if draw.random() < 0.8 else None}
        for kind in KINDS[:2]
    }
    first, second = (draw.choice(KINDS[:2]) for _ in "12")
    link = {"bandwidth": draw.choice((0.2, 0.5, 1.0)), "shared": draw.random() < 0.7}
    route = {"between": ["one", "two"], "links": ["slow"]}
    return cluster_of(
        {
            "kinds": {kind: kinds[kind] for kind in sorted({first, second})},
            "links": {"slow": link},
            "nodes": [
                {"name": "one", "devices": {first: draw.choice((1, 2))}},
                {"name": "two", "devices": {second: 1}, "uplink": "slow"},
            ],
            "routes": [route] if draw.random() < 0.3 else [],
            "cut_through": draw.random() < 0.5,
        }
    )


def _random_values(draw: random.Random, count: int) -> tuple[Value, ...]:
    values = []
    density = draw.choice((0.3, 0.6, 0.9))
    for source in range(count - 1):
        later = range(source + 1, min(count, source + 5))
        for _ in range(draw.choice((1, 1, 1, 2))):
            if draw.random() < density:
                readers = draw.sample(later, min(len(later), draw.choice((1, 1, 2, 3))))
                values.append(Value(source, tuple(readers), bytes=draw.randint(0, 4)))
    return tuple(values)


class Brute:
    """All assignments that are allowed, one in each row."""

    def __init__(self, instance: Instance) -> None:
        self.graph, self.cluster = instance.graph, instance.cluster
        self.count = len(self.graph.operators)
        self.devices = len(self.cluster.devices)
        self.seconds = np.array(
            [
                [
                    each.seconds.get(device.kind, np.inf)
                    for device in self.cluster.devices
                ]
                for each in self.graph.operators
            ]
        )
        self.ports = np.array(
            [
                [
                    0.0 if kind.port is None else value.bytes / kind.port.bandwidth
                    for kind in map(self.cluster.kind, range(self.devices))
                ]
                for value in self.graph.values
            ]
        ).reshape(len(self.graph.values), self.devices)
        grid = np.indices((self.devices,) * self.count).reshape(self.count, -1).T
        self.rows = grid[self._allowed(grid)]

    def _allowed(self, rows: np.ndarray) -> np.ndarray:
        kept = np.ones(len(rows), dtype=bool)
        held = self._held(rows)
        for device in range(self.devices):
            kept &= held[:, device] <= self.cluster.kind(device).usable
        for n, operator in enumerate(self.graph.operators):
            kept &= np.isfinite(self.seconds[n][rows[:, n]])
            if operator.pin is not None:
                kept &= rows[:, n] == self.cluster.index[operator.pin]
            for m, other in enumerate(self.graph.operators[:n]):
                if operator.group is not None and operator.group == other.group:
                    kept &= rows[:, n] == rows[:, m]
        return kept

    def _held(self, rows: np.ndarray) -> np.ndarray:
        memory = np.array([each.memory for each in self.graph.operators])
        return np.stack(
            [(rows == device) @ memory for device in range(self.devices)], axis=1
        )

    def shares(self) -> np.ndarray:
        usable = np.array([self.cluster.kind(d).usable for d in range(self.devices)])
        return (self._held(self.rows) / usable).max(axis=1)

    def largest_loads(self) -> np.ndarray:
        """Computation, and each value once for its sender and each receiver."""
        loads = []
        for device in range(self.devices):
            here = self.rows == device
            load = np.where(here, self.seconds[:, device], 0.0).sum(axis=1)
            for v, value in enumerate(self.graph.values):
                reads = here[:, list(value.targets)]
                sends = here[:, value.source] & ~reads.all(axis=1)
                receives = ~here[:, value.source] & reads.any(axis=1)
                load += self.ports[v, device] * (sends | receives)
            loads.append(load)
        return np.max([*loads, *self._link_loads(loads)], axis=0)

    def _link_loads(self, loads: list[np.ndarray]) -> list[np.ndarray]:
        """Shared ports have what their devices move; other links each value once."""
        found: dict[str, np.ndarray] = {}
        for name, port in self.cluster.ports.items():
            device = self.cluster.index[name]
            here = self.rows == device
            computed = np.where(here, self.seconds[:, device], 0.0).sum(axis=1)
            found[port.name] = found.get(port.name, 0.0) + loads[device] - computed
        pairs = list(permutations(range(self.devices), 2))
        passed = {link.name: link for pair in pairs for link in self._way(*pair)}
        for name, link in passed.items():
            behind = [p for p in pairs if name in {each.name for each in self._way(*p)}]
            total = np.zeros(len(self.rows))
            for value in self.graph.values:
                passes = np.zeros(len(self.rows), dtype=bool)
                for source, target in behind:
                    reads = (self.rows[:, list(value.targets)] == target).any(axis=1)
                    passes |= (self.rows[:, value.source] == source) & reads
                total += value.bytes / link.kind.bandwidth * passes
            found[name] = total
        return list(found.values())

    def _way(self, first: int, last: int) -> tuple[Link, ...]:
        cluster = self.cluster
        one, other = cluster.devices[first], cluster.devices[last]
        if one.node == other.node:
            return ()
        if (one.node, other.node) in cluster.routes:
            return cluster.routes[one.node, other.node]
        return tuple(
            cluster.uplinks[each.name]
            for each in (one, other)
            if each.name in cluster.uplinks
        )

    def contiguous(self) -> np.ndarray:
        kept = np.zeros(len(self.rows), dtype=bool)
        for line in permutations(range(self.devices)):
            at = np.array(line)[self.rows]
            forward, back, forth = (np.ones(len(self.rows), dtype=bool) for _ in "123")
            for value in self.graph.values:
                for target in value.targets:
                    pair = (
                        self.graph.operators[value.source],
                        self.graph.operators[target],
                    )
                    first, last = at[:, value.source], at[:, target]
                    if not pair[0].backward and not pair[1].backward:
                        forward &= first <= last
                    if pair[0].backward and pair[1].backward:
                        back &= first >= last
                        forth &= first <= last
            kept |= forward & (back | forth)
        return kept

    def least_makespans(self) -> np.ndarray:
        """For each assignment the least time over all orders of the operators."""
        best = np.full(len(self.rows), np.inf)
        for order in self._orders((), set()):
            np.minimum(best, self._makespans(order), out=best)
        return best

    def _orders(self, done: tuple[int, ...], seen: set[int]):
        if len(done) == self.count:
            yield done
        for n in range(self.count):
            sources = {v.source for v in self.graph.values if n in v.targets}
            if n not in seen and sources <= seen:
                yield from self._orders((*done, n), seen | {n})

    def _makespans(self, order: tuple[int, ...]) -> np.ndarray:
        every = np.arange(len(self.rows))
        free = np.zeros((len(self.rows), self.devices))
        ends = np.zeros((len(self.rows), self.count))
        sent = np.full((len(self.graph.values), 2, len(self.rows)), np.nan)
        got = np.full((len(self.graph.values), self.devices, len(self.rows)), np.nan)
        for n in order:
            home = self.rows[:, n]
            ready = np.zeros(len(self.rows))
            for v, value in enumerate(self.graph.values):
                if n not in value.targets:
                    continue
                source = self.rows[:, value.source]
                away = source != home
                made = ends[:, value.source]
                # The sender, unless it has sent the value before.
                rows = every[away & np.isnan(sent[v, 0])]
                cost = self.ports[v, source[rows]]
                start = np.where(
                    cost > 0,
                    np.maximum(made[rows], free[rows, source[rows]]),
                    made[rows],
                )
                sent[v, 0, rows] = np.where(cost > 0, start, made[rows])
                sent[v, 1, rows] = start + cost
                moved = rows[cost > 0]
                free[moved, source[moved]] = sent[v, 1, moved]
                # The receiver, unless it has the value.
                rows = every[away & np.isnan(got[v, home, every])]
                cost = self.ports[v, home[rows]]
                early = sent[v, 0 if self.cluster.cut_through else 1, rows]
                start = np.maximum(early, free[rows, home[rows]])
                end = np.maximum(start + cost, sent[v, 1, rows])
                end = np.where(cost > 0, end, sent[v, 1, rows])
                got[v, home[rows], rows] = end
                moved = rows[cost > 0]
                free[moved, home[moved]] = got[v, home[moved], moved]
                arrived = np.where(away, got[v, home, every], made)
                ready = np.maximum(ready, arrived)
            begin = np.maximum(ready, free[every, home])
            ends[:, n] = begin + self.seconds[n][home]
            free[every, home] = ends[:, n]
        return ends.max(axis=1)
