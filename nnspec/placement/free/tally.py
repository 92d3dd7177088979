"""The loads of devices and links, for an assignment that changes unit by unit."""

from __future__ import annotations

from collections.abc import Sequence

from nnspec.placement.lines.line import SLACK
from nnspec.placement.links import Crossing
from nnspec.placement.problem import INFINITE, Problem


class Tally:
    """Loads and memory in use; a unit on device -1 is nowhere yet.

    A cut costs a device once it has a point there and one on another device. Sums of
    floating-point numbers drift a little as units move: what is found is counted anew.
    """

    def __init__(self, problem: Problem, devices: Sequence[int] = ()) -> None:
        count = sum(len(members) for members in problem.classes)
        self.problem = problem
        self.devices = [-1] * problem.count
        self.load = [0.0] * count
        self.held = [0.0] * count
        self.links = [0.0] * problem.links.count
        self._kinds = [problem.kinds[device] for device in range(count)]
        self._ports = problem.links.port_of
        self._points: list[dict[int, int]] = [{} for _ in problem.cuts]
        self._crossed: list[list[int]] = [[] for _ in problem.links.crossings]
        for unit, device in enumerate(devices):
            self.put(unit, device)

    @property
    def largest(self) -> float:
        """The load of what is busiest."""
        return max((*self.load, *self.links), default=0.0)

    @property
    def loads(self) -> list[float]:
        """The loads of all devices and links, as they are now."""
        return self.load + self.links

    def is_below(self, before: Sequence[float], unit: float) -> bool:
        """Whether the loads, largest first, are lexicographically smaller than others.

        They are counted in a small unit so that equal ones are equal. What did not change
        makes no difference, so only the rest is sorted.
        """
        pairs = zip(self.load + self.links, before, strict=True)
        changed = [(one, other) for one, other in pairs if one != other]
        now = sorted((round(one / unit) for one, _ in changed), reverse=True)
        return now < sorted((round(other / unit) for _, other in changed), reverse=True)

    def put(self, unit: int, device: int) -> None:
        """Puts a unit that is nowhere on a device."""
        kind = self._kinds[device]
        self.load[device] += self.problem.seconds[kind][unit]
        self.held[device] += self.problem.memory[unit]
        self.devices[unit] = device
        self._change_cuts(unit, -1, device)

    def take(self, unit: int) -> None:
        """Takes a unit away."""
        device = self.devices[unit]
        kind = self._kinds[device]
        self.load[device] -= self.problem.seconds[kind][unit]
        self.held[device] -= self.problem.memory[unit]
        self.devices[unit] = -1
        self._change_cuts(unit, device, -1)

    def move(self, unit: int, device: int) -> None:
        """Puts a unit that is somewhere on another device."""
        seconds, old = self.problem.seconds, self.devices[unit]
        self.load[old] -= seconds[self._kinds[old]][unit]
        self.load[device] += seconds[self._kinds[device]][unit]
        self.held[old] -= self.problem.memory[unit]
        self.held[device] += self.problem.memory[unit]
        self.devices[unit] = device
        self._change_cuts(unit, old, device)

    def _change_cuts(self, unit: int, old: int, new: int) -> None:
        for place in self.problem.cuts_at[unit]:
            points, costs = self._points[place], self.problem.cuts[place].costs
            self._charge(points, costs, -1)
            if old >= 0:
                points[old] -= 1
                if not points[old]:
                    del points[old]
            if new >= 0:
                points[new] = points.get(new, 0) + 1
            self._charge(points, costs, 1)
        if self.links:
            for place in self.problem.links.crossings_at.get(unit, ()):
                self._cross(place)

    def _charge(
        self, points: dict[int, int], costs: Sequence[float], sign: int
    ) -> None:
        if len(points) < 2:
            return
        for device in points:
            cost = sign * costs[self._kinds[device]]
            self.load[device] += cost
            if device in self._ports:
                self.links[self._ports[device]] += cost

    def _cross(self, place: int) -> None:
        crossing = self.problem.links.crossings[place]
        for link in self._crossed[place]:
            self.links[link] -= crossing.seconds[link]
        self._crossed[place] = self._links_of(crossing)
        for link in self._crossed[place]:
            self.links[link] += crossing.seconds[link]

    def _links_of(self, crossing: Crossing) -> list[int]:
        """The links that a value passes, each once however many read it."""
        source = self.devices[crossing.source]
        if source < 0:
            return []
        targets = {self.devices[unit] for unit in crossing.targets} - {source, -1}
        passed = (self.problem.links.between[source][target] for target in targets)
        return sorted({link for links in passed for link in links})

    def fits(self, unit: int, device: int) -> bool:
        """Whether a device can run a unit and has the memory for it."""
        kind = self._kinds[device]
        if self.problem.seconds[kind][unit] == INFINITE:
            return False
        after = self.held[device] + self.problem.memory[unit]
        return after <= self.problem.usable[kind] * (1 + SLACK)


def largest_load(problem: Problem, devices: Sequence[int]) -> float:
    """The largest load of an assignment of units."""
    return Tally(problem, devices).largest
