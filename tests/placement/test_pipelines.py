"""Schedules of pipelines: the orders are PyTorch's, times those of the simulator and of closed forms."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from nnspec.placement.mesh.pipelines import (
    HALVES,
    SCHEDULES,
    Schedule,
    flight,
    flights,
    orders,
    rank_of,
    refusal,
    shares,
)
from nnspec.placement.mesh.timetable import StageTimes, Timetable
from nnspec.placement.simulate import simulate_ranks

CASES: list[tuple[Schedule, int, int, int]] = [
    (schedule, ranks, rounds, microbatches)
    for schedule in SCHEDULES
    for ranks in (2, 3, 4, 5)
    for rounds in (1, 2, 3)
    for microbatches in range(1, 17)
    if refusal(schedule, ranks, rounds, microbatches) is None
]

PYTORCH = """
import json, sys
from types import SimpleNamespace
import torch.distributed.pipelining.schedules as schedules

found = []
for name, ranks, rounds, microbatches in json.load(sys.stdin):
    turns = max(1, microbatches // ranks)
    asked = SimpleNamespace(
        n_local_stages=rounds, pp_group_size=ranks, _n_microbatches=microbatches,
        number_of_rounds=turns, microbatches_per_round=microbatches // turns,
        num_stages=2 * ranks, _num_stages=rounds * ranks,
    )
    made = schedules.get_schedule_class(name)._calculate_single_rank_operations
    found.append([
        [[str(a.computation_type), a.stage_index, a.microbatch_index]
         for a in made(asked, rank) if a is not None]
        for rank in range(ranks)
    ])
json.dump(found, sys.stdout)
"""
PARTS = {
    "FORWARD": "F",
    "FULL_BACKWARD": "B",
    "BACKWARD_INPUT": "I",
    "BACKWARD_WEIGHT": "W",
}


def times(count: int, forward: float, inputs: float, weights: float):
    return [StageTimes(forward, inputs + weights, inputs, weights)] * count


def bubble(
    schedule: Schedule, ranks: int, rounds: int, microbatches: int, *parts: float
) -> float:
    """The seconds beyond the work of a rank, when all stages are alike."""
    stages = times(ranks * rounds, *parts)
    made = orders(schedule, ranks, rounds, microbatches)
    table = Timetable(made, stages, microbatches)
    return max(table.ends) - microbatches * rounds * sum(parts)


@pytest.mark.framework
def test_orders_are_those_of_pytorch() -> None:
    several = [case for case in CASES if case[0] in SCHEDULES[2:]]
    done = subprocess.run(
        [sys.executable, "-c", PYTORCH],
        input=json.dumps(several),
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    for case, ranks in zip(several, json.loads(done.stdout), strict=True):
        theirs = [
            [(PARTS.get(kind.rpartition(".")[2], kind), *rest) for kind, *rest in rank]
            for rank in ranks
        ]
        assert [list(map(tuple, order)) for order in orders(*case)] == theirs, case


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_part_runs_once_on_its_rank(schedule: Schedule) -> None:
    parts = "FIW" if schedule in HALVES else "FB"
    for case in CASES:
        if case[0] != schedule:
            continue
        _, ranks, rounds, microbatches = case
        for rank, order in enumerate(orders(*case)):
            stages = [
                stage
                for stage in range(ranks * rounds)
                if rank_of(stage, ranks, schedule) == rank
            ]
            every = [
                (part, stage, batch)
                for part in parts
                for stage in stages
                for batch in range(microbatches)
            ]
            assert sorted(order) == sorted(every)


@pytest.mark.parametrize("case", random.Random(1).sample(CASES, 60), ids=str)
def test_timetables_are_what_the_simulator_finds(case) -> None:
    _, ranks, rounds, microbatches = case
    draw = random.Random(str(case))
    stages = [
        StageTimes(*(draw.uniform(0.5, 3) for _ in range(4)))
        for _ in range(ranks * rounds)
    ]
    made = orders(*case)
    table = Timetable(made, stages, microbatches)
    seconds = {
        (part, number): stage.of(part)
        for number, stage in enumerate(stages)
        for part in ("F", "B", "I", "W")
    }
    assert table.ends == pytest.approx(simulate_ranks(made, seconds), rel=1e-9)


@pytest.mark.parametrize(("ranks", "turns"), [(2, 1), (3, 4), (4, 2), (5, 3)])
def test_bubbles_are_those_of_the_closed_forms(ranks: int, turns: int) -> None:
    microbatches = ranks * turns
    for forward, inputs, weights in ((1, 1, 1), (2, 3, 1), (1, 1.5, 0.5)):
        parts = (forward, inputs, weights)
        lost = (ranks - 1) * sum(parts)
        # GPipe and 1F1B wait for (p - 1) / m of their work, interleaved ones for 1 / v of that.
        for schedule in SCHEDULES[:2]:
            assert bubble(schedule, ranks, 1, microbatches, *parts) == lost
        for rounds in (2, 3):
            share = bubble("Interleaved1F1B", ranks, rounds, microbatches, *parts)
            work = microbatches * rounds * sum(parts)
            assert share / work == pytest.approx((ranks - 1) / (rounds * microbatches))
        # ZB1P fills the bubble with gradients of weights (Qi et al., 2023).
        for rounds in (1, 2, 3):
            found = bubble("InterleavedZeroBubble", ranks, rounds, microbatches, *parts)
            assert found == pytest.approx((ranks - 1) * (forward + inputs - weights))


@pytest.mark.parametrize("ranks", [2, 3, 4, 6])
def test_there_and_back_no_rank_waits_between_its_parts(ranks: int) -> None:
    microbatches = 2 * ranks + 1
    made = orders("ZBVZeroBubble", ranks, 2, microbatches)
    table = Timetable(made, times(2 * ranks, 1, 1, 1), microbatches)
    for rank, spans in enumerate(table.spans):
        assert spans[0][0] == rank
        assert spans[-1][1] - spans[0][0] == table.busy(rank) == 6 * microbatches


@pytest.mark.parametrize("case", random.Random(2).sample(CASES, 60), ids=str)
def test_memory_over_time_is_as_much_as_can_be_in_flight(case) -> None:
    _, ranks, rounds, microbatches = case
    draw = random.Random(str(case))
    stages = [
        StageTimes(*(draw.uniform(0.5, 3) for _ in range(6)))
        for _ in range(ranks * rounds)
    ]
    table = Timetable(orders(*case), stages, microbatches)
    for rank, moments in enumerate(flights(*case)):
        most = max(
            sum(n * stages[s].keeps + m * stages[s].between for s, n, m in moment)
            for moment in moments
        )
        steps = table.memory(rank, 100.0)
        assert max(amount for _, amount in steps) == pytest.approx(100 + most)
        assert steps[-1][1] == pytest.approx(100.0)
        assert [moment for moment, _ in steps] == sorted({m for m, _ in steps})


def test_what_is_in_flight_of_one_stage() -> None:
    for case in CASES:
        schedule, ranks, rounds, microbatches = case
        if rounds == 1:
            for rank, moments in enumerate(flights(*case)):
                most = max(flying for ((_, flying, _),) in moments)
                assert most == flight(schedule, rank, ranks, microbatches), case


@pytest.mark.parametrize("case", random.Random(3).sample(CASES, 40), ids=str)
def test_no_stages_keep_more_in_a_byte_than_is_said(case) -> None:
    _, ranks, rounds, _ = case
    draw = random.Random(str(case))
    for rank, (moments, share) in enumerate(
        zip(flights(*case), shares(*case), strict=True)
    ):
        for _ in range(50):
            keeps = [draw.random() ** 3 for _ in range(ranks * rounds)]
            needed = max(sum(n * keeps[s] for s, n, _ in moment) for moment in moments)
            mine = {s for moment in moments for s, _, _ in moment}
            held = sum(keeps[s] for s in mine)
            assert held <= needed * share * (1 + 1e-12), rank


def test_what_cannot_be_run_is_refused() -> None:
    def said(*asked) -> str:
        found = refusal(*asked)
        assert found is not None
        return found

    assert "needs a schedule" in said(None, 2, 1, 4)
    assert "there is one rank" in said("GPipe", 1, 1, 4)
    assert "one stage on each rank" in said("1F1B", 2, 2, 4)
    assert "two stages" in said("ZBVZeroBubble", 2, 3, 4)
    assert "several stages" in said("Interleaved1F1B", 2, 1, 4)
    assert "at least 4 micro-batches" in said("1F1B", 4, 1, 3)
    assert "in 2 turns" in said("Interleaved1F1B", 2, 2, 5)
