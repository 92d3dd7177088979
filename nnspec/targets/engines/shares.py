"""How many elements of a model's weights one process of a mesh holds, as PyTorch's engines divide them.

Tensor parallelism divides the rows of what is split by columns and the columns of what is split by rows;
FSDP2 then divides the rows of every weight.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from nnspec.analysis.sharding.held import Shape, held_by_tensor, part_of

if TYPE_CHECKING:
    from nnspec.analysis.sharding.plan import TensorPlan
    from nnspec.targets.engines.torch_sharded import MeshShape


def held(plan: TensorPlan, shape: MeshShape, place: int) -> dict[str, Shape]:
    """The shape of what a process holds of each weight; `place` is where it stands on the data axis."""
    whole = held_by_tensor(plan)
    if not shape.shards:
        return whole
    return {path: part_of(each, 0, shape.data, place) for path, each in whole.items()}


def held_elements(plan: TensorPlan, shape: MeshShape, place: int) -> int:
    """How many elements of trained weights a process holds."""
    return sum(prod(each) for each in held(plan, shape, place).values())
