"""Sizes that loops only seem to carry: their names give way to what they are before the first of these loops."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import nnspec.ir.dims.relations as relations
from nnspec.ir.dims import Atom, Dim, symbol

if TYPE_CHECKING:
    from nnspec.ir.graph import Running


class Settling:
    """What the names of carried sizes settle to: each is found once, however many loops hand it on."""

    def __init__(self, running: Mapping[str, Running]) -> None:
        self._running = running
        self._relations = relations.current
        self._found: dict[str, Dim | None] = {}

    def of(self, size: Dim) -> Dim:
        """A size whose twin names only carried sizes that really change, each by one name."""
        if not self._running:
            return size
        if self._relations is not relations.current:
            self._relations, self._found = relations.current, {}
        twin = size.generic
        self._find(twin.symbols())
        found = twin.substitute(self._replace)
        return found if twin is size else size.value.named(found)  # it may be a twin

    def _replace(self, atom: Atom) -> Dim | None:
        return self._found.get(atom.symbol) if atom.kind == "symbol" else None

    def _find(self, names: set[str]) -> None:
        """Finds what names settle to, first those that they begin as: as many as there are loops, one after another."""
        waiting = [name for name in names if name in self._running]
        asked = set(waiting)
        while waiting:
            name = waiting[-1]
            known = self._running[name]
            begun = known.initial.symbols() if known.constant else set[str]()
            more = [n for n in begun if n in self._running and n not in asked]
            if name not in self._found and known.same is None and more:
                waiting.extend(more)
                asked.update(more)
                continue
            waiting.pop()
            if name in self._found:
                continue
            if known.same is not None:
                self._found[name] = symbol(known.same)
            elif known.constant:
                self._found[name] = known.initial.substitute(self._replace)
            else:
                self._found[name] = None
