"""The best mesh: every one is looked at, and for each the best division of the model into stages.

What a mesh with its stages takes is its timetable's end. No division of a mesh takes less
than its bound: the work of the mean rank, and what has to run before its first part and
behind its last. Meshes are taken up in the order of these bounds, until none is below
the best that was found. How each is divided:

- one stage on each rank: a stage has a bound of its own, by where it stands; all divisions
  are tried whose stages have bounds below the best. Dynamic programming finds the
  division with the least bound, and that is what no division takes less than if there are
  too many to try;
- several stages on each rank: the model is cut where the work in front is nearest to equal
  shares, and cuts are moved as long as that helps. Then bounds of all divisions are raised
  (`nnspec.placement.mesh.several`), and the divisions that this finds are tried. If there are
  few divisions, all are.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from nnspec.placement.mesh.best import Best, balanced, divisions_of, parts_of
from nnspec.placement.mesh.bounds import mean_bound
from nnspec.placement.mesh.candidates import Meshes
from nnspec.placement.mesh.cost import Divided
from nnspec.placement.mesh.lines import Lines
from nnspec.placement.mesh.plan import Mesh
from nnspec.placement.mesh.several import Several
from nnspec.records import dataclass

FEW = 100_000
"""All divisions of a mesh are tried if that takes at most so many parts of timetables."""

MANY = 400_000
"""Of others those that may be better are tried, until timetables with so many parts have been made."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best mesh that was found, what no mesh takes less than, and how many there are.

    `lines` is what none takes less than of those with one stage on each rank.
    """

    best: Divided | None
    bound: float
    lines: float
    count: int


class Search:
    """The search for the best of some meshes."""

    def __init__(self, meshes: Meshes) -> None:
        self.meshes = meshes
        self.best = Best(meshes.usable)
        self.several = Several(self.best)

    def run(self, every: Sequence[Mesh], known: Divided | None = None) -> Found:
        """Looks at all of them, from a division on that is known, if there is one."""
        if known is not None:
            self.best.keep(known)
        costs = map(self.meshes.cost, every)
        bounds = (mean_bound(cost, self.meshes.usable) for cost in costs)
        ordered = sorted((bound, number) for number, bound in enumerate(bounds))
        lines = inf
        for least, number in ordered:
            if least >= self.best.value or least == inf:
                break
            lines = min(lines, max(least, self._look_at(every[number], least)))
        several = min(self.several.bound(lines), self.best.value)
        lines = min(lines, self.best.value)
        return Found(self.best.divided, min(lines, several), lines, len(every))

    def _look_at(self, mesh: Mesh, least: float) -> float:
        """Divides a mesh; what no division of it takes less than as far as that is known by it.

        Infinity if none is better than the best.
        """
        cost = self.meshes.cost(mesh)
        if cost.stages > cost.chain.count or not cost.has_room(self.meshes.usable):
            return inf
        if divisions_of(cost) * parts_of(cost) <= FEW:
            self.best.try_all(cost)
            return inf
        if mesh.rounds > 1:
            self.several.add(cost, least)
            return inf
        self.best.keep(balanced(cost))
        return self._divide(Lines(cost, self.meshes.usable))

    def _divide(self, lines: Lines) -> float:
        """Tries the divisions whose bound is below the best, as long as there are not too many."""
        bound, starts = lines.best(self.best.value)
        if starts is None:
            return inf
        self.best.move_cuts(lines.cost.divided(starts))
        left = MANY // parts_of(lines.cost)
        for division in lines.every(lambda: self.best.value):
            if not left:
                return bound
            left -= 1
            self.best.keep(lines.cost.divided(division))
        return inf
