"""The least memory of each device with which a mesh fits, of all meshes that there are.

Meshes are taken up in the order of what they need at least. Each is divided as well as
cuts can be moved one by one; what its ranks can hold (`nnspec.placement.mesh.cover`) says
whether another division may need less, and if so, it is looked for
(`nnspec.placement.mesh.packing`). That is exact unless there is too much to look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf, nextafter
from operator import itemgetter

from nnspec.placement.mesh.candidates import Meshes
from nnspec.placement.mesh.cost import ROUNDED, Divided, MeshCost
from nnspec.placement.mesh.cover import Cover
from nnspec.placement.mesh.cuts import equal_shares, neighbours
from nnspec.placement.mesh.packing import Packing, Unfinished
from nnspec.placement.mesh.plan import Mesh
from nnspec.placement.mesh.uses import Uses
from nnspec.records import dataclass

STEPS = 1_000_000
"""So many stages and states are looked at for the least room of a mesh,"""

STEPS_FOR_ENOUGH = 600_000
"""and so many for whether there is enough of it, which is asked of more meshes."""

TRIED = (0.1, 0.3, 0.6)
"""Of the way from what a mesh needs at least to what is known to be enough, so much is tried in turn."""

MOST_STEPS = 3_000_000
"""And of all meshes."""


@dataclass(frozen=True, slots=True)
class Room:
    """The division that needs least on its fullest rank, and what every division needs, in bytes.

    `steps` are left of those that were allowed.
    """

    divided: Divided | None
    bytes: float
    bound: float
    steps: int

    @property
    def is_least(self) -> bool:
        """Whether no mesh fits with less."""
        return self.bound >= self.bytes * (1 - ROUNDED)


def least_room(
    meshes: Meshes, every: Sequence[Mesh], enough: float = 0.0, steps: int | None = None
) -> Room:
    """The least room of some meshes. Where it is `enough`, any that needs no more.

    Not more than so many stages and states are looked at (MOST_STEPS if None).
    """
    allowed = MOST_STEPS if steps is None else steps
    return _LeastRoom(enough, allowed).of([meshes.cost(mesh) for mesh in every])


class _LeastRoom:
    """What was found so far: the best division, and what is to be less."""

    def __init__(self, enough: float, steps: int) -> None:
        self.enough = enough
        self.best: Divided | None = None
        self.most = nextafter(enough, inf) if enough else inf
        self.left = steps

    def of(self, every: Sequence[MeshCost]) -> Room:
        """Looks at all of them, or until one needs no more than enough."""
        # Those with one stage on each rank first: they are soon divided, and many others need more.
        lines = [cost for cost in every if cost.mesh.rounds == 1]
        several = [cost for cost in every if cost.mesh.rounds > 1]
        waiting = [*self._begun(lines), *self._begun(several)]
        bound = inf
        for least, uses in sorted(waiting, key=itemgetter(0)):
            if self._is_too_much(least):
                break
            bound = min(bound, self._finish(uses, least))
        return Room(self.best, self.most, min(bound, self.most), self.left)

    def _begun(self, every: Sequence[MeshCost]) -> Iterator[tuple[float, Uses]]:
        """Those that may need less, with what they need at least."""
        able = (cost for cost in every if not self._is_too_much(cost.weights_of_each))
        for cost in sorted(able, key=lambda each: each.room_of_all):
            if not self._is_too_much(cost.room_of_all):
                uses = Uses(cost)
                yield self._begin(uses), uses

    def _is_too_much(self, least: float) -> bool:
        return least * (1 - ROUNDED) >= self.most or self._is_enough

    @property
    def _is_enough(self) -> bool:
        return self.best is not None and self.enough > 0

    def _begin(self, uses: Uses) -> float:
        """Divides a mesh as cuts can be moved; what all its divisions need at least."""
        bound = uses.cost.room_of_all * (1 - ROUNDED)
        if uses.cost.stages > uses.count:
            return inf
        if uses.cost.mesh.rounds == 1:
            return self._finish(uses, bound)
        if self.most == inf:
            self._descend(uses.cost, _balanced(uses))
        if self.left <= 0:
            return bound
        cover = Cover(uses, self.most)
        bound = max(bound, cover.bound * (1 - ROUNDED))
        self.left -= cover.steps
        if not self._is_too_much(bound):
            for starts in (cover.starts(), _balanced(uses)):
                if starts is not None:
                    self._descend(uses.cost, starts)
        return bound

    def _finish(self, uses: Uses, bound: float) -> float:
        """Looks for the least of a mesh; what its other divisions need at least, infinity if no less."""
        for most in self._tried(uses, bound):
            try:
                starts = self._packed(uses, most)
            except Unfinished:
                return bound
            if starts is not None:
                self._keep(uses.cost.divided(starts))
                break
            bound = most
        return inf

    def _packed(self, uses: Uses, most: float) -> Sequence[int] | None:
        """The division that needs least, if that is less than `most`. Raises Unfinished if that takes too long."""
        if uses.cost.mesh.rounds == 1:
            return Packing(uses, most, STEPS).least()
        steps = STEPS_FOR_ENOUGH if self.enough else STEPS
        cover = Cover(uses, most)
        may_do = cover.bound < most
        self.left -= cover.steps
        packing = Packing(uses, most, min(steps, self.left), cover.held)
        try:
            return packing.least() if may_do else None
        finally:
            self.left -= packing.taken

    def _tried(self, uses: Uses, bound: float) -> Iterator[float]:
        """What is to be less: small rooms first, that hold few, where cuts were only moved so far."""
        if self.best is not None and self.best.cost is uses.cost:
            yield from (bound + share * (self.most - bound) for share in TRIED)
        yield self.most

    def _keep(self, divided: Divided) -> None:
        needed = max(divided.peaks)
        if needed < self.most:
            self.best, self.most = divided, needed

    def _descend(self, cost: MeshCost, starts: Sequence[int]) -> None:
        """Moves one cut at a time, as long as the fullest ranks have less in use then."""
        at = cost.divided(starts)
        moved = not self.enough  # else dynamic programming is faster
        while moved and self.left > 0:
            moved = False
            self.left -= 2 * cost.stages
            for other in map(cost.divided, neighbours(at.starts)):
                if _fullest(other) < _fullest(at):
                    at, moved = other, True
        self._keep(at)


def _fullest(divided: Divided) -> list[float]:
    """What ranks have in use, the fullest first."""
    return sorted(divided.peaks, reverse=True)


def _balanced(uses: Uses) -> Sequence[int]:
    """Cuts where what is in use in front of them is nearest to the share of the stages there."""
    upto = [uses.grown(0, place) for place in range(uses.count + 1)]
    return equal_shares(upto, uses.cost.stages)
