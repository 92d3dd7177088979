"""What is run in several processes of PyTorch: models, meshes, schedules, and what is predicted of each."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from nnspec.analysis.sharding.plan import TensorPlan
from nnspec.placement.mesh.pipelines import Schedule, orders
from nnspec.spec import Spec
from nnspec.targets import emit
from nnspec.targets.engines.communication import Step, Traffic
from nnspec.targets.engines.shares import held
from nnspec.targets.engines.stage_traffic import PipelineStep
from nnspec.targets.engines.torch_sharded import MeshShape, emit_mesh
from nnspec.targets.engines.torch_stages import (
    StagedPlans,
    emit_pipeline,
    staged_plans,
)
from nnspec.targets.writing.classes import factory_name
from tests.engines.specs import (
    BLOCKS,
    LOST,
    MIXED,
    MLP,
    NESTED,
    SCORES,
    TWICE,
    UNET,
    bert,
    deep,
    even,
    gpt2,
    llama,
    recomputed,
    spec_of,
    swin,
    t5,
    translator,
)

SECONDS = 150
ITEM = 8
"""Bytes of a float: everything runs in float64."""

SPECS: Mapping[str, tuple[Callable[[], Spec], tuple[int, ...], int | Sequence[int]]] = {
    "bert": (bert, (4, 6), (40, 40, 1)),
    "recomputed": (lambda: spec_of(recomputed(MIXED)), (4, 6, 16), 0),
    "recomputed scores": (lambda: spec_of(recomputed(SCORES)), (4, 6, 16), 0),
    "scores": (lambda: spec_of(SCORES), (4, 6, 16), 0),
    "swin": (swin, (4, 3, 64, 64), 0),
    "t5": (t5, (4, 6), 40),
    "mlp": (lambda: spec_of(MLP), (8, 12), 0),
    "gpt2": (gpt2, (8, 10), 40),
    "llama": (llama, (8, 6), 40),
    "mixed": (lambda: spec_of(MIXED), (4, 6, 16), 0),
    "lost": (lambda: spec_of(LOST), (8, 8), 0),
    "blocks": (lambda: spec_of(BLOCKS), (8, 8), 0),
    "nested": (lambda: spec_of(NESTED), (4, 8), 0),
    "recomputed deep": (lambda: spec_of(deep(recomputed(MIXED))), (4, 6, 16), 0),
    "chain": (lambda: spec_of(MLP.replace("range(3)", "range(4)")), (8, 12), 0),
    "translator": (translator, (4, 6), 40),
    "twice": (lambda: spec_of(TWICE), (4, 8), 0),
    "unet": (lambda: spec_of(UNET), (8, 3, 8, 12), 0),
}
"""A model, the shape of its inputs, and below what they are: 0 for any numbers, 1 for truths; one for each."""
SIZES: Mapping[str, dict[str, int]] = {
    "bert": {"T": 6},
    "recomputed": {"T": 6},
    "recomputed scores": {},
    "scores": {},
    "twice": {},
    "swin": {},
    "t5": {"S": 6, "T": 6},
    "mlp": {},
    "gpt2": {"T": 10},
    "llama": {"T": 6},
    "mixed": {"T": 6},
    "lost": {},
    "blocks": {},
    "nested": {},
    "recomputed deep": {"T": 6},
    "chain": {},
    "translator": {"S": 6, "T": 6},
    "unet": {"H": 8, "W": 12},
}


@dataclass(frozen=True)
class Run:
    """A model on a mesh; with a schedule, its stages have these places in the pipeline.

    `is_lost` says that nnspec refuses it, because the engine computes something else; it is emitted all the same.
    """

    name: str
    shape: MeshShape
    schedule: str | None = None
    ranks: Sequence[int] = ()
    is_lost: bool = False

    @property
    def spec(self) -> Spec:
        return SPECS[self.name][0]()

    @property
    def sizes(self) -> dict[str, int]:
        """Of a micro-batch in one process."""
        batch = SPECS[self.name][1][0] // self.shape.data // self.shape.microbatches
        return {**SIZES[self.name], "B": batch}

    def source(self, spec: Spec) -> str:
        if self.schedule is None:
            return emit_mesh(spec.program, self.shape)
        stages = even(spec, len(self.ranks))
        refusal = f"{emit_pipeline.__module__}._check_sharded"
        with patch(refusal) if self.is_lost else nullcontext():
            return emit_pipeline(
                spec.program, stages, self.ranks, self.schedule, self.shape
            )

    def job(self, folder: Path, number: int) -> dict[str, Any]:
        spec = self.spec
        model, program = folder / f"model{number}.py", folder / f"program{number}.py"
        model.write_text(emit(spec.program, "torch"))
        program.write_text(self.source(spec))
        _, shape, below = SPECS[self.name]
        count = len(spec.program.main.inputs)
        ids = [below] * count if isinstance(below, int) else list(below)
        return {
            "kind": self.kind,
            "model": str(model),
            "program": str(program),
            "factory": factory_name(spec.program),
            "shape": shape,
            "ids": ids,
            "processes": self.shape.processes,
            "copies": self.shape.copies,
            "microbatches": self.shape.microbatches,
        }

    @property
    def kind(self) -> str:
        """What the processes do with it."""
        if self.is_lost:
            return "lost"
        return "mesh" if self.schedule is None else "pipeline"

    def place(self, rank: int) -> tuple[int, int]:
        """Where a process stands in the pipeline and on the data axis."""
        rest, _ = divmod(rank, self.shape.tensor)
        return divmod(rest, self.shape.data)

    def plans(self, spec: Spec) -> StagedPlans:
        return staged_plans(spec.program, even(spec, len(self.ranks)), self.shape)

    def shapes(self, rank: int) -> dict[str, list[int]]:
        """What is predicted that a process holds of each weight."""
        spec, (stage, data) = self.spec, self.place(rank)
        if self.schedule is None:
            plan = TensorPlan(spec.program, self.shape.tensor)
            return {n: list(s) for n, s in held(plan, self.shape, data).items()}
        plans = self.plans(spec).plans
        return {
            f"{number}.{name}": list(shape)
            for number, place in enumerate(self.ranks)
            if place == stage
            for name, shape in held(plans[number], self.shape, data).items()
        }

    def traffic(self, rank: int) -> Traffic:
        """What is predicted that a process communicates in a step."""
        spec, (stage, _) = self.spec, self.place(rank)
        if self.schedule is None:
            plan = TensorPlan(spec.program, self.shape.tensor)
            return Step(plan, self.shape, self.sizes, ITEM).traffic()
        step = PipelineStep(
            spec.program,
            self.plans(spec),
            self.ranks,
            self.orders,
            self.sizes,
            ITEM,
        )
        return step.traffic(stage)

    @property
    def orders(self) -> list[list[tuple[str, int]]]:
        """What each place of the pipeline runs, as placement has it."""
        ranks, rounds = self.shape.pipeline, len(self.ranks) // self.shape.pipeline
        schedule = cast("Schedule", self.schedule)
        found = orders(schedule, ranks, rounds, self.shape.microbatches)
        return [[(part, stage) for part, stage, _ in order] for order in found]


def launched(folder: Path, runs: Sequence[Run]) -> list[list[dict[str, Any]]]:
    """What each process says of each run; all runs have as many processes."""
    said = launched_jobs(folder, [run.job(folder, n) for n, run in enumerate(runs)])
    return [list(each) for each in zip(*said, strict=True)]


def launched_jobs(
    folder: Path, jobs: Sequence[dict[str, Any]]
) -> list[list[dict[str, Any]]]:
    """For each process what it says of each job."""
    path = folder / "jobs.json"
    path.write_text(json.dumps(jobs))
    worker = str(Path(__file__).with_name("torch_worker.py"))
    done = subprocess.run(
        [sys.executable, worker, str(path)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    count = jobs[0]["processes"]
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(count)]
