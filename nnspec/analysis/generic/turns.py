"""Loops of too few turns to tell that turns are alike: the same model with more turns tells it.

Swin's first stage has one round of two layers, and the first layer of all drops nothing. The formula is found for
the model with a few more turns, and holds from some number of turns on. Whether it holds for as few as the spec has
is tried number by number, as for stacks of layers (see `stacks`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from math import lcm
from typing import TYPE_CHECKING, Protocol

from nnspec.analysis.figures import Measured
from nnspec.analysis.generic.forms import common_and_besides
from nnspec.analysis.generic.memory.stacks import Fewest, Tried, amounts_of
from nnspec.analysis.generic.names.conditions import Condition, lower_bound, remaining
from nnspec.analysis.generic.reasons import (
    LISTED,
    ONE_TURN,
    PLACED,
    RATES,
    TOO_FEW,
    UNLIKE,
)
from nnspec.analysis.memory.rolling import UNKEPT, UNSTEADY
from nnspec.ir.assumptions import Assumptions
from nnspec.ir.dims import Dim, dim, symbol

if TYPE_CHECKING:
    from nnspec.analysis.generic.forms import ClosedForms

MORE = 4
"""At least so many more turns are enough for two rounds behind one that is unlike them."""
MOST = 6
"""Loops of more rounds tell by themselves what they are."""
FEW = (RATES, ONE_TURN, UNSTEADY, UNKEPT, TOO_FEW, LISTED, PLACED)
"""Why the number of turns stays what it is where more of them may tell otherwise."""

FEWEST = 2
"""Loops of so few turns may be unlike because the first one is."""


class Closed(Protocol):
    """The formulas of the model with other numbers for some names, `tried` with more turns; None if there is no such model."""

    def __call__(
        self, numbers: Mapping[str, int], *, tried: bool = False
    ) -> ClosedForms | None: ...


def needs(forms: ClosedForms, figure: str) -> Mapping[str, str]:
    """The constants that stay numbers in a figure, each with the reason."""
    return {**forms.fixed, **forms.kept.get(figure, {})}


def few_turns(
    forms: ClosedForms, figure: str, periods: Sequence[int]
) -> dict[str, int]:
    """The numbers of turns that stay what they are in a figure because they are few, also for loops that repeat themselves after `periods`.

    So they do, too, where it is a condition for each turn that it is like the others.
    """
    most = MOST * max(periods, default=1)
    reasons = needs(forms, figure).items()
    known = forms.constants
    names = [
        name
        for name, because in reasons
        if because in FEW or (because == UNLIKE and known.get(name, MOST) <= FEWEST)
    ]
    for each in forms.conditions_of(figure):
        names += [name for turns in each.turns for name in turns.stop.symbols()]
    return {n: known[n] for n in names if known.get(n, most + 1) <= most}


def with_more_turns(
    forms: ClosedForms, closed: Closed, periods: Sequence[int]
) -> ClosedForms:
    """The formulas, in numbers of turns too where these only stay numbers because they are few.

    More turns are a multiple of 2 and of the `periods`, and leave what remains of a division by these.
    """
    step = lcm(2, *periods)
    more_turns = -(-MORE // step) * step
    few = {n: v for f in forms.figures for n, v in few_turns(forms, f, periods).items()}
    numbers = {name: turns + more_turns for name, turns in few.items()}
    more = closed(numbers, tried=True) if few else None
    if more is None or more.parts != forms.parts:
        return forms
    found: dict[str, _Extended] = {}
    for figure in forms.figures:
        if few_turns(forms, figure, periods):
            extended = _Extended(figure, forms, more, few, numbers, closed)
            if extended.is_found:
                found[figure] = extended
    return _joined(forms, found) if found else forms


class _Extended:
    """One figure in numbers of turns that stayed what they are, from the model with more of them."""

    def __init__(
        self,
        figure: str,
        forms: ClosedForms,
        more: ClosedForms,
        few: Mapping[str, int],
        numbers: Mapping[str, int],
        closed: Closed,
    ) -> None:
        self._figure = figure
        self._forms = forms
        # How many turns `more` has where they are few.
        self._numbers = numbers
        self._closed = closed
        self._allowed = needs(forms, figure).keys() - few.keys()
        self.apart = {*forms.apart.get(figure, ()), *more.apart.get(figure, ())}
        self._rest, least = _bounds(more.conditions_of(figure), few)
        self.is_found = False
        value = more.figures.get(figure)
        if value is None or needs(more, figure).keys() - self._allowed:
            return
        # Of a quotient both sides are extended.
        sides = [_whole] if value.below == 1 else [_whole, _below]
        fewest = [
            Fewest(
                Tried(amounts_of(side(value)), least),
                {},
                few,
                partial(self._run, side),
                lowest=few,
                allows=self._allows,
                plain=more.plain,
                at=self._at,
            )
            for side in sides
        ]
        self.value = Measured(*(each.value for each in fewest))
        self.still = needs(more, figure)
        self.conditions = [*self._rest]
        for name in few:
            bound = max(each.bounds[name] for each in fewest)
            self.conditions.append(Condition(">=", symbol(name), dim(bound)))
        known = forms.constants
        self.is_found = all(each.holds(known) for each in self.conditions)

    def _allows(self, name: str, number: int) -> bool:
        """Whether the formula may hold for a number of turns, whatever other names are."""
        alone = (each for each in self._rest if _names(each) == {name})
        return all(each.holds({name: number}) for each in alone)

    def _run(
        self, side: Callable[[Measured], Dim], numbers: Mapping[str, int]
    ) -> Tried | None:
        others = {n: turns for n, turns in self._numbers.items() if n not in numbers}
        forms = self._closed({**others, **numbers})
        value = None if forms is None else forms.figures.get(self._figure)
        if forms is None or value is None:
            return None
        if forms.parts != self._forms.parts:
            return None
        self.apart |= {*forms.apart.get(self._figure, ())}
        if needs(forms, self._figure).keys() - self._allowed - numbers.keys():
            return None
        at = (each.at(numbers) for each in forms.conditions_of(self._figure))
        rest, least = _bounds(remaining(at, _at_least(self._forms)), others)
        known = {each.at(numbers).key for each in self._rest}
        if any(each.key not in known for each in rest):
            return None
        return Tried(amounts_of(self._at(side(value), numbers)), least)

    def _at(self, value: Dim, numbers: Mapping[str, int]) -> Dim:
        """A value for such numbers of turns; sizes are known as the multiples that they then have to be."""
        divisors = ((part.size, part.divisor.at(numbers)) for part in self._forms.parts)
        known = {n: symbol(n, d.constant) for n, d in divisors if d.constant}
        return value.at(numbers).at(known)


def _whole(figure: Measured) -> Dim:
    return figure.value


def _below(figure: Measured) -> Dim:
    return figure.below


def _bounds(
    conditions: Collection[Condition], few: Collection[str]
) -> tuple[list[Condition], dict[str, int]]:
    """What some names must be at least, and all other conditions."""
    least = dict.fromkeys(few, 1)
    rest: list[Condition] = []
    for each in conditions:
        name, bound = lower_bound(each) or ("", 0)
        if name in least:
            least[name] = max(bound, least[name])
        else:
            rest.append(each)
    return rest, least


def _at_least(forms: ClosedForms) -> Assumptions:
    """What constants are at least: 1, or as they are, if less."""
    return Assumptions({n: (min(1, v), None) for n, v in forms.constants.items()})


def _names(condition: Condition) -> set[str]:
    return condition.left.symbols() | condition.right.symbols()


def _joined(forms: ClosedForms, found: Mapping[str, _Extended]) -> ClosedForms:
    """The formulas with some figures in more names."""
    still = {name: dict(needs(forms, name)) for name in forms.figures}
    for figure, extended in found.items():
        still[figure] = {
            n: why for n, why in still[figure].items() if n in extended.still
        }
    fixed = {
        name: because
        for name, because in forms.fixed.items()
        if all(name in each for each in still.values())
    }
    kept = {
        figure: {n: why for n, why in names.items() if n not in fixed}
        for figure, names in still.items()
    }
    conditions, besides = common_and_besides(
        {
            figure: remaining(
                found[figure].conditions
                if figure in found
                else forms.conditions_of(figure),
                _at_least(forms),
            )
            for figure in forms.figures
        }
    )
    return replace(
        forms,
        figures={
            n: found[n].value if n in found else v for n, v in forms.figures.items()
        },
        fixed=fixed,
        kept={figure: names for figure, names in kept.items() if names},
        conditions=conditions,
        besides=besides,
        apart={
            **forms.apart,
            **{n: tuple(each.apart) for n, each in found.items() if each.apart},
        },
    )
