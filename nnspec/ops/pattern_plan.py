"""What a pattern of axes does to a tensor: split, reorder, merge."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from nnspec.ir.dims import Dim, dim, product
from nnspec.ir.types import TensorType
from nnspec.ops.base import Io
from nnspec.ops.sizes import REST
from nnspec.pycode.expressions import Expr, expression
from nnspec.records import dataclass

# Names of the pattern that stay together, or the names of one axis.
Group = tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """Split, reorder, merge: the axes of both sides as groups of atoms, and each atom's size."""

    left: tuple[tuple[Group, ...], ...]
    right: tuple[tuple[Group, ...], ...]
    size: Mapping[Group, Dim]
    solved: frozenset[Group]
    x: TensorType

    @cached_property
    def atoms(self) -> tuple[Group, ...]:
        """The atoms of the input, in order."""
        return tuple(atom for group in self.left for atom in group)

    @cached_property
    def order(self) -> tuple[int, ...]:
        """Where each atom of the result comes from."""
        return tuple(self.atoms.index(atom) for group in self.right for atom in group)

    @cached_property
    def axis(self) -> Mapping[Group, int]:
        """The axis of the input in which each atom lies."""
        return {atom: axis for axis, group in enumerate(self.left) for atom in group}

    @property
    def splits(self) -> tuple[int, ...]:
        """The axes of the input that are split."""
        return tuple(axis for axis, group in enumerate(self.left) if len(group) > 1)

    @property
    def dropped(self) -> tuple[int, ...]:
        """The axes of the input of size 1 that the result does not have."""
        return tuple(axis for axis, group in enumerate(self.left) if not group)

    @property
    def merges(self) -> tuple[int, ...]:
        """The axes of the result that are made of several."""
        return tuple(axis for axis, group in enumerate(self.right) if len(group) > 1)

    @property
    def added(self) -> tuple[int, ...]:
        """The axes of the result of size 1 that the input does not have."""
        return tuple(axis for axis, group in enumerate(self.right) if not group)

    @property
    def is_one_reshape(self) -> bool:
        """Whether nothing moves, and axes are split or dropped, and others merged or added."""
        in_order = self.order == tuple(range(len(self.order)))
        return (
            in_order
            and bool(self.splits or self.dropped)
            and bool(self.merges or self.added)
        )

    def merged_size(self, group: tuple[Group, ...]) -> Dim:
        """The size of an axis of the result."""
        if group in self.left:  # as it was, without a detour over its parts
            return self.x.shape[self.left.index(group)] if group else dim(1)
        return product(self.size[atom] for atom in group)

    def split_sizes(self, io: Io, *, leave_one: bool = False) -> tuple[Expr, ...]:
        """The shape after splitting."""
        return self._sizes(
            io, tuple((atom,) for atom in self.atoms), leave_one=leave_one
        )

    def final_sizes(self, io: Io, *, leave_one: bool = False) -> tuple[Expr, ...]:
        """The shape of the result."""
        return self._sizes(io, self.right, leave_one=leave_one)

    def _sizes(
        self, io: Io, groups: tuple[tuple[Group, ...], ...], *, leave_one: bool
    ) -> tuple[Expr, ...]:
        symbolic = [g for g in groups if not self.merged_size(g).is_constant]
        computed = [g for g in symbolic if g not in self.left]
        # One size may be left to the framework: the only one to be computed, else the batch.
        rest = next(iter(computed if computed or not leave_one else symbolic), None)
        if len(computed) > 1:
            rest = None
        return tuple(REST if g == rest and g else self._spelled(io, g) for g in groups)

    def _spelled(self, io: Io, group: tuple[Group, ...]) -> Expr:
        size = self.merged_size(group)
        if size.is_constant:
            return expression(size)
        if group in self.left:
            return io.size(self.left.index(group))
        factors = [self._atom(io, atom) for atom in group if self.size[atom] != 1]
        result = factors[0]
        for factor in factors[1:]:
            result = result * factor
        return result

    def _atom(self, io: Io, atom: Group) -> Expr:
        size, axis = self.size[atom], self.axis[atom]
        if size.is_constant or atom not in self.solved:
            return expression(size)
        others = product(self.size[other] for other in self.left[axis] if other != atom)
        return io.size(axis) if others == 1 else io.size(axis) // expression(others)
