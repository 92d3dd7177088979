"""Which axes of an operator's inputs are divided over devices if one of its result is.

Each device runs the operator on its share. That is right if the result is its share of the whole result:
operators of single elements, changes of shape that leave the divided axis together, and attention, whose
heads do not know of each other. For all other operators there is no rule, and so no answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from operator import mul
from typing import Any, TypeAlias

from nnspec.ir.dims import ONE
from nnspec.ir.slices import Range
from nnspec.ir.types import TensorType
from nnspec.ops.attention import Attention
from nnspec.ops.base import Layout, Operator, normal_axis, replaced
from nnspec.ops.joining import Concat, Split, Stack, Unstack
from nnspec.ops.pattern_plan import Plan
from nnspec.ops.patterns import Rearrange
from nnspec.ops.random import Dropout
from nnspec.ops.shaping import Transpose
from nnspec.ops.slicing import Slicing
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Divided:
    """An axis of which each device has a share: of each of so many equal stretches, apart."""

    axis: int
    stretches: int = 1


Axes: TypeAlias = "Sequence[Divided | None] | None"
"""For each input how it is divided, or None where it is whole; None if the operator cannot be divided."""


def axes_behind(
    op: Operator,
    kinds: Sequence[TensorType],
    results: Sequence[TensorType],
    place: int,
    divided: Divided,
) -> Axes:
    """How the inputs are divided if the result at `place` is."""
    rule = _RULES.get(type(op))
    if rule is not None:
        return rule(op, kinds, results[place], divided)
    if op.layout is Layout.ELEMENTWISE and (not op.random or _is_idle(op)):
        return _elementwise(kinds, results[place], divided)
    return None


def _is_idle(op: Operator) -> bool:
    return isinstance(op, Dropout) and op.rate == 0


def _elementwise(
    kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    found = [_broadcast(kind, result, divided) for kind in kinds]
    return found if any(each is not None for each in found) else None


def _broadcast(
    kind: TensorType, result: TensorType, divided: Divided
) -> Divided | None:
    """How an operand is divided that is stretched to the result's shape; None if it is as a whole."""
    axis = divided.axis - (result.rank - kind.rank)
    if axis < 0 or kind.shape[axis] != result.shape[divided.axis]:
        return None
    return Divided(axis, divided.stretches)


# ---- attention ----------------------------------------------------------------------------------------


def _attention(
    op: Attention, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    """By heads. Masks and biases are whole, so they must be the same for all heads."""
    heads = result.rank - 3
    if divided != Divided(heads) or op.random:
        return None
    others = [_broadcast(kind, result, divided) for kind in kinds[3:]]
    if any(other is not None for other in others):
        return None
    return (divided,) * 3 + (None,) * len(others)


# ---- changes of shape ---------------------------------------------------------------------------------


def _rearrange(
    op: Rearrange, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
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


def with_share_open(op: Rearrange, kind: TensorType, divided: Divided) -> Rearrange:
    """The same step, with the size of what is divided left to be told from the input.

    `divided` is how the result is divided. What was told from the input before is given instead, so that a
    program has no size of the whole in it where each device has a share.
    """
    plan = op.plan(kind)
    found = _atom_at(plan, plan.right[divided.axis], divided.stretches)
    assert found is not None
    atom, group = found[0], plan.left[plan.axis[found[0]]]
    if len(group) == 1 or atom in plan.solved:
        return op
    sizes = {name: size for name, size in op.sizes.items() if name not in atom}
    for other in plan.solved.intersection(group):
        sizes |= dict.fromkeys(other, ONE) | {other[0]: plan.size[other]}
    opened = replaced(op, sizes=sizes)
    assert isinstance(opened, Rearrange)
    return opened


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


def _transpose(
    op: Transpose, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    order = op.reorders(*kinds)
    return None if order is None else [Divided(order[divided.axis], divided.stretches)]


def _unstack(
    op: Unstack, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    taken = normal_axis(op.dim, kinds[0].rank)
    return [Divided(divided.axis + (divided.axis >= taken), divided.stretches)]


def _split(
    op: Split, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    if normal_axis(op.dim, result.rank) != divided.axis:
        return [divided]
    if isinstance(op.sizes, tuple):  # the sizes are those of the whole
        return None
    return [Divided(divided.axis, divided.stretches * int(op.sizes))]


def _concat(
    op: Concat, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    along = normal_axis(op.dim, result.rank)
    return None if along == divided.axis else [divided] * len(kinds)


def _stack(
    op: Stack, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    along = normal_axis(op.dim, result.rank)
    if along == divided.axis:
        return None
    axis = divided.axis - (divided.axis > along)
    return [Divided(axis, divided.stretches)] * len(kinds)


def _slicing(
    op: Slicing, kinds: Sequence[TensorType], result: TensorType, divided: Divided
) -> Axes:
    kept = [axis for axis, each in enumerate(op.items) if isinstance(each, Range)]
    axis = kept[divided.axis]
    item = op.items[axis]
    assert isinstance(item, Range)
    return [Divided(axis, divided.stretches)] if item.is_full else None


_RULES: Mapping[type[Operator], Callable[[Any, Any, TensorType, Divided], Axes]] = {
    Attention: _attention,
    Concat: _concat,
    Rearrange: _rearrange,
    Slicing: _slicing,
    Split: _split,
    Stack: _stack,
    Transpose: _transpose,
    Unstack: _unstack,
}
