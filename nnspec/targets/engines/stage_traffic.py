"""What the processes of a pipeline send each other in a step, as `nnspec.targets.engines.communication` counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from nnspec.analysis.sharding.held import held_by_tensor
from nnspec.analysis.sharding.values import constant_values
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Size
from nnspec.ir.graph import Program, dotted, values_of
from nnspec.records import dataclass
from nnspec.targets.engines.communication import (
    ALL_REDUCE,
    SEND,
    Moved,
    Step,
    Traffic,
    added,
    bytes_of,
    refuse_unknown,
    times,
)
from nnspec.targets.engines.torch_sharded import MeshShape, tensor_plan
from nnspec.targets.engines.torch_stages import IN_HALVES, StagedPlans, staged_plans


@dataclass(frozen=True)
class PipelineStep:
    """A step of a pipeline: its stages, their places, the sizes of a micro-batch, the bytes of a float."""

    program: Program
    pipeline: StagedPlans
    ranks: Sequence[int]
    sizes: Mapping[str, Size]
    item: int = 4
    schedule: str | None = None

    def traffic(self, rank: int) -> dict[str, Moved]:
        """What each process at a place in the pipeline communicates in a step.

        Raises `SpecError` (E1036) where the engine's steps are not known.
        """
        refuse_unknown(self.program, self.pipeline.shape)
        self._refuse_halves()
        own = [number for number, place in enumerate(self.ranks) if place == rank]
        return added(*(self._stage(number) for number in own), self._tied(rank))

    def _refuse_halves(self) -> None:
        """A backward pass in halves computes a block again for each group of weights that the engine forms."""
        if self.pipeline.shape.tensor == 1 or self.schedule not in IN_HALVES:
            return
        for function in self.program.functions.values():
            for node in filter(self.program.recomputes, function.nodes):
                raise SpecError(
                    "E1036",
                    f"what processes send each other is not known for `{dotted(node.path)}`, which "
                    f"{self.schedule} computes again for each group of its weights",
                    node.location,
                    hint="choose 1F1B or Interleaved1F1B, or leave out `@checkpoint`",
                )

    def _stage(self, number: int) -> dict[str, Moved]:
        shape = self.pipeline.shape
        plan = self.pipeline.plans[number]
        step = Step(plan, shape, self.sizes, self.item)
        still = self._still() & set(values_of(plan.program.main.inputs))
        inner = added(self._sent(number), step.of_layers(still))
        return added(times(inner, shape.microbatches), step.of_weights())

    def _still(self) -> set[int]:
        """The values of the model that have no gradient."""
        given = set(values_of(self.program.main.inputs))
        return set(constant_values(self.program, given)[self.program.entry])

    def _sent(self, number: int) -> dict[str, Moved]:
        """For a micro-batch: values to the next stage, and gradients to the one before."""
        main = self.pipeline.stages.programs[number].main
        still, last = self._still(), len(self.ranks) - 1
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


def mesh_traffic(
    program: Program,
    shape: MeshShape,
    sizes: Mapping[str, Size],
    stages: tuple[Sequence[int], Sequence[int]] | None,
    schedule: str | None = None,
) -> tuple[Traffic, ...]:
    """What a process communicates in a step, at each place of the pipeline, with floats of 4 bytes.

    `stages` are the stage of each node and the place of each stage, where there is a pipeline.
    """
    if stages is None:
        plan = tensor_plan(program, shape)
        return (Step(plan, shape, sizes).traffic(),)
    stage_of, ranks = stages
    pipeline = staged_plans(program, stage_of, shape)
    step = PipelineStep(program, pipeline, ranks, sizes, schedule=schedule)
    return tuple(step.traffic(rank) for rank in range(max(ranks) + 1))
