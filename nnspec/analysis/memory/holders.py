"""Who holds the memory: saved activations and peaks by the parts of a model that own them.

A storage counts for the operation that made it, weights and their states for the layer that they belong
to. What belongs to no part (inputs, the loss, what the optimizer makes on its way) is named beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.memory import measures, run
from nnspec.analysis.memory.ledger import Owner, Pass
from nnspec.analysis.memory.optimizing import steps
from nnspec.analysis.memory.policy import Modes
from nnspec.analysis.totals import Parts
from nnspec.analysis.uses import Place, Site
from nnspec.ir.dims import ZERO, Dim, Size, maximum, total
from nnspec.records import dataclass


class Shares:
    """Amounts that belong to places of the program."""

    owned = False
    placed = True

    def __init__(self, amounts: Mapping[Place, Dim]) -> None:
        self._sums: dict[Place, Dim] = {}
        for place, amount in amounts.items():
            for length in range(len(place) + 1):
                above = place[:length]
                self._sums[above] = self._sums.get(above, ZERO) + amount

    def total(self) -> Dim:
        """The whole program."""
        return self._sums.get((), ZERO)

    def of_part(self, site: Site, place: Place) -> Dim:
        """A node of the function that is called at a place, with all that it calls."""
        return self._sums.get((*place, site.node.id), ZERO)


@dataclass(frozen=True)
class Held:
    """What is alive at a peak: by kind for each part, and the `rest`, which belongs to no part."""

    kinds: Mapping[str, Parts]
    rest: Mapping[str, Dim]

    owned = False
    placed = True

    def total(self) -> Dim:
        """All of it, the rest included."""
        return total(each.total() for each in self.kinds.values()) + total(
            self.rest.values()
        )

    def of_part(self, site: Site, place: Place) -> Dim:
        """A node of the function that is called at a place, with all that it calls."""
        return total(each.of_part(site, place) for each in self.kinds.values())


def saved_parts(analysis: Analysis, sizes: Mapping[str, Size]) -> Parts:
    """Saved activations by the operations that made them, as formulas in the sizes."""
    if not analysis.setting.policy.trains:
        return Shares({})
    modes = _modes(analysis, training=True)
    return Shares(_made(run.saved_by_owner(analysis.program, modes), Pass.FORWARD))


def _modes(analysis: Analysis, *, training: bool) -> Modes:
    found = measures.modes(analysis.setting, training=training)
    return replace(found, ones=analysis.ones)


def inference_parts(analysis: Analysis, sizes: Mapping[str, Size]) -> Held:
    """The activations that are alive at the peak of inference."""
    modes = _modes(analysis, training=False)
    owners = run.peak_by_owner(analysis.program, modes, sizes, backward=False)
    return Held({"activations": Shares(_made(owners, Pass.FORWARD))}, {})


def inference_peak_parts(analysis: Analysis, sizes: Mapping[str, Size]) -> Held:
    """All that is alive at the peak of inference."""
    activations = inference_parts(analysis, sizes).kinds
    return _with_weights(analysis, sizes, activations, {})


def backward_parts(analysis: Analysis, sizes: Mapping[str, Size]) -> Held:
    """All that is alive at the peak of forward and backward."""
    if not analysis.setting.policy.trains:
        return Held({}, {})
    modes = _modes(analysis, training=True)
    owners = run.peak_by_owner(analysis.program, modes, sizes, backward=True)
    kinds = {each.value: Shares(_made(owners, each)) for each in Pass}
    rest = {"loss": total(v for o, v in owners.items() if not o.place)}
    return _with_weights(analysis, sizes, kinds, rest)


def train_parts(analysis: Analysis, sizes: Mapping[str, Size]) -> Held:
    """All that is alive at the peak of a training step: in its passes, or while the optimizer works."""
    if not analysis.setting.policy.trains:
        return Held({}, {})
    states = {"optimizer state": analysis.totals("optimizer_bytes")}
    passes = backward_parts(analysis, sizes)
    step = maximum(*(each.at(sizes) for each in steps(analysis)))
    gradients = analysis.totals("gradient_bytes")
    storages = measures.gradient_storages(analysis).at(sizes)
    still = measures.base(analysis).at(sizes) + storages
    if still + step <= passes.total().at(sizes):
        return Held({**passes.kinds, **states}, passes.rest)
    kinds = {"gradients": gradients, **states}
    shown = storages - gradients.total().at(sizes)
    rest = {"what gradients are views of": shown, "optimizer's step": step}
    return _with_weights(analysis, sizes, kinds, rest)


def _with_weights(
    analysis: Analysis,
    sizes: Mapping[str, Size],
    kinds: Mapping[str, Parts],
    rest: Mapping[str, Dim],
) -> Held:
    weights = {"weights": analysis.totals("weight_bytes")}
    inputs = {"inputs": measures.input_bytes(analysis).at(sizes)}
    shown = {name: amount for name, amount in rest.items() if amount != 0}
    return Held({**weights, **kinds}, {**inputs, **shown})


def _made(owners: Mapping[Owner, Dim], when: Pass) -> Mapping[Place, Dim]:
    return {o.place: v for o, v in owners.items() if o.made is when and o.place}
