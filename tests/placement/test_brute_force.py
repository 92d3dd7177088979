"""2,000 random placements: exact modes find the optimum, heuristics none below it.

Every graph is solved by trying everything (`brute.py`), and by the package. The graphs
have up to 10 operators (6 for latency), up to 3 devices of different kinds, limits of
memory, pins and groups. What heuristics lose is reported with `-rP`.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from nnspec.diagnostics import SpecErrors
from nnspec.placement.evaluate import value_of
from nnspec.placement.free import cpsat
from nnspec.placement.free.anneal import annealed
from nnspec.placement.free.assign import first_fit, is_allowed
from nnspec.placement.free.tally import largest_load
from nnspec.placement.latency import forced
from nnspec.placement.latency.beam import Beam
from nnspec.placement.latency.orders import is_chain
from nnspec.placement.latency.search import scheduling_problem
from nnspec.placement.lines.contiguous import reach_of
from nnspec.placement.lines.interval import least_limit
from nnspec.placement.lines.line import line_of
from nnspec.placement.place import Options, place
from nnspec.placement.plan import Objective
from nnspec.placement.problem import problem_of, work_bound
from tests.placement.brute import Brute, Instance, mirrored_instance, random_instance

pytestmark = pytest.mark.slow

INSTANCES = 2000
PARTS = 8
LINKED = 400
MIRRORED = 100
SELDOM = 5
"""One in so many graphs is also placed in the less usual ways."""


def optimum(values: np.ndarray) -> float | None:
    return float(values.min()) if len(values) else None


def check(
    instance: Instance,
    objective: Objective,
    best: float | None,
    *,
    contiguous: bool = False,
    effort: float = 10.0,
) -> float | None:
    """Places a graph, holds the plan against the optimum; how many times it that is."""
    options = Options(contiguous, effort)
    if best is None:
        with pytest.raises(SpecErrors) as caught:
            place(instance.graph, instance.cluster, objective, options)
        codes = {found.code for found in caught.value.diagnostics}
        assert codes <= {"E1009", "E1010", "E1011"}
        return None
    try:
        plan = place(instance.graph, instance.cluster, objective, options)
    except SpecErrors:
        assert not effort, "what fits was not found"
        return None
    assert plan.value >= best * (1 - 1e-9)
    assert plan.bound <= best * (1 + 1e-9)
    if effort:
        assert plan.value == pytest.approx(best, rel=1e-9, abs=1e-12)
        assert plan.status == "optimal"
    return plan.value / best if best else 1.0


def loads_objective(instance: Instance) -> Objective:
    backward = any(operator.backward for operator in instance.graph.operators)
    return "train" if backward else "throughput"


@pytest.mark.parametrize("part", range(PARTS))
def test_fit_throughput_and_train(part: int) -> None:
    for seed in range(part, INSTANCES, PARTS):
        instance = random_instance(seed, 10)
        brute = Brute(instance)
        largest, shares = brute.largest_loads(), brute.shares()
        objective = loads_objective(instance)
        check(instance, objective, optimum(largest))
        in_line = brute.contiguous()
        best = optimum(largest[in_line])
        check(instance, objective, best, contiguous=True)
        check(instance, "fit", optimum(shares))
        if seed // PARTS % SELDOM == 0:
            check(instance, "fit", optimum(shares[in_line]), contiguous=True)


def test_forward_and_backward_pass_that_mirror_each_other() -> None:
    for seed in range(MIRRORED):
        instance = mirrored_instance(seed, 5)
        brute = Brute(instance)
        largest = brute.largest_loads()
        check(instance, "train", optimum(largest))
        best = optimum(largest[brute.contiguous()])
        check(instance, "train", best, contiguous=True)


def test_links_between_two_nodes_and_shared_ports() -> None:
    slowed = 0
    for seed in range(10_000, 10_000 + LINKED):
        instance = random_instance(seed, 8, nodes=True)
        brute = Brute(instance)
        largest = brute.largest_loads()
        objective = loads_objective(instance)
        check(instance, objective, optimum(largest))
        in_line = brute.contiguous()
        best = optimum(largest[in_line])
        check(instance, objective, best, contiguous=True)
        slowed += best is not None and best > least_without_links(instance, in_line)
    assert slowed >= LINKED // 10


def least_without_links(instance: Instance, in_line: np.ndarray) -> float:
    cluster = replace(instance.cluster, ports={}, uplinks={}, routes={})
    alone = Brute(replace(instance, cluster=cluster))
    return float(alone.largest_loads()[in_line].min()) * (1 + 1e-9)


@pytest.mark.parametrize("part", range(PARTS))
def test_latency(part: int) -> None:
    for seed in range(part, INSTANCES, PARTS):
        instance = random_instance(10**6 + seed, 6)
        brute = Brute(instance)
        makespans = brute.least_makespans()
        check(instance, "latency", optimum(makespans))
        if seed // PARTS % SELDOM == 0:
            best = optimum(makespans[brute.contiguous()])
            check(instance, "latency", best, contiguous=True)


@pytest.mark.parametrize("nodes", [False, True])
@pytest.mark.parametrize("alike", [1, 256])
def test_forced_transfers_are_a_bound_of_latency(
    nodes: bool, alike: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forced, "MOST_ALIKE", alike)
    ratios: list[float] = []
    for seed in range(2 * 10**6, 2 * 10**6 + INSTANCES // SELDOM):
        instance = random_instance(seed, 6, nodes=nodes)
        best = optimum(Brute(instance).least_makespans())
        if not best:
            continue
        problem = scheduling_problem(instance.graph, instance.cluster)
        alone = forced.forced_bound(instance.graph, instance.cluster, problem)
        known = forced.forced_bound(instance.graph, instance.cluster, problem, best)
        assert max(alone, known) <= best * (1 + 1e-9)
        ratios.append(known / best)
    assert len(ratios) > 200
    print(f"bound of forced transfers: {statistics.fmean(ratios):.4f} of the optimum")


def test_beam_search_stays_within_the_limits_and_is_close_to_the_optimum() -> None:
    ratios: list[float] = []
    for seed in range(3 * 10**6, 3 * 10**6 + INSTANCES // SELDOM):
        instance = random_instance(seed, 6)
        graph, cluster = instance.graph, instance.cluster
        best = optimum(Brute(instance).least_makespans())
        if not best:
            continue
        problem = scheduling_problem(graph, cluster)
        placed = Beam(graph, cluster, problem, 2000).run(graph.order)
        if placed is None:
            continue
        assert problem.allows(placed)
        value = value_of(graph, cluster, "latency", placed, graph.order)
        assert value >= best * (1 - 1e-9)
        ratios.append(value / best)
    assert len(ratios) > 200
    print(f"beam search: {statistics.fmean(ratios):.4f} of the optimum on average")
    assert statistics.fmean(ratios) < 1.1


def test_heuristics_are_never_better_than_the_optimum() -> None:
    ratios: dict[str, list[float]] = {}
    for seed in range(0, INSTANCES, SELDOM):
        for kind, found in heuristic_ratios(seed):
            ratios.setdefault(kind, []).append(found)
    for kind, found in ratios.items():
        optimal = sum(ratio < 1 + 1e-9 for ratio in found) / len(found)
        mean, most = statistics.fmean(found), max(found)
        print(
            f"{kind}: {optimal:.1%} optimal, {mean:.4f} of it on average, {most:.3f} at most"
        )
        assert mean < 1.1


def heuristic_ratios(seed: int) -> Iterator[tuple[str, float]]:
    instance = random_instance(seed, 10)
    brute = Brute(instance)
    largest, in_line = brute.largest_loads(), brute.contiguous()
    objective = loads_objective(instance)
    small = random_instance(10**6 + seed, 6)
    cases: tuple[tuple[str, Instance, Objective, float | None, bool], ...] = (
        ("fit", instance, "fit", optimum(brute.shares()), False),
        ("load", instance, objective, optimum(largest), False),
        ("load in a line", instance, objective, optimum(largest[in_line]), True),
        ("latency", small, "latency", optimum(Brute(small).least_makespans()), False),
    )
    for kind, each, goal, best, line in cases:
        ratio = check(each, goal, best, contiguous=line, effort=0.0)
        if ratio is not None:
            yield kind, ratio


def placeable(seeds: range, *, nodes: bool = False) -> Iterator[tuple[Instance, Brute]]:
    for seed in seeds:
        instance = random_instance(seed, 10, nodes=nodes)
        brute = Brute(instance)
        if len(brute.rows) and not brute_backward(instance):
            yield instance, brute


def brute_backward(instance: Instance) -> bool:
    return any(operator.backward for operator in instance.graph.operators)


def test_intervals_are_exact_on_chains_and_an_upper_bound_elsewhere() -> None:
    chains = 0
    for instance, brute in placeable(range(3000, 3400)):
        best = optimum(brute.largest_loads()[brute.contiguous()])
        problem = problem_of(instance.graph, instance.cluster, "throughput", "returns")
        order = [*range(problem.count)]
        if any(other < unit for unit in order for other in problem.line[unit]):
            continue
        counts = [len(members) for members in problem.classes]
        line = line_of(problem, order)
        reach = reach_of(problem, order, line)
        found = least_limit(line, counts, work_bound(problem), reach)
        if is_chain(problem.line, order):
            chains += 1
            assert (found is None) == (best is None)
            if found is not None:
                assert found.value == pytest.approx(best, rel=1e-9, abs=1e-12)
                assert found.bound == pytest.approx(best, rel=1e-9, abs=1e-12)
        elif found is not None:
            assert best is not None
            assert found.value >= best * (1 - 1e-9)
    assert chains >= 30


@pytest.mark.parametrize(
    ("line", "nodes"), [*product((None, "returns"), (False, True))]
)
def test_constraint_programming_is_exact(line, nodes: bool) -> None:
    for instance, brute in placeable(range(4000, 4060), nodes=nodes):
        largest = brute.largest_loads()
        best = optimum(largest if line is None else largest[brute.contiguous()])
        problem = problem_of(
            instance.graph, instance.cluster, "throughput", line, linked=nodes
        )
        solved = cpsat.solve(problem, None, work_bound(problem), 10.0)
        assert solved.infeasible == (best is None)
        if best is not None:
            assert solved.bound == pytest.approx(best, rel=1e-9, abs=1e-12)
            assert solved.devices is not None
            assert largest_load(problem, solved.devices) == pytest.approx(best)


@pytest.mark.parametrize("line", [None, "returns"])
@pytest.mark.parametrize("nodes", [False, True])
def test_annealing_stays_within_the_limits_and_mostly_finds_the_optimum(
    line, nodes: bool
) -> None:
    ratios: list[float] = []
    for instance, brute in placeable(range(5000, 5060), nodes=nodes):
        largest = brute.largest_loads()
        best = optimum(largest if line is None else largest[brute.contiguous()])
        problem = problem_of(
            instance.graph, instance.cluster, "throughput", line, linked=nodes
        )
        start = first_fit(problem)
        if start is None or not is_allowed(problem, start):
            continue
        found = annealed(problem, start, 3000)
        assert is_allowed(problem, found)
        assert best is not None
        assert largest_load(problem, found) >= best * (1 - 1e-9)
        ratios.append(largest_load(problem, found) / best if best else 1.0)
    assert len(ratios) >= 15
    assert statistics.fmean(ratios) < 1.02
