"""The training of a budget, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nnspec.cli.shown.durations import (
    joules_text,
    number,
    percent_text,
    seconds_text,
    significant,
)

if TYPE_CHECKING:
    from fractions import Fraction

    from nnspec.analysis.timing.training import Basis, Training

ASSUMED: Mapping[Basis, str] = {
    "given": "as given",
    "calibrated": "of the calibrated training step",
    "bound": "of the roofline, which no run reaches: the time is a bound from below",
}
SCALING = (
    "Devices train on separate batches; what they send each other, input, evaluation and restarts are "
    "not counted. The energy is that of the devices at full power, without hosts, network and cooling."
)


def training_text(found: Training, power: str | None) -> str:
    """The budget, what it takes, and the utilisation that this assumes."""
    from nnspec.cli.render import table

    budget = found.budget
    step = (
        f"{found.samples_a_step:,} {budget.counted} of `{found.input}` on each device"
    )
    drawn = f"at {power} a device" if power else "nobody has published its power"
    rows = [
        [
            budget.counted,
            _count(budget.samples, "B"),
            f"{found.steps:,} steps of {step}",
        ],
        ["training FLOPs", _count(found.flops, "G"), "forward and backward"],
        ["utilisation", percent_text(found.mfu), ASSUMED[found.basis]],
        ["time", _time(found), _devices(found)],
        ["energy", _energy(found), drawn],
    ]
    return table(("training", "", ""), rows)


def _count(value: Fraction, billions: str) -> str:
    """Three significant digits and a unit; `billions` is that of 10^9."""
    from nnspec.cli.shown.amounts import rounded

    whole = round(value)
    if whole >= 10**21:
        return significant(value)
    return rounded(whole).replace("G", billions)


def _time(found: Training) -> str:
    if found.low is None:
        return f"{_at_least(found)}{seconds_text(found.seconds)}"
    high = seconds_text(found.high) if found.high is not None else "?"
    return f"{seconds_text(found.seconds)} ({seconds_text(found.low)} .. {high})"


def _energy(found: Training) -> str:
    if not found.joules:
        return "?"
    return f"{_at_least(found)}{joules_text(found.joules)}"


def _at_least(found: Training) -> str:
    return "at least " if found.basis == "bound" else ""


def _devices(found: Training) -> str:
    each = found.seconds * found.budget.devices / 3600
    plural = "device" if found.budget.devices == 1 else "devices"
    return f"on {found.budget.devices:,} {plural}, {significant(each)} device hours"


def training_object(found: Training) -> dict[str, Any]:
    """The same as JSON, in seconds and joules."""
    budget = found.budget
    return {
        "counted": budget.counted,
        "samples": _counted(budget.samples),
        "input": found.input,
        "samples_a_step": found.samples_a_step,
        "steps": found.steps,
        "devices": budget.devices,
        "flops": _counted(found.flops),
        "mfu": number(found.mfu),
        "mfu_basis": found.basis,
        "seconds": number(found.seconds),
        "low_s": None if found.low is None else number(found.low),
        "high_s": None if found.high is None else number(found.high),
        "joules": None if found.joules is None else number(found.joules),
        "notes": SCALING,
    }


def _counted(value: Fraction) -> int | float | str:
    """A count, exactly where it is whole."""
    return int(value) if value.denominator == 1 else number(value)
