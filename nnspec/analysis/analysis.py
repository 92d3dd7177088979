"""A program under a setting, and its figures: what they share is worked out once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from nnspec.analysis.figures import Figure, Measured, figure_named
from nnspec.analysis.setting import Setting
from nnspec.analysis.totals import Parts, Totals
from nnspec.analysis.uses import Uses
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import Dim, Size
from nnspec.ir.graph import Program

if TYPE_CHECKING:
    from nnspec.analysis.memory.bodies import Bodies
    from nnspec.analysis.memory.calls import Calls
    from nnspec.analysis.memory.optimizing import Ends as Pair
    from nnspec.analysis.memory.policy import Modes

Made = TypeVar("Made")


class Analysis:
    """A program under a setting, with everything that was worked out of it so far.

    With `runs_alone` a figure of memory is found by a run of its own, and takes for granted what it needs alone.
    Figures of memory are formulas for sizes of at least 2, save for symbols among `ones`, which are 1 in them.
    """

    runs_alone = False
    ones: tuple[str, ...] = ()

    def __init__(self, program: Program, setting: Setting | None = None) -> None:
        self.program = program
        self.setting = setting or Setting()
        self.uses = Uses(program, self.setting)
        self._totals: dict[str, Totals] = {}
        self._figures: dict[str, Measured] = {}
        self._made: dict[object, Any] = {}
        # What does not hang on which sizes are 1: analyses at other such sizes have it, too.
        self._common: dict[object, Any] = {}

    def once(self, key: object, make: Callable[[], Made]) -> Made:
        """What several figures are read from, made when the first one asks."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def common(self, key: object, make: Callable[[], Made]) -> Made:
        """What does not hang on which sizes are 1, made when the first one asks."""
        if key not in self._common:
            self._common[key] = make()
        return self._common[key]

    def of(self, program: Program) -> Analysis:
        """The same of another program."""
        return Analysis(program, self.setting)

    def calls(self, modes: Modes) -> Calls:
        """The functions of the program, to be run on sizes alone."""
        from nnspec.analysis.memory.calls import Calls

        how = replace(modes, ones=self.ones)
        return Calls(self.program, how, bodies=self.bodies, rolls=True)

    @property
    def bodies(self) -> Bodies:
        """The functions of the program, whatever their sizes."""
        from nnspec.analysis.memory.bodies import Bodies

        return self.common("bodies", lambda: Bodies(self.program))

    def known(self, amount: Dim) -> Dim:
        """An amount that hangs on no run, with what is known of its names put in."""
        return amount

    def takes_turns(self, functions: Iterable[str]) -> None:
        """Notes that a figure takes two turns at least of the loops of some functions for granted."""

    def between_turns(
        self, across: Iterable[Pair], listed: Iterable[Pair]
    ) -> tuple[Iterable[Pair], Iterable[Pair]]:
        """The weights of turns of loops that come directly after one another, and those that would behind another such turn."""
        return across, listed

    def in_any_turn(self, amounts: Iterable[Dim]) -> list[Dim]:
        """Amounts of which the largest is that of the given ones, in all turns that they are of."""
        return list(amounts)

    def measured(self, name: str) -> Measured:
        """A figure of the whole program. Raises `SpecError` for a name that is none."""
        if name not in self._figures:
            self._figures[name] = figure_named(name).measure(self)
        return self._figures[name]

    def at(self, name: str, sizes: Mapping[str, Size]) -> Measured:
        """A figure of the whole program with what is known of its sizes put in. Raises `SpecError` like `measured`."""
        if figure_named(name).whole is None:
            return self.measured(name).at(sizes)
        found = self.where(sizes).measured(name)
        known = found.at(sizes)
        return known if known.is_known or known == found else self._thinned(known)

    def _thinned(self, found: Measured) -> Measured:
        """A figure without the amounts that others exceed now that some sizes are known."""
        from nnspec.analysis.memory.peaks import thinned

        bounds = self.program.assumptions.bounds
        lows = {name: low for name, (low, _) in bounds.items()}
        return replace(found, value=thinned(found.value, lows))

    def where(self, sizes: Mapping[str, Size]) -> Analysis:
        """The analysis at such sizes: an axis of one element lies otherwise in memory than others."""
        ones = tuple(n for n in self.program.symbols if sizes.get(n) == 1)
        if ones == self.ones:
            return self

        def make() -> Analysis:
            found = self.of(self.program)
            found.ones = ones
            # What adds up does not hang on how axes lie.
            found.uses, found._totals = self.uses, self._totals
            found._common = self._common
            return found

        return self.once(("where", ones), make)

    def figure(self, name: str) -> Dim:
        """A figure that is one formula. Raises `SpecError` for a quotient."""
        found = self.measured(name)
        if found.below != 1:
            raise SpecError(
                "E0903",
                f"`{name}` is a quotient of two figures, not a formula of its own",
                hint="ask for those two",
            )
        return found.value

    def goes_without_saying(self, figure: Figure) -> bool:
        """Whether a figure says nothing beside the one that it is a variant of."""
        if figure.variant_of is None:
            return False
        own = self.figure(figure.name)
        return own == (self.figure(figure.variant_of) if figure.variant_of else 0)

    def parts(self, name: str, sizes: Mapping[str, Size] | None = None) -> Parts:
        """A figure by the parts of the program, with sizes that are known.

        Raises `SpecError` for a figure that has no parts, or none yet while a size is open.
        """
        figure, known = figure_named(name), dict(sizes or {})
        by_part = figure.by_part
        if by_part is None:
            return self.totals(name)
        analysis = self.where(known)
        still = [each for each in self.program.symbols if each not in known]
        if not figure.at_sizes:
            known = {}
        elif still:
            given = " ".join(f"{each}=1" for each in still)
            raise SpecError(
                "E0903",
                f"which parts hold what at `{name}` depends on {' and '.join(still)}",
                hint=f"say at which sizes: `{given}`",
            )
        key = (name, *sorted((size, str(value)) for size, value in known.items()))
        return analysis.once(key, lambda: by_part(analysis, known))

    def totals(self, name: str) -> Totals:
        """The sums behind an additive figure, for its parts. Raises `SpecError` if it is not additive."""
        if name not in self._totals:
            quantity = figure_named(name).quantity
            if quantity is None:
                raise SpecError(
                    "E0903",
                    f"`{name}` is a figure of the whole model, not a sum over its parts",
                    hint="ask for it without parts",
                )
            self._totals[name] = Totals(self.uses, quantity(self.setting))
        return self._totals[name]
