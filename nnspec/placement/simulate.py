"""An event simulator, to check plans by running them; it shares no code with the solvers.

Every device and link works through a queue of tasks in order, each as soon as what it
waits for is done. Plans become such queues, for one sample or for a stream of them;
so do the schedules of pipelines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from heapq import heappop, heappush
from typing import Literal

from nnspec.placement.clusters.cluster import Cluster
from nnspec.placement.graph import WeightedGraph
from nnspec.placement.plan import Plan
from nnspec.records import dataclass


@dataclass(slots=True)
class Task:
    """Something that occupies some queues at once for some seconds.

    It starts when it is first in all of its queues, all of `after` have ended, and all
    of `along` have started; it does not end before those of `along`. One that `crosses`
    brings a value to another device or link.
    """

    name: str
    seconds: float
    queues: tuple[str, ...]
    after: list[int] = field(default_factory=list[int])
    along: list[int] = field(default_factory=list[int])
    crosses: bool = False


class Simulation:
    """Tasks, numbered in the order in which they stand in their queues."""

    def __init__(self) -> None:
        self.tasks: list[Task] = []
        self.starts: list[float] = []
        self.ends: list[float] = []

    def add(self, task: Task) -> int:
        """Puts a task at the end of its queues; its number."""
        self.tasks.append(task)
        return len(self.tasks) - 1

    def run(self) -> None:
        """Lets time pass until every task has ended.

        Raises ValueError if tasks wait for each other for ever.
        """
        count = len(self.tasks)
        self.starts, self.ends = [-1.0] * count, [-1.0] * count
        waits, released = self._waits()
        events: list[tuple[float, int, bool]] = []
        for number in range(count):
            if not waits[number]:
                heappush(events, (0.0, number, False))
        while events:
            now, number, ending = heappop(events)
            if not ending:
                self._start(number, now, events)
            for other in released[ending][number]:
                waits[other] -= 1
                if not waits[other]:
                    heappush(events, (now, other, False))
        if any(end < 0 for end in self.ends):
            raise ValueError("some tasks wait for each other for ever")

    def _start(
        self, number: int, now: float, events: list[tuple[float, int, bool]]
    ) -> None:
        task = self.tasks[number]
        self.starts[number] = now
        end = max([now + task.seconds, *(self.ends[other] for other in task.along)])
        self.ends[number] = end
        heappush(events, (end, number, True))

    def _waits(self) -> tuple[list[int], tuple[list[list[int]], list[list[int]]]]:
        """How many events each task waits for, and which tasks wait for its start and end."""
        count = len(self.tasks)
        waits = [0] * count
        starting: list[list[int]] = [[] for _ in range(count)]
        ending: list[list[int]] = [[] for _ in range(count)]
        last: dict[str, int] = {}
        for number, task in enumerate(self.tasks):
            before = list(task.after)
            for queue in task.queues:
                if queue in last:
                    before.append(last[queue])
                last[queue] = number
            for other in before:
                ending[other].append(number)
            for other in task.along:
                starting[other].append(number)
            waits[number] = len(before) + len(task.along)
        return waits, (starting, ending)

    @property
    def makespan(self) -> float:
        """When the last task ends."""
        return max(self.ends, default=0.0)


class _Sample:
    """The tasks of one sample under a plan, added as devices take up operators."""

    def __init__(
        self, simulation: Simulation, graph: WeightedGraph, cluster: Cluster, plan: Plan
    ) -> None:
        self.simulation = simulation
        self.graph = graph
        self.cluster = cluster
        self.where = [plan.assignment[operator.name] for operator in graph.operators]
        self.ran: dict[int, int] = {}
        self.moved: dict[tuple[int, str], int] = {}

    def operator(self, place: int) -> None:
        """What an operator needs, and then the operator, at the ends of the queues."""
        name = self.where[place]
        device = self.cluster.devices[self.cluster.index[name]]
        seconds = self.graph.operators[place].seconds
        after = [
            self.arrival(number, name)
            for number, value in enumerate(self.graph.values)
            if place in value.targets
        ]
        task = Task(
            self.graph.operators[place].name,
            seconds[device.name] if device.name in seconds else seconds[device.kind],
            (name,),
            after,
        )
        self.ran[place] = self.simulation.add(task)

    def arrival(self, number: int, name: str) -> int:
        """The task at whose end a value is on a device."""
        source = self.graph.values[number].source
        if self.where[source] == name:
            return self.ran[source]
        before = self._port(number, self.where[source], self.ran[source], first=True)
        sender = self.cluster.index[self.where[source]]
        for link in self.cluster.between(sender, self.cluster.index[name]):
            seconds = link.kind.seconds(self.graph.values[number])
            before = self._move(number, link.name, seconds, (link.name,), before)
        return self._port(number, name, before, first=False)

    def peak(self, name: str) -> float:
        """The most memory in use on a device, once time has passed."""
        changes: list[tuple[float, float]] = []
        held = 0.0
        for place, operator in enumerate(self.graph.operators):
            held += operator.memory if self.where[place] == name else 0.0
        for number, value in enumerate(self.graph.values):
            stay = self._stay(number, name)
            if stay is not None:
                changes += [(stay[0], value.held), (stay[1], -value.held)]
        most = now = held
        for _, change in sorted(changes):
            now += change
            most = max(most, now)
        return most

    def _stay(self, number: int, name: str) -> tuple[float, float] | None:
        """From when to when a device has a value."""
        value, run = self.graph.values[number], self.simulation
        uses = [self.ran[t] for t in value.targets if self.where[t] == name]
        ends = [run.ends[use] for use in uses]
        if self.where[value.source] == name:
            made = self.ran[value.source]
            sent = self.moved.get((number, name), made)
            return run.starts[made], max([run.ends[made], run.ends[sent], *ends])
        return (run.starts[self.moved[number, name]], max(ends)) if uses else None

    def _port(self, number: int, name: str, before: int, first: bool) -> int:
        place = self.cluster.index[name]
        seconds = self.cluster.port_seconds(place, self.graph.values[number])
        queues = (
            (name,)
            if name not in self.cluster.ports
            else (name, self.cluster.ports[name].name)
        )
        if not seconds:
            queues = ()
        return self._move(number, name, seconds, queues, before, first)

    def _move(
        self,
        number: int,
        way: str,
        seconds: float,
        queues: tuple[str, ...],
        before: int,
        first: bool = False,
    ) -> int:
        key = (number, way)
        if key not in self.moved:
            cut_through = self.cluster.cut_through and not first and bool(queues)
            task = Task(f"value {number} by {way}", seconds, queues, crosses=not first)
            (task.along if cut_through else task.after).append(before)
            self.moved[key] = self.simulation.add(task)
        return self.moved[key]


def _sample(graph: WeightedGraph, cluster: Cluster, plan: Plan) -> _Sample:
    sample = _Sample(Simulation(), graph, cluster, plan)
    for name in plan.order:
        sample.operator(graph.index[name])
    return sample


def simulate_sample(graph: WeightedGraph, cluster: Cluster, plan: Plan) -> float:
    """The seconds from the start to the end of one sample under a plan."""
    simulation = _sample(graph, cluster, plan).simulation
    simulation.run()
    return simulation.makespan


def simulate_memory(
    graph: WeightedGraph, cluster: Cluster, plan: Plan
) -> dict[str, float]:
    """The most memory that each device uses in the course of one sample, in bytes."""
    sample = _sample(graph, cluster, plan)
    sample.simulation.run()
    return {device.name: sample.peak(device.name) for device in cluster.devices}


def simulate_stream(graph: WeightedGraph, cluster: Cluster, plan: Plan) -> float:
    """The seconds between samples once a long stream of them flows.

    Devices and links work in rounds. In each round they do every task once, each of a
    sample that came in as many rounds ago as values have crossed devices and links
    until the task. Averaged over rounds far from the first and the last.
    """
    one = _sample(graph, cluster, plan).simulation.tasks
    stages = _stages(one)
    depth = max(stages, default=0)
    samples = WARM_UP * (depth + 2)
    stream, numbers = Simulation(), [[-1] * len(one) for _ in range(samples)]
    in_turn = sorted(range(len(one)), key=lambda each: stages[each])
    for turn in range(samples + depth):
        for each in in_turn:
            sample = turn - stages[each]
            if 0 <= sample < samples:
                task = _of_sample(one[each], numbers[sample])
                numbers[sample][each] = stream.add(task)
    stream.run()
    first, last = samples // 2, samples - depth - 2
    ends = [max(stream.ends[n] for n in numbers[each]) for each in (first, last)]
    return (ends[1] - ends[0]) / (last - first)


WARM_UP = 12
"""How many times as many samples are run as lie between the first and the last round."""


def _stages(tasks: Sequence[Task]) -> list[int]:
    found: list[int] = []
    for task in tasks:
        before = max((found[other] for other in (*task.after, *task.along)), default=0)
        found.append(before + task.crosses)
    return found


def _of_sample(task: Task, numbers: Sequence[int]) -> Task:
    after = [numbers[other] for other in task.after]
    along = [numbers[other] for other in task.along]
    return Task(task.name, task.seconds, task.queues, after, along)


@dataclass(frozen=True, slots=True)
class PipelineRun:
    """How long a pipeline takes, its idle share, and the samples in flight by stage."""

    seconds: float
    bubble: float
    in_flight: tuple[int, ...]


def simulate_pipeline(
    forward: Sequence[float],
    backward: Sequence[float],
    micro_batches: int,
    schedule: Literal["gpipe", "1f1b"],
) -> PipelineRun:
    """A step of a pipeline whose stages take the given seconds for one micro-batch.

    `gpipe` runs all forward parts, then all backward parts (Huang et al., 2019). `1f1b`
    alternates once a stage has as many micro-batches as there are stages from it on
    (Narayanan et al., 2019). The bubble is the idle time of all stages as a share of
    their busy time; with equal stages it is (stages - 1) / micro-batches for both.
    """
    stages = len(forward)
    programs = [
        _program(schedule, stage, stages, micro_batches) for stage in range(stages)
    ]
    simulation = Simulation()
    numbers: dict[tuple[int, str, int], int] = {}
    for stage, program in enumerate(programs):
        for part, batch in program:
            seconds = (forward if part == "F" else backward)[stage]
            task = Task(f"{part}{batch} on {stage}", seconds, (str(stage),))
            numbers[stage, part, batch] = simulation.add(task)
    for (stage, part, batch), number in numbers.items():
        for needed in _needed(stage, part, stages):
            simulation.tasks[number].after.append(numbers[(*needed, batch)])
    simulation.run()
    busy = micro_batches * (sum(forward) + sum(backward))
    bubble = stages * simulation.makespan / busy - 1 if busy else 0.0
    flights = tuple(_most_in_flight(program) for program in programs)
    return PipelineRun(simulation.makespan, bubble, flights)


def simulate_ranks(
    ranks: Sequence[Sequence[tuple[str, int, int]]],
    seconds: Mapping[tuple[str, int], float],
) -> tuple[float, ...]:
    """When each rank of a pipeline ends, which runs parts in the order given.

    A part is `F`, `B`, or the halves `I` and `W` of the latter, with its stage and
    micro-batch; stages are numbered along the line. `seconds` gives the time of a part of
    a stage. Raises ValueError if parts wait for each other for ever.
    """
    simulation = Simulation()
    numbers: dict[tuple[str, int, int], int] = {}
    for rank, parts in enumerate(ranks):
        for part, stage, batch in parts:
            task = Task(f"{part}{batch}", seconds[part, stage], (str(rank),))
            numbers[part, stage, batch] = simulation.add(task)
    last = max(stage for _, stage, _ in numbers)
    for (part, stage, batch), number in numbers.items():
        after = simulation.tasks[number].after
        if part == "F" and stage:
            after.append(numbers["F", stage - 1, batch])
        if part in ("B", "I"):
            is_last = stage == last
            needed = ("F", stage, batch) if is_last else (part, stage + 1, batch)
            after.append(numbers[needed])
        if part == "W":
            after.append(numbers["I", stage, batch])
    simulation.run()
    ends = [[simulation.ends[numbers[part]] for part in parts] for parts in ranks]
    return tuple(max(each, default=0.0) for each in ends)


Program = list[tuple[str, int]]


def _program(schedule: str, stage: int, stages: int, micro_batches: int) -> Program:
    forward = [("F", batch) for batch in range(micro_batches)]
    backward = [("B", batch) for batch in range(micro_batches)]
    if schedule == "gpipe":
        return forward + backward
    ahead = min(stages - stage, micro_batches)
    steady = zip(backward, forward[ahead:], strict=False)
    alternating = [part for pair in steady for part in pair]
    return forward[:ahead] + alternating + backward[micro_batches - ahead :]


def _needed(stage: int, part: str, stages: int) -> list[tuple[int, str]]:
    if part == "F":
        return [(stage - 1, "F")] if stage else []
    return [(stage + 1, "B")] if stage + 1 < stages else [(stage, "F")]


def _most_in_flight(program: Program) -> int:
    most = now = 0
    for part, _ in program:
        now += 1 if part == "F" else -1
        most = max(most, now)
    return most
