"""When the parts of a pipeline run, the memory that takes over time, and what the last waits for.

Each rank runs its order, every part as soon as the rank is free and what it needs is
there: a forward part what the stage before gives, a backward part what the stage behind
gives back. Ranks do one thing at a time, transfers included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

from nnspec.placement.mesh.pipelines import Action, Order, Part, change
from nnspec.records import dataclass

Span = tuple[float, float]
Steps = tuple[tuple[float, float], ...]
"""From which second on how many bytes are in use."""


@dataclass(frozen=True, slots=True)
class StageTimes:
    """The seconds of each part of a stage for one micro-batch, and what it keeps of it in bytes.

    `between` is what lies between the two halves of its backward pass, beside `keeps`.
    """

    forward: float
    backward: float
    inputs: float
    weights: float
    keeps: float = 0.0
    between: float = 0.0

    def of(self, part: Part) -> float:
        """The seconds of a part."""
        if part == "F":
            return self.forward
        if part == "B":
            return self.backward
        return self.inputs if part == "I" else self.weights

    def load(self, halves: bool) -> float:
        """The seconds of all parts of a micro-batch, the backward pass whole or in halves."""
        back = self.inputs + self.weights if halves else self.backward
        return self.forward + back


class Timetable:
    """The parts of a pipeline over time, from 0 on. Raises ValueError if they wait in a circle."""

    def __init__(
        self, orders: Sequence[Order], stages: Sequence[StageTimes], microbatches: int
    ) -> None:
        self.orders = orders
        self.stages = stages
        self._forward = [[-1.0] * microbatches for _ in stages]
        self._back = [[-1.0] * microbatches for _ in stages]
        self.spans: list[list[Span]] = [[] for _ in orders]
        self._seconds: dict[Part, list[float]] = {
            "F": [each.forward for each in stages],
            "B": [each.backward for each in stages],
            "I": [each.inputs for each in stages],
            "W": [each.weights for each in stages],
        }
        self._run()

    def _run(self) -> None:
        free = [0.0] * len(self.orders)
        left = set(range(len(self.orders)))
        while left:
            moved = False
            for rank in sorted(left):
                moved |= self._advance(rank, free)
                if len(self.spans[rank]) == len(self.orders[rank]):
                    left.discard(rank)
            if not moved:
                raise ValueError("the parts of the pipeline wait in a circle")

    def _advance(self, rank: int, free: list[float]) -> bool:
        """Runs what a rank can run by now; whether that is anything."""
        order, spans, now = self.orders[rank], self.spans[rank], free[rank]
        start = len(spans)
        for number in range(start, len(order)):
            part, stage, microbatch = order[number]
            ready = self._ready(part, stage, microbatch)
            if ready < 0:
                break
            begin = ready if ready > now else now
            now = begin + self._seconds[part][stage]
            spans.append((begin, now))
            if part == "F":
                self._forward[stage][microbatch] = now
            elif part != "W":
                self._back[stage][microbatch] = now
        free[rank] = now
        return len(spans) > start

    def _ready(self, part: Part, stage: int, microbatch: int) -> float:
        """When what a part needs of another rank is there; below 0 if that is not known yet."""
        if part == "F":
            return self._forward[stage - 1][microbatch] if stage else 0.0
        if part == "W":
            return 0.0
        if stage + 1 < len(self.stages):
            return self._back[stage + 1][microbatch]
        return self._forward[stage][microbatch]

    # ---- what follows --------------------------------------------------------------------

    @cached_property
    def ends(self) -> tuple[float, ...]:
        """When each rank has run all."""
        return tuple(spans[-1][1] if spans else 0.0 for spans in self.spans)

    def busy(self, rank: int) -> float:
        """The seconds for which a rank runs anything."""
        return sum(end - start for start, end in self.spans[rank])

    def memory(self, rank: int, lying: float) -> Steps:
        """What a rank has in use over time: `lying`, and what stages keep of micro-batches.

        A stage keeps something from the start of its forward part to the end of its
        backward part, the whole or the last half.
        """
        changes: dict[float, float] = {}
        for (part, stage, _), (start, end) in zip(
            self.orders[rank], self.spans[rank], strict=True
        ):
            moment = start if part == "F" else end
            more = change(part, self.stages[stage])
            changes[moment] = changes.get(moment, 0.0) + more
        return _steps(lying, changes)

    def path(self, rank: int) -> Counter[tuple[Part, int]]:
        """How often each part of a stage stands on a chain without a pause to the rank's end."""
        place = {
            action: (each, number)
            for each, order in enumerate(self.orders)
            for number, action in enumerate(order)
        }
        found: Counter[tuple[Part, int]] = Counter()
        number = len(self.orders[rank]) - 1
        while number >= 0:
            action = self.orders[rank][number]
            found[action.part, action.stage] += 1
            rank, number = self._before(place, rank, number, action)
        return found

    def _before(
        self,
        place: dict[Action, tuple[int, int]],
        rank: int,
        number: int,
        action: Action,
    ) -> tuple[int, int]:
        """What a part has waited for last: the one before it on its rank, or on another."""
        start = self.spans[rank][number][0]
        if not start or (number and self.spans[rank][number - 1][1] == start):
            return rank, number - 1
        part, stage, microbatch = action
        if part == "F":
            return place[Action("F", stage - 1, microbatch)]
        behind = Action(part, stage + 1, microbatch)
        return place.get(behind) or place[Action("F", stage, microbatch)]


def _steps(lying: float, changes: Mapping[float, float]) -> Steps:
    steps = [(0.0, lying)]
    for moment in sorted(changes):
        amount = steps[-1][1] + changes[moment]
        if moment == steps[-1][0]:
            steps[-1] = (moment, amount)
        elif changes[moment]:
            steps.append((moment, amount))
    return tuple(steps)
