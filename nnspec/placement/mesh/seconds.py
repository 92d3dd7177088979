"""What stages of a mesh take as sums over operators: at most what they do take, in seconds.

What is no such sum (latencies of collectives, weights that stages share) is left out, which
makes bounds that are made of these sums lower, never higher.
"""

from __future__ import annotations

from functools import cached_property

from nnspec.placement.mesh.cost import MeshCost


class Seconds:
    """The seconds of operators of one mesh, wherever the model is cut."""

    def __init__(self, cost: MeshCost) -> None:
        self.cost = cost
        self.data = cost.without_latency().data

    @cached_property
    def upto(self) -> tuple[list[float], ...]:
        """The seconds of F, B, I and W of the first n operators, for each n."""
        chain = self.cost.chain
        passed = [self._passed(n) for n in range(chain.count + 1)]
        gathered = [gathering for gathering, _ in passed]
        both = [gathering + scattering for gathering, scattering in passed]
        scattered = [scattering for _, scattering in passed]
        pairs = (
            (chain.forward, gathered),
            (chain.backward, both),
            (chain.inputs, gathered),
            (chain.weight_gradients, scattered),
        )
        return tuple(
            [a + b for a, b in zip(sums.upto, more, strict=True)]
            for sums, more in pairs
        )

    def _passed(self, operators: int) -> tuple[float, float]:
        """The seconds for sharded weights and gradients of the first operators."""
        chain, level, devices = self.cost.chain, self.cost.level, self.cost.mesh.data
        weights = self.data.gather(chain.weights.upto[operators], devices)
        gradients = self.data.gather(chain.gradients.upto[operators], devices)
        return (weights if level >= 3 else 0.0, gradients if level >= 2 else 0.0)

    @cached_property
    def ends(self) -> list[float]:
        """The seconds behind the last part for the first n operators, for each n."""
        chain, level, cost = self.cost.chain, self.cost.level, self.cost
        devices = cost.mesh.data
        share = devices if level else 1
        found: list[float] = []
        for weights, gradients, updates in zip(
            chain.weights.upto, chain.gradients.upto, chain.updates.upto, strict=True
        ):
            seconds = updates / share / cost.bandwidth
            if level < 2:
                seconds += self.data.gather(gradients, devices)
            if level < 3:
                seconds += self.data.gather(weights if level else gradients, devices)
            found.append(seconds)
        return found

    def sent(self, border: int, cut: int) -> float:
        """The seconds of what goes from rank to rank in front of a stage."""
        return self._sends[cut] if self.cost.moves(border) else 0.0

    @cached_property
    def _sends(self) -> list[float]:
        return [self.cost.line.send(cut) for cut in self.cost.chain.cuts]
