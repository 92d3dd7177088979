"""Where a class speaks of the sizes that its loops carry: what is made of them, and what other sizes are counted from."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import nnspec.targets.merged as merged
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.contents import names_in
from nnspec.targets.plan import ClassPlan


class Readings:
    """The items of a class in a row, each by its place: its loops, and the layers that are made of carried sizes."""

    def __init__(self, plan: ClassPlan) -> None:
        self._running = plan.running
        self._count = 0
        # The places of loops, and by the loops around them the places between which the first of these lies.
        self._begins: dict[int, list[int]] = {}
        self._around: dict[int, dict[int, list[int]]] = {}
        # By names: the places of what is made of them, and the carried sizes that begin or go on as they say.
        self._makers: dict[str, list[int]] = {}
        self._initial: dict[str, list[str]] = {}
        self._update: dict[str, list[str]] = {}
        self._go_through(plan.items, {})
        for key, running in plan.running.items():
            for name in dict.fromkeys(names_in(running.initial)):
                self._initial.setdefault(name, []).append(key)
            for name in dict.fromkeys(names_in(running.update)):
                self._update.setdefault(name, []).append(key)

    def _go_through(
        self, items: Sequence[merged.Item], around: Mapping[int, list[int]]
    ) -> None:
        for item in items:
            place = self._count
            self._count += 1
            match item:
                case merged.Step(constructs=constructs):
                    for made in constructs:
                        for name in names_in(made.value):
                            self._makers.setdefault(name, []).append(place)
                case merged.Branch():
                    self._go_through(item.then, around)
                    self._go_through(item.otherwise, around)
                case merged.Loop():
                    self._begins.setdefault(item.uid, []).append(place)
                    known = self._around.setdefault(item.uid, {})
                    known.update({**around, **known})
                    span = [self._count]
                    self._go_through(item.body, {**around, item.uid: span})
                    span.append(self._count)
                case _:
                    pass

    def is_read_later(self, key: str, later: str) -> bool:
        """Whether a carried size is spoken of once the loop of a later one has begun to count in its variable.

        Behind a loop that is around the later one, both are what the last turn has left.
        """
        running, begins = self._running, self._running[later].uid
        around = self._around.get(begins, {})
        start, end = around.get(running[key].uid, (0, self._count))
        begun = _first(self._begins.get(begins, ()), start, end)

        def turns(name: str) -> bool:
            places = self._begins.get(running[name].uid, ())
            return _first(places, begun, end) < end

        return (
            _first(self._makers.get(key, ()), begun, end) < end
            or any(turns(n) and n != later for n in self._initial.get(key, ()))
            or any(
                (turns(name) or running[name].uid in around)
                and name != key
                and (name != later or not is_name(running[name].update, key))
                for name in self._update.get(key, ())
            )
        )


def _first(places: Sequence[int], start: int, end: int) -> int:
    """The first of these places from one on, and before an end; the end where there is none."""
    found = bisect_left(places, start)
    return min(places[found], end) if found < len(places) else end


def is_name(expression: Expr, name: str) -> bool:
    """Whether an expression is a size of that name, and nothing else."""
    if not isinstance(expression, tree.Size):
        return False
    return expression.dim.generic.key == f"1*{name}^1"
