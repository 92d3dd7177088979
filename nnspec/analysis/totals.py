"""Sums over a program: what each node takes, added up through calls, each use of a function once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from nnspec.analysis.uses import Inside, Place, Site, Use, Uses
from nnspec.diagnostics import SpecError
from nnspec.ir.dims import ZERO, Dim, total, without_twins
from nnspec.ops.base import OpError
from nnspec.records import dataclass

Rule: TypeAlias = Callable[[Site], Dim]


@dataclass(frozen=True, slots=True)
class Additive:
    """A quantity of which a program has as much as its nodes together.

    `rule` gives that of one node with an operator. A quantity that is `owned` belongs to instances, and each
    is counted at its first use; any other belongs to uses.
    """

    rule: Rule
    owned: bool = False

    def counts(self, site: Site) -> bool:
        """Whether anything of a node counts: of instances at their first use, of what is computed where it is."""
        return site.is_first if self.owned else not site.is_left_out


class Parts(Protocol):
    """An amount by the parts of a program.

    One that is `owned` belongs to instances; one that is `placed` is told apart by where in the program a
    function is called.
    """

    @property
    def owned(self) -> bool: ...
    @property
    def placed(self) -> bool: ...
    def total(self) -> Dim:
        """The whole program."""
        ...

    def of_part(self, site: Site, place: Place) -> Dim:
        """A node of the function that is called at a place, with all that it calls."""
        ...


class Totals:
    """The sums of one quantity over a program."""

    placed = False

    def __init__(self, uses: Uses, quantity: Additive) -> None:
        self._uses = uses
        self._quantity = quantity
        self._sums: dict[Use, Dim] = {}

    @property
    def owned(self) -> bool:
        """Whether the quantity belongs to instances."""
        return self._quantity.owned

    def total(self) -> Dim:
        """The whole program."""
        return self.of_use(self._uses.main)

    def of_use(self, use: Use) -> Dim:
        """One use of a function, with all that it calls."""
        if use not in self._sums:
            self._sums[use] = self._sum(self._uses.inside(use))
        return self._sums[use]

    def of_part(self, site: Site, place: Place) -> Dim:
        """One node, wherever its function is called."""
        return self.of_site(site)

    def of_site(self, site: Site) -> Dim:
        """One node."""
        node = site.node
        if node.weight is not None or not self._quantity.counts(site):
            return ZERO
        if node.callee is not None:
            return self.of_use(site.use)
        try:
            return self._quantity.rule(site).value
        except OpError as error:
            raise SpecError(
                error.code, error.message, node.location, hint=error.hint
            ) from error

    def _sum(self, inside: Inside) -> Dim:
        # Equal summands are multiplied: long loops hold few different ones.
        counts: dict[Dim, int] = {}
        with without_twins():
            for site, times in inside.counted:
                found = self.of_site(site)
                counts[found] = counts.get(found, 0) + times
            return total(found * count for found, count in counts.items())
