"""How many elements of a model's weights one process of a mesh holds, as PyTorch's engines divide them.

Tensor parallelism divides the rows of what is split by columns and the columns of what is split by rows;
FSDP2 then divides the rows of every weight. Either gives each process ceil(n / processes) of n, and the
last ones what is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nnspec.ir.graph import Function, Program, dotted
from nnspec.targets.engines.pairs import pairs

Shape = tuple[int, ...]


def weights_of(program: Program) -> dict[str, Shape]:
    """The shape of every trained weight of a model, by its path, each instance once."""
    return dict(_below(program, program.main, ""))


def _below(
    program: Program, function: Function, prefix: str
) -> Iterator[tuple[str, Shape]]:
    seen: set[str] = set()
    for node in function.nodes:
        path = f"{prefix}{dotted(node.path)}"
        if not node.owns or path in seen:
            continue
        seen.add(path)
        if node.callee is not None:
            yield from _below(program, program.functions[node.callee], f"{path}.")
            continue
        for name, weight in function.node_weights(node).items():
            if weight.trainable:
                shape = tuple(int(size) for size in weight.shape)
                yield (f"{path}.{name}" if name else path), shape


def held(
    program: Program, sizes: Mapping[str, int], place: Mapping[str, int]
) -> dict[str, Shape]:
    """The shape of what a process holds of each weight.

    `sizes` are those of the axes "data" and "tensor" of the mesh, `place` is where the process stands on
    them, from 0.
    """
    columns, rows = _split(program)
    found: dict[str, Shape] = {}
    for path, shape in weights_of(program).items():
        owner, _, name = path.rpartition(".")
        if "tensor" in sizes and owner in columns:
            shape = _part(shape, 0, sizes["tensor"], place["tensor"])
        elif "tensor" in sizes and owner in rows and name == "weight":
            shape = _part(shape, 1, sizes["tensor"], place["tensor"])
        if "data" in sizes:
            shape = _part(shape, 0, sizes["data"], place["data"])
        found[path] = shape
    return found


def _split(program: Program) -> tuple[set[str], set[str]]:
    found = pairs(program)
    columns = {name for pair in found for name in pair.columns}
    return columns, {pair.rows for pair in found}


def _part(shape: Shape, axis: int, count: int, place: int) -> Shape:
    size = shape[axis]
    chunk = -(-size // count)
    mine = max(0, min(chunk, size - place * chunk))
    return (*shape[:axis], mine, *shape[axis + 1 :])
