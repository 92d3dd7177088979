"""List scheduling that looks at many assignments at once.

Operators are taken up in a given order, each on every device that promises something.
Of assignments that look alike to later operators, those are kept that are not worse in
everything; of what is left, some that end first (beam search). Few suffice where a graph
is nearly a chain: what happened before its frontier is then soon forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from operator import le

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.latency.frontier import Step, steps_of
from nnspec.placement.latency.listing import Lister
from nnspec.placement.problem import Problem

MOST_ALIKE = 12
"""So many assignments are kept that differ in numbers only."""
MOST_SEEN = 16
"""Where later operators see more than so many at a time, few assignments say little."""
USUAL_CHOICES = 4
"""About so many devices promise something for an operator."""


class Beam:
    """Places all operators in an order, after about so many `tries` of an operator."""

    def __init__(
        self, graph: WeightedGraph, cluster: Cluster, problem: Problem, tries: int
    ) -> None:
        self.graph = graph
        self.cluster = cluster
        self.problem = problem
        self.width = tries // (USUAL_CHOICES * max(1, len(graph.operators)))
        self.lumped = [
            room == inf and cluster.kind(members[0]).port is None
            for room, members in zip(problem.usable, problem.classes, strict=True)
        ]

    def run(self, order: Sequence[int]) -> list[int] | None:
        """The device of each operator.

        None where memory, or `tries`, let none through, or the graph is too wide.
        """
        steps = steps_of(self.graph, self.problem.unit_of, order)
        if any(len(step.kept) > MOST_SEEN for step in steps):
            return None
        states = [Lister(self.graph, self.cluster, self.problem)][: self.width]
        frontier: list[int] = []
        for step in steps:
            frontier = [frontier[n] for n in step.kept] + [step.place] * step.stays
            further = [each for state in states for each in self._extended(state, step)]
            states = self._best(further, frontier)
        return states[0].placed if states else None

    def _extended(self, state: Lister, step: Step) -> Iterator[Lister]:
        for device in self._devices(state, step):
            further = state.copy()
            further.put(step.place, device)
            yield further

    def _devices(self, state: Lister, step: Step) -> list[int]:
        """Those of the frontier, and of each class the one that is free first."""
        unit = self.problem.unit_of[step.place]
        if state.devices[unit] >= 0:
            return [state.devices[unit]]
        found: list[int] = []
        for kind, members in enumerate(self.problem.classes):
            able = state.able(unit, kind, members)
            if able:
                found += self._promising(state, step, kind, able)
        return found

    def _promising(
        self, state: Lister, step: Step, kind: int, able: Sequence[int]
    ) -> Iterable[int]:
        """Of devices of a class. Where values cost it nothing, the best is known."""
        clock = state.clock
        if self.lumped[kind]:
            inputs = self.graph.inputs[step.place]
            sources = (self.graph.values[value].source for value in inputs)
            ready = max((clock.spans[each][1] for each in sources), default=0.0)
            return [min(able, key=lambda each: _wait(clock.free[each], ready))]
        unit = self.problem.unit_of[step.place]
        near = {state.placed[each] for each in step.known}
        first = min(able, key=clock.free.__getitem__)
        kinds = self.problem.kinds
        fit = {each for each in near if kinds[each] == kind and state.fits(unit, each)}
        return sorted(fit | {first})

    def _best(self, states: Iterable[Lister], frontier: Sequence[int]) -> list[Lister]:
        """Those that end first, of each kind some that no other is better than."""
        groups: dict[object, list[tuple[float, ...]]] = {}
        kept: list[Lister] = []
        for end, state in _by_end(states, frontier):
            key, numbers = self._looks(state, frontier)
            alike = groups.setdefault(key, [])
            if len(alike) < MOST_ALIKE and not _is_worse((end, *numbers), alike):
                alike.append((end, *numbers))
                kept.append(state)
        return kept[: self.width]

    def _looks(
        self, state: Lister, frontier: Sequence[int]
    ) -> tuple[object, tuple[float, ...]]:
        """What later operators can see of a state, as names and as numbers."""
        clock, kinds = state.clock, self.problem.kinds
        homes = [state.placed[each] for each in frontier]
        seen = [h for h in dict.fromkeys(homes) if not self.lumped[kinds[h]]]
        number = {device: place for place, device in enumerate(seen)}
        names = (*(number.get(home, ~kinds[home]) for home in homes),)
        moved = frozenset(
            (value, number[device])
            for value, device in clock.received
            if device in number and self.graph.values[value].source in frontier
        )
        numbers = [clock.spans[each][1] for each in frontier]
        numbers += [clock.free[device] for device in seen]
        numbers += [state.held[device] for device in seen]
        return (names, (*(kinds[device] for device in seen),), moved), (*numbers,)


def _by_end(
    states: Iterable[Lister], frontier: Sequence[int]
) -> list[tuple[float, Lister]]:
    """States by the last end that later operators can see, or that there is."""

    def end(state: Lister) -> float:
        spans = state.clock.spans
        seen = (spans[each] for each in frontier) if frontier else spans
        return max(last for _, last in seen)

    found = [(end(state), state) for state in states]
    return sorted(found, key=lambda each: each[0])


def _wait(free: float, ready: float) -> tuple[bool, float]:
    """Of devices that are free in time the one that is so last, else that free first."""
    return (False, -free) if free <= ready else (True, free)


def _is_worse(numbers: tuple[float, ...], others: Iterable[tuple[float, ...]]) -> bool:
    return any(all(map(le, other, numbers)) for other in others)
