"""Measured times, from a file: JSON, or CSV with the columns `spec,sizes,seconds` and maybe `mode,policy`.

JSON is a list of objects with the same names, `sizes` being an object. In CSV, sizes are written as on the
command line: `B=8 T=128`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nnspec.analysis.setting import POLICIES
from nnspec.analysis.timing.kernels import Mode
from nnspec.diagnostics import SpecError
from nnspec.files import read_regular

CODE = "E1108"
LARGEST_FILE = 4 * 1024 * 1024
MOST = 10_000
FORM = "a measurement has `spec`, `sizes`, `seconds`, and maybe `mode` and `policy`"


class Measurement(BaseModel):
    """The seconds of one run of a model. `spec` is as on the command line: `net.nns:Net`."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", defer_build=True
    )

    spec: Annotated[str, Field(min_length=1)]
    sizes: dict[str, Annotated[int, Field(ge=1)]] = {}
    seconds: Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
    mode: Mode = "forward"
    policy: str = "fp32"

    @property
    def name(self) -> str:
        """What it is called in tables: the model with its sizes."""
        return " ".join([self.spec, *(f"{k}={v}" for k, v in self.sizes.items())])


def read_measurements(path: Path) -> list[Measurement]:
    """The measurements of a file. Raises `SpecError` for one that is wrong, and OSError."""
    data = read_regular(str(path), LARGEST_FILE)
    if len(data) > LARGEST_FILE:
        raise SpecError(CODE, f"{path.name} has more than {LARGEST_FILE} bytes")
    text = data.decode("utf-8-sig", errors="replace")
    rows = _csv_rows(path, text) if path.suffix == ".csv" else _json_rows(path, text)
    found = [_measurement(path, place, row) for place, row in rows]
    if not found:
        raise SpecError(CODE, f"{path.name} holds no measurement", hint=FORM)
    if len(found) > MOST:
        raise SpecError(CODE, f"{path.name} holds more than {MOST} measurements")
    return found


def _json_rows(path: Path, text: str) -> Iterable[tuple[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError(
            CODE,
            f"{path.name} is no JSON: {str(error)[:200]}",
            hint="a file of rows ends with `.csv`",
        ) from None
    if not isinstance(found, list):
        raise SpecError(CODE, f"{path.name} is no list of measurements", hint=FORM)
    rows = cast("list[Any]", found)
    return [(f"measurement {place}", row) for place, row in enumerate(rows, 1)]


def _csv_rows(path: Path, text: str) -> Iterable[tuple[str, Any]]:
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        rows = [(f"line {reader.line_num}", _typed(row)) for row in reader]
    except csv.Error as error:
        raise SpecError(CODE, f"{path.name} is no CSV: {error}") from None
    return rows


def _typed(row: Mapping[str | None, Any]) -> dict[str, Any]:
    """A row of CSV as JSON has it; what cannot be read stays a text, and is told of then."""
    found: dict[str, Any] = {str(key): value for key, value in row.items() if value}
    if "sizes" in found:
        found["sizes"] = _sizes(found["sizes"])
    with suppress(ValueError):
        found["seconds"] = float(found.get("seconds", ""))
    return found


def _sizes(text: str) -> dict[str, Any]:
    pairs = (part.partition("=") for part in text.split())
    return {
        name: int(size)
        if size.isascii() and size.isdigit() and len(size) < 20
        else size
        for name, _, size in pairs
    }


def _measurement(path: Path, place: str, row: Any) -> Measurement:
    try:
        found = Measurement.model_validate(row)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        keys = ".".join(str(part) for part in first["loc"])
        message = first["msg"][:1].lower() + first["msg"][1:]
        named = f"`{keys}`: " if keys else ""
        raise SpecError(
            CODE, f"{path.name}, {place}: {named}{message}", hint=FORM
        ) from None
    if found.policy not in POLICIES:
        raise SpecError(
            CODE,
            f"{path.name}, {place}: there is no policy named `{found.policy}`",
            hint=f"there are: {', '.join(POLICIES)}",
        )
    return found


def measurements_text(path: str, measurements: Sequence[Measurement]) -> str:
    """The text of a file of measurements, in the form that its name asks for."""
    if not path.endswith(".csv"):
        rows = [each.model_dump() for each in measurements]
        return json.dumps(rows, indent=2) + "\n"
    paper = io.StringIO()
    writer = csv.writer(paper, lineterminator="\n")
    writer.writerow(["spec", "sizes", "seconds", "mode", "policy"])
    for each in measurements:
        sizes = " ".join(f"{name}={size}" for name, size in each.sizes.items())
        writer.writerow([each.spec, sizes, each.seconds, each.mode, each.policy])
    return paper.getvalue()
