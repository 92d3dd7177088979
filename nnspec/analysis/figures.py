"""The figures that nnspec gives of a program, in one table.

A figure is an exact integer formula in the program's free sizes. Everything that shows, compares, bounds
or plots costs goes through `FIGURES`: a new figure is one entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType

from nnspec.analysis import rules
from nnspec.analysis.setting import Setting
from nnspec.analysis.totals import Additive, Totals
from nnspec.analysis.uses import Uses
from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir.dims import Dim
from nnspec.ir.graph import Program


class Unit(StrEnum):
    """What a figure counts."""

    COUNT = "count"
    FLOP = "FLOP"
    MAC = "MAC"
    BYTE = "byte"


class Analysis:
    """A program under a setting, with everything that was worked out of it so far."""

    def __init__(self, program: Program, setting: Setting | None = None) -> None:
        self.program = program
        self.setting = setting or Setting()
        self.uses = Uses(program)
        self._totals: dict[str, Totals] = {}
        self._figures: dict[str, Dim] = {}

    def figure(self, name: str) -> Dim:
        """A figure of the whole program. Raises `SpecError` for a name that is none."""
        if name not in self._figures:
            self._figures[name] = figure_named(name).measure(self)
        return self._figures[name]

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


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its name in the language and on the command line, its unit, and how it is counted.

    `convention` is shown wherever the figure is. Of an additive figure `quantity` gives the rule of a node
    under a setting; any other has `whole`, a function of the analysis.
    """

    name: str
    title: str
    unit: Unit
    convention: str
    quantity: Callable[[Setting], Additive] | None = None
    whole: Callable[[Analysis], Dim] | None = None

    def measure(self, analysis: Analysis) -> Dim:
        """The figure of the whole program, a formula in its free sizes."""
        if self.whole is not None:
            return self.whole(analysis)
        return analysis.totals(self.name).total()


def figure_named(name: str) -> Figure:
    """A figure by its name. Raises `SpecError` with the nearest right one."""
    if name not in FIGURES:
        hint = did_you_mean(name, FIGURES) or f"there are: {', '.join(FIGURES)}"
        raise SpecError("E0904", f"there is no figure named `{name}`", hint=hint)
    return FIGURES[name]


# ---- the table --------------------------------------------------------------------------------------


def _owned(rule: Callable[..., Dim]) -> Callable[[Setting], Additive]:
    return lambda _: Additive(rule, owned=True)


def _each_use(rule: Callable[..., Dim]) -> Callable[[Setting], Additive]:
    return lambda _: Additive(rule)


def _under(rule: Callable[..., Dim]) -> Callable[[Setting], Additive]:
    return lambda setting: Additive(partial(rule, setting=setting))


PRODUCTS = (
    "2 x multiply-accumulates of convolutions and matrix products, attention in full"
)
ONCE = "each shared weight once"
KERNELS = "each kernel reads its inputs and weights once and writes its results once; views move nothing"

FIGURES: Mapping[str, Figure] = MappingProxyType(
    {
        each.name: each
        for each in (
            Figure(
                "parameters", "parameters", Unit.COUNT, ONCE, _owned(rules.parameters)
            ),
            Figure(
                "trainable",
                "trainable parameters",
                Unit.COUNT,
                "without frozen ones",
                _owned(rules.trainable),
            ),
            Figure(
                "state",
                "state",
                Unit.COUNT,
                "batch statistics: buffers in PyTorch",
                _owned(rules.state),
            ),
            Figure(
                "keras_parameters",
                "Keras's parameters",
                Unit.COUNT,
                "as Keras counts them: batch statistics too, and one bias in an LSTM",
                _owned(rules.keras_parameters),
            ),
            Figure("flops", "FLOPs", Unit.FLOP, PRODUCTS, _each_use(rules.flops)),
            Figure(
                "macs",
                "MACs",
                Unit.MAC,
                "half of the FLOPs",
                whole=lambda analysis: analysis.figure("flops") // 2,
            ),
            Figure(
                "backward_flops",
                "backward FLOPs",
                Unit.FLOP,
                "one product more for each operand that needs a gradient",
                _each_use(rules.backward_flops),
            ),
            Figure(
                "training_flops",
                "training FLOPs",
                Unit.FLOP,
                "forward + backward",
                whole=lambda analysis: (
                    analysis.figure("flops") + analysis.figure("backward_flops")
                ),
            ),
            Figure(
                "elementwise",
                "elementwise operations",
                Unit.COUNT,
                "arithmetic, comparisons and elementary functions outside of products, "
                "as in each operator's formula; forward, in evaluation",
                _each_use(rules.elementwise),
            ),
            Figure(
                "bytes_read",
                "bytes read",
                Unit.BYTE,
                KERNELS,
                _under(rules.bytes_read),
            ),
            Figure(
                "bytes_written",
                "bytes written",
                Unit.BYTE,
                KERNELS,
                _under(rules.bytes_written),
            ),
        )
    }
)
