"""Devices: what their makers say of memory, speed, launches and power, each figure with its source.

The catalogue is the folder `devices` beside this file, one TOML file a device. A user's own are files
of the same form, named by their path or laid into the user's folder (`user_folder`), where they come
before the catalogue's. `docs/devices.md` describes the form.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from nnspec.analysis.quantities import (
    BANDWIDTH,
    BYTES,
    POWER,
    RATE,
    SECONDS,
    QuantityError,
    Unit,
    read_quantity,
)
from nnspec.diagnostics import SpecError, did_you_mean
from nnspec.files import read_regular
from nnspec.records import dataclass
from nnspec.source import Location, Source, Span

CATALOGUE = Path(__file__).parent / "devices"
FILE_END = ".toml"
CALIBRATION_END = ".calibration.toml"
LARGEST_FILE = 64 * 1024
_KNOWN = {"name", "path"}
_TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


@dataclass(frozen=True, slots=True)
class Stated:
    """One figure: its exact value in the base unit, how the file writes it, and who says so."""

    value: Fraction
    text: str
    source: str


def _stated(raw: Any, unit: Unit) -> Stated:
    """A figure from its TOML: a text with a unit, or a table of that and the name of a source."""
    table = {"value": raw, "source": ""} if isinstance(raw, str) else raw
    if not isinstance(table, dict):
        raise QuantityError(
            f"`{raw}` is no text with a unit", f'write `"{unit.example}"`'
        )
    fields = cast("dict[str, Any]", table)
    if set(fields) != {"value", "source"} or not all(
        isinstance(each, str) for each in fields.values()
    ):
        example = f'{{ value = "{unit.example}", source = "..." }}'
        raise QuantityError("a figure is a value and its source", f"write `{example}`")
    return Stated(
        read_quantity(fields["value"], unit), fields["value"], fields["source"]
    )


Bytes = Annotated[Stated, BeforeValidator(partial(_stated, unit=BYTES))]
Bandwidth = Annotated[Stated, BeforeValidator(partial(_stated, unit=BANDWIDTH))]
Rate = Annotated[Stated, BeforeValidator(partial(_stated, unit=RATE))]
Seconds = Annotated[Stated, BeforeValidator(partial(_stated, unit=SECONDS))]
Watts = Annotated[Stated, BeforeValidator(partial(_stated, unit=POWER))]


class _Table(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        arbitrary_types_allowed=True,
        defer_build=True,
    )


class Peaks(_Table):
    """Dense matrix products, FLOP/s by type of element (a multiply-accumulate counts 2).

    `vector` is the rate of arithmetic that is no matrix product; without it, that of `fp32`.
    """

    fp64: Rate | None = None
    fp32: Rate | None = None
    tf32: Rate | None = None
    bf16: Rate | None = None
    fp16: Rate | None = None
    fp8: Rate | None = None
    int8: Rate | None = None
    vector: Rate | None = None


class Device(_Table):
    """A device as its file describes it.

    `memory` in bytes, `bandwidth` of that memory in bytes a second, `launch` the least seconds that a
    kernel adds beside its own work, `power` in watts under load. What nobody has published is None.
    """

    title: Annotated[str, Field(min_length=1)]
    memory: Bytes
    bandwidth: Bandwidth
    peak: Peaks
    launch: Seconds | None = None
    power: Watts | None = None
    sources: Mapping[str, str] = {}
    name: str = ""
    path: Path = Path()

    def rates(self) -> dict[str, Stated]:
        """The published rates by type of element."""
        found = {name: getattr(self.peak, name) for name in Peaks.model_fields}
        return {name: rate for name, rate in found.items() if rate is not None}

    def rate(self, element: str) -> Fraction:
        """FLOP/s of matrix products by type of element (`fp32`, `bf16`, ...). Raises `SpecError`."""
        rates = self.rates()
        if element not in rates:
            known = [name for name in rates if name != "vector"]
            raise SpecError(
                "E1104",
                f"`{self.name}` has no figure for matrix products in {element}",
                hint=f"it has figures for {', '.join(known)}: choose a policy of those "
                "with `--policy`",
            )
        return rates[element].value

    @property
    def vector_rate(self) -> Fraction | None:
        """FLOP/s of what is no matrix product; None where nobody has published it."""
        stated = self.peak.vector or self.peak.fp32
        return stated.value if stated is not None else None

    def stated(self) -> dict[str, Stated]:
        """Every figure by its name in the file, in the order of the file's form."""
        single = {
            name: getattr(self, name)
            for name in ("memory", "bandwidth", "launch", "power")
        }
        peaks = {f"peak.{name}": rate for name, rate in self.rates().items()}
        return {name: each for name, each in (single | peaks).items() if each}


# ---- finding ----------------------------------------------------------------------------------------


def user_folder() -> Path:
    """Where users keep devices and calibrations: `$NNSPEC_DEVICES`, else `nnspec/devices` below the
    configuration folder (`$XDG_CONFIG_HOME` or `~/.config`).
    """
    given = os.environ.get("NNSPEC_DEVICES")
    if given:
        return Path(given)
    above = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(above) / "nnspec" / "devices"


def device_names() -> list[str]:
    """The names that `load_device` knows: the user's and the catalogue's, sorted."""
    folders = (user_folder(), CATALOGUE)
    return sorted({name for folder in folders for name in _names(folder)})


def _names(folder: Path) -> Iterable[str]:
    try:
        entries = os.listdir(folder)
    except OSError:
        return
    for entry in entries:
        if entry.endswith(FILE_END) and not entry.endswith(CALIBRATION_END):
            yield entry.removesuffix(FILE_END)


def load_device(name: str) -> Device:
    """The device of that name, or of the file at that path (`my.toml`, `./devices/my.toml`).

    Raises `SpecError` for a name that is none and for a file that is wrong, OSError for one that
    cannot be read.
    """
    if name.endswith(FILE_END) or os.sep in name:
        return read_device(Path(name))
    for folder in (user_folder(), CATALOGUE):
        if name in _names(folder):
            return read_device(folder / f"{name}{FILE_END}")
    raise SpecError(
        "E1101",
        f"there is no device named `{name}`",
        hint=did_you_mean(name, device_names())
        or "`nnspec devices` lists them, and a file of your own is named by its path, "
        "as in `./my.toml`",
    )


def calibration_path(device: Device) -> Path:
    """Where the calibration of a device lies: beside its file, of the catalogue's in the user's folder."""
    folder = device.path.parent
    folder = user_folder() if folder == CATALOGUE else folder
    return folder / f"{device.name}{CALIBRATION_END}"


# ---- reading ----------------------------------------------------------------------------------------


def read_device(path: Path) -> Device:
    """A device from its file. Raises `SpecError` with the place in the file, and OSError."""
    source, raw = read_toml(path, "E1102")
    _refuse_own(source, raw)
    try:
        device = Device.model_validate(raw)
    except ValidationError as error:
        raise _invalid(source, error) from None
    _check_sources(source, device)
    if not device.rates():
        raise _fault(source, ("peak",), "no rate is given", 'write `fp32 = "..."`')
    name = path.name.removesuffix(FILE_END)
    return device.model_copy(update={"name": name, "path": path})


def read_toml(path: Path, code: str) -> tuple[Source, dict[str, Any]]:
    """A TOML file and its tables. Raises `SpecError` of the code, and OSError."""
    data = read_regular(str(path), LARGEST_FILE)
    source = Source(path.name, data.decode("utf-8-sig", errors="replace"))
    if len(data) > LARGEST_FILE:
        raise SpecError(code, f"{path.name} has more than {LARGEST_FILE} bytes")
    try:
        return source, tomllib.loads(source.text)
    except (ValueError, RecursionError) as error:  # of numbers too long, no TOML error
        raise _no_toml(source, code, str(error)) from None


def _no_toml(source: Source, code: str, said: str) -> SpecError:
    place = _TOML_PLACE.search(said)
    message = _TOML_PLACE.sub("", said)
    location = None
    if place is not None:
        start = source.line_starts[int(place[1]) - 1] + int(place[2]) - 1
        location = Location(source, Span(start, start + 1))
    return SpecError(
        code,
        f"{source.name} is no TOML: {message[:1].lower()}{message[1:]}",
        location,
        hint="a line is `key = value`, and texts stand in quotes",
    )


def _invalid(source: Source, error: ValidationError) -> SpecError:
    """The first thing that pydantic found, in the words of this module."""
    found = error.errors(include_url=False)[0]
    keys = tuple(str(part) for part in found["loc"])
    named = ".".join(keys)
    if found["type"] == "missing":
        hint = "`docs/devices.md` lists what a device needs"
        return _fault(source, keys[:-1], f"`{named}` is missing", hint)
    if found["type"] == "extra_forbidden":
        fields = Peaks.model_fields if keys[0] == "peak" else Device.model_fields
        known = [name for name in fields if name not in _KNOWN]
        hint = did_you_mean(keys[-1], known) or f"there are {', '.join(known)}"
        return _fault(source, keys, f"a device has no `{named}`", hint)
    raised = found.get("ctx", {}).get("error")
    if isinstance(raised, QuantityError):
        return _fault(source, keys, f"`{named}`: {raised.message}", raised.hint)
    return _fault(source, keys, f"`{named}`: {found['msg'].lower()}", None)


def _refuse_own(source: Source, raw: Mapping[str, Any]) -> None:
    """What is known without the file may not stand in it."""
    for key in _KNOWN & set(raw):
        hint = "a device is called as its file is"
        raise _fault(source, (key,), f"a device has no `{key}`", hint)


def _check_sources(source: Source, device: Device) -> None:
    for name, stated in device.stated().items():
        if stated.source and stated.source not in device.sources:
            raise _fault(
                source,
                tuple(name.split(".")),
                f"`{name}` names the source `{stated.source}`, which the file does not explain",
                did_you_mean(stated.source, device.sources)
                or f'write `{stated.source} = "..."` below `[sources]`',
            )


def _fault(
    source: Source, keys: tuple[str, ...], message: str, hint: str | None
) -> SpecError:
    return SpecError("E1103", message, key_location(source, keys), hint=hint)


def key_location(source: Source, keys: tuple[str, ...]) -> Location:
    """Where a key stands in a TOML file (or the table that should hold it, or the file's start)."""
    for key in reversed(keys):
        pattern = rf"^[ \t]*(?:\[[ \t]*)?(?P<key>{re.escape(key)})[ \t]*(?:=|\])"
        match = re.search(pattern, source.text, re.MULTILINE)
        if match is not None:
            return Location(source, Span(*match.span("key")))
    return Location(source, Span(0, 0))
