"""What the processes of an emitted program send each other in a step: how often, and how many bytes.

The engines are followed operation by operation, so that the figures are those that PyTorch counts:

- A part of split layers sums its result over the tensor axis, and the gradient of what goes into it; a split
  embedding sums its rows, a split last layer gathers its columns and sums the gradient of its input.
  A block that is computed again sums its results again, as far as it is computed.
  Of what is the same for every sample it gathers the gradients of shares, or sums those of the whole.
- FSDP2 gathers the weights of each block, and of the rest, whenever they are needed and not there, and
  scatters the sums of their gradients. Shares are padded to equal sizes.
- Copies sum each gradient.
- Stages send values on, and gradients back, once for each micro-batch; each shared weight is summed over the
  processes that hold it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from math import prod
from typing import TypeAlias

from nnspec.analysis.sharding.held import Shape, held_by_tensor
from nnspec.analysis.sharding.parts import Part
from nnspec.analysis.sharding.plan import SplitFunction, TensorPlan
from nnspec.analysis.uses import Inside, Use, Uses
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Size
from nnspec.ir.graph import Function, Program, dotted, values_of
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

        Raises `SpecError` (E1036) where the engine's steps are not known: FSDP2 with blocks that are used
        several times, or lie in others that are computed again.
        """
        refuse_unknown(self.plan.program, self.shape)
        inputs = self.plan.program.main.inputs
        still = set(values_of(inputs))
        layers = times(self.of_layers(still), self.shape.microbatches)
        return added(layers, self.of_weights())

    # ---- tensor axis ------------------------------------------------------------------------

    def of_layers(self, still: Set[int]) -> dict[str, Moved]:
        """Along the tensor axis, for one micro-batch; `still` are the inputs that have no gradient."""
        if self.plan.devices == 1:
            return {}
        main = self.plan.program.main
        values = values_of(main.inputs)
        needs = tuple(v not in still and main.types[v].dtype.is_float for v in values)
        uses = Uses(self.plan.program)
        use = replace(uses.main, needs=needs)
        return self._of_use(uses, uses.known(use), {})

    def _of_use(
        self, uses: Uses, use: Use, known: dict[Use, dict[str, Moved]]
    ) -> dict[str, Moved]:
        """Of a function as it is used, with those that it calls; each use is worked out once."""
        if use not in known:
            inside = uses.inside(use)
            own = self._function(inside, self.plan.functions[use.key])
            called = (
                times(self._of_use(uses, site.use, known), count)
                for site, count in inside.counted
                if site.node.callee is not None
            )
            known[use] = added(*own, *called)
        return known[use]

    def _function(self, inside: Inside, split: SplitFunction) -> Iterator[Traffic]:
        """What is summed and gathered forward, as often as it is computed; and gradients, once."""
        function = inside.function
        for number in (*(part.row for part in split.parts), *split.embeddings):
            node = function.nodes[number]
            sums = self._reduced(function, node.outputs[0])
            yield times(sums, 1 + inside.again(node))
        for entry in split.entries:
            if entry.value in inside.reached:
                yield times(self._reduced(function, entry.value), entry.sums)
        for part in split.parts:
            yield from self._shared(inside, part)
        for number in split.heads:
            node = function.nodes[number]
            value = next(node.values())
            yield {ALL_GATHER: Moved(1, self._bytes(function, node.outputs[0]))}
            if value in inside.reached:
                yield self._reduced(function, value)

    def _shared(self, inside: Inside, part: Part) -> Iterator[Traffic]:
        """The gradients of values that are the same for every sample, for each operator that reads them."""
        function = inside.function
        for number in part.inner:
            for value in inside.reached.intersection(function.nodes[number].values()):
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


def _groups(program: Program, held: Mapping[str, Shape]) -> Iterator[list[Shape]]:
    """The weights that FSDP2 gathers together: of each block what inner blocks have not, and the rest."""
    blocks = set(blocks_of(program))
    prefixes = [f"{path}." for path, f in instances(program) if f.key in blocks]
    groups: dict[str, list[Shape]] = {}
    for path, shape in held.items():
        inside = [prefix for prefix in prefixes if path.startswith(prefix)]
        groups.setdefault(max(inside, key=len, default=""), []).append(shape)
    yield from groups.values()


def refuse_unknown(program: Program, shape: MeshShape) -> None:
    """Raises `SpecError` (E1036) for what FSDP2 gathers more often than once for each pass.

    That is a block that is used several times, and a block inside of one that is computed again.
    """
    blocks = set(blocks_of(program)) if shape.shards else set[str]()
    for function in program.functions.values():
        called = Counter(node.path for node in function.nodes if node.owns)
        for node in function.nodes:
            if node.callee is None or not blocks:
                continue
            below = set(_below(program, node.callee))
            again = program.recomputes(node) and blocks & (below - {node.callee})
            if again or (called[node.path] > 1 and blocks & below):
                raise SpecError(
                    "E1036",
                    f"what processes send each other is not known for `{dotted(node.path)}`, "
                    "whose weights are gathered more than once in a pass",
                    node.location,
                    hint="mark the inner blocks with `@checkpoint`, use each block once, or place "
                    "the model with `sharded=nothing`",
                )


def _below(program: Program, key: str) -> Iterator[str]:
    """A function and all that it calls, by key."""
    yield key
    for callee in program.callees(program.functions[key]):
        yield from _below(program, callee.key)
