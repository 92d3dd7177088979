"""What is reserved for values while they are alive, and how often all is placed again for it."""

from __future__ import annotations

import random

import pytest

from nnspec.placement.alive import Reserve, within_memory
from nnspec.placement.plan import DeviceUse, Plan

USABLE = 1000


def plan(value: float, missing: int) -> Plan:
    """A plan on one device, where so many bytes are missing, counted up."""
    peak = USABLE + missing - (0.5 if missing else 0.0)
    use = DeviceUse(
        name="box:0",
        kind="box",
        load=0.0,
        computing=0.0,
        sending=0.0,
        receiving=0.0,
        peak=peak,
        usable=float(USABLE),
        memory=((0.0, peak),),
    )
    return Plan.model_construct(value=value, devices=[use])


class Solver:
    """Finds the same plan until so much is reserved, from where on another one is better."""

    def __init__(self, *plans: tuple[int, float, int]) -> None:
        self.plans = plans
        self.asked: list[int] = []

    def __call__(self, reserve: Reserve) -> Plan | None:
        self.asked.append(reserve.get("box", 0))
        *_, (_, value, missing) = (p for p in self.plans if p[0] <= self.asked[-1])
        return None if value < 0 else plan(value, missing)

    def run(self) -> float | None:
        first = self({})
        self.asked.clear()
        assert first is not None
        found = within_memory(first, self)
        assert found is None or found.devices[0].peak <= USABLE
        return None if found is None else found.value


def test_what_fits_is_not_placed_again() -> None:
    solver = Solver((0, 1.0, 0))
    assert (solver.run(), solver.asked) == (1.0, [])


def test_as_much_as_is_missing_is_reserved_first() -> None:
    solver = Solver((0, 1.0, 10), (10, 1.5, 0))
    assert (solver.run(), solver.asked) == (1.5, [10])


def test_steps_grow_while_nothing_changes() -> None:
    """Steps of what is missing would take 100 tries."""
    solver = Solver((0, 1.0, 1), (100, 1.0, 0))
    assert (solver.run(), solver.asked) == (1.0, [1, 3, 7, 15, 31, 63, 127])


def test_steps_are_as_large_as_what_is_missing_then() -> None:
    solver = Solver((0, 1.0, 10), (10, 2.0, 4), (14, 2.0, 0))
    assert (solver.run(), solver.asked) == (2.0, [10, 14])


@pytest.mark.parametrize("after", [9.0, -1.0])
def test_a_step_that_was_too_long_is_taken_back(after: float) -> None:
    """Where more is reserved than has to be, plans are slower, or there are none."""
    solver = Solver((0, 1.0, 10), (35, 2.0, 0), (50, after, 0))
    assert (solver.run(), solver.asked) == (2.0, [10, 30, 70, 50, 40])


def test_nothing_fits() -> None:
    solver = Solver((0, 1.0, 10), (10, -1.0, 0))
    assert (solver.run(), solver.asked) == (None, [10])


def test_no_slower_than_with_steps_of_what_is_missing() -> None:
    """Wherever more room leaves slower plans, and steps of what is missing end in time."""
    draw = random.Random(0)
    for _ in range(300):
        missing = draw.randint(1, 20)
        fits = missing * draw.randint(1, 12)
        later = sorted(draw.sample(range(fits + 1, fits + 400), 5))
        slower = [(at, 2.0 + n, 0) for n, at in enumerate(later, 1)]
        solver = Solver((0, 1.0, missing), (fits, 2.0, 0), *slower)
        assert solver.run() == 2.0
        assert len(solver.asked) <= 9
