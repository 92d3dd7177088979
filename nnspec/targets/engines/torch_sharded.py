"""PyTorch programs for a mesh of processes: FSDP2, split layers (DTensor), copies, and combinations.

What runs them is text of ours (`sharded_torch.py`), of which a program has what its mesh needs.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal as Choice

from nnspec.analysis.sharding.plan import Style, TensorPlan
from nnspec.analysis.sharding.reasons import reasons_of
from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Program
from nnspec.ops.normalization import BatchNorm
from nnspec.pycode.expressions import Call, Dict, Display, Expr, Literal, Name
from nnspec.pycode.statements import Assign, Import, Statement
from nnspec.records import dataclass
from nnspec.targets.engines.instances import blocks_of, instances, module_paths
from nnspec.targets.engines.patterns import folded
from nnspec.targets.engines.shareable import shareable
from nnspec.targets.engines.text import verbatim
from nnspec.targets.file import Engine, emit_programs
from nnspec.targets.writing.classes import factory_name

TEXT = "sharded_torch"
Sharded = Choice["nothing", "states", "gradients", "weights"]

_PARALLEL = "torch.distributed.tensor.parallel"
_DEVICES = "torch.distributed.device_mesh"
_FSDP = "torch.distributed.fsdp"
_TENSOR = "torch.distributed.tensor"
IMPORTS = {
    "dist": Import("torch.distributed", alias="dist"),
    **{n: Import(_DEVICES, (n,)) for n in ("DeviceMesh", "init_device_mesh")},
    **{
        name: Import(_FSDP, (name,))
        for name in ("FSDPModule", "MixedPrecisionPolicy", "fully_shard")
    },
    **{
        name: Import(_TENSOR, (name,))
        for name in ("DTensor", "Partial", "Replicate", "Shard", "distribute_tensor")
    },
    **{
        name: Import(_PARALLEL, (name,))
        for name in (
            "ColwiseParallel",
            "PrepareModuleInput",
            "PrepareModuleOutput",
            "RowwiseParallel",
            "parallelize_module",
        )
    },
}
MODULES = frozenset(each.module for each in IMPORTS.values())


@dataclass(frozen=True)
class MeshShape:
    """How many processes stand along each axis, what those along "data" share, and the micro-batches."""

    data: int = 1
    tensor: int = 1
    pipeline: int = 1
    sharded: Sharded = "nothing"
    microbatches: int = 1

    @property
    def processes(self) -> int:
        """All of them."""
        return self.data * self.tensor * self.pipeline

    @property
    def axes(self) -> dict[str, int]:
        """The axes that are there, the last of which runs fastest."""
        found = {"pipeline": self.pipeline, "data": self.data, "tensor": self.tensor}
        return {name: size for name, size in found.items() if size > 1}

    @property
    def shards(self) -> bool:
        """Whether FSDP2 shards weights over the data axis."""
        return self.data > 1 and self.sharded != "nothing"

    @property
    def copies(self) -> bool:
        """Whether processes along the data axis hold the same weights."""
        return self.data > 1 and not self.shards

    @property
    def holds(self) -> bool:
        """Whether weights, once they are gathered, stay so until the last micro-batch."""
        return self.shards and self.sharded != "weights"


def emit_mesh(program: Program, shape: MeshShape) -> str:
    """The program of a mesh without a pipeline: `make_mesh`, `build` and `step`.

    Raises `SpecError` for a single process, for batch statistics that would be those of a part of the batch,
    and where nothing can be split.
    """
    _require_several(program, shape)
    refuse_partial_statistics(program, shape)
    plan = tensor_plan(program, shape)
    names = ["make_mesh", *(["build", "shard"] if shape.shards else ["build_copy"])]
    flags = flags_of(shape, plan)
    if flags["EMBEDS"] and not shape.shards:
        names.append("divide_gradients")
    names += [_step(shape), "micro_batches"]
    names += [*(["average_gradients"] if shape.copies else []), *sharing(plan)]
    engine = Engine(
        (
            *_tables(shape),
            *plan_tables(plan),
            *verbatim(TEXT, *names, flags=flags, called=_CALLED),
        ),
        IMPORTS,
        MODULES,
        ("build", "load", "make_mesh", "step", "whole_weights"),
        header(program, shape, plan),
        {"BLOCKS": list(blocks_of([program]))} if shape.shards else {},
    )
    return emit_programs([shareable(plan)], "torch", engine)


_CALLED = {"build_copy": "build", "step_holding": "step", "step_of_copies": "step"}


def _step(shape: MeshShape) -> str:
    if shape.copies:
        return "step_of_copies"
    return "step_holding" if shape.holds else "step"


def flags_of(shape: MeshShape, plan: TensorPlan) -> dict[str, bool]:
    """What decides the conditions of the text."""
    return {
        "SPLITS": shape.tensor > 1,
        "SHARDS": shape.shards,
        "PACKS": bool(plan.packed),
        "EMBEDS": Style.VOCABULARY in plan.styles.values(),
        "HOLDS_TABLES": bool(plan.tables),
        "REDUCES_ONCE": shape.sharded == "states",
    }


def tensor_plan(
    program: Program, shape: MeshShape, whole: frozenset[str] = frozenset()
) -> TensorPlan:
    """What the tensor axis splits. Raises `SpecError` (E1035) where it would split nothing."""
    plan = TensorPlan(program, shape.tensor, whole)
    if shape.tensor > 1 and not plan.axes:
        raise SpecError(
            "E1035",
            f"no layer of {program.name} can be split over {shape.tensor} processes",
            program.main.location,
            hint="place the model with `tensor=1`",
        )
    return plan


def sharing(plan: TensorPlan) -> list[str]:
    """The functions of the text that divide weights and put them together."""
    heads = plan.functions[plan.program.entry].heads
    tied = any(len(list(plan.program.main.nodes[n].values())) == 2 for n in heads)
    return [
        *("load", "whole_weights", "local", "share", "gathered"),
        *table_names([plan]),
        *("make_copies_equal", "is_divided"),
        *(["split_linear"] if plan.devices > 1 and tied else []),
        *value_names([plan]),
    ]


def table_names(plans: Sequence[TensorPlan]) -> list[str]:
    """The functions of the text that look into tables of weights."""
    packs = any(plan.packed for plan in plans)
    holds = any(plan.tables for plan in plans)
    names = ["interleaved", "stretches_of"] if packs else []
    names += ["divide_tables"] if holds else []
    return [*names, *(["entry_of"] if names else [])]


def value_names(plans: Sequence[TensorPlan]) -> list[str]:
    """The functions of the text that blocks call for what their shares read and draw."""
    parts = [p for plan in plans for f in plan.functions.values() for p in f.parts]
    wanted = {
        "own_share": any(part.taken for part in parts),
        "summed": any(part.summed for part in parts),
        "drawn_apart": any(part.apart for part in parts),
    }
    return [name for name, is_wanted in wanted.items() if is_wanted]


# ---- refusals -----------------------------------------------------------------------------------------


def _require_several(program: Program, shape: MeshShape) -> None:
    if shape.processes == 1:
        raise SpecError(
            "E1018",
            f"the plan of {program.name} is for one device, and needs no program for several",
            hint="compile without `--plan`",
        )


def refuse_partial_statistics(program: Program, shape: MeshShape) -> None:
    """Raises `SpecError` if a layer normalises over a batch of which each process runs a part."""
    for function in program.functions.values():
        for node in function.nodes:
            if not isinstance(node.op, BatchNorm) or node.marks.frozen:
                continue
            if shape.microbatches > 1 or shape.pipeline > 1:
                raise SpecError(
                    "E1030",
                    "batch normalisation under micro-batches takes the statistics of each "
                    "micro-batch, so the program would compute something else",
                    node.location,
                    hint="use GroupNorm or LayerNorm, freeze it, or place the model "
                    f"{'without a pipeline' if shape.pipeline > 1 else 'with `microbatches=1`'}",
                )
            if shape.data > 1:
                raise SpecError(
                    "E1034",
                    "batch normalisation over a data axis takes the statistics of each "
                    "process's part of the batch, so the program would compute something else",
                    node.location,
                    hint="use GroupNorm or LayerNorm, freeze it, or place the model with `data=1`",
                )


# ---- tables -------------------------------------------------------------------------------------------


def _tables(shape: MeshShape) -> list[Statement]:
    mesh = Dict(tuple((name, Literal(size)) for name, size in shape.axes.items()))
    found: list[Statement] = [
        Assign((Name("MESH"),), mesh),
        Assign((Name("MICROBATCHES"),), Literal(shape.microbatches)),
    ]
    if shape.shards:
        found.append(Assign((Name("SHARDED"),), Literal(shape.sharded)))
    return found


def plan_tables(plan: TensorPlan) -> list[Statement]:
    """`PLAN`, what is done to which module, and `PACKED`, the stretches of those that have several."""
    if plan.devices == 1:
        return []
    found: list[Statement] = [Assign((Name("PLAN"),), styles_of(plan))]
    if plan.packed:
        found.append(Assign((Name("PACKED"),), packed_of(plan)))
    if plan.tables:
        known = list(module_paths(plan.program))
        entries = folded(plan.tables, known).items()
        table = Dict(tuple((path, Literal(axis)) for path, axis in entries))
        found.append(Assign((Name("TABLES"),), table))
    return found


def packed_of(plan: TensorPlan) -> Dict:
    """The layers whose rows are split in stretches."""
    known = list(module_paths(plan.program))
    entries = folded(plan.packed, known).items()
    return Dict(tuple((path, Literal(count)) for path, count in entries))


def styles_of(plan: TensorPlan) -> Dict:
    """What the engine does to which module."""
    known = list(module_paths(plan.program))
    made = {path: _style(plan, path, style) for path, style in plan.styles.items()}
    return Dict(tuple(folded(made, known).items()))


def _style(plan: TensorPlan, path: str, style: Style) -> Expr:
    whole = Call(Name("Replicate"))
    match style:
        case Style.COLUMNS:
            return Name("ColwiseParallel")()
        case Style.ROWS:
            return Name("RowwiseParallel")()
        case Style.VOCABULARY:
            return Name("RowwiseParallel")(input_layouts=whole)
        case Style.HEAD:
            return Name("ColwiseParallel")(output_layouts=whole)
        case Style.LEAVING:
            return Name("PrepareModuleOutput")(
                output_layouts=whole,
                desired_output_layouts=whole,
                use_local_output=False,
            )
        case Style.ENTERING:
            taken = Display("tuple", tuple(_entering(plan, path)))
            return Name("PrepareModuleInput")(
                input_layouts=taken, desired_input_layouts=taken
            )


def _entering(plan: TensorPlan, path: str) -> Iterator[Expr]:
    function = dict(instances(plan.program))[path]
    values = plan.together(function)
    for port in function.inputs:
        if port.values is not None:
            yield Call(Name("Replicate")) if port.values in values else Literal(None)


# ---- documentation ------------------------------------------------------------------------------------


def header(program: Program, shape: MeshShape, plan: TensorPlan) -> str:
    """How the program is started, what is split, and what every process holds as a whole."""
    axes = ", ".join(f"{name} {size}" for name, size in shape.axes.items())
    lines = [
        f"For {shape.processes} processes ({axes}): `torchrun --nproc-per-node {shape.processes}`.",
        f"`build({factory_name(program)}, make_mesh())` gives the share of each, and `step` its",
        "gradients.",
    ]
    lines[1:] = [" ".join(lines[1:])]
    if shape.tensor > 1:
        lines += split_text([plan])
    return "\n".join(lines)


def split_text(plans: Sequence[TensorPlan]) -> Iterator[str]:
    """The layers that are split and those that are not, of all stages, by patterns of their paths."""
    split: dict[str, bool] = {}
    whole: dict[str, str] = {}
    for plan in plans:
        known = list(module_paths(plan.program))
        styles = plan.styles.items()
        own = {path: True for path, style in styles if style not in _BORDERS}
        own |= dict.fromkeys(plan.tables, True)
        split |= folded(own, known)
        whole |= folded(reasons_of(plan), known)
    yield from _listed('Split over "tensor":', split)
    yield "Whole in every process:"
    for reason in dict.fromkeys(whole.values()):
        paths = [path for path, own in whole.items() if own == reason]
        yield from _wrapped(f"- {', '.join(paths)}: {reason}.", "    ")


_BORDERS = (Style.ENTERING, Style.LEAVING)


def _listed(title: str, paths: Iterable[str]) -> Iterator[str]:
    """A title and names in lines of a docstring."""
    yield from _wrapped(f"{title} {', '.join(paths)}.", "    ")


def _wrapped(text: str, indent: str) -> list[str]:
    """Text in lines of a docstring; names stay whole."""
    return textwrap.wrap(
        text,
        80,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
