"""What the processes of an emitted program send each other in a step: how often, and how many bytes.

The engines are followed operation by operation, so that the figures are those that PyTorch counts:

- A part of split layers sums its result over the tensor axis, and the gradient of what goes into it; a split
  embedding sums its rows, a split last layer gathers its columns and sums the gradient of its input.
  Of what is the same for every sample it gathers the gradients of shares, or sums those of the whole.
- FSDP2 gathers the weights of each block, and of the rest, whenever they are needed and not there, and
  scatters the sums of their gradients. Shares are padded to equal sizes.
- Copies sum each gradient.
- Stages send values on, and gradients back, once for each micro-batch; each shared weight is summed over the
  processes that hold it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from math import prod
from typing import TypeAlias

from nnspec.analysis.shards import Shape, held_by_tensor
from nnspec.analysis.tensor_parts import Part
from nnspec.analysis.tensor_plan import SplitFunction, TensorPlan
from nnspec.analysis.tensor_values import constant_values, values_of
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Size
from nnspec.ir.graph import Function, Program, dotted
from nnspec.ir.types import DType, TensorType
from nnspec.records import dataclass
from nnspec.targets.engines.torch_sharded import MeshShape, blocks_of, instances

ALL_REDUCE, ALL_GATHER, REDUCE_SCATTER = "all_reduce", "all_gather", "reduce_scatter"
SEND = "send"


@dataclass(frozen=True, slots=True)
class Moved:
    """How often a process communicates, and the bytes of the tensors as wholes.

    That is what is reduced, what has been gathered, what is scattered before it is, and what is sent.
    """

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Moved) -> Moved:
        return Moved(self.count + other.count, self.bytes + other.bytes)

    def times(self, count: int) -> Moved:
        """The same several times."""
        return Moved(self.count * count, self.bytes * count)


Traffic: TypeAlias = Mapping[str, Moved]


def added(*traffics: Traffic) -> dict[str, Moved]:
    """All together, by kind."""
    kinds = sorted({kind for traffic in traffics for kind in traffic})
    none = Moved()
    return {
        kind: sum((t.get(kind, none) for t in traffics), start=none) for kind in kinds
    }


def times(traffic: Traffic, count: int) -> dict[str, Moved]:
    """The same several times."""
    return {kind: moved.times(count) for kind, moved in traffic.items()}


@dataclass(frozen=True)
class Step:
    """A step of an emitted program: its plan, the sizes of a micro-batch, and the bytes of an element.

    Floats have `item` bytes, weights and values alike.
    """

    plan: TensorPlan
    shape: MeshShape
    sizes: Mapping[str, Size]
    item: int = 4

    def traffic(self) -> dict[str, Moved]:
        """What a process of a mesh without a pipeline communicates in a step.

        Raises `SpecError` (E1036) where the engine's steps are not known: blocks that are computed again or
        used several times.
        """
        refuse_unknown(self.plan.program)
        inputs = self.plan.program.main.inputs
        still = {value for port in inputs for value in values_of(port.values)}
        layers = times(self.of_layers(still), self.shape.microbatches)
        return added(layers, self.of_weights())

    # ---- tensor axis ------------------------------------------------------------------------

    def of_layers(self, still: Set[int]) -> dict[str, Moved]:
        """Along the tensor axis, for one micro-batch; `still` are the inputs that have no gradient."""
        if self.plan.devices == 1:
            return {}
        program = self.plan.program
        found: list[Traffic] = []
        constants = constant_values(program, still)
        for function in _applied(program):
            split = self.plan.functions[function.key]
            found += self._function(function, split, constants[function.key])
        return added(*found)

    def _function(
        self, function: Function, split: SplitFunction, still: Set[int]
    ) -> Iterator[Traffic]:
        for part in split.parts:
            yield self._reduced(function, function.nodes[part.row].outputs[0])
            yield from self._shared(function, part, still)
        for entry in split.entries:
            if entry.value not in still:
                yield times(self._reduced(function, entry.value), entry.sums)
        for number in split.embeddings:
            yield self._reduced(function, function.nodes[number].outputs[0])
        for number in split.heads:
            node = function.nodes[number]
            value = next(node.values())
            yield {ALL_GATHER: Moved(1, self._bytes(function, node.outputs[0]))}
            if value not in still:
                yield self._reduced(function, value)

    def _shared(
        self, function: Function, part: Part, still: Set[int]
    ) -> Iterator[Traffic]:
        """The gradients of values that are the same for every sample, for each operator that reads them."""
        for number in part.inner:
            for value in set(function.nodes[number].values()) - still:
                if value in part.taken:
                    yield {ALL_GATHER: Moved(1, self._bytes(function, value))}
                elif value in part.summed:
                    yield self._reduced(function, value)

    def _reduced(self, function: Function, value: int) -> dict[str, Moved]:
        return {ALL_REDUCE: Moved(1, self._bytes(function, value))}

    def _bytes(self, function: Function, value: int) -> int:
        return bytes_of(function.types[value], self.sizes, self.item)

    # ---- data axis --------------------------------------------------------------------------

    def of_weights(self) -> dict[str, Moved]:
        """Along the data axis, in a whole step."""
        held = held_by_tensor(self.plan)
        if self.shape.copies:
            whole = sum(self.item * prod(shape) for shape in held.values())
            return {ALL_REDUCE: Moved(len(held), whole)}
        if not self.shape.shards:
            return {}
        groups = list(_groups(self.plan.program, held))
        if not groups:
            return {}
        whole = sum(self.item * self._padded(shapes) for shapes in groups)
        once = Moved(len(groups), whole)
        turns = self.shape.microbatches
        gathers = {"weights": 2 * turns}.get(self.shape.sharded, 1)
        scatters = 1 if self.shape.sharded == "states" else turns
        return {
            ALL_GATHER: once.times(gathers),
            REDUCE_SCATTER: once.times(scatters),
        }

    def _padded(self, shapes: Sequence[Shape]) -> int:
        """The elements of weights whose rows are filled up until they divide."""
        data = self.shape.data
        return sum(-(-shape[0] // data) * data * prod(shape[1:]) for shape in shapes)


def bytes_of(kind: TensorType, sizes: Mapping[str, Size], item: int) -> int:
    """The bytes of a value, with `item` for each float. Raises `SpecError` (E1105) while a size is open."""
    elements = kind.elements.at(sizes)
    if not elements.is_constant:
        names = ", ".join(sorted(elements.symbols()))
        raise SpecError(
            "E1105", f"`{names}` has no value", hint=f"give {names}=..., of a batch"
        )
    return int(elements) * (item if kind.dtype is DType.FLOAT else kind.dtype.bytes)


def _applied(program: Program) -> Iterator[Function]:
    """The functions of a program, once for each time that they are applied."""
    waiting = [program.main]
    while waiting:
        function = waiting.pop()
        yield function
        waiting += [
            program.functions[n.callee] for n in function.nodes if n.callee is not None
        ]


def _groups(program: Program, held: Mapping[str, Shape]) -> Iterator[list[Shape]]:
    """The weights that FSDP2 gathers together: of each block what inner blocks have not, and the rest."""
    blocks = set(blocks_of(program))
    prefixes = [f"{path}." for path, f in instances(program) if f.key in blocks]
    groups: dict[str, list[Shape]] = {}
    for path, shape in held.items():
        inside = [prefix for prefix in prefixes if path.startswith(prefix)]
        groups.setdefault(max(inside, key=len, default=""), []).append(shape)
    yield from groups.values()


def refuse_unknown(program: Program) -> None:
    """Raises `SpecError` (E1036) for blocks that run more than once in a step."""
    for function in program.functions.values():
        called = [dotted(n.path) for n in function.nodes if n.callee and n.owns]
        for node in function.nodes:
            if program.recomputes(node) or called.count(dotted(node.path)) > 1:
                raise SpecError(
                    "E1036",
                    f"what processes send each other is not known for `{dotted(node.path)}`, "
                    "which runs more than once",
                    node.location,
                    hint="leave out `@checkpoint`, and use each block once",
                )
