"""The bound of minimum cuts: never above the optimum, and reached where devices are many."""

from __future__ import annotations

from math import inf

import pytest

from nnspec.placement.free.holders import holder_bound
from nnspec.placement.graph import Operator, Value, WeightedGraph
from nnspec.placement.place import place
from nnspec.placement.problem import problem_of
from tests.placement.brute import Brute, random_instance
from tests.placement.test_place import machine


def test_no_assignment_is_below_the_bound() -> None:
    compared = tight = 0
    for seed in range(60):
        instance = random_instance(seed, 7)
        every = Brute(instance).largest_loads()
        if not len(every):
            continue
        problem = problem_of(instance.graph, instance.cluster, "throughput")
        bound = holder_bound(problem, inf)
        assert bound <= float(every.min()) * (1 + 1e-9)
        compared += 1
        tight += bound >= float(every.min()) * (1 - 1e-9)
    assert compared > 30
    assert tight > 3


def test_equal_blocks_on_many_devices_are_proven_to_be_placed_best() -> None:
    operators = tuple(Operator(f"n{n}", {"box": 5.0}, 60) for n in range(40))
    values = tuple(Value(n, (n + 1,), bytes=1) for n in range(39))
    plan = place(WeightedGraph(operators, values), machine(64))
    assert (plan.status, plan.value) == ("optimal", pytest.approx(7.0))


def test_the_fullest_of_few_devices_has_a_whole_number_of_equal_operators() -> None:
    operators = tuple(Operator(f"n{n}", {"box": 5.0}) for n in range(20))
    plan = place(WeightedGraph(operators), machine(8))
    assert (plan.status, plan.value) == ("optimal", pytest.approx(15.0))
