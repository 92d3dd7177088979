"""The most of amounts over the turns of a loop: at one of its ends where that can be told, else in any of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from nnspec.analysis.generic.names.powers import expanded, growth_of
from nnspec.analysis.memory.peaks import reduced
from nnspec.ir.dims import ONE, Dim, Monomial, greatest, symbol

if TYPE_CHECKING:
    from nnspec.analysis.memory.optimizing import Ends


def widest(amounts: Sequence[Dim], turn: str, stop: Dim) -> Iterator[Dim]:
    """Amounts of which the largest is that of the given ones over the turns from 1 to below `stop`, of which there are some."""
    inner: list[Dim] = []
    for amount in amounts:
        if turn not in amount.symbols():
            yield amount
            continue
        ends = _ends(amount, turn)
        if ends is None:
            inner.append(amount)
        for number in ends or ():
            yield expanded(amount.at({turn: ONE if number < 0 else stop - 1}))
    for amount in reduced(inner):
        yield greatest(amount, turn, 1, stop)


def _ends(amount: Dim, turn: str) -> tuple[int, ...] | None:
    """The ends of the turns at which an amount is the largest: -1 the first one, 1 the last one; None if it may be inside.

    A sum of powers is convex if none is taken away; and it grows (or shrinks) if each summand does.
    """
    signs: set[int] = set()
    convex = True
    for monomial, coefficient in amount.terms:
        term = _term(monomial, turn)
        if term is None:
            return None
        power, ratio = term
        if power == 0 and ratio == 1:
            continue
        if power and ratio < 1:
            return None
        convex &= coefficient > 0 or (power, ratio) == (1, 1)
        grows = 1 if ratio > 1 or power else -1
        signs.add(grows if coefficient > 0 else -grows)
    if len(signs) == 1:
        return (signs.pop(),)
    return (-1, 1) if convex else None


def _term(monomial: Monomial, turn: str) -> tuple[int, Fraction] | None:
    """The power of a turn's number in a product, and what one turn multiplies the rest by; None for anything else."""
    ((own, _),) = symbol(turn).terms
    (atom, _) = own[0]
    power = sum(p for a, p in monomial if a == atom)
    growth = growth_of(tuple((a, p) for a, p in monomial if a != atom), turn)
    return None if growth is None else (power, growth.ratio)


def between(
    across: Iterable[Ends], listed: Iterable[Ends], places: Mapping[str, Dim]
) -> tuple[list[Ends], list[Ends]]:
    """Weights that come one after another: those of a turn that stands for many, with its number among `places`, as well.

    Its weights come after those of the turn before it, and before those of the next one.
    """
    among: list[Ends] = []
    for last, first in listed:
        for name in (last.symbols() | first.symbols()) & places.keys():
            before = last.at({name: symbol(name) - 1})
            behind = {name: places[name]}
            among += [(before, first), (before.at(behind), first.at(behind))]
    return (
        [*(pair for pair in across if not _speaks(pair, places)), *among],
        [pair for pair in listed if not _speaks(pair, places)],
    )


def _speaks(pair: Ends, places: Mapping[str, Dim]) -> bool:
    """Whether weights are of a turn that stands for many."""
    return any(not each.symbols().isdisjoint(places) for each in pair)
