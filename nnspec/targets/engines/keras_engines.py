"""Keras programs for several devices: stages and copies on TensorFlow, shards on JAX.

Keras accepts any engine on any backend and ignores what that backend does not have, so each emitter is
told the backend, and refuses all but its own; the programs ask once more when they run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from nnspec.analysis.sharding.plan import TensorPlan
from nnspec.diagnostics import SpecError
from nnspec.ir.graph import Program, values_of
from nnspec.ops.normalization import BatchNorm
from nnspec.passes.stages import Stages, staged
from nnspec.pycode.expressions import Dict, Display, Expr, Literal, Name
from nnspec.pycode.statements import Assign, Import
from nnspec.targets.engines.owners import with_owners
from nnspec.targets.engines.text import verbatim
from nnspec.targets.engines.torch_sharded import MeshShape
from nnspec.targets.file import Engine, emit_programs, is_function
from nnspec.targets.layout import Permutation, layouts, logical
from nnspec.targets.weights import WeightEntry, weight_map
from nnspec.targets.writing.classes import factory_name

TEXT = "distributed_keras"
_TENSORFLOW = {"tf": Import("tensorflow", alias="tf")}
_DISTRIBUTION = {"distribution": Import("keras", ("distribution",))}
_CHECKED = ("built", "check_shards", "shard_bytes")
_SPLIT = "model"
"""The axis of the mesh that splits layers."""


def emit_on_devices(
    program: Program, stage_of: Sequence[int], backend: str = "tensorflow"
) -> str:
    """A model that runs each stage on its device, in one process.

    `stage_of` gives the stage of each node of the main function. A weight that several stages read goes
    from stage to stage like any value. Raises `SpecError` for a layer that several stages apply.
    """
    _require_backend("the placement of single operators", "tensorflow", backend)
    stages = staged(program, with_owners(program, stage_of))
    factories = _tuple([Name(factory_name(each)) for each in stages.programs])
    orders = _tuple([_tuple([*map(_order, each)]) for each in _orders(program, stages)])
    tables = (
        Assign((Name("STAGES"),), factories),
        Assign((Name("ORDERS"),), orders),
        Assign((Name("PATHS"),), _tuple([*_moved_paths(program, stages)])),
    )
    parts = ("require_backend", "OnDevice", "OnDevices", "whole_path", "ordered")
    engine = Engine(
        (*tables, *verbatim(TEXT, *parts)),
        _TENSORFLOW,
        frozenset({"tensorflow"}),
        ("OnDevices",),
        f"`OnDevices(devices)` runs {len(stages.programs)} stages, one on each device, on TensorFlow.",
        whole=program.name,
    )
    return emit_programs(stages.programs, "keras", engine)


def emit_mirrored(program: Program, backend: str = "tensorflow") -> str:
    """The program with `mirrored`, which compiles a copy of the model for each device.

    Raises `SpecError` for batch statistics, which would be those of each copy's part.
    """
    _require_backend("MirroredStrategy", "tensorflow", backend)
    _refuse_batch_statistics(program)
    engine = Engine(
        (_model(program), *verbatim(TEXT, "require_backend", "mirrored")),
        _TENSORFLOW,
        frozenset({"tensorflow"}),
        ("mirrored",),
        "`mirrored(optimizer, loss, batch_size)` trains a copy on each device, on TensorFlow.",
    )
    return emit_programs([program], "keras", engine)


def emit_data_parallel(program: Program, backend: str = "jax") -> str:
    """The program with `data_parallel`, which copies the model to each device and splits batches over them.

    The arrays stay whole for the program, so batch statistics are those of the whole batch.
    """
    _require_backend("keras.distribution", "jax", backend)
    parts = ("require_backend", "data_parallel", *_CHECKED)
    engine = Engine(
        (_model(program), _options(program), *verbatim(TEXT, *parts)),
        _DISTRIBUTION,
        frozenset(),
        ("data_parallel", "shard_bytes"),
        "`data_parallel(sample)` puts a copy of the model on each device, on JAX.",
    )
    return emit_programs([program], "keras", engine)


def emit_model_parallel(program: Program, shards: int, backend: str = "jax") -> str:
    """The program with `model_parallel`, which splits layers into `shards`, and batches over the rest.

    Raises `SpecError` where the model has no layer that can be split so.
    """
    _require_backend("keras.distribution.ModelParallel", "jax", backend)
    axes = layouts_of(program, shards)
    if not axes:
        raise SpecError(
            "E1035",
            f"no layer of {program.name} can be split into {shards} shards",
            program.main.location,
            hint="place the model with `tensor=1`",
        )
    prefix = "" if is_function(program) else f"{factory_name(program)}/"
    tables = (
        _model(program),
        _options(program),
        Assign((Name("SHARDS"),), Literal(shards)),
        Assign((Name("LAYOUTS"),), _layouts(prefix, axes)),
    )
    parts = ("require_backend", "model_parallel", *_CHECKED)
    engine = Engine(
        (*tables, *verbatim(TEXT, *parts)),
        _DISTRIBUTION,
        frozenset(),
        ("model_parallel", "shard_bytes"),
        f"`model_parallel(sample)` splits the model over {shards} devices, on JAX, and batches\n"
        "over groups of as many.",
    )
    return emit_programs([program], "keras", engine)


def emit_keras_mesh(program: Program, shape: MeshShape, backend: str | None) -> str:
    """The program of a mesh: copies of a model, or layers that are split.

    Without a backend it is JAX, whose engine has both. Raises `SpecError` for a mesh that Keras has no
    engine for, here or on the backend.
    """
    missing = _missing(shape)
    if missing is not None:
        raise SpecError(
            "E1018",
            f"Keras has no engine for a mesh with {missing}",
            hint="place the model with `--mesh pipeline=1,sharded=nothing,microbatches=1`, "
            "or compile for torch",
        )
    if shape.tensor > 1:
        return emit_model_parallel(program, shape.tensor, backend or "jax")
    if backend == "tensorflow":
        return emit_mirrored(program, backend)
    return emit_data_parallel(program, backend or "jax")


def _missing(shape: MeshShape) -> str | None:
    if shape.processes == 1:
        return "one device"
    if shape.pipeline > 1:
        return f"a pipeline of {shape.pipeline} stages"
    if shape.shards:
        return f"{shape.sharded} sharded over the data axis"
    return f"{shape.microbatches} micro-batches" if shape.microbatches > 1 else None


# ---- what is where ------------------------------------------------------------------------------------


def layouts_of(program: Program, shards: int) -> dict[str, tuple[str | None, ...]]:
    """The axes of the mesh that split the variables of a model, by their paths below the model's name.

    Kernels are [in, out]: what is split by columns is split along the second axis, with its bias.
    """
    split = TensorPlan(program, shards).axes
    found: dict[str, tuple[str | None, ...]] = {}
    for entry in weight_map(program):
        (source, *others) = entry.sources
        if source in split and not others:
            axis = split[source]
            along = len(entry.shape) - 1 - axis if entry.steps else axis
            found[entry.variable] = tuple(
                _SPLIT if place == along else None for place in range(len(entry.shape))
            )
    return found


def shard_bytes(program: Program, shards: int, item: int = 4) -> int:
    """The bytes of weights on each device where layers are split into `shards`, of `item` bytes each."""
    split = layouts_of(program, shards)
    return sum(
        item * prod(entry.shape) // (shards if entry.variable in split else 1)
        for entry in weight_map(program)
    )


def _orders(program: Program, stages: Stages) -> Iterator[list[Permutation]]:
    """How axes move before the first stage, between stages and behind the last, value by value."""
    whole = layouts(program, moved=True)[program.entry].values
    inside = [layouts(p, moved=True)[p.entry].values for p in stages.programs]
    borders = [
        program.main.inputs,
        *(p.main.outputs for p in stages.programs[:-1]),
        program.main.outputs,
    ]
    for ports, before, behind in zip(
        borders, [whole, *inside], [*inside, whole], strict=True
    ):
        yield [_between(before[v], behind[v]) for v in values_of(ports)]


def _between(given: Permutation, wanted: Permutation) -> Permutation:
    """The transposition that leads from one order of axes to another."""
    return tuple(given.index(axis) for axis in wanted)


def _moved_paths(program: Program, stages: Stages) -> Iterator[Dict]:
    """For each stage the layers or variables that the whole model calls otherwise."""
    whole = {_key(entry, entry.path): entry.variable for entry in weight_map(program)}
    for stage, paths in zip(stages.programs, stages.paths, strict=True):
        moved = {
            entry.variable: whole[_key(entry, _whole_path(entry.path, paths, "."))]
            for entry in weight_map(stage)
        }
        short = dict(_shortened(here, there) for here, there in moved.items())
        if any(_whole_path(here, short, "/") != moved[here] for here in moved):
            short = moved
        changed = ((here, there) for here, there in short.items() if here != there)
        yield Dict(tuple((here, Literal(there)) for here, there in changed))


def _shortened(here: str, there: str) -> tuple[str, str]:
    """Two paths down to where they last differ; as they are, if they do not."""
    parts, others = here.split("/"), there.split("/")
    while here != there and parts[1:] and others[1:] and parts[-1] == others[-1]:
        parts, others = parts[:-1], others[:-1]
    return "/".join(parts), "/".join(others)


def _key(entry: WeightEntry, path: str) -> tuple[str, str]:
    """A variable by the path of its layer in the spec and its own name."""
    return path, entry.variable.rpartition("/")[2]


def _whole_path(path: str, paths: Mapping[str, str], joint: str) -> str:
    """The path in the model of a layer or variable of a stage."""
    parts = path.split(joint)
    for count in range(len(parts), 0, -1):
        here = joint.join(parts[:count])
        if here in paths:
            return joint.join([paths[here], *parts[count:]])
    return path


# ---- refusals -----------------------------------------------------------------------------------------


def _require_backend(engine: str, wanted: str, backend: str) -> None:
    if backend != wanted:
        raise SpecError(
            "E1033",
            f"{engine} is {wanted}'s: on {backend} Keras would run the program without it",
            hint=f"compile this plan for {wanted}, or place the model otherwise",
        )


def _refuse_batch_statistics(program: Program) -> None:
    for function in program.functions.values():
        for node in function.nodes:
            if isinstance(node.op, BatchNorm) and not node.marks.frozen:
                raise SpecError(
                    "E1034",
                    "batch normalisation in mirrored copies takes the statistics of each copy's "
                    "part of the batch, so the program would compute something else",
                    node.location,
                    hint="use GroupNorm or LayerNorm, freeze it, or distribute on JAX",
                )


# ---- tables -------------------------------------------------------------------------------------------


def _tuple(items: Sequence[Expr]) -> Display:
    return Display("tuple", tuple(items))


def _model(program: Program) -> Assign:
    return Assign((Name("MODEL"),), Name(factory_name(program)))


def _order(order: Permutation) -> Display:
    """Nothing, where axes stay as they are."""
    if order == logical(len(order)):
        return _tuple([])
    return _tuple([Literal(axis) for axis in order])


def _options(program: Program) -> Assign:
    """A model that is a class gives its name to the paths of its variables, so the name is settled."""
    name = () if is_function(program) else (("name", Literal(factory_name(program))),)
    return Assign((Name("OPTIONS"),), Dict(name))


def _layouts(prefix: str, axes: Mapping[str, Sequence[str | None]]) -> Dict:
    return Dict(
        tuple(
            (f"{prefix}{path}", _tuple([Literal(axis) for axis in each]))
            for path, each in axes.items()
        )
    )
