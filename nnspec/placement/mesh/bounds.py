"""What no division of a mesh takes less than, whatever its stages are: the work of its mean rank."""

from __future__ import annotations

from itertools import pairwise
from math import inf

from nnspec.placement.mesh.chain import Chain
from nnspec.placement.mesh.cost import MeshCost
from nnspec.placement.mesh.pipelines import HALVES


def mean_bound(cost: MeshCost, usable: float) -> float:
    """What the mean rank of a mesh takes at least, wherever the model is cut.

    Rank n has n operators or more in front of it, and every micro-batch goes through all
    stages and back. Infinite if not even the mean rank has
    room for its weights.
    """
    chain, mesh, ranks = cost.chain, cost.mesh, cost.mesh.pipeline
    turns = mesh.microbatches
    if cost.lying_of_all > usable * ranks:
        return inf
    free = cost.without_latency()
    gathering, scattering = free.for_each_microbatch(0, chain.count)
    turn = chain.forward.whole + chain.backward.whole
    turn += 2 * gathering + scattering + cost.moving_at_least
    ahead = sum(chain.forward.upto[rank] for rank in range(ranks))
    behind = sum(chain.backward.upto[rank] for rank in range(ranks))
    once = turn
    if mesh.schedule in HALVES:  # gradients of weights need not be waited for
        behind, once = 0.0, chain.forward.whole
    behind = max(behind, free.synchronising(0, chain.count))
    found = (turns * turn + ahead + behind) / ranks
    found = max(found, once, turns * _fullest(chain, ranks))
    if mesh.schedule == "GPipe":
        # Both phases flow through all stages, at the pace of the slowest.
        found = max(found, turn * (1 + (turns - 1) / ranks))
    return found


def _fullest(chain: Chain, ranks: int) -> float:
    """The least load of the fullest rank: of n operators that take so long or longer, it has n / ranks."""
    loads = zip(chain.forward.upto, chain.backward.upto, strict=True)
    upto = [forward + backward for forward, backward in loads]
    ordered = sorted((b - a for a, b in pairwise(upto)), reverse=True)
    return max(-(-n // ranks) * each for n, each in enumerate(ordered, 1))
