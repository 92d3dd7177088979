"""A model as a chain of operators at one micro-batch and degree of tensor parallelism.

What tensor parallelism splits (`nnspec.placement.tensor`) takes its share of time, weights
and their gradients and states; its sums over devices are counted as all-reduces. What
blocks keep for their backward pass is counted whole, so memory is at most what is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import accumulate, pairwise

from nnspec.analysis.figures import Analysis, figure_named
from nnspec.analysis.kernels import Kernel
from nnspec.analysis.latency import Workload, step_bytes
from nnspec.analysis.totals import Additive, Rule, Totals
from nnspec.analysis.uses import Site, Use, values_of
from nnspec.ir.dims import ZERO, Dim, Size, total
from nnspec.placement.cluster import Cluster, DeviceKind
from nnspec.placement.model import ModelGraph, kernel_seconds
from nnspec.placement.tensor import Parts
from nnspec.records import dataclass

Reduce = Callable[[float], float]
"""The seconds of an all-reduce of so many bytes."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the first n operators, for each n: of one quantity."""

    upto: tuple[float, ...]

    @staticmethod
    def over(amounts: Iterable[float]) -> Sums:
        """The sums of amounts."""
        return Sums((0.0, *accumulate(amounts)))

    def between(self, first: int, last: int) -> float:
        """The sum over operators from `first` to before `last`."""
        return self.upto[last] - self.upto[first]

    @property
    def whole(self) -> float:
        """The sum over all."""
        return self.upto[-1]


class Chain:
    """Times, bytes and cuts of the operators of a model, in the order in which they run.

    `tensor` devices split what can be split; `reduce` gives the time of their sums. With
    `copies` each operator that reads a weight of another has a copy of it, as in a
    pipeline whose stages share the weight.
    """

    def __init__(
        self,
        analysis: Analysis,
        cluster: Cluster,
        sizes: Mapping[str, Size],
        parts: Mapping[str, Parts],
        tensor: int,
        reduce: Reduce,
        copies: bool,
    ) -> None:
        self.analysis = analysis
        self.kind: DeviceKind = cluster.kind(0)
        self.sizes = sizes
        self.parts = parts
        self.tensor = tensor
        self.reduce = reduce
        self.copies = copies
        self.model = ModelGraph(analysis, cluster, sizes, trains=True)
        self.count = len(self.model.sites)
        self._work = Workload(analysis, sizes, "training")
        self._seconds: dict[tuple[Use, bool], float] = {}
        self._kernels: dict[Kernel, float] = {}

    # ---- time ----------------------------------------------------------------------------

    @cached_property
    def seconds(self) -> Sums:
        """Forward and backward pass of each operator, with the sums over tensor devices."""
        return Sums.over(self._site_seconds(site, False) for site in self.model.sites)

    def _site_seconds(self, site: Site, scaled: bool) -> float:
        scaled = scaled or self._is_split(site)
        if site.node.callee is not None:
            return self._use_seconds(site.use, scaled)
        own = sum(self._one(kernel, scaled) for kernel in self._work.of_site(site))
        return own + self._reductions(site)

    def _use_seconds(self, use: Use, scaled: bool) -> float:
        key = (use, scaled)
        if key not in self._seconds:
            sites = self.analysis.uses.inside(use).sites
            self._seconds[key] = sum(self._site_seconds(each, scaled) for each in sites)
        return self._seconds[key]

    def _one(self, kernel: Kernel, scaled: bool) -> float:
        if scaled and self.tensor > 1:
            share = self.tensor
            flops, moved = -(-kernel.flops // share), -(-kernel.bytes // share)
            kernel = replace(kernel, flops=flops, bytes=moved)
        if kernel not in self._kernels:
            self._kernels[kernel] = kernel_seconds(self.kind, kernel)
        return self._kernels[kernel]

    def _is_split(self, site: Site) -> bool:
        return self.tensor > 1 and site.node.id in self._parts(site).nodes

    def _parts(self, site: Site) -> Parts:
        return self.parts[site.function.key]

    def _reductions(self, site: Site) -> float:
        """Of a last layer its result, and of first layers the gradient of what they read."""
        if not self._is_split(site):
            return 0.0
        parts, node = self._parts(site), site.node
        if node.id in parts.rows:
            return self.reduce(self._bytes(site, node.outputs[0]))
        if node.id not in parts.columns or not site.is_reached:
            return 0.0
        (value,) = node.values()
        before = (n for n in site.function.nodes[: node.id] if n.id in parts.columns)
        if any(value in other.values() for other in before):
            return 0.0
        return self.reduce(self._bytes(site, value))

    def _bytes(self, site: Site, value: int) -> float:
        kind = site.function.types[value]
        width = self.analysis.setting.policy.bytes(kind.dtype)
        return int(kind.elements.at(self.sizes)) * width

    # ---- bytes ---------------------------------------------------------------------------

    @cached_property
    def weights(self) -> Sums:
        """Bytes of the weights on each device."""
        return self._lying("weight_bytes")

    @cached_property
    def gradients(self) -> Sums:
        """Bytes of their gradients."""
        return self._lying("gradient_bytes")

    @cached_property
    def states(self) -> Sums:
        """Bytes of the optimizer's states."""
        return self._lying("optimizer_bytes")

    @cached_property
    def largest(self) -> float:
        """The most bytes of weights in one operator."""
        upto = self.weights.upto
        return max(b - a for a, b in pairwise(upto))

    @cached_property
    def updates(self) -> Sums:
        """Bytes that the optimizer's step moves."""
        trained = self._lying("trainable")
        policy = self.analysis.setting.policy
        return Sums.over(
            step_bytes(
                policy,
                int(trained.between(n, n + 1)),
                int(self.states.between(n, n + 1)),
            )
            for n in range(self.count)
        )

    @cached_property
    def kept(self) -> Sums:
        """Bytes that each operator keeps of a micro-batch, its results among them."""
        return Sums.over(
            self.model.kept_inside(site)
            + sum(self._bytes(site, v) for v in site.node.outputs if site.is_reached)
            for site in self.model.sites
        )

    @cached_property
    def cuts(self) -> tuple[float, ...]:
        """Bytes that pass before each operator, and behind the last: none outside."""
        changes = [0.0] * (self.count + 2)
        main = self.model.main
        last: dict[int, int] = {}
        for place, node in enumerate(main.nodes):
            last.update((value, place) for value in node.values())
        made = [(-1, value) for value in values_of(main.inputs)]
        for place, node in enumerate(main.nodes):
            if node.weight is None:  # a stage that reads a weight of another has a copy
                made += [(place, value) for value in node.outputs]
        for place, value in made:
            size = self._bytes(self.model.sites[0], value)
            changes[place + 1] += size
            changes[max(last.get(value, place), place) + 1] -= size
        found = list(accumulate(changes))
        return (0.0, *found[1 : self.count], 0.0)

    def _lying(self, figure: str) -> Sums:
        """A figure that belongs to instances; what is split is counted by its share."""
        quantity = figure_named(figure).quantity
        assert quantity is not None
        rule = quantity(self.analysis.setting).rule
        uses = self.analysis.uses
        whole = Totals(uses, Additive(rule, owned=True))
        split = Totals(uses, Additive(self._if_split(rule), owned=True))
        saved = 1 - 1 / self.tensor
        return Sums.over(
            self._at(whole, site) - saved * self._at(split, site)
            for site in map(self._owner, self.model.sites)
        )

    def _owner(self, site: Site) -> Site:
        """Where a weight is read, with copies, that which it is read of."""
        if site.node.weight is None or not self.copies:
            return site
        owners = (s for s in self.model.sites if s.node.owns and s.is_first)
        return next(s for s in owners if s.node.path == site.node.path)

    @cached_property
    def tied(self) -> Sums:
        """Bytes of gradients that are summed with those of other stages."""
        upto = self.gradients.upto
        return Sums.over(
            upto[n + 1] - upto[n] if site.node.weight is not None else 0.0
            for n, site in enumerate(self.model.sites)
        )

    def _at(self, totals: Totals, site: Site) -> int:
        return int(totals.of_site(site).at(self.sizes))

    def _if_split(self, rule: Rule) -> Rule:
        def found(site: Site) -> Dim:
            return rule(site) if self._is_split(site) else ZERO

        return found


def widths_of(parts: Mapping[str, Parts], sizes: Mapping[str, Size]) -> list[int]:
    """The numbers that a degree of tensor parallelism has to divide."""
    found = {width for each in parts.values() for width in each.widths}
    return sorted({int(total([width]).at(sizes)) for width in found})
