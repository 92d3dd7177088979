"""What an optimizer has alive while it changes the weights, one after another.

PyTorch's optimizers go through `parameters()`: what a step has made for a weight lives until the next
weight's takes its place. So the order matters in which an emitted module has its weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias

from nnspec.analysis.memory.lowered import lower
from nnspec.analysis.memory.peaks import reduced
from nnspec.analysis.optimizers import OPTIMIZERS, Parameter, state_width
from nnspec.analysis.uses import Site, Use
from nnspec.ir.dims import ZERO, Dim
from nnspec.ir.graph import Path

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis

Ends: TypeAlias = tuple[Parameter, Parameter]
"""The first and the last weight of a module."""


def steps(analysis: Analysis) -> list[Dim]:
    """What the optimizer has made while it changes a weight; of the largest, if that depends on sizes."""
    width = state_width(analysis.setting.policy)
    optimizer = OPTIMIZERS[analysis.setting.optimizer]
    order = analysis.common("order of weights", lambda: _Order(analysis))

    def after(pairs: Iterable[Ends]) -> dict[Dim, None]:
        made = (
            optimizer.left(b, w, width) + optimizer.step(w, width) for b, w in pairs
        )
        return dict.fromkeys(map(analysis.known, made))

    single = (optimizer.step(each, width) for each in order.weights)
    alone = dict.fromkeys(map(analysis.known, single))
    found = reduced({ZERO: None} | alone | after(order.pairs))
    across, listed = analysis.between_turns(order.across, order.listed)
    whole = reduced(dict.fromkeys(found) | after(across))
    if set(reduced(dict.fromkeys(whole) | after(listed))) != set(found):
        analysis.takes_turns(order.looping)
    return analysis.in_any_turn(whole)


def parameters(site: Site) -> Iterator[Parameter]:
    """The weights of a node that an optimizer changes: those that have a gradient."""
    assert site.node.op is not None
    is_table = site.node.op.op_name() == "Embedding"
    for name, weight in site.weights.items():
        if site.has_gradient(name):
            yield Parameter(weight.shape, is_table)


class _Order:
    """Which weights there are, and which come directly after which others; equal ones are one."""

    def __init__(self, analysis: Analysis) -> None:
        self._uses = analysis.uses
        self._ends: dict[Use, Ends | None] = {}
        self.weights: dict[Parameter, None] = {}
        self.pairs: dict[Ends, None] = {}
        # From one turn of a loop to the next: as it is, and as it would be behind another such turn.
        self.across: dict[Ends, None] = {}
        self.listed: dict[Ends, None] = {}
        # The functions of these loops.
        self.looping: set[str] = set()
        self.ends(analysis.uses.main)

    def ends(self, use: Use) -> Ends | None:
        """Those of a function's module; None if it has no weights."""
        if use not in self._ends:
            self._ends[use] = self._joined(use)
        return self._ends[use]

    def _joined(self, use: Use) -> Ends | None:
        found: Ends | None = None
        path: Path = ()
        for site in _as_registered(self._uses.inside(use).sites):
            own = self._chained(self._parts(site))
            if own is None:
                continue
            if isinstance(site.node.path[-1], int):
                self.listed[own[1], own[0]] = None
                self.looping.add(use.key)
            if found is not None:
                across = _are_turns(path, site.node.path)
                pairs = self.across if across else self.pairs
                pairs[found[1], own[0]] = None
            found, path = (found[0] if found else own[0], own[1]), site.node.path
        return found

    def _chained(self, parts: Iterable[Ends]) -> Ends | None:
        found: Ends | None = None
        for first, last in parts:
            self.weights |= {first: None, last: None}
            if found is not None:
                self.pairs[found[1], first] = None
            found = (found[0] if found else first, last)
        return found

    def _parts(self, site: Site) -> Iterator[Ends]:
        if site.node.callee is None:
            yield from ((each, each) for each in parameters(site))
        elif ends := self.ends(site.use):
            yield ends


def _are_turns(before: Path, after: Path) -> bool:
    """Whether two paths are of different turns of one loop."""
    unlike = (p for p in zip(before, after, strict=False) if p[0] != p[1])
    return all(isinstance(part, int) for part in next(unlike, ("",)))


def _as_registered(sites: Sequence[Site]) -> list[Site]:
    """The nodes that have weights of their own, as `parameters()` meets them.

    A module's own parameters come before its layers, and those of a list together, where its first one stands.
    """
    ranks: dict[Path, int] = {}
    owning = [site for site in sites if site.node.owns and site.is_first]
    for path in (site.node.path for site in owning):
        for length in range(1, len(path) + 1):
            ranks.setdefault(path[:length], len(ranks))

    def place(site: Site) -> tuple[bool, list[int]]:
        path = site.node.path
        return not _is_bare(site), [ranks[path[:n]] for n in range(1, len(path) + 1)]

    return sorted(owning, key=place)


def _is_bare(site: Site) -> bool:
    """Whether the weights of a node are parameters of the module itself, in no layer and no list."""
    operator = site.node.op
    if operator is None or len(site.node.path) > 1:
        return False
    return not lower(operator, site.types, site.results, {}).layers
