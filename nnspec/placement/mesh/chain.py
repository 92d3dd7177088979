"""A model as a chain of operators at one micro-batch and degree of tensor parallelism.

What tensor parallelism splits (`nnspec.placement.mesh.tensor`) takes its share of time, weights
and their gradients and states; its sums over devices are counted as all-reduces. What
blocks keep for their backward pass is counted whole, so memory is at most what is said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import accumulate

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.figures import figure_named
from nnspec.analysis.memory.measures import updated_bytes
from nnspec.analysis.timing.kernels import Half, Kernel, Mode
from nnspec.analysis.totals import Additive, Rule, Totals
from nnspec.analysis.uses import Site
from nnspec.ir.dims import ZERO, Dim, Size, total
from nnspec.ir.graph import Path, Program, values_of
from nnspec.placement.clusters.cluster import Cluster, DeviceKind, countable
from nnspec.placement.mesh.clock import Clock
from nnspec.placement.mesh.collectives import Wire
from nnspec.placement.mesh.tensor import Shared as Sharing
from nnspec.placement.mesh.tensor import shared_nodes, tied_layers
from nnspec.placement.model import ModelGraph, kernel_seconds
from nnspec.records import dataclass


@dataclass(frozen=True, slots=True)
class Shared:
    """What belongs to one instance that several operators use, by their places: so much once."""

    places: tuple[int, ...]
    amount: float

    def is_used(self, first: int, last: int) -> bool:
        """Whether an operator from `first` to before `last` uses it."""
        return any(first <= place < last for place in self.places)

    def is_used_outside(self, first: int, last: int) -> bool:
        """Whether another operator uses it."""
        return not all(first <= place < last for place in self.places)


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of one quantity over operators that stand next to each other.

    `upto` are those over the first n, for each n. What several operators share counts
    once wherever any of them is.
    """

    upto: tuple[float, ...]
    shared: tuple[Shared, ...] = ()

    @staticmethod
    def over(amounts: Iterable[float], shared: Iterable[Shared] = ()) -> Sums:
        """The sums of amounts."""
        return Sums((0.0, *accumulate(amounts)), tuple(shared))

    def between(self, first: int, last: int) -> float:
        """The sum over operators from `first` to before `last`."""
        found = self.upto[last] - self.upto[first]
        for each in self.shared:
            if each.is_used(first, last):
                found += each.amount
        return found

    @property
    def whole(self) -> float:
        """The sum over all."""
        return self.upto[-1] + sum(each.amount for each in self.shared)


class Chain:
    """Times, bytes and cuts of the operators of a model, in an order in which they can run.

    `tensor` devices share what can be split; `wire` is what lies between them. In a
    pipeline (`lines`) stages have copies of shared layers, which stay whole. `order`
    gives the operators by their places in the model; that of the model if None. `base` is
    the same chain at other sizes, with the same weights.
    """

    def __init__(
        self,
        analysis: Analysis,
        cluster: Cluster,
        sizes: Mapping[str, Size],
        tensor: int,
        wire: Wire,
        *,
        lines: bool = False,
        order: Sequence[int] | None = None,
        base: Chain | None = None,
    ) -> None:
        self.analysis = analysis
        self.kind: DeviceKind = cluster.kind(0)
        self.sizes = sizes
        self.sharing: Mapping[str, Sharing] = (
            base.sharing if base else _sharing(analysis.program, tensor, lines)
        )
        self.tensor = tensor
        self.wire = wire
        self.model = ModelGraph(analysis, cluster, sizes, trains=True)
        sites = self.model.sites
        self.order = tuple(range(len(sites)) if order is None else order)
        self.sites = tuple(sites[place] for place in self.order)
        self.names = tuple(self.model.names[place] for place in self.order)
        self.count = len(self.sites)
        self._base = base
        self._kernels: dict[Kernel, float] = {}

    # ---- time ----------------------------------------------------------------------------

    @cached_property
    def forward(self) -> Sums:
        """Seconds of the forward pass of each operator, with the sums over tensor devices."""
        return self._seconds("forward", after=True, before=False)

    @cached_property
    def backward(self) -> Sums:
        """Seconds of the whole backward pass."""
        both = self._seconds("training", after=True, before=True)
        pairs = zip(both.upto, self.forward.upto, strict=True)
        return Sums(tuple(two - one for two, one in pairs))

    @cached_property
    def is_divided(self) -> bool:
        """Whether halves of the backward pass run apart where a schedule has halves.

        Programs do not divide it where blocks are computed again: for each layer in them they would be once more.
        """
        return not self.analysis.program.recomputes_any

    @cached_property
    def inputs(self) -> Sums:
        """Seconds of the gradients of inputs alone, or of all that is not divided."""
        if not self.is_divided:
            return self.backward
        return self._seconds("inputs", after=False, before=True)

    @cached_property
    def summing(self) -> Sums:
        """Of both passes what the sums over tensor devices take."""
        clock = Clock(self, "training", True, True, kernels=False)
        return Sums.over(clock.site(site, False) for site in self.sites)

    @cached_property
    def weight_gradients(self) -> Sums:
        """Seconds of the gradients of weights alone."""
        if not self.is_divided:
            return Sums.over(0.0 for _ in self.sites)
        return self._seconds("weights", after=False, before=False)

    def _seconds(self, mode: Mode | Half, *, after: bool, before: bool) -> Sums:
        clock = Clock(self, mode, after, before)
        return Sums.over(clock.site(site, False) for site in self.sites)

    def kernel(self, kernel: Kernel, scaled: bool) -> float:
        """The seconds of a kernel, or of the share of it of one of the tensor devices."""
        if scaled and self.tensor > 1:
            share = self.tensor
            flops, moved = -(-kernel.flops // share), -(-kernel.bytes // share)
            kernel = replace(kernel, flops=flops, bytes=moved)
        if kernel not in self._kernels:
            self._kernels[kernel] = kernel_seconds(self.kind, kernel)
        return self._kernels[kernel]

    def is_shared(self, site: Site) -> bool:
        """Whether tensor devices share the work of an operator."""
        return self.tensor > 1 and site.node.id in self._sharing(site).working

    def _sharing(self, site: Site) -> Sharing:
        return self.sharing[site.function.key]

    def summed_after(self, site: Site) -> float:
        """The seconds until the result of a last layer, embedding or head is whole."""
        sharing, number = self._sharing(site), site.node.id
        if number in sharing.rows or number in sharing.embeddings:
            size = self._bytes(site, site.node.outputs[0])
            return self.wire.reduce(size, self.tensor)
        if number in sharing.heads:
            size = self._bytes(site, site.node.outputs[0])
            return self.wire.gather(size, self.tensor)
        return 0.0

    def summed_before(self, site: Site) -> float:
        """The seconds until gradients of what shares are made of are whole."""
        sharing, number = self._sharing(site), site.node.id
        if not site.is_reached:
            return 0.0
        times = sharing.sums.get(number, int(number in sharing.heads))
        reduced = [next(site.node.values())] * times if times else []
        reduced += sharing.summed.get(number, ())
        sizes = (self._gradient_bytes(site, value) for value in reduced)
        taken = sharing.taken.get(number, ())
        return sum(self.wire.reduce(size, self.tensor) for size in sizes if size) + sum(
            self.wire.gather(size, self.tensor)
            for size in (self._gradient_bytes(site, value) for value in taken)
            if size
        )

    def _gradient_bytes(self, site: Site, value: int) -> float:
        """The bytes of the gradient of a value; 0 where it has none."""
        return self._bytes(site, value) if value in site.inside.needed else 0.0

    def _bytes(self, site: Site, value: int) -> float:
        kind = site.function.types[value]
        width = self.analysis.setting.policy.bytes(kind.dtype)
        return countable(int(kind.elements.at(self.sizes)) * width, "a value")

    # ---- bytes ---------------------------------------------------------------------------

    @cached_property
    def weights(self) -> Sums:
        """Bytes of the weights on each device."""
        return self._base.weights if self._base else self._lying("weight_bytes")

    @cached_property
    def gradients(self) -> Sums:
        """Bytes of their gradients."""
        return self._base.gradients if self._base else self._lying("gradient_bytes")

    @cached_property
    def states(self) -> Sums:
        """Bytes of the optimizer's states."""
        return self._base.states if self._base else self._lying("optimizer_bytes")

    @cached_property
    def largest(self) -> float:
        """The most bytes of weights in one operator."""
        if self._base is not None:
            return self._base.largest
        return max(self.weights.between(n, n + 1) for n in range(self.count))

    @cached_property
    def updates(self) -> Sums:
        """Bytes that the optimizer's step moves."""
        if self._base is not None:
            return self._base.updates
        return self._owned(partial(updated_bytes, setting=self.analysis.setting))

    @cached_property
    def kept(self) -> Sums:
        """Bytes that each operator keeps of a micro-batch, its results among them."""
        return Sums.over(
            self._kept_inside(site)
            + sum(self._bytes(site, v) for v in site.node.outputs if site.is_reached)
            if site.node.weight is None
            else 0
            for site in self.sites
        )

    def _kept_inside(self, site: Site) -> int:
        formulas = (self._base or self).model.kept_formulas
        kept = formulas.get(site.node.callee or "") if site.is_reached else None
        return 0 if kept is None else countable(int(kept.at(self.sizes)), "a block")

    @cached_property
    def between_halves(self) -> Sums:
        """Bytes of gradients that wait for those of weights: of the results of layers with weights."""
        policy = self.analysis.setting.policy

        def rule(site: Site) -> Dim:
            if not site.is_reached or not any(map(site.needs, site.weights)):
                return ZERO
            if not self.is_divided:
                return ZERO
            return total(
                kind.elements * policy.bytes(kind.dtype) for kind in site.results
            )

        totals = Totals(self.analysis.uses, Additive(rule))
        return Sums.over(self._at(totals, site) for site in self.sites)

    @cached_property
    def cuts(self) -> tuple[float, ...]:
        """Bytes that pass before each operator, and behind the last: none outside."""
        changes = [0.0] * (self.count + 2)
        last: dict[int, int] = {}
        for place, site in enumerate(self.sites):
            last.update((value, place) for value in site.node.values())
        made = [(-1, value) for value in values_of(self.model.main.inputs)]
        for place, site in enumerate(self.sites):
            if site.node.weight is None:  # a stage that reads a weight has a copy of it
                made += [(place, value) for value in site.node.outputs]
        for place, value in made:
            size = self._bytes(self.sites[0], value)
            changes[place + 1] += size
            changes[max(last.get(value, place), place) + 1] -= size
        found = list(accumulate(changes))
        return (0.0, *found[1 : self.count], 0.0)

    @cached_property
    def least_cuts(self) -> tuple[float, ...]:
        """The cuts inside the model, the least first."""
        return tuple(sorted(self.cuts[1 : self.count]))

    @cached_property
    def instances(self) -> Mapping[Path, tuple[int, ...]]:
        """Where each instance with weights is used: by calls, and by the first to read its weights."""
        if self._base is not None:
            return self._base.instances
        readers: dict[int, list[int]] = {}
        for place, site in enumerate(self.sites):
            for value in site.node.values():
                readers.setdefault(value, []).append(place)
        found: dict[Path, set[int]] = {}
        for place, site in enumerate(self.sites):
            if site.node.owns:
                found.setdefault(site.node.path, set()).add(place)
            elif site.node.weight is not None:
                read = readers.get(site.node.outputs[0], [place])
                found.setdefault(site.node.path, set()).add(read[0])
        return {path: tuple(sorted(places)) for path, places in found.items()}

    def _lying(self, figure: str) -> Sums:
        """A figure that belongs to instances."""
        quantity = figure_named(figure).quantity
        assert quantity is not None
        return self._owned(quantity(self.analysis.setting).rule)

    def _owned(self, rule: Rule) -> Sums:
        """What belongs to instances; of what is split there is a share."""
        uses = self.analysis.uses
        whole = Totals(uses, Additive(rule, owned=True))
        split = Totals(uses, Additive(self._if_split(rule), owned=True))
        amounts = dict(self._of_owners(whole, split))
        single = [0.0] * self.count
        shared: list[Shared] = []
        for path, places in self.instances.items():
            if len(places) == 1:
                single[places[0]] += amounts[path]
            else:
                shared.append(Shared(places, amounts[path]))
        return Sums.over(single, shared)

    def _of_owners(self, whole: Totals, split: Totals) -> Iterator[tuple[Path, float]]:
        saved = 1 - 1 / self.tensor
        for site in self.model.sites:
            if site.node.owns and site.is_first:
                yield (
                    site.node.path,
                    self._at(whole, site) - saved * self._at(split, site),
                )

    def _at(self, totals: Totals, site: Site) -> int:
        return countable(int(totals.of_site(site).at(self.sizes)), "an operator")

    def _if_split(self, rule: Rule) -> Rule:
        def found(site: Site) -> Dim:
            return rule(site) if site.node.id in self._sharing(site).nodes else ZERO

        return found


def _sharing(program: Program, tensor: int, lines: bool) -> Mapping[str, Sharing]:
    whole = tied_layers(program) if lines else frozenset[str]()
    return shared_nodes(program, tensor, whole)
