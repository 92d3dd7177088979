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

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from math import prod
from typing import TypeAlias

from nnspec.analysis.sharding.held import Shape, held_by_tensor
from nnspec.analysis.sharding.parts import Part
from nnspec.analysis.sharding.plan import SplitFunction, TensorPlan
from nnspec.analysis.uses import Inside, Use, Uses
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Size
from nnspec.ir.graph import Function, Program, values_of
from nnspec.ir.types import DType, TensorType
from nnspec.records import dataclass
from nnspec.targets.engines.gathering import Course, Happening, ShardedStep
from nnspec.targets.engines.halves import use_of_stage
from nnspec.targets.engines.instances import blocks_of, instances
from nnspec.targets.engines.torch_sharded import MeshShape

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

    Floats have `item` bytes, weights and values alike. `blocks` are the functions that FSDP2 gathers one
    by one, by themselves those that the program runs in loops. `parts` are the passes of a stage in a pipeline, in their
    order (F forward, B back), and `fetches` says how often its schedule gathers states that are
    sharded.
    """

    plan: TensorPlan
    shape: MeshShape
    sizes: Mapping[str, Size]
    item: int = 4
    blocks: Set[str] | None = None
    parts: str = ""
    fetches: int = 1

    def traffic(self) -> dict[str, Moved]:
        """What a process of a mesh without a pipeline communicates in a step.

        Raises `SpecError` (E1105) while a size is open.
        """
        still = set(values_of(self.plan.program.main.inputs))
        layers = times(self.of_layers(still), self.shape.microbatches)
        return added(layers, self.of_weights(still))

    # ---- tensor axis ------------------------------------------------------------------------

    def of_layers(self, still: Set[int]) -> dict[str, Moved]:
        """Along the tensor axis, for one micro-batch; `still` are the inputs that have no gradient."""
        if self.plan.devices == 1:
            return {}
        uses = Uses(self.plan.program)
        return self._of_use(uses, use_of_stage(uses, still), {})

    def _of_use(
        self,
        uses: Uses,
        use: Use,
        known: dict[Use, dict[str, Moved]],
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

    def of_weights(self, still: Set[int]) -> dict[str, Moved]:
        """Along the data axis, in a whole step; `still` are the inputs that have no gradient."""
        if self.shape.data == 1:
            return {}
        held = held_by_tensor(self.plan)
        blocks = self.blocks or frozenset(blocks_of([self.plan.program]))
        owners = dict(_owners(self.plan.program, held, blocks))
        uses = Uses(self.plan.program)
        main, course = (
            use_of_stage(uses, still),
            Course(uses, frozenset(owners.values())),
        )
        backward = list(course.backward(main))
        if self.shape.copies:
            trained = {path for what, path in backward if what is Happening.GRADIENT}
            whole = sum(self.item * prod(held[path]) for path in trained)
            return {ALL_REDUCE: Moved(len(trained), whole)} if trained else {}
        forward = list(course.forward(main))
        parts = self.parts or "FB" * self.shape.microbatches
        step = ShardedStep(forward, backward, owners, self.shape.sharded, parts)
        found = step.hooks(self.shape.pipeline > 1)
        fetches = self.fetches if self.shape.sharded == "states" else 1
        gathered = [
            (times * fetches, [held[path] for path in owners if owners[path] == block])
            for block, times in found.gathers.items()
        ]
        scattered = [
            (times, [held[path] for path in paths])
            for paths, times in found.scatters.items()
        ]
        kinds = {ALL_GATHER: gathered, REDUCE_SCATTER: scattered}
        return {
            kind: self._together(groups) for kind, groups in kinds.items() if groups
        }

    def _together(self, groups: Sequence[tuple[int, Sequence[Shape]]]) -> Moved:
        """Weights that are moved together, as often as they are; rows are filled up until they divide."""
        moved = (
            Moved(1, self.item * self._padded(shapes)).times(count)
            for count, shapes in groups
        )
        return sum(moved, start=Moved())

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


def _owners(
    program: Program, held: Iterable[str], blocks: Set[str]
) -> Iterator[tuple[str, str]]:
    """The block that gathers each weight: the innermost of those around it, or the model ("")."""
    around = [path for path, function in instances(program) if function.key in blocks]
    for weight in held:
        inside = [path for path in around if weight.startswith(f"{path}.")]
        yield weight, max(inside, key=len, default="")
