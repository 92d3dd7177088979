"""Sequences of units along the line, for the solvers that need one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from nnspec.placement.graph import topological_order


def is_chain(line: Sequence[Sequence[int]], order: Sequence[int]) -> bool:
    """Whether an order is the only one that the line allows."""
    return all(last in line[first] for first, last in pairwise(order))


def line_orders(line: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Some orders that the line allows, the most promising first.

    Branch by branch, with sources just before their first reader; the same from the
    end; and level by level.
    """
    before = reversed_line(line)
    yield late_sources(topological_order(line), line, before)
    backward = topological_order(before)[::-1]
    yield late_sources(backward, line, before)
    yield by_level(line, before)


def reversed_line(line: Sequence[Sequence[int]]) -> list[list[int]]:
    """For each unit those that may not stand behind it."""
    found: list[list[int]] = [[] for _ in line]
    for unit, others in enumerate(line):
        for other in others:
            found[other].append(unit)
    return found


def late_sources(
    order: Sequence[int], line: Sequence[Sequence[int]], before: Sequence[Sequence[int]]
) -> list[int]:
    """An order with the units that wait for nothing moved to just before they are needed."""
    at = {unit: step for step, unit in enumerate(order)}

    def key(unit: int) -> tuple[int, int, int]:
        if before[unit] or not line[unit]:
            return (at[unit], 1, 0)
        return (min(at[other] for other in line[unit]), 0, at[unit])

    return sorted(order, key=key)


def by_level(
    line: Sequence[Sequence[int]], before: Sequence[Sequence[int]]
) -> list[int]:
    """An order by the longest way from the start; ties by place."""
    level = [0] * len(line)
    for unit in topological_order(line):
        level[unit] = max((level[other] + 1 for other in before[unit]), default=0)
    return sorted(range(len(line)), key=lambda unit: (level[unit], unit))
