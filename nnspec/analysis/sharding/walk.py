"""The way back from a value that is divided over devices to the layers that give each its share.

`nnspec.analysis.sharding.axes` says which axis of an operator's inputs is divided if one of its result is. The
way ends at linear layers, of which each device has some columns, and at what is the same for every sample, as
masks and tables of biases are: of such a value each device takes its share, or a share of the weight behind
it, or reads it as a whole and sums its gradient. Where a way ends otherwise nothing is split, and `reason`
says why.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import field
from functools import cached_property

from nnspec.analysis.sharding.axes import axes_behind, draws_apart
from nnspec.analysis.sharding.shapes import Divided, with_share_open
from nnspec.analysis.sharding.values import untouched_values
from nnspec.ir.graph import Function, Node, Path, Program, dotted, values_of
from nnspec.ops.base import Operator
from nnspec.ops.creation import Param
from nnspec.ops.linear import Linear
from nnspec.records import dataclass


@dataclass(frozen=True)
class Surroundings:
    """A program, and the values of its functions that have no gradient or are the same for every sample."""

    program: Program
    constants: Mapping[str, Set[int]]
    static: Mapping[str, Set[int]]
    known: dict[str, Flow] = field(default_factory=dict[str, "Flow"])

    def flow(self, function: Function) -> Flow:
        """Where the values of a function come from and go to, worked out once."""
        if function.key not in self.known:
            own = self.constants[function.key]
            self.known[function.key] = Flow(function, untouched_values(function, own))
        return self.known[function.key]


@dataclass(frozen=True)
class Flow:
    """Where the values of a function come from and go to; `untouched` have not passed a layer."""

    function: Function
    untouched: Set[int]

    @cached_property
    def uses(self) -> Mapping[Path, int]:
        """How often each instance is used or read."""
        nodes = self.function.nodes
        return Counter(n.path for n in nodes if n.owns or n.weight is not None)

    @cached_property
    def made(self) -> Mapping[int, Node]:
        """The node that makes each value."""
        return {value: node for node in self.function.nodes for value in node.outputs}

    @cached_property
    def readers(self) -> Mapping[int, Sequence[int]]:
        """The nodes that read each value, once for each time that they do."""
        found: dict[int, list[int]] = {}
        for node in self.function.nodes:
            for value in node.values():
                found.setdefault(value, []).append(node.id)
        return found

    @cached_property
    def ports(self) -> Set[int]:
        """What comes in."""
        return set(values_of(self.function.inputs))

    @cached_property
    def results(self) -> Set[int]:
        """What goes out."""
        return set(values_of(self.function.outputs))

    def is_plain(self, node: Node) -> bool:
        """Whether this is a linear layer with a weight of its own that nothing else uses."""
        return (
            isinstance(node.op, Linear)
            and node.owns
            and len(list(node.values())) == 1
            and self.uses[node.path] == 1
        )

    def layers_in_front(self, layer: Node) -> set[int]:
        """The linear layers whose results a layer reads, with no other layers between."""
        found: set[int] = set()
        waiting, seen = list(layer.values()), set[int]()
        while waiting:
            node = self.made.get(waiting.pop())
            if node is None or node.id in seen:
                continue
            seen.add(node.id)
            if self.is_plain(node):
                found.add(node.id)
            elif not self.function.node_weights(node):
                waiting += node.values()
        return found


class Walk:
    """Which values of a function are divided, and how, given some that are.

    Inside of a function that is called there are no `layers` to end at: what is divided has to come in.
    `reason` is empty as long as all can be.
    """

    def __init__(
        self,
        surroundings: Surroundings,
        function: Function,
        wanted: Mapping[int, Divided],
        *,
        layers: bool = True,
    ) -> None:
        self.surroundings = surroundings
        self.function = function
        self.layers = layers
        self.flow = surroundings.flow(function)
        self.constants = surroundings.constants[function.key]
        self.static = surroundings.static[function.key]
        self.divided: dict[int, Divided] = {}
        self.taken: dict[int, Divided] = {}
        self.summed: set[int] = set()
        self.tables: dict[int, int] = {}
        self.columns: dict[int, int] = {}
        self.inner: set[int] = set()
        self.apart: set[int] = set()
        self.given: dict[int, Divided] = {}
        """What is divided that comes into the function."""
        self.inside: set[int] = set()
        """The widths of what is divided inside of functions that are called."""
        self.reason = ""
        self.waiting: list[int] = []
        going = all(self._want(*each) for each in wanted.items())
        while self.waiting and going:
            going = self._go(self.waiting.pop())

    def widths(self) -> set[int]:
        """The sizes of what is divided as a whole."""
        return self.inside | {
            int(self.function.types[value].shape[each.axis]) // each.stretches
            for value, each in (*self.divided.items(), *self.taken.items())
        }

    def is_whole(self, readers: Set[int]) -> bool:
        """Whether it worked, and nothing but `readers` and the part itself reads what is divided."""
        if self.reason:
            return False
        if self.layers and not self.columns:
            return self._fail("no linear layer in front of it could give it shares")
        if self.layers and self.flow.results & set(self.divided):
            return self._fail("what is between the layers is a result as well")
        if any(value in self.summed for value in self.divided):
            return self._fail("a value would be divided and whole")
        return self._is_read_inside(readers | self.inner)

    def _is_read_inside(self, readers: Set[int]) -> bool:
        read, results = self.flow.readers, self.flow.results
        for number in (n for value in self.divided for n in read.get(value, ())):
            if number not in readers:
                node = called(self.function.nodes[number])
                return self._fail(f"{node} reads all of what is between the layers")
        made = (v for number in self.inner for v in self.function.nodes[number].outputs)
        if any(v not in self.divided and (v in read or v in results) for v in made):
            return self._fail("some of what is between the layers would not be divided")
        return True

    def _fail(self, reason: str) -> bool:
        self.reason = self.reason or reason
        return False

    # ---- what is wanted ---------------------------------------------------------------------

    def _want(self, value: int, divided: Divided | None) -> bool:
        if divided is None:
            return self._want_whole(value)
        known = self.divided.get(value) or self.taken.get(value)
        if known is not None:
            return known == divided or self._fail("a value would be divided twice")
        size = self.function.types[value].shape[divided.axis]
        if not size.is_constant or int(size) % divided.stretches:
            return self._fail(f"the size of what would be divided is {size}")
        if self._is_at_hand(value):
            return self._take(value, divided)
        self.divided[value] = divided
        self.waiting.append(value)
        return True

    def _is_at_hand(self, value: int) -> bool:
        """Whether each device has all of a value, and may take its share."""
        return self.layers and (value in self.flow.untouched or value in self.static)

    def _want_whole(self, value: int) -> bool:
        if value in self.constants:
            return True
        if value not in self.static:
            return self._fail(
                f"{self._source(value)} is read by each device as a whole, and its gradient would be "
                "of one share alone"
            )
        if self.layers:
            self.summed.add(value)
            return value not in self.taken
        return value in self.flow.ports or self._fail(
            f"{self._source(value)} is read inside of a block that is called"
        )

    def _source(self, value: int) -> str:
        node = self.flow.made.get(value)
        return "what comes in" if node is None else f"what {called(node)} gives"

    # ---- what is taken ----------------------------------------------------------------------

    def _take(self, value: int, divided: Divided) -> bool:
        """A share of a value that each device has; of the weight behind it where nothing else reads that."""
        if value in self.summed or divided.stretches > 1:
            return self._fail(f"{self._source(value)} would be divided and whole")
        chain = self._behind_table(value, divided)
        if chain is None:
            self.taken[value] = divided
            return True
        divisions, nodes, table = chain
        self.divided |= divisions
        self.inner |= nodes
        self.tables |= table
        return True

    def _behind_table(
        self, value: int, divided: Divided
    ) -> tuple[dict[int, Divided], set[int], dict[int, int]] | None:
        """The nodes from a weight of the function to a value, if each reads one thing that is divided."""
        divisions: dict[int, Divided] = {}
        nodes: set[int] = set()
        while True:
            node = self.flow.made.get(value)
            reads = len(self.flow.readers.get(value, ()))
            if node is None or node.op is None or value in self.flow.results:
                return None
            if reads != 1:
                return None
            divisions[value] = divided
            if isinstance(node.op, Param):
                own = self.flow.uses[node.path] == 1 and divided.stretches == 1
                return (divisions, nodes, {node.id: divided.axis}) if own else None
            if node.weight is not None or node.owns or node.op.random:
                return None
            step = self._one_step(node, value, divided)
            if step is None:
                return None
            nodes.add(node.id)
            value, divided = step

    def _one_step(
        self, node: Node, value: int, divided: Divided
    ) -> tuple[int, Divided] | None:
        assert node.op is not None
        inputs = self._rule(node, node.op, node.outputs.index(value), divided)
        if inputs is None or len(node.outputs) != 1:
            return None
        pairs = list(zip(node.values(), inputs, strict=True))
        if any(each is None and v not in self.constants for v, each in pairs):
            return None
        found = [(v, each) for v, each in pairs if each is not None]
        return found[0] if len(found) == 1 else None

    # ---- on the way -------------------------------------------------------------------------

    def _go(self, value: int) -> bool:
        """On from a value that is divided to what its operator reads."""
        node, divided = self.flow.made.get(value), self.divided[value]
        if node is None:
            self.given[value] = divided
            return not self.layers or self._fail(
                "no linear layer in front of it could give it shares"
            )
        if self.layers and self.flow.is_plain(node):
            return self._end_at(node, value, divided)
        if node.weight is not None or self.function.node_weights(node):
            return self._fail(
                f"{called(node)} is in the way, whose weights are not split"
            )
        self.inner.add(node.id)
        inputs = self._behind(node, node.outputs.index(value), divided)
        return inputs is not None and all(
            self._want(*each) for each in zip(node.values(), inputs, strict=True)
        )

    def _end_at(self, layer: Node, value: int, divided: Divided) -> bool:
        self.columns[layer.id] = divided.stretches
        last = self.function.types[value].rank - 1
        return divided.axis == last or self._fail(
            f"{called(layer)} would be divided along another axis than its features"
        )

    def _behind(
        self, node: Node, place: int, divided: Divided
    ) -> Sequence[Divided | None] | None:
        if node.op is not None:
            return self._behind_operator(node, node.op, place, divided)
        assert node.callee is not None
        callee = self.surroundings.program.functions[node.callee]
        outputs = values_of(callee.outputs)
        inside = Walk(
            self.surroundings, callee, {outputs[place]: divided}, layers=False
        )
        if not inside.is_whole(set()):
            self._fail(inside.reason)
            return None
        self.inside |= inside.widths()
        return [inside.given.get(value) for value in values_of(callee.inputs)]

    def _behind_operator(
        self, node: Node, op: Operator, place: int, divided: Divided
    ) -> Sequence[Divided | None] | None:
        inputs = self._rule(node, op, place, divided)
        if inputs is None:
            self._fail(f"{called(node)} needs all of what would be divided")
            return None
        apart = draws_apart(op, divided)
        if apart is None or (apart and not self.layers):
            self._fail(f"{called(node)} draws for all of what would be divided")
            return None
        if apart:
            self.apart.add(node.id)
        if not self.layers:  # what other parts of the model call stays as it is written
            kind = self.function.types[next(node.values())]
            if with_share_open(op, kind, divided) is not op:
                self._fail(f"{called(node)} is written with the size of the whole")
                return None
        return inputs

    def _rule(
        self, node: Node, op: Operator, place: int, divided: Divided
    ) -> Sequence[Divided | None] | None:
        kinds = [self.function.types[value] for value in node.values()]
        return axes_behind(op, kinds, self.function.results(node), place, divided)


def called(node: Node) -> str:
    """A node as the spec names it."""
    name = dotted(node.path)
    kind = node.callee.partition("#")[0] if node.callee else type(node.op).__name__
    return f"`{name}`" if name.lower() == kind.lower() else f"`{name}` ({kind})"
