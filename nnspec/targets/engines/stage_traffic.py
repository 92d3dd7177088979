"""What the processes of a pipeline send each other in a step, as `nnspec.targets.engines.communication` counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from functools import cached_property
from itertools import islice
from math import prod

from nnspec.analysis.sharding.held import held_by_tensor
from nnspec.ir.dims import Size
from nnspec.ir.graph import Program, values_of
from nnspec.records import dataclass
from nnspec.targets.engines.communication import (
    ALL_REDUCE,
    SEND,
    Moved,
    Step,
    Traffic,
    added,
    bytes_of,
    times,
)
from nnspec.targets.engines.halves import without_gradient
from nnspec.targets.engines.torch_sharded import MeshShape, tensor_plan
from nnspec.targets.engines.torch_stages import StagedPlans, staged_plans


@dataclass(frozen=True)
class PipelineStep:
    """A step of a pipeline: its stages, their places, the sizes of a micro-batch, the bytes of a float.

    `orders` gives for each place what it runs, in order: the letter of a pass (F forward, B back, I and W for the
    halves of that, gradients of inputs and of weights) and the stage.
    """

    program: Program
    pipeline: StagedPlans
    ranks: Sequence[int]
    orders: Sequence[Sequence[tuple[str, int]]]
    sizes: Mapping[str, Size]
    item: int = 4

    def traffic(self, rank: int) -> dict[str, Moved]:
        """What each process at a place in the pipeline communicates in a step.

        Raises `SpecError` (E1105) while a size is open.
        """
        own = [number for number, place in enumerate(self.ranks) if place == rank]
        return added(*(self._stage(number) for number in own), self._tied(rank))

    def _stage(self, number: int) -> dict[str, Moved]:
        shape = self.pipeline.shape
        plan = self.pipeline.plans[number]
        step = Step(
            plan,
            shape,
            self.sizes,
            self.item,
            self._blocks,
            self._parts(number),
            fetches(self.orders[self.ranks[number]], number),
        )
        still = self._still & set(values_of(plan.program.main.inputs))
        inner = added(self._sent(number), step.of_layers(still))
        return added(times(inner, shape.microbatches), step.of_weights(still))

    def _parts(self, number: int) -> str:
        """The passes of a stage; those in halves end with the gradients of weights."""
        order = self.orders[self.ranks[number]]
        parts = "".join(part for part, stage in order if stage == number)
        return parts.replace("I", "").replace("W", "B")

    @cached_property
    def _blocks(self) -> frozenset[str]:
        return frozenset(self.pipeline.blocks)

    @cached_property
    def _still(self) -> Set[int]:
        return without_gradient(self.program)

    def _sent(self, number: int) -> dict[str, Moved]:
        """For a micro-batch: values to the next stage, and gradients to the one before."""
        main = self.pipeline.stages.programs[number].main
        still, last = self._still, len(self.ranks) - 1
        ahead = list(values_of(main.outputs)) if number < last else []
        back = list(values_of(main.inputs)) if number else []
        back = [value for value in back if value not in still]
        if ahead and self.ranks[number + 1] == self.ranks[number]:
            ahead = []
        if back and self.ranks[number - 1] == self.ranks[number]:
            back = []
        sizes = [
            bytes_of(main.types[v], self.sizes, self.item) for v in (*ahead, *back)
        ]
        return {SEND: Moved(len(sizes), sum(sizes))} if sizes else {}

    def _tied(self, rank: int) -> dict[str, Moved]:
        """Each shared weight, summed once over the places that hold it, of what one process has of it."""
        found = [
            self._copy_bytes(copies[0].stage, copies[0].path)
            for copies in self.pipeline.stages.tied.values()
            if any(self.ranks[copy.stage] == rank for copy in copies)
        ]
        return {ALL_REDUCE: Moved(len(found), sum(found))} if found else {}

    def _copy_bytes(self, stage: int, path: str) -> int:
        shape, plan = self.pipeline.shape, self.pipeline.plans[stage]
        whole = held_by_tensor(plan)[path]
        rows = -(-whole[0] // shape.data) if shape.shards else whole[0]
        return self.item * rows * prod(whole[1:])


def fetches(order: Sequence[tuple[str, int]], stage: int) -> int:
    """How often a schedule of several stages has one gathered whose states are sharded.

    Of all stages of a process the weights of three are there, those that run next
    (`_add_unshard_reshard` in `torch.distributed.pipelining.schedules`).
    """
    there: set[int] = set()
    count = 0
    stages = [each for _, each in order]
    for place in range(len(stages)):
        coming = _next_stages(stages, place)
        count += stage in coming and stage not in there
        there = coming
    return count


def _next_stages(stages: Sequence[int], place: int) -> set[int]:
    found: set[int] = set()
    for stage in islice(stages, place, None):
        found.add(stage)
        if len(found) == _AT_ONCE:
            break
    return found


_AT_ONCE = 3


def mesh_traffic(
    program: Program,
    shape: MeshShape,
    sizes: Mapping[str, Size],
    stages: tuple[Sequence[int], Sequence[int]] | None = None,
    orders: Sequence[Sequence[tuple[str, int]]] = (),
) -> tuple[Traffic, ...]:
    """What a process communicates in a step, at each place of the pipeline, with floats of 4 bytes.

    `stages` are the stage of each node and the place of each stage, where there is a pipeline, and `orders`
    what each place runs (see `PipelineStep`).
    """
    if stages is None:
        plan = tensor_plan(program, shape)
        return (Step(plan, shape, sizes).traffic(),)
    stage_of, ranks = stages
    pipeline = staged_plans(program, stage_of, shape)
    step = PipelineStep(program, pipeline, ranks, orders, sizes)
    return tuple(step.traffic(rank) for rank in range(max(ranks) + 1))
