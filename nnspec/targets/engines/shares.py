"""How many elements of a model's weights one process of a mesh holds, as PyTorch's engines divide them.

Tensor parallelism divides the rows of what is split by columns and the columns of what is split by rows;
FSDP2 then divides the rows of every weight. Either gives each process ceil(n / processes) of n, and the
last ones what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from nnspec.ir.graph import Function, Program, dotted

if TYPE_CHECKING:
    from nnspec.analysis.tensor_plan import TensorPlan
    from nnspec.targets.engines.torch_sharded import MeshShape

Shape: TypeAlias = tuple[int, ...]


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


def held_by_tensor(plan: TensorPlan) -> dict[str, Shape]:
    """The shape of what each process along the tensor axis holds of each weight."""
    return {
        path: _part(shape, plan.axes[path], plan.devices, 0)
        if path in plan.axes
        else shape
        for path, shape in weights_of(plan.program).items()
    }


def held(plan: TensorPlan, shape: MeshShape, place: int) -> dict[str, Shape]:
    """The shape of what a process holds of each weight; `place` is where it stands on the data axis."""
    whole = held_by_tensor(plan)
    if not shape.shards:
        return whole
    return {path: _part(each, 0, shape.data, place) for path, each in whole.items()}


def held_elements(plan: TensorPlan, shape: MeshShape, place: int) -> int:
    """How many elements of trained weights a process holds."""
    return sum(prod(each) for each in held(plan, shape, place).values())


def _part(shape: Shape, axis: int, count: int, place: int) -> Shape:
    size = shape[axis]
    chunk = -(-size // count)
    mine = max(0, min(chunk, size - place * chunk))
    return (*shape[:axis], mine, *shape[axis + 1 :])
