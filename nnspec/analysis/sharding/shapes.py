"""Which axis of an input is divided over devices if one of its result is, where only the shape changes.

Elements stay in order inside of groups of axes: those of the input and those of the result that hold the same
elements. In a group a divided axis has so many stretches in front of it, on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from operator import mul

from nnspec.ir.dims import MINUS_ONE, ONE, Dim, product
from nnspec.ir.types import TensorType
from nnspec.ops.base import Operator, replaced
from nnspec.ops.pattern_plan import Plan
from nnspec.ops.patterns import Rearrange
from nnspec.ops.shaping import Broadcast, Reshape
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Divided:
    """An axis of which each device has a share: of each of so many equal stretches, apart."""

    axis: int
    stretches: int = 1


def with_share_open(op: Operator, kind: TensorType, divided: Divided) -> Operator:
    """The same step, with the size of what is divided left to be told from the input.

    `divided` is how the result is divided. What was told from the input before is given instead, so that a
    program has no size of the whole in it where each device has a share.
    """
    if isinstance(op, Rearrange):
        return _open_rearrange(op, kind, divided)
    if isinstance(op, Reshape):
        return _open_reshape(op, kind, divided)
    return op


# ---- patterns -----------------------------------------------------------------------------------------


def behind_rearrange(
    op: Rearrange, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> list[Divided | None] | None:
    """The axis of the pattern's left side, if the program says none of its sizes."""
    plan = op.plan(kinds[0])
    if not _is_written_without_sizes(plan):
        return None
    group = plan.right[divided.axis]
    found = _atom_at(plan, group, divided.stretches)
    if found is None:
        return None
    atom, within = found
    axis = plan.axis[atom]
    before = _before(plan, plan.left[axis], atom)
    return None if before is None else [Divided(axis, before * within)]


def _open_rearrange(op: Rearrange, kind: TensorType, divided: Divided) -> Operator:
    plan = op.plan(kind)
    found = _atom_at(plan, plan.right[divided.axis], divided.stretches)
    assert found is not None
    atom, group = found[0], plan.left[plan.axis[found[0]]]
    if len(group) == 1 or atom in plan.solved:
        return op
    sizes = {name: size for name, size in op.sizes.items() if name not in atom}
    for other in plan.solved.intersection(group):
        sizes |= dict.fromkeys(other, ONE) | {other[0]: plan.size[other]}
    return replaced(op, sizes=sizes)


def _is_written_without_sizes(plan: Plan) -> bool:
    """Whether the program splits and merges one axis each, so that shares take the same steps."""
    if plan.is_one_reshape or len(plan.splits) > 1 or len(plan.merges) > 1:
        return False
    return not (plan.splits and plan.dropped) and not (plan.merges and plan.added)


def _atom_at(
    plan: Plan, group: Sequence[tuple[str, ...]], stretches: int
) -> tuple[tuple[str, ...], int] | None:
    """The part of a merged axis that is divided, and the stretches inside it."""
    if len(group) == 1:
        return group[0], stretches
    for atom in group:
        if _before(plan, group, atom) == stretches and plan.size[atom] != 1:
            return atom, 1
    return None


def _before(
    plan: Plan, group: Sequence[tuple[str, ...]], atom: tuple[str, ...]
) -> int | None:
    """How often a part of an axis occurs: the product of those in front of it."""
    sizes = [plan.size[each] for each in group[: group.index(atom)]]
    if not all(size.is_constant for size in sizes):
        return None
    return list(accumulate(map(int, sizes), mul, initial=1))[-1]


# ---- shapes -------------------------------------------------------------------------------------------


def behind_reshape(
    op: Operator, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> list[Divided | None] | None:
    """The axis of the input with as many stretches in front of what is divided."""
    shape = kinds[0].shape
    found = _group(shape, result.shape, divided.axis)
    if found is None:
        return None
    (start, stop), first = found
    before = product(result.shape[first : divided.axis])
    if not before.is_constant:
        return None
    stretches = int(before) * divided.stretches
    axis = _axis_at(shape, start, stop, stretches)
    return None if axis is None else [axis]


def _group(
    shape: Sequence[Dim], result: Sequence[Dim], axis: int
) -> tuple[tuple[int, int], int] | None:
    """The axes of the input (from, to) that hold what an axis of the result does, and its first such axis."""
    cuts = [
        (here, there)
        for here in range(len(shape) + 1)
        for there in range(len(result) + 1)
        if product(shape[:here]) == product(result[:there])
    ]
    before = [cut for cut in cuts if cut[1] <= axis]
    behind = [cut for cut in cuts if cut[1] > axis]
    if not behind:
        return None
    start, first = max(before, key=lambda cut: (cut[1], cut[0]))
    stop, _ = min(behind, key=lambda cut: (cut[1], cut[0]))
    return ((start, stop), first) if start < stop else None


def _axis_at(
    shape: Sequence[Dim], start: int, stop: int, stretches: int
) -> Divided | None:
    """The innermost axis of a group with at most as many stretches in front of it, and what is left of them."""
    for axis in reversed(range(start, stop)):
        before, size = product(shape[start:axis]), shape[axis]
        if not before.is_constant or not size.is_constant:
            continue
        inside, rest = divmod(stretches, int(before))
        if inside and not rest and int(size) % inside == 0 and int(size) > inside:
            return Divided(axis, inside)
    return None


def _open_reshape(op: Reshape, kind: TensorType, divided: Divided) -> Operator:
    shape = op.infer(kind).shape
    if op.shape[divided.axis] == -1:
        return op
    sizes = [whole if s == -1 else s for s, whole in zip(op.shape, shape, strict=True)]
    sizes[divided.axis] = MINUS_ONE
    return replaced(op, shape=tuple(sizes))


def behind_broadcast(
    op: Broadcast, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> list[Divided | None] | None:
    """An axis that keeps its size; one that is repeated has it written in the program."""
    axis = divided.axis - (result.rank - kinds[0].rank)
    if axis < 0 or kinds[0].shape[axis] != result.shape[divided.axis]:
        return None
    return [Divided(axis, divided.stretches)]
