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
