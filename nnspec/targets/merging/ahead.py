"""Layers that are made ahead of where they are applied.

What a loop applies first and does not make is an instance from outside of it: its weights are the same in every
turn, so to make it where it is applied would make it in every turn anew. What is applied in a branch may be an
instance from outside as well, which is there whichever way the branch goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace

import nnspec.targets.merged as merged
from nnspec.ir import graph
from nnspec.ir.dims import Atom, Dim
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.contents import names_in, steps_of
from nnspec.targets.lowering import Construct
from nnspec.targets.merging.divisions import with_twin
from nnspec.targets.merging.steps import StepMerger, kinds_of
from nnspec.targets.merging.traces import Layer, Track, Unlike


def made_ahead(
    current: Sequence[tuple[Track, graph.Loop]], body: Sequence[merged.Item]
) -> Iterator[merged.Step]:
    """The steps that make such layers and do nothing else; those in the body of the loop then share them.

    Raises `Unlike` where a layer needs what only the loop knows, or where some traces never make it.
    """
    track, loop = current[0]
    seen: set[Layer] = set()
    for step in steps_of(body):
        if not step.constructs or any(turn.loop == loop.uid for turn in step.turns):
            continue
        if step.layer in seen or not all(other.iterations for _, other in current):
            raise Unlike
        if any(each.first_use(step.layer) is None for each, _ in current):
            raise Unlike
        seen.add(step.layer)
        kinds = kinds_of(step.constructs)
        for each, _ in current:
            each.made[step.layer] = kinds
        made = tuple(_outside(construct, track, loop) for construct in step.constructs)
        step.constructs, step.shares = (), True
        yield replace(
            step,
            constructs=made,
            results=(),
            inputs=(),
            outputs=(),
            shares=False,
            listed=(),
            wanted=(),
            nodes=(),
            traces=frozenset(each.function.key for each, _ in current),
        )


def made_on_ways(
    steps: StepMerger,
    tracks: list[Track],
    branch: merged.Branch,
    before: Mapping[Track, Set[Layer]],
) -> Iterator[merged.Step]:
    """The steps that make the layers which all traces have, and some made in a branch; steps in it then share them.

    `before` are the layers that each trace had made ahead of the branch. A layer that one way makes otherwise than
    another, or that hangs on what only a loop in the branch knows, is made in the branch.
    """
    around = {turn.loop for turn in tracks[0].turns}
    new = {layer: None for track in tracks for layer in track.made}
    for layer in new:
        if any(layer in before[track] for track in tracks):
            continue
        if not {turn.loop for turn in layer[1]} <= around | {None}:
            continue
        step = steps.ahead(tracks, layer)
        if step is None or not _is_said(step, around):
            continue
        for other in steps_of([branch]):
            if other.layer == layer and other.constructs:
                other.constructs, other.shares = (), True
        for track in tracks:
            track.made[layer] = kinds_of(step.constructs)
        yield step


def _is_said(step: merged.Step, around: Set[int | None]) -> bool:
    """Whether all that a layer is made from is known inside of these loops."""
    names = {
        name
        for construct in step.constructs
        for part in (construct.value, *construct.resets)
        for name in names_in(part)
    }
    loops = {name.partition("@")[2] for name in names if "@" in name}
    return loops <= {str(loop) for loop in around}


def _outside(construct: Construct, track: Track, loop: graph.Loop) -> Construct:
    return replace(
        construct,
        value=_at_first(construct.value, track, loop),
        resets=tuple(_at_first(reset, track, loop) for reset in construct.resets),
    )


def _at_first(expression: Expr, track: Track, loop: graph.Loop) -> Expr:
    """An expression as it is before the first turn: a size that the loop carries is what it starts from."""
    running, end = track.function.running, f"@{loop.uid}"

    def initial(atom: Atom) -> Dim | None:
        known = running.get(atom.symbol) if atom.kind == "symbol" else None
        if known is None or not known.symbol.endswith(end):
            return None
        found = track.function.settling.of(known.initial).generic
        return found if atom.scale == 1 else found // atom.scale

    def change(part: Expr) -> Expr | None:
        if not isinstance(part, tree.Size):
            return None
        twin = part.dim.generic.substitute(initial)
        return tree.Size(with_twin(part.dim.value, twin))

    found = tree.transform(expression, change)
    if any(name.endswith(end) for name in names_in(found)):
        raise Unlike
    return found
