"""PyTorch programs that run in stages: one process with several devices, or a pipeline of processes.

The stages are programs like any other (`nnspec.passes.stages`), each with a factory; tables of constants say
which they are, and texts of ours (`pipeline_torch.py`) run them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Program
from nnspec.ops.normalization import BatchNorm
from nnspec.passes.stages import Copy, Stages, staged
from nnspec.pycode.expressions import Dict, Display, Expr, Literal, Name
from nnspec.pycode.statements import Assign, Import, Statement
from nnspec.targets.classes import factory_name
from nnspec.targets.engines.owners import with_owners
from nnspec.targets.engines.text import verbatim
from nnspec.targets.file import Engine, emit_programs

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
    )
    return emit_programs(stages.programs, "torch", engine)


def emit_pipeline(
    program: Program, stage_of: Sequence[int], ranks: Sequence[int], schedule: str
) -> str:
    """A pipeline of processes: the rank that runs each stage, and the schedule of micro-batches.

    Raises `SpecError` for a schedule that does not fit the ranks, and for batch statistics, which would be
    those of micro-batches.
    """
    _check_schedule(ranks, schedule)
    refuse_batch_statistics(program)
    stages = staged(program, stage_of)
    tied = list(stages.tied.values())
    tables: list[Statement] = [
        _table("STAGES", _factories(stages)),
        _table("RANKS", _tuple([Literal(rank) for rank in ranks])),
        _table("TIED", _tuple([_copies(copies) for copies in tied])),
        _table("PATHS", _tuple([_paths(paths) for paths in stages.paths])),
        _table("SCHEDULE", Literal(schedule)),
    ]
    engine = Engine(
        (
            *tables,
            *verbatim(TEXT, "Exchanged", "Pipeline", "tied_group", "whole_name"),
        ),
        _IMPORTS,
        _MODULES,
        ("Pipeline",),
        f"`Pipeline(loss, microbatches)` runs {len(ranks)} stages in {max(ranks) + 1} processes: "
        f"start them with `torchrun --nproc-per-node {max(ranks) + 1}`.",
    )
    return emit_programs(stages.programs, "torch", engine)


def refuse_batch_statistics(program: Program) -> None:
    """Raises `SpecError` if a layer normalises over the batch, which micro-batches would split."""
    for function in program.functions.values():
        for node in function.nodes:
            if isinstance(node.op, BatchNorm) and not node.marks.frozen:
                raise SpecError(
                    "E1030",
                    "batch normalisation under micro-batches takes the statistics of each "
                    "micro-batch, so the program would compute something else",
                    node.location,
                    hint="use GroupNorm or LayerNorm, freeze it, or place the model without a pipeline",
                )


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
