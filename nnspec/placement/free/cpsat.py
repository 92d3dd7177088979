"""Placement by constraint programming (OR-tools CP-SAT): proven bounds for any graph.

Amounts are scaled to integers. Where they are not whole then, times are rounded down, so
that what is proven of the integers holds of the amounts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import combinations, permutations, product
from typing import TYPE_CHECKING

from nnspec.placement.links import Crossing
from nnspec.placement.problem import INFINITE, Cut, Problem
from nnspec.records import dataclass

if TYPE_CHECKING:
    from ortools.sat.python import cp_model

    Literals = list[list[cp_model.IntVar]]
    Terms = list[cp_model.LinearExpr]
    Routes = dict[tuple[int, ...], list[int]]

FINEST = 2**40
"""The scale of the largest sum where no power of ten makes all amounts whole."""


MOST_TO_ORDER = 16
"""So many devices that links tell apart may stand in any order; more stand in their own."""


@dataclass(frozen=True, slots=True)
class Solved:
    """The device of each unit, if an assignment was found, and a proven bound."""

    devices: list[int] | None
    bound: float
    infeasible: bool = False


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the line of devices, or a device where there is no line."""

    kind: int
    device: int


def solve(
    problem: Problem,
    known: Sequence[int] | None,
    floor: float,
    effort: float,
) -> Solved:
    """The assignment of least largest load that is found with a limited effort.

    `known` is an assignment to start from, `floor` a proven bound, `effort` a limit in
    CP-SAT's deterministic seconds. Deterministic. Needs OR-tools.
    """
    slots = _slots(problem)
    scale = _scale(problem)
    model = _Model(problem, slots, scale)
    if known is not None:
        model.hint(known)
    model.least(math.floor(floor * scale * (1 - 1e-12)))
    found = model.solve(effort)
    if _tells_devices_apart(problem) and len(slots) > MOST_TO_ORDER:
        # Only one order of the devices was tried: that proves nothing of the others.
        return Solved(found.devices, floor)
    return found


def _tells_devices_apart(problem: Problem) -> bool:
    """Whether devices stand in a line in which it matters which of them is where."""
    return bool(problem.line and problem.links.count and len(problem.classes) > 1)


def _slots(problem: Problem) -> list[Slot]:
    """All devices; in a line, enough places for every order of their classes.

    Links tell devices apart: with those, the slots are the devices.
    """
    if not problem.line or len(problem.classes) == 1 or problem.links.count:
        return [
            Slot(kind, device)
            for kind, members in enumerate(problem.classes)
            for device in members
        ]
    total = sum(len(members) for members in problem.classes)
    return [
        Slot(kind, -1) for _ in range(total) for kind in range(len(problem.classes))
    ]


def _scale(problem: Problem) -> float:
    """A factor that makes all times whole, or makes them large."""
    times = {t for row in problem.seconds for t in row if t < INFINITE}
    times.update(cost for cut in problem.cuts for cost in cut.costs)
    times.update(time for each in problem.links.crossings for time in each.seconds)
    for power in range(7):
        scaled = [time * 10**power for time in times]
        if all(abs(each - round(each)) < 1e-9 * max(1, each) for each in scaled):
            return float(10**power)
    # A list of all times, not only the different ones, bounds every load.
    most = sum(max(_finite(row)) for row in zip(*problem.seconds, strict=True))
    return FINEST / (most + _most_moved(problem))


def _most_moved(problem: Problem) -> float:
    """The seconds of transfers that no device or link exceeds."""
    times = len(problem.kinds) if problem.links.port_of else 1
    moved = times * sum(max(cut.costs) for cut in problem.cuts)
    return moved + sum(max(each.seconds) for each in problem.links.crossings)


def _finite(times: Iterable[float]) -> list[float]:
    return [time for time in times if time < INFINITE]


class _Model:
    def __init__(self, problem: Problem, slots: Sequence[Slot], scale: float) -> None:
        from ortools.sat.python import cp_model

        self.problem = problem
        self.slots = slots
        self.scale = scale
        self.model = cp_model.CpModel()
        self.at: Literals = [self._choice(unit) for unit in range(problem.count)]
        self.splits: list[tuple[Cut, int, cp_model.IntVar, cp_model.IntVar]] = []
        self.load = self.model.new_int_var(0, self._most(), "load")
        self.moving = [self._moving(place, slot) for place, slot in enumerate(slots)]
        for place, slot in enumerate(slots):
            work = self._computing(place, slot) + self.moving[place]
            self.model.add(sum(work) <= self.load)
            self._limit_memory(place, slot)
        self._limit_links()
        if _tells_devices_apart(problem) and len(slots) <= MOST_TO_ORDER:
            self._keep_some_line()
        elif problem.line:
            self._keep_line()
        elif slots:
            self._break_symmetry()
        if any(slot.device < 0 for slot in slots):
            self._keep_counts()
        self.model.minimize(self.load)

    def _whole(self, amount: float) -> int:
        scaled = amount * self.scale
        near = round(scaled)
        if abs(scaled - near) < 1e-9 * max(1.0, scaled):
            return near
        return math.floor(scaled)

    def _most(self) -> int:
        worst = sum(
            max(map(self._whole, _finite(times)))
            for times in zip(*self.problem.seconds, strict=True)
        )
        return worst + math.ceil(_most_moved(self.problem) * self.scale)

    def _choice(self, unit: int) -> list[cp_model.IntVar]:
        """One literal for each slot; exactly one of those where the unit can be."""
        row = [self.model.new_bool_var("") for _ in self.slots]
        for literal, slot in zip(row, self.slots, strict=True):
            if self.problem.seconds[slot.kind][unit] == INFINITE:
                self.model.add(literal == 0)
        self.model.add_exactly_one(row)
        return row

    def _computing(self, place: int, slot: Slot) -> Terms:
        seconds = self.problem.seconds[slot.kind]
        return [
            self._whole(time) * self.at[unit][place]
            for unit, time in enumerate(seconds)
            if 0 < time < INFINITE
        ]

    def _moving(self, place: int, slot: Slot) -> Terms:
        return [
            self._split(cut, place) * self._whole(cut.costs[slot.kind])
            for cut in self.problem.cuts
            if cut.costs[slot.kind]
        ]

    def _limit_links(self) -> None:
        links = self.problem.links
        for link in range(links.count):
            terms = [
                self._passes(crossing, link) * self._whole(crossing.seconds[link])
                for crossing in links.crossings
                if crossing.seconds[link]
            ]
            for place, slot in enumerate(self.slots):
                if links.port_of.get(slot.device) == link:
                    terms += self.moving[place]
            self.model.add(sum(terms) <= self.load)

    def _passes(self, crossing: Crossing, link: int) -> cp_model.IntVar:
        """Whether a value has its source before and a reader behind a link."""
        passes = self.model.new_bool_var("")
        for goals, sources in self._routes[link].items():
            here = sum(self.at[crossing.source][place] for place in sources)
            for unit in crossing.targets:
                there = sum(self.at[unit][place] for place in goals)
                self.model.add(passes >= here + there - 1)
        return passes

    @cached_property
    def _routes(self) -> list[Routes]:
        """For each link the slots behind it, and those from which it leads there."""
        links = self.problem.links
        found: list[Routes] = [{} for _ in range(links.count)]
        for place, slot in enumerate(self.slots):
            routes = [links.between[slot.device][other.device] for other in self.slots]
            for link in {link for route in routes for link in route}:
                goals = tuple(at for at, route in enumerate(routes) if link in route)
                found[link].setdefault(goals, []).append(place)
        return found

    def _limit_memory(self, place: int, slot: Slot) -> None:
        usable = self.problem.usable[slot.kind]
        if usable < sum(self.problem.memory):
            held = [
                math.ceil(amount) * self.at[unit][place]
                for unit, amount in enumerate(self.problem.memory)
                if amount
            ]
            self.model.add(sum(held) <= max(0, math.floor(usable)))

    def _split(self, cut: Cut, place: int) -> cp_model.LinearExpr:
        """Whether some of a cut's units are in a slot, less whether all are."""
        some, all_of = self.model.new_bool_var(""), self.model.new_bool_var("")
        for unit in cut.points:
            self.model.add_implication(self.at[unit][place], some)
            self.model.add_implication(all_of, self.at[unit][place])
        self.splits.append((cut, place, some, all_of))
        return some - all_of

    def _keep_line(self) -> None:
        """No unit is in an earlier slot than one that must not be behind it."""
        for unit, others in enumerate(self.problem.line):
            for other in others:
                for last in range(len(self.slots) - 1):
                    upto = slice(0, last + 1)
                    self.model.add(
                        sum(self.at[other][upto]) <= sum(self.at[unit][upto])
                    )

    def _keep_some_line(self) -> None:
        """Units that must not be behind others are in no later slot, by some order of slots."""
        before = self._order_of_slots()
        for unit, others in enumerate(self.problem.line):
            for other, (first, last) in product(others, before):
                # The unit is in the slot that is the later one, the other in the earlier.
                misplaced = (self.at[unit][last], self.at[other][first])
                self.model.add_bool_or(
                    ~before[first, last], *(~literal for literal in misplaced)
                )

    def _order_of_slots(self) -> dict[tuple[int, int], cp_model.IntVar]:
        """For each pair of slots, whether the first one is the earlier: an order of all."""
        places = range(len(self.slots))
        before = {pair: self.model.new_bool_var("") for pair in permutations(places, 2)}
        for first, last in combinations(places, 2):
            self.model.add(before[first, last] + before[last, first] == 1)
        for one, two, three in permutations(places, 3):
            self.model.add(
                before[one, two] + before[two, three] <= 1 + before[one, three]
            )
        return before

    def _break_symmetry(self) -> None:
        """The n-th unit uses one of the first n devices of each class."""
        for unit in range(min(self.problem.count, len(self.slots))):
            for kind, members in enumerate(self.problem.classes):
                for device in members[unit + 1 :]:
                    place = self.slots.index(Slot(kind, device))
                    self.model.add(self.at[unit][place] == 0)

    def _keep_counts(self) -> None:
        """No more slots of a class are in use than it has devices."""
        used = [self.model.new_bool_var("") for _ in self.slots]
        for row in self.at:
            for literal, use in zip(row, used, strict=True):
                self.model.add_implication(literal, use)
        for kind, members in enumerate(self.problem.classes):
            own = [
                use
                for use, slot in zip(used, self.slots, strict=True)
                if slot.kind == kind
            ]
            self.model.add(sum(own) <= len(members))

    def hint(self, devices: Sequence[int]) -> None:
        """An assignment to start from; it may break the symmetry in another way."""
        slots = self._slots_of(devices)
        for row, chosen in zip(self.at, slots, strict=True):
            for place, literal in enumerate(row):
                self.model.add_hint(literal, place == chosen)
        for cut, place, some, all_of in self.splits:
            inside = [slots[unit] == place for unit in cut.points]
            self.model.add_hint(some, any(inside))
            self.model.add_hint(all_of, all(inside))

    def _slots_of(self, devices: Sequence[int]) -> list[int]:
        if any(slot.device < 0 for slot in self.slots):
            return self._slots_along(devices)
        renamed = _renamed(self.problem, devices) if not self.problem.line else devices
        slot_of = {slot.device: place for place, slot in enumerate(self.slots)}
        return [slot_of[device] for device in renamed]

    def _slots_along(self, devices: Sequence[int]) -> list[int]:
        """The slots of devices that take turns along the line."""
        from nnspec.placement.graph import topological_order

        found: dict[int, int] = {}
        following = 0
        for unit in topological_order(_device_line(self.problem, devices)):
            if unit in found or unit not in set(devices):
                continue
            kind = self.problem.kinds[unit]
            while self.slots[following].kind != kind:
                following += 1
            found[unit] = following
            following += 1
        return [found[device] for device in devices]

    def least(self, floor: int) -> None:
        """Makes use of a proven bound."""
        self.model.add(self.load >= floor)

    def solve(self, effort: float) -> Solved:
        """Runs the solver, its strategies in turn, which is deterministic."""
        from ortools.sat.python import cp_model

        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 2
        solver.parameters.interleave_search = True
        solver.parameters.random_seed = 0
        solver.parameters.max_deterministic_time = effort
        status = solver.solve(self.model)
        if status == cp_model.INFEASIBLE:
            return Solved(None, math.inf, infeasible=True)
        bound = solver.best_objective_bound / self.scale
        if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
            return Solved(None, bound)
        chosen = [
            next(place for place, literal in enumerate(row) if solver.value(literal))
            for row in self.at
        ]
        return Solved(self._devices(chosen), bound)

    def _devices(self, chosen: Sequence[int]) -> list[int]:
        device_of: dict[int, int] = {}
        left = [iter(members) for members in self.problem.classes]
        for place in sorted(set(chosen)):
            slot = self.slots[place]
            known = slot.device >= 0
            device_of[place] = slot.device if known else next(left[slot.kind])
        return [device_of[place] for place in chosen]


def _renamed(problem: Problem, devices: Sequence[int]) -> list[int]:
    """The same assignment, with the devices of each class in the order of first use."""
    left = [iter(members) for members in problem.classes]
    found: dict[int, int] = {}
    for device in devices:
        if device not in found:
            found[device] = next(left[problem.kinds[device]])
    return [found[device] for device in devices]


def _device_line(problem: Problem, devices: Sequence[int]) -> list[list[int]]:
    count = sum(len(members) for members in problem.classes)
    found: list[set[int]] = [set() for _ in range(count)]
    for unit, others in enumerate(problem.line):
        for other in others:
            if devices[unit] != devices[other]:
                found[devices[unit]].add(devices[other])
    return [sorted(each) for each in found]
