"""How tensor parallelism splits a model: which layers, in which manner, and what that leaves whole.

Parts of linear layers, attention by heads among them, come from `nnspec.analysis.sharding.parts`. Besides, an
embedding is split by its rows (each process looks up what it has, and zeros for the rest), and a last layer
by its columns, tied to the embedding or not; their results are made whole. What the number of devices
does not divide stays whole in every process.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from enum import Enum
from functools import cached_property

from nnspec.analysis.sharding.parts import Part, Parts, tensor_parts
from nnspec.ir.graph import Function, Node, Program, dotted, values_of
from nnspec.ops.linear import Embedding, Linear
from nnspec.ops.normalization import LayerNorm, RMSNorm
from nnspec.records import dataclass


class Style(Enum):
    """What is done to a layer."""

    COLUMNS = "by columns"
    ROWS = "by rows"
    VOCABULARY = "an embedding by rows"
    HEAD = "by columns, its result whole"
    ENTERING = "takes what several layers split, as one tensor"
    LEAVING = "gives what several layers split, as one tensor"


@dataclass(frozen=True, slots=True)
class Entry:
    """A value that split layers of a function read: its gradients are summed over devices.

    `sums` says how often: once if all of them read one tensor of the engine, else once for each layer.
    """

    value: int
    sums: int


@dataclass(frozen=True, slots=True)
class SplitFunction:
    """What is split in a function: parts, the values that go into them, embeddings and heads by node."""

    parts: tuple[Part, ...] = ()
    entries: tuple[Entry, ...] = ()
    embeddings: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()


@dataclass(frozen=True)
class TensorPlan:
    """A model over `devices` that share its layers.

    `whole` names the weights of the main function, by paths of their instances, that must not be split;
    `still` are the inputs of the model that have no gradient although they are floats, and `same` those that
    are the same for every sample, as a table of biases is that an earlier stage of a pipeline made.
    """

    program: Program
    devices: int
    whole: Set[str] = frozenset()
    still: Set[int] = frozenset()
    same: Set[int] = frozenset()

    @cached_property
    def parts(self) -> Mapping[str, Parts]:
        """What could be split in each function, by any number of devices."""
        return tensor_parts(self.program, self.still, self.same)

    @cached_property
    def functions(self) -> Mapping[str, SplitFunction]:
        """What is split in each function."""
        return {
            key: self._split(function, self.parts[key].parts)
            for key, function in self.program.functions.items()
        }

    def _split(self, function: Function, parts: Sequence[Part]) -> SplitFunction:
        if self.devices == 1:
            return SplitFunction()
        chosen = tuple(part for part in parts if part.divides(self.devices))
        is_main = function.key == self.program.entry
        if is_main:
            chosen = tuple(p for p in chosen if not self._is_kept(function, p.nodes))
        embeddings = tuple(self._embeddings(function)) if is_main else ()
        heads = tuple(self._heads(function, chosen, embeddings)) if is_main else ()
        entries = tuple(_entries(function, chosen, is_main))
        return SplitFunction(chosen, entries, embeddings, heads)

    def _is_kept(self, function: Function, nodes: Set[int]) -> bool:
        return any(dotted(function.nodes[n].path) in self.whole for n in nodes)

    # ---- vocabularies -----------------------------------------------------------------------

    def _embeddings(self, function: Function) -> Iterator[int]:
        """Those that look up what the model is given; others, of positions, are small."""
        given = set(values_of(function.inputs))
        for node in function.nodes:
            op = node.op
            if not isinstance(op, Embedding) or not node.owns:
                continue
            if not given.issuperset(node.values()):
                continue
            if int(op.entries) % self.devices or self._is_kept(function, {node.id}):
                continue
            if all(_is_tied_head(function, each) for each in _readers(function, node)):
                yield node.id

    def _heads(
        self, function: Function, parts: Sequence[Part], embeddings: Sequence[int]
    ) -> Iterator[int]:
        """Layers whose results are those of the model."""
        taken = {number for part in parts for number in part.nodes}
        split = {function.nodes[number].path for number in embeddings}
        results = set(values_of(function.outputs))
        for node in function.nodes:
            if not isinstance(node.op, Linear) or node.id in taken:
                continue
            if self._is_kept(function, {node.id}):
                continue
            if _is_tied_head(function, node):
                (_, weight) = node.values()
                maker = next(n for n in function.nodes if weight in n.outputs)
                if maker.path in split:
                    yield node.id
            elif node.outputs[0] in results and self._is_own(function, node):
                yield node.id

    def _is_own(self, function: Function, node: Node) -> bool:
        assert isinstance(node.op, Linear)
        uses = [other for other in function.nodes if other.path == node.path]
        inputs = list(node.values())
        divides = int(node.op.features) % self.devices == 0
        return node.owns and divides and len(uses) == 1 and len(inputs) == 1

    # ---- by paths ---------------------------------------------------------------------------

    @cached_property
    def styles(self) -> Mapping[str, Style]:
        """What is done to each module that is not left as it is, by its path, in the order of the model."""
        return dict(self._styles(self.program.main, ""))

    def _styles(self, function: Function, prefix: str) -> Iterator[tuple[str, Style]]:
        split = self.functions[function.key]
        own = {n: Style.COLUMNS for part in split.parts for n in part.columns}
        own |= {part.row: Style.ROWS for part in split.parts}
        own |= dict.fromkeys(split.embeddings, Style.VOCABULARY)
        own |= {
            n: Style.HEAD
            for n in split.heads
            if len(function.nodes[n].inputs) == 1 or function.nodes[n].inputs[1] is None
        }
        together = self.together(function)
        for port in function.inputs:
            if port.values in together:
                yield prefix.removesuffix("."), Style.ENTERING
        for node in function.instances.values():
            path = f"{prefix}{dotted(node.path)}"
            if node.id in own:
                yield path, own[node.id]
            elif node.outputs[0] in together:
                yield path, Style.LEAVING
            if node.callee is not None:
                callee = self.program.functions[node.callee]
                yield from self._styles(callee, f"{path}.")

    def together(self, function: Function) -> Set[int]:
        """The values that several split layers read as one tensor of the engine, and nothing else reads."""
        split = self.functions[function.key]
        readers = _column_readers(function, split.parts)
        return {
            entry.value
            for entry in split.entries
            if entry.sums == 1 and len(readers[entry.value]) > 1
        }

    @cached_property
    def packed(self) -> Mapping[str, int]:
        """The layers split by columns whose features are several stretches, each split apart."""
        return {
            f"{prefix}{dotted(function.nodes[number].path)}": stretches
            for prefix, function in everywhere(self.program)
            for part in self.functions[function.key].parts
            for number, stretches in part.columns.items()
            if stretches > 1
        }

    @cached_property
    def axes(self) -> Mapping[str, int]:
        """The axis of each weight that is split, by its path."""
        found: dict[str, int] = {}
        for path, style in self.styles.items():
            if style in (Style.COLUMNS, Style.HEAD):
                found |= {f"{path}.weight": 0, f"{path}.bias": 0}
            elif style is Style.ROWS:
                found[f"{path}.weight"] = 1
            elif style is Style.VOCABULARY:
                found[f"{path}.weight"] = 0
        return {**found, **self.tables}

    @cached_property
    def tables(self) -> Mapping[str, int]:
        """The axis of each bare weight that is split with the layers that read it, by its path."""
        return {
            f"{prefix}{dotted(function.nodes[number].path)}": axis
            for prefix, function in everywhere(self.program)
            for part in self.functions[function.key].parts
            for number, axis in part.tables.items()
        }


def everywhere(program: Program) -> Iterator[tuple[str, Function]]:
    """Each instance of a function, with what stands before the paths in it: the model, and then what it calls."""
    yield from _below(program, program.main, "")


def _below(
    program: Program, function: Function, prefix: str
) -> Iterator[tuple[str, Function]]:
    yield prefix, function
    for node in function.instances.values():
        if node.callee is not None:
            callee = program.functions[node.callee]
            yield from _below(program, callee, f"{prefix}{dotted(node.path)}.")


def _readers(function: Function, owner: Node) -> list[Node]:
    """The nodes that read a weight of an instance."""
    weights = {
        node.outputs[0]
        for node in function.nodes
        if node.weight is not None and node.path == owner.path
    }
    return [n for n in function.nodes if not weights.isdisjoint(n.values())]


def _is_tied_head(function: Function, node: Node) -> bool:
    """A linear layer whose matrix is another layer's weight."""
    if not isinstance(node.op, Linear) or len(list(node.values())) != 2:
        return False
    if node.op.bias:  # its bias would have to be split as well
        return False
    (_, weight) = node.values()
    maker = next((n for n in function.nodes if weight in n.outputs), None)
    return maker is not None and maker.weight == "weight"


# ---- what goes into split layers ----------------------------------------------------------------------


def _column_readers(
    function: Function, parts: Sequence[Part]
) -> Mapping[int, list[int]]:
    """The layers split by columns that read each value."""
    found: dict[int, list[int]] = {}
    for part in parts:
        for number in sorted(part.columns):
            (value,) = function.nodes[number].values()
            found.setdefault(value, []).append(number)
    return found


def _entries(
    function: Function, parts: Sequence[Part], is_main: bool
) -> Iterator[Entry]:
    for value, numbers in _column_readers(function, parts).items():
        is_one = len(numbers) == 1 or _can_be_one(function, value, numbers, is_main)
        yield Entry(value, 1 if is_one else len(numbers))


def _can_be_one(
    function: Function, value: int, columns: Sequence[int], is_main: bool
) -> bool:
    """Whether a module's border is where a value comes from, and nothing but the layers reads it."""
    results = set(values_of(function.outputs))
    readers = {node.id for node in function.nodes if value in node.values()}
    if readers != set(columns) or value in results:
        return False
    maker = next((n for n in function.nodes if value in n.outputs), None)
    if maker is None:
        ports = [port for port in function.inputs if port.values is not None]
        return not is_main and not any(port.listed for port in ports)
    uses = [node for node in function.nodes if node.path == maker.path]
    is_module = maker.callee is not None or isinstance(maker.op, LayerNorm | RMSNorm)
    return is_module and maker.owns and len(uses) == 1 and len(maker.outputs) == 1
