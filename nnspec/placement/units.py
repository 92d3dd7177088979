"""Which operators surely share a device, so that they are placed as one unit.

Operators of a group do. In contiguous plans so do those that would have to stand both
before and behind each other in the line of devices. And an operator that takes no time
and is tied to a single other one goes with it: that costs no device anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from nnspec.placement.graph import WeightedGraph


class Units:
    """A partition of the operators, that only gets coarser (union-find)."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def of(self, place: int) -> int:
        """The operator that stands for the unit of one."""
        root = place
        while self._parent[root] != root:
            root = self._parent[root]
        while self._parent[place] != root:
            self._parent[place], place = root, self._parent[place]
        return root

    def join(self, first: int, second: int) -> None:
        """Makes one unit of two; the lower place stands for it."""
        low, high = sorted((self.of(first), self.of(second)))
        self._parent[high] = low

    def numbered(self) -> list[int]:
        """The number of each operator's unit; units are counted by their first one."""
        numbers: dict[int, int] = {}
        return [
            numbers.setdefault(self.of(place), len(numbers))
            for place in range(len(self._parent))
        ]


def join_groups(units: Units, graph: WeightedGraph) -> None:
    """Joins the operators of each group."""
    first: dict[str, int] = {}
    for place, operator in enumerate(graph.operators):
        if operator.group is not None:
            units.join(first.setdefault(operator.group, place), place)


def in_line(graph: WeightedGraph, returns: bool) -> Iterator[tuple[int, int]]:
    """Pairs of operators of which the first may not stand behind the second in a line.

    The forward pass goes along the line; the backward pass comes back if it `returns`,
    and otherwise goes along as well.
    """
    for value in graph.values:
        backward = graph.operators[value.source].backward
        back = backward and returns
        for target in value.targets:
            if graph.operators[target].backward == backward:
                yield (target, value.source) if back else (value.source, target)


def line_between_units(
    unit_of: Sequence[int], graph: WeightedGraph, count: int, returns: bool
) -> list[list[int]]:
    """For each unit those that may not stand before it in a line, sorted."""
    found: list[set[int]] = [set() for _ in range(count)]
    for before, after in in_line(graph, returns):
        first, second = unit_of[before], unit_of[after]
        if first != second:
            found[first].add(second)
    return [sorted(each) for each in found]


def join_circles(units: Units, graph: WeightedGraph, returns: bool) -> None:
    """Joins units that wait for each other in a circle.

    Without groups and a backward pass there are none: graphs are acyclic.
    """
    if not any(each.group or each.backward for each in graph.operators):
        return
    unit_of = units.numbered()
    first: dict[int, int] = {}
    for place, unit in enumerate(unit_of):
        first.setdefault(unit, place)
    line = line_between_units(unit_of, graph, len(first), returns)
    for circle in circles(line):
        for unit in circle[1:]:
            units.join(first[circle[0]], first[unit])


def circles(successors: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """The strongly connected components of more than one node (Tarjan, 1972)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    waiting: set[int] = set()
    for root in range(len(successors)):
        path = [(root, 0)] if root not in index else []
        while path:
            node, step = path.pop()
            if step == 0:
                index[node] = low[node] = len(index)
                stack.append(node)
                waiting.add(node)
            else:
                low[node] = min(low[node], low[successors[node][step - 1]])
            step = _next_step(successors[node], step, node, low, index, waiting)
            if step < len(successors[node]):
                path += [(node, step + 1), (successors[node][step], 0)]
            elif low[node] == index[node]:
                component = _pop_down_to(node, stack, waiting)
                if len(component) > 1:
                    yield component


def _next_step(
    targets: Sequence[int],
    step: int,
    node: int,
    low: dict[int, int],
    index: dict[int, int],
    waiting: set[int],
) -> int:
    """The first target from a step on that was not visited yet."""
    while step < len(targets) and targets[step] in index:
        if targets[step] in waiting:
            low[node] = min(low[node], index[targets[step]])
        step += 1
    return step


def _pop_down_to(node: int, stack: list[int], waiting: set[int]) -> list[int]:
    at = len(stack) - 1
    while stack[at] != node:
        at -= 1
    found = stack[at:]
    del stack[at:]
    waiting.difference_update(found)
    return found


def join_leaves(units: Units, graph: WeightedGraph, memory_binds: bool) -> None:
    """Joins what takes no time to the only unit that it is tied to.

    A reader goes with its values' one source, a source with its values' one reader; one
    that is both, as forward and backward pass together are, if those are the same unit.
    Its former device loses all its transfers and the other one pays none more, so the
    best value stays the same. Where memory binds, only what holds none is joined.
    """
    idle = _idle_units(units, graph, memory_binds)
    if not idle:
        return
    ties = _ties(units, graph)
    waiting = sorted(idle)
    while waiting:
        leaf = waiting.pop()
        partner = _partner(leaf, ties)
        if leaf not in idle or partner is None:
            continue
        _retie(leaf, partner, ties)
        units.join(leaf, partner)
        if partner in idle:
            idle.discard(leaf)
            waiting.append(partner)


Ties = dict[int, dict[int, tuple[int, set[int]]]]
"""For each unit, by the places of the values tied to it, their source and readers."""


def _ties(units: Units, graph: WeightedGraph) -> Ties:
    found: Ties = defaultdict(dict)
    for place, value in enumerate(graph.values):
        source = units.of(value.source)
        readers = {units.of(target) for target in value.targets} - {source}
        if readers:
            for unit in (source, *readers):
                found[unit][place] = (source, readers)
    return found


def _partner(leaf: int, ties: Ties) -> int | None:
    """The only unit that a leaf is tied to, if it is tied to no other."""
    found = {_other_end(leaf, *tie) for tie in ties[leaf].values()}
    return found.pop() if len(found) == 1 else None


def _other_end(leaf: int, source: int, readers: set[int]) -> int | None:
    if source != leaf:
        return source
    return next(iter(readers)) if len(readers) == 1 else None


def _retie(leaf: int, partner: int, ties: Ties) -> None:
    for place, (_, readers) in ties.pop(leaf).items():
        readers.discard(leaf)
        readers.discard(partner)
        if not readers:
            ties[partner].pop(place, None)


def _idle_units(units: Units, graph: WeightedGraph, memory_binds: bool) -> set[int]:
    """The units of which no operator takes time, is bound to a device or is picky."""
    found = {units.of(place) for place in range(len(graph.operators))}
    everywhere = {kind for each in graph.operators for kind in each.seconds}
    for place, operator in enumerate(graph.operators):
        picky = set(operator.seconds) != everywhere
        busy = any(operator.seconds.values()) or operator.pin is not None
        if busy or picky or (memory_binds and operator.memory):
            found.discard(units.of(place))
    return found
