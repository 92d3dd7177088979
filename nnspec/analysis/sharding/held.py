"""The shape of what each process holds of a model's weights, as PyTorch's engines divide them.

Tensor parallelism divides the axis of a weight that `nnspec.analysis.sharding.plan` names. An axis of n goes
to the processes in parts of ceil(n / processes), and the last ones have what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from nnspec.ir.graph import Function, Program, dotted

if TYPE_CHECKING:
    from nnspec.analysis.sharding.plan import TensorPlan

Shape: TypeAlias = tuple[int, ...]


def weights_of(program: Program) -> dict[str, Shape]:
    """The shape of every trained weight of a model, by its path, each instance once."""
    return dict(_below(program, program.main, ""))


def _below(
    program: Program, function: Function, prefix: str
) -> Iterator[tuple[str, Shape]]:
    for node in function.instances.values():
        path = f"{prefix}{dotted(node.path)}"
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
        path: part_of(shape, plan.axes[path], plan.devices, 0)
        if path in plan.axes
        else shape
        for path, shape in weights_of(plan.program).items()
    }


def part_of(shape: Shape, axis: int, count: int, place: int) -> Shape:
    """The part that one of `count` processes has of a weight whose `axis` they divide."""
    size = shape[axis]
    chunk = -(-size // count)
    mine = max(0, min(chunk, size - place * chunk))
    return (*shape[:axis], mine, *shape[axis + 1 :])
