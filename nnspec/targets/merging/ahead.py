"""Layers that a loop applies first and does not make: an instance from outside of it, made ahead of it.

Its weights are the same in every turn, so to make it where it is applied would make it in every turn anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import nnspec.targets.merged as merged
from nnspec.ir import graph
from nnspec.ir.dims import Atom, Dim
from nnspec.ir.rename import settle
from nnspec.pycode import expressions as tree
from nnspec.pycode.expressions import Expr
from nnspec.targets.contents import names_in, steps_of
from nnspec.targets.lowering import Construct
from nnspec.targets.merging.divisions import with_twin
from nnspec.targets.merging.traces import Track, Unlike


def made_ahead(
    current: Sequence[tuple[Track, graph.Loop]], body: Sequence[merged.Item]
) -> Iterator[merged.Step]:
    """The steps that make such layers and do nothing else; those in the body of the loop then share them.

    Raises `Unlike` where a layer needs what only the loop knows, or where some traces never make it.
    """
    track, loop = current[0]
    for step in steps_of(body):
        if not step.constructs or any(turn.loop == loop.uid for turn in step.turns):
            continue
        if not all(other.iterations for _, other in current):
            raise Unlike
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
        )


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
        found = settle(known.initial, running).generic
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
