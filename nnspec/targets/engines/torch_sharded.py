"""PyTorch programs whose weights are sharded over processes: FSDP2, split linear layers, and both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from nnspec.ir.graph import Program
from nnspec.pycode.expressions import Display, Literal, Name
from nnspec.pycode.statements import Assign, Import
from nnspec.targets.engines.pairs import pairs
from nnspec.targets.engines.text import verbatim
from nnspec.targets.file import Engine, emit_programs

TEXT = "sharded_torch"
_CHECKPOINTS = "torch.distributed.checkpoint.state_dict"
_PARALLEL = "torch.distributed.tensor.parallel"
_IMPORTS = {
    "dist": Import("torch.distributed", alias="dist"),
    "StateDictOptions": Import(_CHECKPOINTS, ("StateDictOptions",)),
    "set_model_state_dict": Import(_CHECKPOINTS, ("set_model_state_dict",)),
    "DeviceMesh": Import("torch.distributed.device_mesh", ("DeviceMesh",)),
    "MixedPrecisionPolicy": Import("torch.distributed.fsdp", ("MixedPrecisionPolicy",)),
    "fully_shard": Import("torch.distributed.fsdp", ("fully_shard",)),
    "ColwiseParallel": Import(_PARALLEL, ("ColwiseParallel",)),
    "RowwiseParallel": Import(_PARALLEL, ("RowwiseParallel",)),
    "parallelize_module": Import(_PARALLEL, ("parallelize_module",)),
}


def emit_sharded(program: Program) -> str:
    """The program with `shard` (FSDP2), `split` (tensor parallelism) and `build`, which does either or both."""
    found = pairs(program)
    tables = (
        Assign(
            (Name("COLUMNS"),), _names(name for pair in found for name in pair.columns)
        ),
        Assign((Name("ROWS"),), _names(pair.rows for pair in found)),
    )
    engine = Engine(
        (*tables, *verbatim(TEXT, "shard", "split", "build")),
        _IMPORTS,
        frozenset(each.module for each in _IMPORTS.values()),
        ("build", "shard", "split"),
        'A mesh with the axes "data" and "tensor" says how `build` shards the model.',
        {"BLOCKS": list(_blocks(program))},
    )
    return emit_programs([program], "torch", engine)


def _names(names: Iterable[str]) -> Display:
    return Display("tuple", tuple(Literal(name) for name in names))


def _blocks(program: Program) -> Iterator[str]:
    """The functions that the model runs in loops, by their keys."""
    for function in program.functions.values():
        for node in function.nodes:
            is_turn = any(isinstance(part, int) for part in node.path)
            if node.callee is not None and node.owns and is_turn:
                yield node.callee
