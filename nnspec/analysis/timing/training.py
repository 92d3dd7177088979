"""What it takes to train a model on a budget of tokens or images: time, energy, and what they assume.

Time is training FLOPs / (devices x peak rate x utilisation), where utilisation is the share of the peak
that the model's own FLOPs reach (model FLOPs utilisation, Chowdhery et al., "PaLM", 2022). Devices work
on separate batches, and what they send each other is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

from nnspec.analysis.quantities import COUNT, QuantityError, read_quantity
from nnspec.analysis.timing.forecast import Forecast
from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.ir.graph import Program
from nnspec.ir.types import TensorType
from nnspec.records import dataclass

Counted = Literal["tokens", "images"]
Basis = Literal["given", "calibrated", "bound"]


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is trained on: `samples` tokens or images, on how many devices.

    `per` names the input whose elements are the tokens, or whose first axis counts the images. `mfu` is the
    utilisation to assume; None for that of the calibration, or of the roofline.
    """

    counted: Counted
    samples: Fraction
    devices: int = 1
    mfu: Fraction | None = None
    per: str | None = None


@dataclass(frozen=True, slots=True)
class Training:
    """What a budget takes. `seconds` and `low` to `high` are the whole time.

    On the basis of a bound the time is one from below. `joules` are those of the devices at full power for
    that time; None where nobody has published it.
    """

    budget: Budget
    input: str
    samples_a_step: int
    flops: Fraction
    mfu: Fraction
    basis: Basis
    seconds: Fraction
    low: Fraction | None
    high: Fraction | None
    joules: Fraction | None

    @property
    def steps(self) -> int:
        """Of all devices together, the last one maybe with a smaller batch."""
        each = self.samples_a_step * self.budget.devices
        return -(
            -self.budget.samples.numerator // (self.budget.samples.denominator * each)
        )


def training(forecast: Forecast, budget: Budget) -> Training:
    """What a budget takes, from the forecast of one training step. Raises `SpecError`."""
    name, each = samples_of_step(forecast, budget)
    flops = Fraction(forecast.flops) * budget.samples / each
    mfu, basis = _utilisation(forecast, budget)
    if not mfu:
        raise SpecError(
            "E1107",
            "the model has no matrix products to train, so no utilisation tells its time",
            hint="see the time of a step without `--tokens` and `--images`",
        )
    seconds = flops / (budget.devices * forecast.peak * mfu)
    estimate = forecast.estimate if basis == "calibrated" else None
    low = high = None
    if estimate is not None:
        low = seconds * estimate.low / estimate.seconds
        high = estimate.high and seconds * estimate.high / estimate.seconds
    power = forecast.device.power
    joules = seconds * budget.devices * power.value if power is not None else None
    return Training(budget, name, each, flops, mfu, basis, seconds, low, high, joules)


def _utilisation(forecast: Forecast, budget: Budget) -> tuple[Fraction, Basis]:
    if budget.mfu is not None:
        return budget.mfu, "given"
    estimate = forecast.estimate
    if estimate is not None:
        return forecast.utilisation(estimate.seconds), "calibrated"
    return forecast.utilisation(forecast.bound.seconds), "bound"


# ---- what one step sees -------------------------------------------------------------------------------


def samples_of_step(forecast: Forecast, budget: Budget) -> tuple[str, int]:
    """The input that is counted, and how many tokens or images it holds in one step of one device."""
    program = forecast.analysis.program
    name, kind = _counted_input(program, budget)
    if budget.counted == "tokens":
        return name, int(kind.elements.at(forecast.sizes))
    if not kind.shape or not kind.shape[0].symbols():
        return name, 1
    return name, int(kind.shape[0].at(forecast.sizes))


def _counted_input(program: Program, budget: Budget) -> tuple[str, TensorType]:
    inputs = dict(_inputs(program))
    if budget.per is not None:
        if budget.per not in inputs:
            raise SpecError(
                "E1107",
                f"`{program.name}` has no input named `{budget.per}`",
                hint=did_you_mean(budget.per, inputs) or f"it has: {', '.join(inputs)}",
            )
        return budget.per, inputs[budget.per]
    wanted = {
        name: kind
        for name, kind in inputs.items()
        if (kind.dtype.is_integer if budget.counted == "tokens" else kind.rank > 2)
    }
    if len(wanted) == 1:
        return next(iter(wanted.items()))
    raise _ambiguous(program, budget, list(wanted), list(inputs))


def _ambiguous(
    program: Program, budget: Budget, wanted: list[str], inputs: list[str]
) -> SpecError:
    if wanted:
        told = f"`{program.name}` has {len(wanted)} inputs of {budget.counted}"
        return SpecError(
            "E1107",
            told,
            hint=f"say which one counts, as in `--per {wanted[0]}`",
        )
    other = "--images" if budget.counted == "tokens" else "--tokens"
    named = (
        f", or name the input that counts with `--per {inputs[0]}`" if inputs else ""
    )
    return SpecError(
        "E1107",
        f"`{program.name}` has no input of {budget.counted}",
        hint=f"give `{other}`{named}",
    )


def _inputs(program: Program) -> Iterator[tuple[str, TensorType]]:
    main = program.main
    for port in main.inputs:
        if isinstance(port.values, int):
            yield port.name, main.types[port.values]


# ---- what is written on the command line --------------------------------------------------------------

MOST_DEVICES = 10**9
_DEVICES = f"give an integer from 1 to {MOST_DEVICES:,}"
_SHARE = "give a share of the peak, as in `--mfu 0.4` or `--mfu 40%`"


def read_budget(
    counted: Counted,
    samples: str,
    *,
    epochs: str | None = None,
    devices: str | None = None,
    mfu: str | None = None,
    per: str | None = None,
) -> Budget:
    """A budget from texts: `300B`, `90`, `64`, `0.4` or `40%`. Raises `SpecError` for what is none."""
    amount = _amount(f"--{counted}", samples)
    if amount.denominator != 1:
        message = f"`--{counted}`: `{samples}` is no whole number of {counted}"
        raise SpecError("E1106", message, hint="write a count as in `300B`")
    if epochs is not None:
        amount *= _amount("--epochs", epochs)
    number = Fraction(1) if devices is None else _amount("--devices", devices, _DEVICES)
    if number.denominator != 1 or number > MOST_DEVICES:
        message = f"`--devices`: `{devices}` is no number of devices"
        raise SpecError("E1106", message, hint=_DEVICES)
    share = _share(mfu) if mfu is not None else None
    return Budget(counted, amount, int(number), share, per)


def _amount(option: str, text: str, hint: str | None = None) -> Fraction:
    try:
        return read_quantity(text, COUNT)
    except QuantityError as error:
        raise SpecError(
            "E1106", f"`{option}`: {error.message}", hint=hint or error.hint
        ) from None


def _share(text: str) -> Fraction:
    """A utilisation, more than 0 and at most 1."""
    percent = text.endswith("%")
    amount = _amount("--mfu", text.removesuffix("%"), _SHARE) / (100 if percent else 1)
    if amount > 1:
        message = f"`--mfu`: `{text}` is more than the whole peak"
        raise SpecError("E1106", message, hint=_SHARE)
    return amount
