"""The least time of one sample: list scheduling, local search, exact for few operators.

Candidates come from list scheduling and beam search, from plans for throughput, and from
the division of a line with the least sum of loads. Local search then moves runs of operators. What few
operators can do is tried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.evaluate import TOLERANCE, is_contiguous
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.beam import Beam
from nnspec.placement.latency.exhaust import MOST_TO_EXHAUST, Exhaustive
from nnspec.placement.latency.forced import forced_bound
from nnspec.placement.latency.listing import Lister, by_rank, mean_ranks, ranks
from nnspec.placement.latency.moves import Mover
from nnspec.placement.latency.orders import line_orders
from nnspec.placement.latency.schedule import Clock, seconds_by_class, seconds_of
from nnspec.placement.lines.serial import MOST_UNITS, least_sum
from nnspec.placement.problem import Problem, problem_of
from nnspec.records import dataclass

RUNS = 1_000_000
"""How many operators local search may schedule for each unit of effort."""
TRIES = 4000
"""How many operators a beam search may place for each unit of effort."""
MOST_RUNS = 4000
"""How many schedules it may try for each unit of effort."""
ROUNDS = 4
"""How many times random moves start, each time from the best so far."""
LABELS = 10_000
"""How many labels the bound of forced transfers may look at for each unit of effort."""
STEPS = 100_000
"""How many steps the exact search may take for each unit of effort."""


@dataclass(frozen=True, slots=True)
class Fastest:
    """An assignment and an order of operators, their time, and a bound of it."""

    placed: list[int]
    order: list[int]
    value: float
    bound: float
    method: str


@dataclass(frozen=True, slots=True)
class Known:
    """What was found for the same graph with fewer limits: a time, and a bound."""

    value: float
    bound: float


def best_latency(
    graph: WeightedGraph,
    cluster: Cluster,
    starts: Sequence[Sequence[int]],
    contiguous: bool,
    effort: float,
    known: Known | None = None,
) -> Fastest | None:
    """The fastest schedule that is found, or None if memory allows none that is tried.

    `starts` are assignments to begin with. If something is known, no other bound is looked
    for, and nothing faster than that.
    """
    problem = scheduling_problem(graph, cluster)
    candidates = [
        _timed(graph, cluster, placed, order)
        for placed, own in (
            *((start, ()) for start in starts),
            *_listed(graph, cluster, problem, int(TRIES * effort)),
            *((each, ()) for each in _serial(graph, cluster)),
        )
        if problem.allows(placed) and (not contiguous or is_contiguous(graph, placed))
        for order in (*own, *_orders(graph, cluster, placed))
    ]
    best = min(candidates, key=_value, default=None)
    if len(graph.operators) <= MOST_TO_EXHAUST:
        best = best and _bounded(graph, cluster, problem, best, 0.0, None)
        most_steps = int(STEPS * effort)
        return _exhausted(graph, cluster, problem, contiguous, best, most_steps)
    if best is None:
        return None
    first = _bounded(graph, cluster, problem, best, effort, known)
    if _is_settled(first) or (known and first.value <= known.value * (1 + TOLERANCE)):
        return first
    mover = Mover(graph, cluster, problem, contiguous)
    best = _improved(graph, cluster, first, mover, effort)
    if _is_settled(best) or best.value == first.value:
        return best
    found = _bounded(graph, cluster, problem, best, effort, known)
    return replace(found, bound=max(found.bound, best.bound))


def _is_settled(found: Fastest) -> bool:
    return found.bound >= found.value * (1 - TOLERANCE)


def _bounded(
    graph: WeightedGraph,
    cluster: Cluster,
    problem: Problem,
    best: Fastest,
    effort: float,
    known: Known | None,
) -> Fastest:
    """The best that was found, with the bound that is known or else the larger of two."""
    if known is not None:
        return replace(best, bound=min(known.bound, best.value))
    bound = latency_bound(graph, cluster, problem)
    if bound < best.value * (1 - TOLERANCE) and len(graph.operators) <= MOST_UNITS:
        most = int(LABELS * effort)
        forced = forced_bound(graph, cluster, problem, best.value, most)
        bound = max(bound, forced)
    return replace(best, bound=min(bound, best.value))


def _improved(
    graph: WeightedGraph, cluster: Cluster, best: Fastest, mover: Mover, effort: float
) -> Fastest:
    """The best after moves that all gain, random ones, and again those that gain."""
    runs = int(min(RUNS / len(graph.operators), MOST_RUNS) * effort) // ROUNDS
    placed, found = best.placed, best
    for seed in range(ROUNDS):
        placed = mover.anneal(placed, best.order, runs, seed, best.bound)
        placed = mover.improve(placed, best.order, runs)
        found = _timed(graph, cluster, placed, best.order)
        if found.value <= best.bound * (1 + TOLERANCE):
            break
    orders = _orders(graph, cluster, placed)
    every = (best, found, *(_timed(graph, cluster, placed, order) for order in orders))
    fastest = min(every, key=_value)
    return replace(fastest, bound=min(best.bound, fastest.value))


def _value(candidate: Fastest) -> float:
    return candidate.value


def scheduling_problem(graph: WeightedGraph, cluster: Cluster) -> Problem:
    """The units, classes and limits; of units, groups only."""
    return problem_of(graph, cluster, "latency")


def _listed(
    graph: WeightedGraph, cluster: Cluster, problem: Problem, tries: int
) -> Iterator[tuple[list[int], tuple[list[int], ...]]]:
    """What list scheduling makes of two orders, one assignment or many at a time.

    The latter with the order, which they are made for.
    """
    beam = Beam(graph, cluster, problem, tries)
    for order in (by_rank(graph, mean_ranks(graph, cluster, problem)), graph.order):
        placed = Lister(graph, cluster, problem).run(order)
        if placed is not None:
            yield placed, ()
        if len(graph.operators) <= MOST_UNITS:
            placed = beam.run(order)
            if placed is not None:
                yield placed, (order,)


def _serial(graph: WeightedGraph, cluster: Cluster) -> Iterator[list[int]]:
    problem = problem_of(graph, cluster, "latency", "returns")
    if problem.count <= MOST_UNITS:
        for order in line_orders(problem.line):
            for moving in (1.0, 0.5) if cluster.cut_through else (1.0,):
                devices = least_sum(problem, order, moving)
                if devices is not None:
                    yield problem.placed(devices)


def _orders(
    graph: WeightedGraph, cluster: Cluster, placed: Sequence[int]
) -> Iterator[list[int]]:
    """The graph's own order, and by rank, the transfers of this assignment counted."""
    yield graph.order
    moved = {value.source: value for value in graph.values}

    def moving(source: int, target: int) -> float:
        first, last = placed[source], placed[target]
        if first == last:
            return 0.0
        ports = (
            cluster.port_seconds(device, moved[source]) for device in (first, last)
        )
        return sum(ports)

    yield by_rank(graph, ranks(graph, seconds_of(graph, cluster, placed), moving))


def _timed(
    graph: WeightedGraph,
    cluster: Cluster,
    placed: Sequence[int],
    order: Sequence[int],
) -> Fastest:
    clock = Clock(graph, cluster, placed)
    seconds = seconds_of(graph, cluster, placed)
    for place in order:
        clock.run(place, seconds[place])
    value = max((end for _, end in clock.spans), default=0.0)
    return Fastest(
        list(placed), list(order), value, 0.0, "list scheduling, local search"
    )


def latency_bound(graph: WeightedGraph, cluster: Cluster, problem: Problem) -> float:
    """A time that no schedule is below.

    The longest way through the graph, each operator on the class of devices that is
    best for what follows, with the transfer where the class changes; and all work, each
    at its least time, shared perfectly.
    """
    ends = _earliest_ends(graph, cluster, problem)
    longest = max((min(row) for row in ends), default=0.0)
    least = [min(times) for times in zip(*problem.seconds, strict=True)]
    return max(longest, sum(least) / len(cluster.devices))


def _earliest_ends(
    graph: WeightedGraph, cluster: Cluster, problem: Problem
) -> list[list[float]]:
    """For each operator and class, a time before which it does not end there."""
    kinds = range(len(problem.classes))
    first = [members[0] for members in problem.classes]
    seconds = seconds_by_class(graph, cluster, problem)
    ends = [[0.0 for _ in kinds] for _ in graph.operators]
    for place in graph.order:
        for kind in kinds:
            start = 0.0
            for value in graph.inputs[place]:
                moved = graph.values[value]
                ports = [cluster.port_seconds(device, moved) for device in first]
                arrivals = (
                    ends[moved.source][other]
                    + (
                        0.0
                        if other == kind
                        else cluster.passing(ports[other], ports[kind])
                    )
                    for other in kinds
                )
                start = max(start, min(arrivals))
            ends[place][kind] = start + seconds[place][kind]
    return ends


def _exhausted(
    graph: WeightedGraph,
    cluster: Cluster,
    problem: Problem,
    contiguous: bool,
    best: Fastest | None,
    most_steps: int,
) -> Fastest | None:
    least = [min(times) for times in seconds_by_class(graph, cluster, problem)]
    tails = ranks(graph, least, lambda _source, _target: 0.0)
    known = inf if best is None else best.value
    search = Exhaustive(graph, cluster, problem, tails, contiguous, known, most_steps)
    through = search.run()
    if search.found is not None:
        best = _timed(graph, cluster, *search.found)
    if best is None or not through:
        return best
    return replace(best, bound=best.value, method="exhaustive search")
