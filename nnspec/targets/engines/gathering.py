"""How often FSDP2 gathers the weights of each block in a step, and scatters their gradients.

The hooks of `torch.distributed.fsdp.fully_shard` run one after another, as a model calls its blocks and the
backward pass comes back in the reverse order; `Hooks` does what they do to a block's weights, without tensors. What decides
the count is when weights are there already: a block that is used several times is gathered for each use, or
one that its neighbour fetched ahead is not gathered again; and blocks inside of one that is computed again are
gathered for that, and stay so for the backward pass.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from enum import Enum, auto
from itertools import groupby
from typing import Any, TypeAlias

from nnspec.analysis.uses import Inside, Site, Use, Uses
from nnspec.ir.graph import dotted, values_of
from nnspec.records import dataclass


class Happening(Enum):
    """What a step does to a block, or to one of its weights."""

    ENTER = auto()
    LEAVE = auto()
    ENTER_AGAIN = auto()
    LEAVE_AGAIN = auto()
    TURN = auto()
    """Its backward pass begins, where gradients of its results arrive."""
    RETURN = auto()
    """Gradients of all that it was given are there."""
    GRADIENT = auto()
    """The gradient of a weight is complete."""


Event: TypeAlias = tuple[Happening, str]
"""What happens, and to which block or weight, by its path; the model itself is ""."""


# ---- what a micro-batch does ------------------------------------------------------------------


@dataclass(frozen=True)
class Course:
    """The events of a micro-batch's forward and backward pass.

    `blocks` are the paths of what has weights of its own to gather.
    """

    uses: Uses
    blocks: frozenset[str]

    def forward(self, main: Use) -> Iterator[Event]:
        """What the forward pass does."""
        yield from self._forward(main, "", Happening.ENTER, Happening.LEAVE)

    def backward(self, main: Use) -> Iterator[Event]:
        """What the backward pass does. A weight's gradient is complete where its first use has gone back."""
        back = list(self._backward(main, ""))
        left = Counter(where for what, where in back if what is Happening.GRADIENT)
        for what, where in back:
            if what is Happening.GRADIENT:
                left[where] -= 1
                if left[where]:
                    continue
            yield what, where

    def _forward(
        self, use: Use, path: str, enter: Happening, leave: Happening
    ) -> Iterator[Event]:
        yield from self._of(enter, path)
        for site in self.uses.inside(use).sites:
            if site.node.callee is not None:
                yield from self._forward(site.use, _below(path, site), enter, leave)
        yield from self._of(leave, path)

    def _again(self, use: Use, path: str) -> Iterator[Event]:
        """What is computed again of a call, up to the last value that is kept; where that is, nothing ends."""
        yield from self._of(Happening.ENTER_AGAIN, path)
        extent = self.uses.extent(use)
        for site in self.uses.inside(use).sites:
            if site.node.callee is None:
                continue
            below = _below(path, site)
            if site.node.id in extent.whole:
                again = (Happening.ENTER_AGAIN, Happening.LEAVE_AGAIN)
                yield from self._forward(site.use, below, *again)
            elif site.node.id == extent.part:
                yield from self._again(site.use, below)

    def _backward(self, use: Use, path: str) -> Iterator[Event]:
        inside = self.uses.inside(use)
        yield from self._of(Happening.TURN, path)
        for site in reversed(inside.sites):
            if site.node.callee is None:
                yield from (
                    (Happening.GRADIENT, weight) for weight in _trained(site, path)
                )
            elif site.is_reached:
                yield from self._back_through(inside, site, _below(path, site))
        given = self._given(use, inside)
        yield from self._of(Happening.RETURN, path) if given else ()

    def _back_through(self, inside: Inside, site: Site, path: str) -> Iterator[Event]:
        """The backward pass of a call, which computes it again first if that is how it is marked."""
        if inside.program.recomputes(site.node):
            yield from self._of(Happening.TURN, path)
            if self.uses.extent(site.use).is_needed:
                yield from self._again(site.use, path)
        yield from self._backward(site.use, path)

    def _given(self, use: Use, inside: Inside) -> bool:
        """Whether gradients arrive at what a function was given."""
        values = values_of(inside.function.inputs)
        needs = zip(values, use.needs, strict=True)
        return any(needed and value in inside.reached for value, needed in needs)

    def _of(self, what: Happening, path: str) -> Iterator[Event]:
        if path in self.blocks:
            yield what, path


def _below(path: str, site: Site) -> str:
    own = dotted(site.node.path)
    return f"{path}.{own}" if path else own


def _trained(site: Site, path: str) -> Iterator[str]:
    """The weights that an operator, or a read of one, gives gradients to."""
    if not site.is_reached:
        return
    here = _below(path, site)
    if site.node.weight is not None:
        yield f"{here}.{site.node.weight}" if site.node.weight else here
    for name in site.weights:
        if site.needs(name):
            yield f"{here}.{name}" if name else here


# ---- what the engine does then ------------------------------------------------------------------


class _Phase(Enum):
    IDLE = auto()
    FORWARD = auto()
    BACKWARD = auto()
    DONE = auto()


@dataclass(eq=False)
class _Block:
    """What is gathered together: `phase` is that of its weights, `state` that of its module."""

    phase: _Phase = _Phase.IDLE
    state: _Phase = _Phase.IDLE
    is_whole: bool = False
    is_fetched: bool = False
    places: list[int] = field(default_factory=list[int])
    gradients: set[str] = field(default_factory=set[str])

    @property
    def now(self) -> tuple[object, ...]:
        return (
            self.phase,
            self.state,
            self.is_whole,
            self.is_fetched,
            frozenset(self.gradients),
        )


class Hooks:
    """What FSDP2 does at each event, block by block, and the gathers and scatters that come of it.

    `owners` names the block of each weight. `frees` says whether weights are given up behind a block's forward pass, `frees_back` the same behind its
    backward pass, and `reduces` whether gradients are scattered there or summed up. The names of what it
    follows are those of `FSDPParamGroup`: `unshard`, `wait_for_unshard`, `reshard`, `pre_backward` and so on.
    """

    def __init__(self, owners: Mapping[str, str], frees: bool) -> None:
        self.owners = owners
        self.frees = frees
        self.frees_back = self.reduces = True
        self.gathers: Counter[str] = Counter()
        self.scatters: Counter[frozenset[str]] = Counter()
        self._blocks = {path: _Block() for path in owners.values()}
        self._order: list[str] = []

    @property
    def now(self) -> tuple[object, ...]:
        """What the next micro-batch depends on."""
        return tuple(block.now for block in self._blocks.values())

    def run(self, events: Sequence[Event]) -> None:
        """What happens to one block after another."""
        for what, where in events:
            match what:
                case Happening.ENTER | Happening.ENTER_AGAIN:
                    self._enter(where)
                case Happening.LEAVE:
                    self._leave(where)
                case Happening.LEAVE_AGAIN:
                    self._leave_again(where)
                case Happening.TURN:
                    self._turn(where)
                case Happening.RETURN:
                    self._finish(where)
                case Happening.GRADIENT:
                    self._blocks[self.owners[where]].gradients.add(where)

    def _enter(self, path: str) -> None:
        block = self._blocks[path]
        if block.state is not _Phase.BACKWARD:
            block.state = block.phase = _Phase.FORWARD
        self._unshard(path)
        self._wait(block)

    def _leave(self, path: str) -> None:
        block = self._blocks[path]
        if self.frees:
            block.is_whole = False
        block.places.append(len(self._order))
        self._order.append(path)
        block.state = block.phase = _Phase.IDLE

    def _leave_again(self, path: str) -> None:
        block = self._blocks[path]
        if block.state is not _Phase.BACKWARD:
            block.state = block.phase = _Phase.IDLE

    def _turn(self, path: str) -> None:
        block = self._blocks[path]
        block.state = _Phase.BACKWARD
        if block.phase is _Phase.BACKWARD:
            return
        block.phase = _Phase.BACKWARD
        self._unshard(path)
        self._wait(block)
        if block.places and (place := block.places.pop()):
            self._unshard(self._order[place - 1])

    def _finish(self, path: str) -> None:
        block = self._blocks[path]
        block.phase = _Phase.DONE
        if self.frees_back:
            block.is_whole = False
        if self.reduces and block.gradients:
            self.scatters[frozenset(block.gradients)] += 1
            block.gradients.clear()

    def end(self) -> None:
        """What the engine does behind a backward pass."""
        for path, block in self._blocks.items():
            if block.phase is not _Phase.DONE:
                self._finish(path)
            block.phase = block.state = _Phase.IDLE
            block.is_fetched = False
            block.places.clear()
        self._order.clear()

    def _unshard(self, path: str) -> None:
        block = self._blocks[path]
        if not block.is_fetched and not block.is_whole:
            self.gathers[path] += 1
            block.is_fetched = True

    def _wait(self, block: _Block) -> None:
        if block.is_fetched:
            block.is_fetched, block.is_whole = False, True

    def flush(self) -> None:
        """Scatters what gradients there are, and gives all weights up."""
        self.frees_back = self.reduces = True
        for path in self._blocks:
            self._finish(path)
        self.end()


# ---- a step -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ShardedStep:
    """A step behind others: the events of a micro-batch, the block of each weight, and what is sharded.

    Without a pipeline the last micro-batch gives up weights that were held until then and scatters what was
    not scattered; in a pipeline that is done behind all of them. `parts` has its passes in their order, by letters
    (F forward, B back).
    """

    forward: Sequence[Event]
    backward: Sequence[Event]
    owners: Mapping[str, str]
    sharded: str
    parts: str

    def hooks(self, is_pipeline: bool) -> Hooks:
        """The hooks, behind it, with what was gathered and scattered in it."""
        hooks = Hooks(self.owners, frees=self.sharded == "weights")
        last = self.parts[-2:] if not is_pipeline else ""
        turns = turns_of(self.parts.removesuffix(last))
        for _ in range(2):  # what a step begins with is what the one before has left
            hooks.gathers.clear()
            hooks.scatters.clear()
            hooks.frees_back = self.sharded == "weights"
            hooks.reduces = self.sharded != "states"
            for turn, count in turns:
                self._repeat(hooks, turn, count)
            if last:
                hooks.frees_back = hooks.reduces = True
                self._turn(hooks, last)
            elif self.sharded != "weights":
                hooks.flush()
        return hooks

    def _turn(self, hooks: Hooks, parts: str) -> None:
        for part, run in groupby(parts):
            self._repeat(hooks, part, len(list(run)))

    def _repeat(self, hooks: Hooks, parts: str, count: int) -> None:
        """The same several times. From the second time on it does the same, if it leaves what it has found."""
        for done in range(count):
            before = hooks.now
            gathers, scatters = Counter(hooks.gathers), Counter(hooks.scatters)
            self._part(hooks, parts)
            if done and hooks.now == before:
                _add_again(hooks.gathers, gathers, count - done - 1)
                _add_again(hooks.scatters, scatters, count - done - 1)
                return

    def _part(self, hooks: Hooks, parts: str) -> None:
        match parts:
            case "F":
                hooks.run(self.forward)
            case "B":
                hooks.run(self.backward)
                hooks.end()
            case _:
                self._turn(hooks, parts)


def turns_of(parts: str) -> list[tuple[str, int]]:
    """Passes as turns, of some forward and some back, and how often each comes in a row: `FFBFBFBB` has three."""
    turns = re.findall("F*B+", parts)
    return [(turn, len(list(run))) for turn, run in groupby(turns)]


def _add_again(found: Counter[Any], before: Counter[Any], count: int) -> None:
    for each in found:
        found[each] += count * (found[each] - before[each])
