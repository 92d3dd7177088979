"""PyTorch programs that run in stages: one process with several devices, or a pipeline of processes.

The stages are programs like any other (`nnspec.passes.stages`), each with a factory; tables of constants say
which they are, and texts of ours (`pipeline_torch.py`) run them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nnspec.analysis.sharding.plan import Style, TensorPlan
from nnspec.analysis.sharding.values import constant_values, static_values
from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Program, values_of
from nnspec.passes.stages import Copy, Stages, staged
from nnspec.pycode.expressions import Dict, Display, Expr, Literal, Name
from nnspec.pycode.statements import Assign, Import, Statement
from nnspec.records import dataclass
from nnspec.targets.engines.halves import undivided_stages
from nnspec.targets.engines.instances import blocks_of, module_paths
from nnspec.targets.engines.owners import with_owners
from nnspec.targets.engines.patterns import folded
from nnspec.targets.engines.shareable import shareable
from nnspec.targets.engines.text import verbatim
from nnspec.targets.engines.torch_sharded import (
    IMPORTS,
    MODULES,
    MeshShape,
    refuse_partial_statistics,
    split_text,
    styles_of,
    table_names,
    tensor_plan,
    value_names,
)
from nnspec.targets.engines.torch_sharded import TEXT as SHARING
from nnspec.targets.file import Engine, emit_programs
from nnspec.targets.writing.classes import factory_name

TEXT = "pipeline_torch"
SCHEDULES = (
    "GPipe",
    "1F1B",
    "Interleaved1F1B",
    "InterleavedZeroBubble",
    "ZBVZeroBubble",
)
"""The schedules of torch.distributed.pipelining that are emitted."""

SEVERAL = frozenset(SCHEDULES[2:])
"""Those that run several stages in each process."""

IN_HALVES = frozenset(SCHEDULES[3:])
"""Those that compute gradients of weights later than those of inputs."""

_IMPORTS = {
    "dist": Import("torch.distributed", alias="dist"),
    "PipelineStage": Import("torch.distributed.pipelining", ("PipelineStage",)),
    "get_schedule_class": Import(
        "torch.distributed.pipelining.schedules", ("get_schedule_class",)
    ),
}
_MODULES = frozenset(each.module for each in _IMPORTS.values())


def emit_on_devices(program: Program, stage_of: Sequence[int]) -> str:
    """One process that runs each stage on its device.

    `stage_of` gives the stage of each node of the main function. A weight that several stages read goes
    from stage to stage like any value.
    """
    stages = staged(program, with_owners(program, stage_of))
    constants = [_table("STAGES", _factories(stages))]
    engine = Engine(
        (*constants, *verbatim(TEXT, "OnDevices")),
        {},
        frozenset(),
        ("OnDevices",),
        f"`OnDevices(devices)` runs {len(stages.programs)} stages, one on each device.",
        whole=program.name,
    )
    return emit_programs(stages.programs, "torch", engine)


def emit_pipeline(
    program: Program,
    stage_of: Sequence[int],
    ranks: Sequence[int],
    schedule: str,
    shape: MeshShape | None = None,
) -> str:
    """A pipeline of processes: the rank that runs each stage, and the schedule of micro-batches.

    `shape` says how many processes share each stage, and how; the ranks are then places in the pipeline.
    Raises `SpecError` for a schedule that does not fit the ranks, for batch statistics, which would be
    those of micro-batches, and for shards under a schedule that the engine cannot run with them.
    """
    _check_schedule(ranks, schedule)
    pipeline = staged_plans(program, stage_of, shape or MeshShape(pipeline=2))
    shape, stages, plans = pipeline.shape, pipeline.stages, pipeline.plans
    refuse_partial_statistics(program, shape)
    _check_sharded(shape, schedule)
    undivided: tuple[int, ...] = ()
    if schedule in IN_HALVES:
        undivided = undivided_stages(program, stages.programs)
    flags = {**pipeline.flags, "KEEPS_WHOLE": bool(undivided)}
    meshed = flags["MESHED"]
    parts = ["Exchanged", "Pipeline", "ranks_of", "value_of", "whole_name"]
    parts += ["without_ids"] if flags["TAKES_IDS"] else []
    parts += ["Undivided"] if undivided else []
    engine = Engine(
        (
            *_pipeline_tables(stages, ranks, schedule, undivided),
            *_mesh_tables(pipeline),
            *verbatim(TEXT, *parts, flags=flags),
            *(_sharing(pipeline) if meshed else ()),
        ),
        _IMPORTS | IMPORTS,
        _MODULES | MODULES,
        ("Pipeline",),
        _header(pipeline, max(ranks) + 1),
        {"BLOCKS": list(pipeline.blocks)} if shape.shards else {},
        program.name,
    )
    programs = [shareable(plan) if meshed else plan.program for plan in plans]
    return emit_programs(programs, "torch", engine)


def _pipeline_tables(
    stages: Stages, ranks: Sequence[int], schedule: str, undivided: Sequence[int]
) -> list[Statement]:
    tied = [_copies(copies) for copies in stages.tied.values()]
    return [
        _table("STAGES", _factories(stages)),
        _table("RANKS", _tuple([Literal(rank) for rank in ranks])),
        _table("TIED", _tuple(tied)),
        _table("PATHS", _tuple([_paths(paths) for paths in stages.paths])),
        _table("SCHEDULE", Literal(schedule)),
        *(
            [_table("UNDIVIDED", _tuple([Literal(number) for number in undivided]))]
            if undivided
            else []
        ),
    ]


@dataclass(frozen=True)
class StagedPlans:
    """The stages of a program, what tensor parallelism splits in each, and the mesh of their processes."""

    stages: Stages
    plans: tuple[TensorPlan, ...]
    shape: MeshShape

    @property
    def blocks(self) -> Iterator[str]:
        """The blocks that FSDP2 gathers one by one, by the keys of their functions."""
        return blocks_of([plan.program for plan in self.plans])

    @property
    def flags(self) -> dict[str, bool]:
        """What decides the conditions of the text."""
        shape = self.shape
        embeds = any(Style.VOCABULARY in plan.styles.values() for plan in self.plans)
        return {
            "TAKES_IDS": any(map(_takes_ids, self.stages.programs[1:])),
            "MESHED": shape.data * shape.tensor > 1,
            "SPLITS": shape.tensor > 1,
            "SHARDS": shape.shards,
            "COPIES": shape.copies,
            "PACKS": any(plan.packed for plan in self.plans),
            "HOLDS_TABLES": any(plan.tables for plan in self.plans),
            "EMBEDS": embeds and not shape.shards,
            "REDUCES_ONCE": shape.shards and shape.sharded == "states",
            "GATHERS_ONCE": shape.shards and shape.sharded == "gradients",
        }


def _takes_ids(program: Program) -> bool:
    """Whether a stage is given numbers that mean places in a table, or truths, which not every number is."""
    types = program.main.types
    return any(not types[v].dtype.is_float for v in values_of(program.main.inputs))


def staged_plans(
    program: Program, stage_of: Sequence[int], shape: MeshShape
) -> StagedPlans:
    """The stages of a program on a mesh. A layer that several stages make is split in none of them.

    Raises `SpecError` (E1035) where nothing can be split over the tensor axis.
    """
    stages = staged(program, stage_of)
    whole = [
        {copy.path.rpartition(".")[0] or copy.path for copy in copies}
        for copies in stages.tied.values()
    ]
    kept = frozenset(path for paths in whole for path in paths)
    still = constant_values(program)[program.entry]
    same = static_values(program)[program.entry]
    plans = tuple(
        TensorPlan(each, shape.tensor, kept, still & given, same & given)
        for each in stages.programs
        for given in (set(values_of(each.main.inputs)),)
    )
    if shape.tensor > 1 and not any(plan.axes for plan in plans):
        tensor_plan(program, shape, kept)
    return StagedPlans(stages, plans, shape)


def _header(pipeline: StagedPlans, count: int) -> str:
    shape, stages = pipeline.shape, len(pipeline.plans)
    each = shape.data * shape.tensor
    start = f"start them with `torchrun --nproc-per-node {count * each}`."
    text = f"`Pipeline(loss, microbatches)` runs {stages} stages"
    if each == 1:
        return f"{text} in {count} processes: {start}"
    axes = ", ".join(f"{name} {size}" for name, size in shape.axes.items())
    lines = [f"{text} on a mesh ({axes}): {start}"]
    if shape.tensor > 1:
        lines += split_text(pipeline.plans)
    return "\n".join(lines)


def _mesh_tables(pipeline: StagedPlans) -> list[Statement]:
    shape = pipeline.shape
    if shape.data * shape.tensor == 1:
        return []
    mesh = Dict(tuple((name, Literal(size)) for name, size in shape.axes.items()))
    found: list[Statement] = [_table("MESH", mesh)]
    if shape.shards:
        found.append(_table("SHARDED", Literal(shape.sharded)))
    if shape.tensor > 1:
        found.append(
            _table("PLANS", _tuple([styles_of(plan) for plan in pipeline.plans]))
        )
    for name, tables in (
        ("PACKED", [plan.packed for plan in pipeline.plans]),
        ("TABLES", [plan.tables for plan in pipeline.plans]),
    ):
        if any(tables):
            found.append(_table(name, _numbered(pipeline, tables)))
    return found


def _numbered(pipeline: StagedPlans, tables: Sequence[Mapping[str, int]]) -> Dict:
    """Tables of all stages as one, by the number of the stage and patterns of paths."""
    entries = {
        f"{number}.{path}": entry
        for number, table in enumerate(tables)
        for path, entry in table.items()
    }
    known = [
        f"{number}.{path}"
        for number, plan in enumerate(pipeline.plans)
        for path in module_paths(plan.program)
    ]
    found = folded(entries, known).items()
    return Dict(tuple((path, Literal(entry)) for path, entry in found))


def _sharing(pipeline: StagedPlans) -> tuple[Statement, ...]:
    """What divides the weights of stages and puts them together."""
    flags, shape = pipeline.flags, pipeline.shape
    names = ["make_mesh", *(["shard"] if shape.shards else [])]
    names += ["divide_gradients"] if flags["EMBEDS"] else []
    names += ["average_gradients"] if shape.copies else []
    names += ["local", "share", "gathered"]
    names += table_names(pipeline.plans)
    names += ["make_copies_equal", "is_divided", *value_names(pipeline.plans)]
    return verbatim(SHARING, *names, flags=flags)


def _check_sharded(shape: MeshShape, schedule: str) -> None:
    """Zero-bubble schedules compute gradients of weights outside of the hooks with which FSDP2 scatters them."""
    if shape.shards and shape.sharded != "states" and schedule in IN_HALVES:
        raise SpecError(
            "E1031",
            f"{schedule} does not run with {shape.sharded} sharded over the data axis: {_LOST[shape.sharded]}",
            hint="place the model with `sharded=states`, which needs no more room under this schedule, since "
            "gradients of a whole stage are computed at once; or choose 1F1B or Interleaved1F1B",
        )


_LOST = {
    "gradients": "FSDP2 scatters what there is when gradients of inputs have been computed, so those of weights "
    "that are computed later stay behind, and shards get wrong ones or none",
    "weights": "FSDP2 has given the weights up before their gradients are computed, so they get none",
}


def _check_schedule(ranks: Sequence[int], schedule: str) -> None:
    if schedule not in SCHEDULES:
        raise SpecError(
            "E1031",
            f"there is no schedule named `{schedule}`",
            hint=f"there are: {', '.join(SCHEDULES)}",
        )
    count = max(ranks) + 1
    wanted = [_rank(number, count, schedule) for number in range(len(ranks))]
    if schedule in SEVERAL and list(ranks) != wanted:
        raise SpecError(
            "E1031",
            f"{schedule} on {count} processes runs the stages on the ranks {wanted}, not {list(ranks)}",
            hint="give each process as many stages as the others, in that order",
        )
    if schedule not in SEVERAL and sorted(ranks) != list(range(len(ranks))):
        raise SpecError(
            "E1031",
            f"{schedule} runs one stage in each process, and here are {len(ranks)} stages in {count}",
            hint="choose Interleaved1F1B for several stages in each process",
        )


def _rank(stage: int, ranks: int, schedule: str) -> int:
    """The rank of a stage: round after round, or (zero bubble in the form of a V) there and back."""
    if schedule == "ZBVZeroBubble":
        return stage if stage < ranks else 2 * ranks - 1 - stage
    return stage % ranks


# ---- tables -----------------------------------------------------------------------------------------


def _table(name: str, value: Expr) -> Assign:
    return Assign((Name(name),), value)


def _tuple(items: Sequence[Expr]) -> Display:
    return Display("tuple", tuple(items))


def _factories(stages: Stages) -> Display:
    return _tuple([Name(factory_name(program)) for program in stages.programs])


def _copies(copies: Sequence[Copy]) -> Display:
    pairs = (_tuple([Literal(copy.stage), Literal(copy.path)]) for copy in copies)
    return _tuple(list(pairs))


def _paths(paths: Mapping[str, str]) -> Dict:
    """Only where a stage calls an instance otherwise than the model does."""
    moved = {here: whole for here, whole in paths.items() if here != whole}
    return Dict(tuple((here, Literal(whole)) for here, whole in moved.items()))
