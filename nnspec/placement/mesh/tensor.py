"""What the tensor axis of a mesh shares, by the numbers of nodes: as the engines split it.

`nnspec.analysis.sharding.plan` decides it: parts of linear layers with what lies between them,
attention by heads among that, the embedding of a vocabulary by its rows, and the layer that
gives its scores by columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import field

from nnspec.analysis.sharding.parts import tensor_parts
from nnspec.analysis.sharding.plan import SplitFunction, TensorPlan
from nnspec.ir.graph import Function, Program, dotted
from nnspec.records import dataclass


@dataclass(slots=True)
class Shared:
    """The nodes of a function of which each device has a share.

    `sums` gives for the first layers of parts how often the gradient of what they read is
    summed there; `taken` and `summed` for operators between layers the values that are the
    same for every sample, whose gradients are gathered and summed.
    """

    columns: set[int] = field(default_factory=set[int])
    rows: set[int] = field(default_factory=set[int])
    inner: set[int] = field(default_factory=set[int])
    embeddings: set[int] = field(default_factory=set[int])
    heads: set[int] = field(default_factory=set[int])
    sums: dict[int, int] = field(default_factory=dict[int, int])
    taken: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    summed: dict[int, set[int]] = field(default_factory=dict[int, set[int]])

    @property
    def working(self) -> set[int]:
        """Those whose work is shared; an embedding looks up every id on every device."""
        return self.columns | self.rows | self.inner | self.heads

    @property
    def nodes(self) -> set[int]:
        """All of them."""
        return self.working | self.embeddings


def shared_nodes(
    program: Program, tensor: int, whole: Set[str] = frozenset()
) -> Mapping[str, Shared]:
    """What so many devices share of each function, by its key; never of layers that stay `whole`."""
    plan = TensorPlan(program, tensor, whole)
    return {
        key: _shared(program.functions[key], split)
        for key, split in plan.functions.items()
    }


def _shared(function: Function, split: SplitFunction) -> Shared:
    found = Shared(embeddings=set(split.embeddings), heads=set(split.heads))
    for part in split.parts:
        found.columns |= part.columns.keys()
        found.rows.add(part.row)
        found.inner |= part.inner | part.tables.keys()
        for number in part.inner:
            values = set(function.nodes[number].values())
            found.taken[number] = values & part.taken.keys()
            found.summed[number] = values & part.summed
    for entry in split.entries:
        first = min(
            number
            for number in found.columns
            if entry.value in function.nodes[number].values()
        )
        found.sums[first] = entry.sums
    return found


def widths_of(program: Program) -> list[int]:
    """The numbers of which a degree of tensor parallelism divides some."""
    every = tensor_parts(program).values()
    return sorted({w for own in every for part in own.parts for w in part.widths})


def tied_layers(program: Program) -> Set[str]:
    """The layers that several operators of the main function use: stages of a pipeline have copies."""
    return frozenset(_tied(program.main))


def _tied(main: Function) -> Iterator[str]:
    seen: set[tuple[str | int, ...]] = set()
    for node in main.nodes:
        if node.owns or node.weight is not None:
            if node.path in seen:
                yield dotted(node.path)
            seen.add(node.path)
