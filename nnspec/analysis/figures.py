"""The figures that nnspec gives of a program, in one table.

A figure is an exact integer formula in the program's free sizes. Everything that shows, compares, bounds
or plots costs goes through `FIGURES`: a new figure is one entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from fractions import Fraction
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from nnspec.analysis import rules
from nnspec.analysis.setting import Setting
from nnspec.analysis.totals import Additive, Parts
from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir.dims import ONE, Dim, DimError, Size
from nnspec.records import dataclass

if TYPE_CHECKING:
    from nnspec.analysis.analysis import Analysis


class Unit(StrEnum):
    """What a figure counts."""

    COUNT = "count"
    FLOP = "FLOP"
    MAC = "MAC"
    BYTE = "byte"
    INTENSITY = "FLOP/byte"


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of a figure: an exact formula, or the quotient of two."""

    value: Dim
    below: Dim = ONE

    @property
    def is_known(self) -> bool:
        """Whether no size is open."""
        return self.value.is_constant and self.below.is_constant

    def at(self, symbols: Mapping[str, Size]) -> Measured:
        """The value with symbols replaced by sizes."""
        return Measured(self.value.at(symbols), self.below.at(symbols))

    def exactly(self) -> Fraction:
        """The number. Raises `DimError` while a size is open, and where the quotient has none."""
        if self.below == 0:
            raise DimError("a quotient by nothing has no value")
        return Fraction(int(self.value), int(self.below))

    def for_program(self) -> int | float | str:
        """An integer, a float for a quotient, or the formula as text."""
        if not self.is_known:
            below = "" if self.below == 1 else f" / ({self.below})"
            return f"({self.value}){below}" if below else str(self.value)
        if self.below == 1:
            return int(self.value)
        from nnspec.analysis.quantities import nearest_number

        return nearest_number(self.exactly()) if self.below != 0 else 0.0


class Others(Protocol):
    """Where a figure that is composed of others finds them."""

    setting: Setting

    def figure(self, name: str) -> Dim:
        """Another figure. Raises `SpecError` for a quotient, or a name that is none."""
        ...


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its name in the language and on the command line, its unit, and how it is counted.

    `convention` is shown wherever the figure is. Of an additive figure `quantity` gives the rule of a node
    under a setting; one that is arithmetic with other figures is `composed` of them; any other has `whole`,
    a function of the analysis, and `by_part` what parts have of it: only once sizes are known, if `at_sizes`.
    `usual` figures are shown unless others are asked for, save for a `variant_of` another one that is equal
    to it (of nothing, if that is empty). A figure without parts is `explained_by` one that has some.
    """

    name: str
    title: str
    unit: Unit
    convention: str
    quantity: Callable[[Setting], Additive] | None = None
    composed: Callable[[Others], Dim | Measured] | None = None
    whole: Callable[[Analysis], Dim | Measured] | None = None
    by_part: Callable[[Analysis, Mapping[str, Size]], Parts] | None = None
    at_sizes: bool = False
    usual: bool = True
    variant_of: str | None = None
    explained_by: str | None = None

    @property
    def has_parts(self) -> bool:
        """Whether parts have a share of it at any sizes."""
        return self.quantity is not None or (
            self.by_part is not None and not self.at_sizes
        )

    def measure(self, analysis: Analysis) -> Measured:
        """The figure of the whole program, a formula in its free sizes."""
        if self.composed is not None:
            return as_measured(self.composed(analysis))
        if self.whole is not None:
            return as_measured(self.whole(analysis))
        return Measured(analysis.totals(self.name).total())


def as_measured(value: Dim | Measured) -> Measured:
    """A formula as the value of a figure."""
    return value if isinstance(value, Measured) else Measured(value)


def figure_named(name: str) -> Figure:
    """A figure by its name. Raises `SpecError` with the nearest right one."""
    if name not in FIGURES:
        hint = did_you_mean(name, FIGURES) or f"there are: {', '.join(FIGURES)}"
        raise SpecError("E0904", f"there is no figure named `{name}`", hint=hint)
    return FIGURES[name]


# ---- the table --------------------------------------------------------------------------------------


def _owned(rule: Callable[..., Dim]) -> Callable[[Setting], Additive]:
    return lambda _: Additive(rule, owned=True)


def _lying(name: str) -> Callable[[Setting], Additive]:
    """A figure of memory that belongs to instances, by its rule in `memory.measures`."""

    def quantity(setting: Setting) -> Additive:
        from nnspec.analysis.memory import measures

        return Additive(partial(getattr(measures, name), setting=setting), owned=True)

    return quantity


def _cached(setting: Setting) -> Additive:
    from nnspec.analysis.memory import measures

    return Additive(partial(measures.kv_cache, setting=setting))


def _running(name: str) -> Callable[[Analysis], Dim]:
    """A figure of memory that comes and goes, by its function in `memory.measures`."""

    def whole(analysis: Analysis) -> Dim:
        from nnspec.analysis.memory import measures

        return getattr(measures, name)(analysis)

    return whole


def _held(name: str) -> Callable[[Analysis, Mapping[str, Size]], Parts]:
    """What parts have of a figure of memory that comes and goes, by its function in `memory.holders`."""

    def by_part(analysis: Analysis, sizes: Mapping[str, Size]) -> Parts:
        from nnspec.analysis.memory import holders

        return getattr(holders, name)(analysis, sizes)

    return by_part


def _each_use(rule: Callable[..., Dim]) -> Callable[[Setting], Additive]:
    return lambda _: Additive(rule)


def _under(rule: Callable[..., Dim]) -> Callable[[Setting], Additive]:
    return lambda setting: Additive(partial(rule, setting=setting))


PRODUCTS = (
    "2 x multiply-accumulates of convolutions and matrix products, attention in full"
)
ONCE = "each shared weight once"
READS = "forward, each kernel its inputs and weights once; views move nothing"
WRITES = "forward, each kernel its results once; views move nothing"

_ALL = (
    Figure("parameters", "parameters", Unit.COUNT, ONCE, _owned(rules.parameters)),
    Figure(
        "trainable",
        "trainable parameters",
        Unit.COUNT,
        "without frozen ones",
        _owned(rules.trainable),
        variant_of="parameters",
    ),
    Figure(
        "state",
        "state",
        Unit.COUNT,
        "batch statistics: buffers in PyTorch",
        _owned(rules.state),
        variant_of="",
    ),
    Figure(
        "keras_parameters",
        "Keras's parameters",
        Unit.COUNT,
        "as Keras counts: with batch statistics, and one bias in an LSTM",
        _owned(rules.keras_parameters),
        variant_of="parameters",
    ),
    Figure("flops", "FLOPs", Unit.FLOP, PRODUCTS, _each_use(rules.flops)),
    Figure(
        "macs",
        "MACs",
        Unit.MAC,
        "half of the FLOPs",
        composed=lambda others: others.figure("flops") // 2,
        explained_by="flops",
    ),
    Figure(
        "backward_flops",
        "backward FLOPs",
        Unit.FLOP,
        "one product more for each operand that needs a gradient",
        _each_use(rules.backward_flops),
        usual=False,
    ),
    Figure(
        "recomputed_flops",
        "recomputed FLOPs",
        Unit.FLOP,
        "what the backward pass computes again of blocks under @checkpoint",
        _each_use(rules.recomputed_flops),
        variant_of="",
    ),
    Figure(
        "training_flops",
        "training FLOPs",
        Unit.FLOP,
        "forward + backward, with what is computed again",
        composed=lambda others: (
            others.figure("flops")
            + others.figure("backward_flops")
            + others.figure("recomputed_flops")
        ),
        explained_by="backward_flops",
    ),
    Figure(
        "elementwise",
        "elementwise operations",
        Unit.COUNT,
        "forward, outside of products, as in each operator's formula",
        _each_use(rules.elementwise),
    ),
    Figure(
        "recomputed_elementwise",
        "recomputed operations",
        Unit.COUNT,
        "elementwise operations that the backward pass repeats",
        _each_use(rules.recomputed_elementwise),
        usual=False,
        variant_of="",
    ),
    Figure(
        "bytes_read",
        "bytes read",
        Unit.BYTE,
        READS,
        _under(rules.bytes_read),
        usual=False,
    ),
    Figure(
        "bytes_written",
        "bytes written",
        Unit.BYTE,
        WRITES,
        _under(rules.bytes_written),
        usual=False,
    ),
    Figure(
        "recomputed_bytes",
        "bytes moved again",
        Unit.BYTE,
        "read and written where the backward pass computes again",
        _under(rules.recomputed_bytes),
        usual=False,
        variant_of="",
    ),
    Figure(
        "intensity",
        "arithmetic intensity",
        Unit.INTENSITY,
        "forward FLOPs for each byte read or written",
        usual=False,
        composed=lambda others: Measured(
            others.figure("flops"),
            others.figure("bytes_read") + others.figure("bytes_written"),
        ),
    ),
    Figure(
        "weight_bytes",
        "weights",
        Unit.BYTE,
        "parameters and buffers, as the policy stores them",
        _lying("weight_bytes"),
    ),
    Figure(
        "gradient_bytes",
        "gradients",
        Unit.BYTE,
        "one for each trained parameter that the outputs depend on",
        _lying("gradient_bytes"),
        usual=False,
    ),
    Figure(
        "optimizer_bytes",
        "optimizer state",
        Unit.BYTE,
        "as torch.optim keeps it, master weights included",
        _lying("optimizer_bytes"),
    ),
    Figure(
        "kv_cache",
        "keys and values",
        Unit.BYTE,
        "what decoding keeps of causal attention and of attention across",
        _cached,
        usual=False,
    ),
    Figure(
        "saved_bytes",
        "saved activations",
        Unit.BYTE,
        "kept for the backward pass, each storage once, by what made it",
        whole=_running("saved_bytes"),
        by_part=_held("saved_parts"),
    ),
    Figure(
        "spared_bytes",
        "spared activations",
        Unit.BYTE,
        "what would be kept besides if nothing were computed again",
        whole=_running("spared_bytes"),
        variant_of="",
    ),
    Figure(
        "inference_activations",
        "activations in inference",
        Unit.BYTE,
        "the most alive at once in a forward pass, weights and inputs left out",
        whole=_running("inference_activations"),
        by_part=_held("inference_parts"),
        at_sizes=True,
        usual=False,
    ),
    Figure(
        "inference_peak",
        "peak of inference",
        Unit.BYTE,
        "weights, inputs and activations",
        whole=_running("inference_peak"),
        by_part=_held("inference_peak_parts"),
        at_sizes=True,
    ),
    Figure(
        "backward_peak",
        "peak of forward + backward",
        Unit.BYTE,
        "weights, inputs, activations and gradients",
        whole=_running("backward_peak"),
        by_part=_held("backward_parts"),
        at_sizes=True,
        usual=False,
    ),
    Figure(
        "train_peak",
        "peak of training",
        Unit.BYTE,
        "weights, inputs, activations, gradients and optimizer state",
        whole=_running("train_peak"),
        by_part=_held("train_parts"),
        at_sizes=True,
    ),
    Figure(
        "spared_peak",
        "spared peak",
        Unit.BYTE,
        "what the peak of training would have more if nothing were computed again",
        whole=_running("spared_peak"),
        usual=False,
        variant_of="",
    ),
)
FIGURES: Mapping[str, Figure] = MappingProxyType({each.name: each for each in _ALL})
"""The figures by their names."""
