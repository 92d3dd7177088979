"""The seconds of operators in one pass, inside of the blocks that a chain's operators call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nnspec.analysis.timing.kernels import Half, Mode
from nnspec.analysis.timing.latency import Workload
from nnspec.analysis.uses import Site, Use

if TYPE_CHECKING:
    from nnspec.placement.mesh.chain import Chain


class Clock:
    """The seconds of operators in one pass, uses of a block worked out once.

    `after` counts the sums of the forward pass, `before` those of the backward pass, with
    those that are computed again; without `kernels` they alone are counted.
    """

    def __init__(
        self,
        chain: Chain,
        mode: Mode | Half,
        after: bool,
        before: bool,
        *,
        kernels: bool = True,
    ) -> None:
        self.chain = chain
        self.kernels = kernels
        self.after = after
        self.before = before
        self.work = Workload(chain.analysis, chain.sizes, mode)
        self.uses: dict[tuple[Use, bool], float] = {}

    def site(self, site: Site, scaled: bool) -> float:
        """One operator; `scaled` inside of a block that is shared as a whole."""
        scaled = scaled or self.chain.is_shared(site)
        if site.node.callee is not None:
            before = self.chain.summed_before(site) if self.before else 0.0
            return self.use(site.use, scaled) + before
        kernels = self.work.of_site(site) if self.kernels else ()
        found = sum(self.chain.kernel(each, scaled) for each in kernels)
        again = site.again if self.before else 0
        found += (self.after + again) * self.chain.summed_after(site)
        return found + (self.chain.summed_before(site) if self.before else 0.0)

    def use(self, use: Use, scaled: bool) -> float:
        """One use of a block."""
        key = (use, scaled)
        if key not in self.uses:
            sites = self.chain.analysis.uses.inside(use).sites
            self.uses[key] = sum(self.site(each, scaled) for each in sites)
        return self.uses[key]


class Again:
    """What is computed again for gradients of weights alone, where the halves of the backward pass run apart.

    PyTorch computes these layer by layer, and for each layer the blocks again that it lies in (`@checkpoint`):
    `stage_backward_weight` of `torch.distributed.pipelining` calls autograd once for each.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.program = chain.analysis.program
        self.clock = Clock(chain, "inputs", after=False, before=True)
        self.uses: dict[tuple[Use, bool], float] = {}
        self.layers: dict[Use, int] = {}

    def site(self, site: Site, scaled: bool) -> float:
        """One operator; `scaled` inside of a block that is shared as a whole."""
        if site.node.callee is None:
            return 0.0
        scaled = scaled or self.chain.is_shared(site)
        found = self._inside(site.use, scaled)
        if self.program.recomputes(site.node):
            use = site.use
            once = self.clock.use(use, scaled) - self.clock.use(use.once, scaled)
            found += self._layers(use) * once
        return found

    def _inside(self, use: Use, scaled: bool) -> float:
        key = (use, scaled)
        if key not in self.uses:
            sites = self.chain.analysis.uses.inside(use).sites
            self.uses[key] = sum(self.site(each, scaled) for each in sites)
        return self.uses[key]

    def _layers(self, use: Use) -> int:
        """The operators in a block whose weights get gradients."""
        if use not in self.layers:
            sites = self.chain.analysis.uses.inside(use).sites
            self.layers[use] = sum(map(self._layers_of, sites))
        return self.layers[use]

    def _layers_of(self, site: Site) -> int:
        if site.node.callee is not None:
            return self._layers(site.use)
        return int(site.is_reached and any(map(site.needs, site.weights)))
