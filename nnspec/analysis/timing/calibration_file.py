"""Where fits are kept: a TOML file beside the device, `NAME.calibration.toml`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from fractions import Fraction
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnspec.analysis.timing.calibration import Fit
from nnspec.analysis.timing.device import (
    Device,
    calibration_path,
    key_location,
    read_toml,
)
from nnspec.analysis.timing.kernels import Mode
from nnspec.analysis.timing.roofline import Factors
from nnspec.diagnostics import SpecError
from nnspec.files import GENERATED_MARK
from nnspec.records import dataclass
from nnspec.source import Source

CODE = "E1110"
Factor = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
Error = Annotated[float, Field(ge=-1, le=1e12, allow_inf_nan=False)]


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", defer_build=True
    )


class _LeftOut(_Table):
    name: str
    error: Error


class Calibrated(_Table):
    """A fit for one policy and mode."""

    policy: str
    mode: Mode
    overlap: bool
    compute: Factor
    memory: Factor
    launch: Factor
    left_out: Annotated[list[_LeftOut], Field(min_length=1, max_length=10_000)]

    def fit(self) -> Fit:
        """The factors and errors."""
        factors = Factors(
            Fraction(self.compute),
            Fraction(self.memory),
            Fraction(self.launch),
            self.overlap,
        )
        return Fit(factors, tuple((each.name, each.error) for each in self.left_out))


class _File(_Table):
    figures: dict[str, str]
    fits: list[Calibrated]


@dataclass(frozen=True)
class Calibration:
    """The fits of a device by policy and mode."""

    fits: dict[tuple[str, Mode], Fit]

    def fit(self, policy: str, mode: Mode) -> Fit | None:
        """That of a policy and mode, if it was measured."""
        return self.fits.get((policy, mode))


def read_calibration(device: Device) -> Calibration:
    """What is kept beside a device, nothing if nobody has calibrated it.

    Raises `SpecError` for a file that is wrong, or was made with other figures of the device.
    """
    path = calibration_path(device)
    if not path.exists():
        return Calibration({})
    source, raw = read_toml(path, CODE)
    try:
        found = _File.model_validate(raw)
    except ValidationError as error:
        raise _invalid(source, error) from None
    if found.figures != _figures(device):
        raise SpecError(
            CODE,
            f"{path.name} was fitted to other figures of `{device.name}` than its file has now",
            key_location(source, ("figures",)),
            hint="calibrate it again with `nnspec calibrate`, or delete the file",
        )
    return Calibration({(each.policy, each.mode): each.fit() for each in found.fits})


def _invalid(source: Source, error: ValidationError) -> SpecError:
    found = error.errors(include_url=False)[0]
    keys = tuple(str(part) for part in found["loc"])
    message = found["msg"][:1].lower() + found["msg"][1:]
    return SpecError(
        CODE,
        f"`{'.'.join(keys)}`: {message}",
        key_location(source, keys),
        hint="calibrate again with `nnspec calibrate`, or delete the file",
    )


def _figures(device: Device) -> dict[str, str]:
    """The figures that factors are relative to."""
    return {name: each.text for name, each in device.stated().items()}


def calibration_text(device: Device, calibration: Calibration) -> str:
    """The text of the file."""
    figures = [f"{json.dumps(k)} = {_written(v)}" for k, v in _figures(device).items()]
    head = [f"# {GENERATED_MARK} calibrate: factors by which {device.name} is slower."]
    tables = [
        _table(policy, mode, fit) for (policy, mode), fit in calibration.fits.items()
    ]
    blocks = ["\n".join([*head, "", "[figures]", *figures]), *tables]
    return "\n\n".join(blocks) + "\n"


def _table(policy: str, mode: Mode, fit: Fit) -> str:
    factors = fit.factors
    lines = [
        "[[fits]]",
        f"policy = {_written(policy)}",
        f"mode = {_written(mode)}",
        f"overlap = {_written(factors.overlap)}",
        *(
            f"{name} = {_written(float(getattr(factors, name)))}"
            for name in ("compute", "memory", "launch")
        ),
        "left_out = [",
        *_errors(fit),
        "]",
    ]
    return "\n".join(lines)


def _errors(fit: Fit) -> Iterable[str]:
    for name, error in fit.left_out:
        yield f"  {{ name = {_written(name)}, error = {_written(error)} }},"


def _written(value: Any) -> str:
    """A text, number or truth as TOML writes it; JSON's texts without lone surrogates are TOML's."""
    return json.dumps(value)
