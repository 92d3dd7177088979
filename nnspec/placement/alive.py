"""Plans with room for values while they are alive, found by solvers that count what operators hold.

Where values do not fit beside what operators hold, memory is reserved for them, and all is
placed again. How much helps is not known beforehand: values that fit in one plan may not in
another. If more room leaves as much missing as before, twice as much more is tried; once
something fits that is slower than what was found without limits, less is tried.
"""

from __future__ import annotations

from collections.abc import Callable

from nnspec.placement.evaluate import TOLERANCE
from nnspec.placement.plan import Plan

MOST_TRIES = 12

Reserve = dict[str, int]
"""Bytes by kind of device."""


def within_memory(plan: Plan, again: Callable[[Reserve], Plan | None]) -> Plan | None:
    """The fastest plan that is found in which the values in flight fit; None if none is.

    `plan` is the best of those with no limits for such values; `again` finds the best one
    with so much more reserved on each device, if there is one.
    """
    missing = overflow(plan)
    if not missing:
        return plan
    low, high, step, best = Reserve(), None, missing, None
    for _ in range(MOST_TRIES):
        reserve = _sum(low, step) if high is None else _between(low, high)
        found = again(reserve)
        left = {} if found is None else overflow(found)
        if left:
            step = _sum(step, step) if left == missing else left
            low, missing = reserve, left
        else:
            high = reserve
            best = _faster(best, found)
        if _is_done(best, plan) or (high and _are_near(low, high, missing)):
            break
    return best


def _is_done(best: Plan | None, plan: Plan) -> bool:
    """Whether one that fits is as good as the one that does not."""
    return best is not None and best.value <= plan.value * (1 + TOLERANCE)


def _faster(best: Plan | None, found: Plan | None) -> Plan | None:
    plans = (each for each in (best, found) if each is not None)
    return min(plans, key=lambda each: each.value, default=None)


def _sum(one: Reserve, other: Reserve) -> Reserve:
    return {
        kind: one.get(kind, 0) + other.get(kind, 0) for kind in sorted({*one, *other})
    }


def _between(low: Reserve, high: Reserve) -> Reserve:
    return {kind: (low.get(kind, 0) + most) // 2 for kind, most in high.items()}


def _are_near(low: Reserve, high: Reserve, missing: Reserve) -> bool:
    """Whether no kind has more between the two than what is missing."""
    return all(
        most - low.get(kind, 0) <= missing.get(kind, 0) for kind, most in high.items()
    )


def overflow(plan: Plan) -> Reserve:
    """By kind, the most bytes that a device uses beyond what it has."""
    found: Reserve = {}
    for use in plan.devices:
        if use.usable is not None and use.peak > use.usable * (1 + TOLERANCE):
            beyond = int(use.peak - use.usable) + 1
            found[use.kind] = max(found.get(use.kind, 0), beyond)
    return found
