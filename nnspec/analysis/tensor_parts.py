"""What tensor parallelism can split: linear layers in parts, and all that lies between.

The first layers of a part have some of their columns on each device, the last one the same rows, and the
sum over devices is the result (Shoeybi et al., "Megatron-LM", 2019). Between them stand functions of single
elements, changes of shape, and attention, of which each device has some heads. What is split is found by
going back from each linear layer: `nnspec.analysis.tensor_axes` says which axis of an operator's inputs is
divided if one of its result is. A part counts only if nothing else reads what is split, and if what it
reads besides needs no gradient, since each device would know a share of that alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import field

from nnspec.analysis.tensor_axes import Divided, axes_behind, with_share_open
from nnspec.ir.graph import Argument, Function, Node, Program, dotted
from nnspec.ops.linear import Linear
from nnspec.ops.patterns import Rearrange
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

    @property
    def nodes(self) -> set[int]:
        """All that is split."""
        return {self.row, *self.columns, *self.inner}

    def divides(self, devices: int) -> bool:
        """Whether so many devices can share it evenly."""
        return all(width % devices == 0 for width in self.widths)


@dataclass(frozen=True, slots=True)
class SplitLayers:
    """A part by the paths of its layers in the model; `columns` are paths with their stretches."""

    columns: tuple[tuple[str, int], ...]
    row: str
    widths: tuple[int, ...]

    def divides(self, devices: int) -> bool:
        """Whether so many devices can share it evenly."""
        return all(width % devices == 0 for width in self.widths)


def tensor_parts(
    program: Program, inputs: Set[int] = frozenset()
) -> Mapping[str, tuple[Part, ...]]:
    """The parts of each function, by its key: each layer in one at most, in the order in which they run.

    `inputs` are those of the model that have no gradient although they are floats.
    """
    constants = constant_values(program, inputs)
    return {
        key: tuple(_Finder(program, each, constants).parts())
        for key, each in program.functions.items()
    }


def split_layers(program: Program) -> list[SplitLayers]:
    """The parts of a model, by paths, in the order in which they run."""
    return list(_below(program, tensor_parts(program), program.main, ""))


def _below(
    program: Program,
    parts: Mapping[str, Sequence[Part]],
    function: Function,
    prefix: str,
) -> Iterator[SplitLayers]:
    own = {part.row: part for part in parts[function.key]}
    for node in function.nodes:
        path = f"{prefix}{dotted(node.path)}"
        if node.callee is not None and node.owns:
            callee = program.functions[node.callee]
            yield from _below(program, parts, callee, f"{path}.")
        elif node.id in own:
            part = own[node.id]
            columns = tuple(
                (f"{prefix}{dotted(function.nodes[number].path)}", stretches)
                for number, stretches in sorted(part.columns.items())
            )
            yield SplitLayers(columns, path, tuple(sorted(part.widths)))


# ---- values without gradients -------------------------------------------------------------------------


def constant_values(
    program: Program, inputs: Set[int] = frozenset()
) -> Mapping[str, Set[int]]:
    """The values of each function that depend on no weight, and on no input that is a float.

    Of floats, those of `inputs` count as constant as well: they have no gradient.
    """
    given: dict[str, set[int]] = {program.entry: set(inputs)}
    found: dict[str, Set[int]] = {}
    weightless = _weightless(program)
    for key in reversed(list(program.functions)):  # callers before callees
        function = program.functions[key]
        found[key] = own = _constants(function, given.get(key, set()), weightless)
        for node in function.nodes:
            if node.callee is not None:
                callee = program.functions[node.callee]
                ports = set(_constant_ports(callee, node, own))
                given[callee.key] = given.get(callee.key, ports) & ports
    return found


def _weightless(program: Program) -> Set[str]:
    """The functions that have no weights, by key."""
    found: set[str] = set()
    for key, function in program.functions.items():  # callees before callers
        plain = (
            node.weight is None
            and (node.op is None or not node.owns)
            and (node.callee is None or node.callee in found)
            for node in function.nodes
        )
        if all(plain):
            found.add(key)
    return found


def _constants(function: Function, ports: Set[int], weightless: Set[str]) -> Set[int]:
    found = {value for value, kind in function.types.items() if not kind.dtype.is_float}
    found |= ports
    for node in function.nodes:
        is_plain = node.weight is None and (
            node.callee in weightless if node.callee is not None else not node.owns
        )
        if is_plain and found.issuperset(node.values()):
            found.update(node.outputs)
    return found


def _constant_ports(callee: Function, node: Node, own: Set[int]) -> Iterator[int]:
    for port, argument in zip(callee.inputs, node.inputs, strict=True):
        inside, outside = values_of(port.values), values_of(argument)
        yield from (a for a, b in zip(inside, outside, strict=True) if b in own)


def values_of(argument: Argument) -> tuple[int, ...]:
    """The values of an argument, a list spread out."""
    if argument is None:
        return ()
    return argument if isinstance(argument, tuple) else (argument,)


# ---- parts ----------------------------------------------------------------------------------------------


class _Finder:
    """Goes back from each linear layer of a function to those that it can be split with."""

    def __init__(
        self, program: Program, function: Function, constants: Mapping[str, Set[int]]
    ) -> None:
        self.program = program
        self.function = function
        self.constants = constants
        self.uses: dict[tuple[str | int, ...], int] = {}
        for node in function.nodes:
            if node.owns or node.weight is not None:
                self.uses[node.path] = self.uses.get(node.path, 0) + 1

    def parts(self) -> Iterator[Part]:
        taken: set[int] = set()
        for node in self.function.nodes:
            if node.id in taken or not self.is_plain(node):
                continue
            part = self._ending(node)
            if part is not None and not part.nodes & taken:
                taken |= part.nodes
                yield part

    def is_plain(self, node: Node) -> bool:
        """A linear layer with a weight of its own that nothing else uses."""
        return (
            isinstance(node.op, Linear)
            and node.owns
            and len(list(node.values())) == 1
            and self.uses[node.path] == 1
        )

    def _ending(self, row: Node) -> Part | None:
        """The part that ends with a layer; None where something cannot be split."""
        (value,) = row.values()
        rank = len(self.function.types[value].shape)
        walk = _Walk(self, self.function, {value: Divided(rank - 1)})
        if walk.given or not walk.whole({row.id}):
            return None
        return Part(row.id, walk.columns, walk.inner, walk.widths(), walk.divided)


class _Walk:
    """Which values are divided, and how, given some that are; `failed` where that cannot be."""

    def __init__(
        self,
        finder: _Finder,
        function: Function,
        wanted: Mapping[int, Divided],
        *,
        layers: bool = True,
    ) -> None:
        self.finder = finder
        self.function = function
        self.layers = layers
        self.constants = finder.constants[function.key]
        self.made = {value: node for node in function.nodes for value in node.outputs}
        self.divided: dict[int, Divided] = {}
        self.columns: dict[int, int] = {}
        self.inner: set[int] = set()
        self.given: dict[int, Divided] = {}
        """What is divided that comes into the function."""
        self.inside: set[int] = set()
        """The widths of what is divided inside of functions that are called."""
        self.waiting: list[int] = []
        self.failed = not all(self._want(*each) for each in wanted.items())
        while self.waiting and not self.failed:
            self.failed = not self._go(self.waiting.pop())

    def widths(self) -> set[int]:
        """The sizes of what is divided as a whole."""
        return self.inside | {
            int(self.function.types[value].shape[each.axis]) // each.stretches
            for value, each in self.divided.items()
        }

    def whole(self, readers: Set[int]) -> bool:
        """Whether it worked, and nothing but `readers` and the part itself reads what is divided."""
        if self.failed or (self.layers and not self.columns):
            return False
        results = {v for port in self.function.outputs for v in values_of(port.values)}
        if self.layers and results & set(self.divided):
            return False
        readers = readers | self.inner
        if any(
            node.id not in readers and not self.divided.keys().isdisjoint(node.values())
            for node in self.function.nodes
        ):
            return False
        made = (v for number in self.inner for v in self.function.nodes[number].outputs)
        read = {value for node in self.function.nodes for value in node.values()}
        return all(
            value in self.divided or value not in read | results for value in made
        )

    def _want(self, value: int, divided: Divided | None) -> bool:
        if divided is None:  # whole on every device
            return value in self.constants
        if value in self.divided:
            return self.divided[value] == divided
        size = self.function.types[value].shape[divided.axis]
        if not size.is_constant or int(size) % divided.stretches:
            return False
        self.divided[value] = divided
        self.waiting.append(value)
        return True

    def _go(self, value: int) -> bool:
        """On from a value that is divided to what its operator reads."""
        node, divided = self.made.get(value), self.divided[value]
        if node is None:
            self.given[value] = divided
            return not self.layers
        if node.weight is not None:
            return False
        if self.layers and self.finder.is_plain(node):
            last = len(self.function.types[value].shape) - 1
            self.columns[node.id] = divided.stretches
            return divided.axis == last
        if self.function.node_weights(node):
            return False
        self.inner.add(node.id)
        inputs = self._behind(node, node.outputs.index(value), divided)
        return inputs is not None and all(
            self._want(*each) for each in zip(node.values(), inputs, strict=True)
        )

    def _behind(
        self, node: Node, place: int, divided: Divided
    ) -> Sequence[Divided | None] | None:
        if node.op is not None:
            kinds = [self.function.types[value] for value in node.values()]
            results = self.function.results(node)
            inputs = axes_behind(node.op, kinds, results, place, divided)
            if inputs is None or self.layers or not isinstance(node.op, Rearrange):
                return inputs
            # What other parts of the model call stays as it is written.
            shared = with_share_open(node.op, kinds[0], divided)
            return inputs if shared is node.op else None
        assert node.callee is not None
        callee = self.finder.program.functions[node.callee]
        outputs = [v for port in callee.outputs for v in values_of(port.values)]
        inside = _Walk(self.finder, callee, {outputs[place]: divided}, layers=False)
        if not inside.whole(set()):
            return None
        self.inside |= inside.widths()
        ports = (v for port in callee.inputs for v in values_of(port.values))
        return [inside.given.get(value) for value in ports]
