"""What tensor parallelism can split: linear layers in parts, and all that lies between.

The first layers of a part have some of their columns on each device, the last one the same rows, and the
sum over devices is the result (Shoeybi et al., "Megatron-LM", 2019). Between them stand functions of single
elements, changes of shape, and attention, of which each device has some heads. What is split is found by
going back from each linear layer (`nnspec.analysis.sharding.walk`). A part counts only if nothing else reads
what is split. For what cannot be split there is a reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import field

from nnspec.analysis.sharding.shapes import Divided
from nnspec.analysis.sharding.values import (
    constant_values,
    static_values,
)
from nnspec.analysis.sharding.walk import Surroundings, Walk
from nnspec.ir.graph import Function, Node, Program
from nnspec.ops.linear import Linear
from nnspec.records import dataclass


@dataclass(slots=True)
class Part:
    """Nodes of one function that are split together, by their numbers.

    `columns` gives for each first layer in how many equal stretches its features are divided, each apart:
    3 for queries, keys and values in one layer. `widths` are the numbers that the number of devices has
    to divide: features, heads, and heads of keys.
    """

    row: int
    columns: dict[int, int] = field(default_factory=dict[int, int])
    inner: set[int] = field(default_factory=set[int])
    widths: set[int] = field(default_factory=set[int])
    divided: dict[int, Divided] = field(default_factory=dict[int, Divided])
    """How the values between the layers are divided."""
    taken: dict[int, Divided] = field(default_factory=dict[int, Divided])
    """Values that are whole, of which each device takes its share."""
    summed: set[int] = field(default_factory=set[int])
    """Values that each device reads as a whole, and whose gradient is the sum over devices."""
    tables: dict[int, int] = field(default_factory=dict[int, int])
    """Weights of the function itself of which each device has a share, with the axis that is divided."""
    apart: set[int] = field(default_factory=set[int])
    """Nodes that draw random numbers for the share of each device."""

    @property
    def nodes(self) -> set[int]:
        """All that is split."""
        return {self.row, *self.columns, *self.inner, *self.tables}

    def divides(self, devices: int) -> bool:
        """Whether so many devices can share it evenly."""
        return all(width % devices == 0 for width in self.widths)


@dataclass(slots=True)
class Parts:
    """The parts of a function, and for each linear layer that is in none of them why, by its number."""

    parts: tuple[Part, ...] = ()
    reasons: dict[int, str] = field(default_factory=dict[int, str])


def tensor_parts(
    program: Program,
    inputs: Set[int] = frozenset(),
    same: Set[int] = frozenset(),
) -> Mapping[str, Parts]:
    """The parts of each function, by its key: each layer in one at most, in the order in which they run.

    `inputs` are those of the model that have no gradient although they are floats, and `same` those that
    are the same for every sample.
    """
    surroundings = Surroundings(
        program, constant_values(program, inputs), static_values(program, same)
    )
    return {
        key: _Finder(surroundings, each).parts()
        for key, each in program.functions.items()
    }


class _Finder:
    """Goes back from each linear layer of a function to those that it can be split with."""

    def __init__(self, surroundings: Surroundings, function: Function) -> None:
        self.surroundings = surroundings
        self.function = function
        self.flow = surroundings.flow(function)

    def parts(self) -> Parts:
        """Each layer in the first part that it fits into."""
        taken: set[int] = set()
        found: list[Part] = []
        walks: list[tuple[Node, Walk]] = []
        for node in self.function.nodes:
            if node.id in taken or not self.flow.is_plain(node):
                continue
            walk = self._from(node)
            part = self._part(node, walk)
            if part is None or part.nodes & taken:
                walks.append((node, walk))
                continue
            taken |= part.nodes
            found.append(part)
        return Parts(tuple(found), self._reasons(walks, taken))

    def _from(self, row: Node) -> Walk:
        (value,) = row.values()
        last = Divided(self.function.types[value].rank - 1)
        return Walk(self.surroundings, self.function, {value: last})

    def _part(self, row: Node, walk: Walk) -> Part | None:
        """The part that ends with a layer; None where something cannot be split."""
        if not walk.is_whole({row.id}):
            return None
        return Part(
            row.id,
            walk.columns,
            walk.inner,
            walk.widths(),
            walk.divided,
            walk.taken,
            walk.summed,
            walk.tables,
            walk.apart,
        )

    def _reasons(
        self, walks: Sequence[tuple[Node, Walk]], taken: Set[int]
    ) -> dict[int, str]:
        """Of layers that stand in no part: what is in the way behind them, else in front of them."""
        found: dict[int, str] = {}
        for node, walk in walks:
            for number in self.flow.layers_in_front(node) - taken:
                found[number] = walk.reason or OTHER_PART
        for node, walk in walks:
            if node.id not in taken:
                found.setdefault(node.id, walk.reason or OTHER_PART)
        for node in self.function.nodes:
            if isinstance(node.op, Linear) and node.id not in taken:
                found.setdefault(node.id, SEVERAL_USES)
        return found


OTHER_PART = "what it could be split with is split with another layer"
SEVERAL_USES = "its weight is used several times"
