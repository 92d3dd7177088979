"""What tensor parallelism can split: linear layers in pairs, and all that lies between.

The first layers of a part have some of their columns on each device, the last one the
same rows, and the sum over devices is the result (Shoeybi et al., "Megatron-LM", 2019).
Between them stand functions of single elements, changes of shape, and attention, of
which each device has some heads.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field

from nnspec.ir.dims import Dim, Size, dim
from nnspec.ir.graph import Function, Node, Program
from nnspec.ir.types import TensorType
from nnspec.ops.base import Layout
from nnspec.ops.linear import Linear
from nnspec.records import dataclass

_RESHAPES = frozenset({"rearrange", "reshape", "unstack", "split", "permute", "repeat"})


@dataclass(slots=True)
class Parts:
    """The nodes of a function that are split, by their numbers.

    `widths` are the numbers that the number of devices has to divide.
    """

    columns: set[int] = field(default_factory=set[int])
    rows: set[int] = field(default_factory=set[int])
    inner: set[int] = field(default_factory=set[int])
    widths: set[Dim] = field(default_factory=set[Dim])

    @property
    def nodes(self) -> set[int]:
        """All that is split."""
        return self.columns | self.rows | self.inner

    def axis(self, number: int, weight: str) -> int | None:
        """The axis of a weight that is split, by the number of its layer; None if it is whole."""
        if number in self.columns:
            return 0
        return 1 if number in self.rows and weight == "weight" else None


def split_parts(
    program: Program, tensor: int, sizes: Mapping[str, Size]
) -> Mapping[str, Parts]:
    """The nodes of each function, by its key, that `tensor` devices split evenly."""
    return {
        key: _joined(
            part
            for part in _Finder(program, each).parts()
            if all(width % tensor == 0 for width in widths_of(part, sizes))
        )
        for key, each in program.functions.items()
    }


def widths_of(part: Parts, sizes: Mapping[str, Size]) -> set[int]:
    """The numbers that a degree of tensor parallelism has to divide."""
    return {int(dim(width).at(sizes)) for width in part.widths}


def _joined(parts: Iterable[Parts]) -> Parts:
    found = Parts()
    for part in parts:
        found.columns |= part.columns
        found.rows |= part.rows
        found.inner |= part.inner
        found.widths |= part.widths
    return found


class _Finder:
    """Walks back from each linear layer to those that it can be split with."""

    def __init__(self, program: Program, function: Function) -> None:
        self.program = program
        self.function = function
        self.made = {value: node for node in function.nodes for value in node.outputs}
        self.readers: dict[int, list[int]] = {}
        for node in function.nodes:
            for value in node.values():
                self.readers.setdefault(value, []).append(node.id)

    def parts(self) -> Iterator[Parts]:
        """The parts of the function, each layer in one at most."""
        taken: set[int] = set()
        for node in self.function.nodes:
            if node.id in taken or not self._is_plain(node):
                continue
            part = self._behind(node)
            if part is not None and not part.nodes & taken:
                taken |= part.nodes
                yield part

    def _behind(self, row: Node) -> Parts | None:
        """The part that ends with a layer; None where something cannot be split."""
        part = Parts(rows={row.id})
        waiting = list(row.values())
        while waiting:
            node = self.made.get(waiting.pop())
            if node is None:
                return None
            if self._is_plain(node):
                part.columns.add(node.id)
                part.widths.add(_features(node))
            elif self._keeps_apart(node):
                if node.id not in part.inner:
                    part.inner.add(node.id)
                    part.widths |= self._heads(node)
                    waiting += self._operands(node)
            else:
                return None
        return part if self._is_closed(part) else None

    def _is_closed(self, part: Parts) -> bool:
        """Whether nothing else reads what is split."""
        results = {v for port in self.function.outputs for v in _values(port.values)}
        for number in part.columns | part.inner:
            for value in self.function.nodes[number].outputs:
                if value in results:
                    return False
                if not part.nodes.issuperset(self.readers.get(value, [])):
                    return False
        return bool(part.columns)

    def _is_plain(self, node: Node) -> bool:
        """A linear layer with a weight of its own."""
        if not isinstance(node.op, Linear) or node.weight is not None:
            return False
        return node.owns and len(list(node.values())) == 1

    def _keeps_apart(self, node: Node) -> bool:
        if node.weight is not None:
            return False
        if node.callee is not None:
            inner = self.program.functions[node.callee]
            return all(self._is_local(each) for each in inner.nodes)
        return self._is_local(node) or _is_attention(node)

    def _is_local(self, node: Node) -> bool:
        """Whether the axis of heads and features is not mixed; within a head it may be."""
        if node.op is None or node.owns:
            return False
        name = node.op.op_name()
        return node.op.layout is Layout.ELEMENTWISE or name in _RESHAPES | _WITHIN_HEADS

    def _operands(self, node: Node) -> list[int]:
        """The inputs with the features in them: those of the highest rank."""
        values = list(node.values())
        rank = max(len(self.function.types[v].shape) for v in values)
        return [v for v in values if len(self.function.types[v].shape) == rank]

    def _heads(self, node: Node) -> set[Dim]:
        if not _is_attention(node):
            return set()
        kinds = self.function.node_types(node)[:2]
        return {k.shape[-3].value for k in kinds if isinstance(k, TensorType)}


_WITHIN_HEADS = frozenset({"slicing", "concat", "stack", "flip"})


def _is_attention(node: Node) -> bool:
    return node.op is not None and node.op.op_name() == "attention"


def _features(node: Node) -> Dim:
    assert isinstance(node.op, Linear)
    return node.op.features.value


def _values(argument: int | tuple[int, ...] | None) -> tuple[int, ...]:
    if argument is None:
        return ()
    return argument if isinstance(argument, tuple) else (argument,)
