"""What `nnspec calibrate` shows: measured times, factors, and the errors of what was left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nnspec.cli.shown.durations import number, seconds_text
from nnspec.cli.shown.times import TITLES
from nnspec.records import dataclass

if TYPE_CHECKING:
    from pathlib import Path

    from nnspec.analysis.timing.calibration import Fit, Sample
    from nnspec.analysis.timing.device import Device
    from nnspec.analysis.timing.kernels import Mode


@dataclass(frozen=True)
class Fitted:
    """A fit of one policy and mode, with the runs behind it and the least that they could take."""

    policy: str
    mode: Mode
    fit: Fit
    samples: Sequence[Sample]
    bounds: Sequence[Fraction]

    def rows(self) -> Iterator[tuple[Sample, Fraction, float]]:
        """Each run, the least that it could take, and its error when it was left out."""
        errors = (error for _, error in self.fit.left_out)
        return zip(self.samples, self.bounds, errors, strict=True)


def fits_text(path: Path, fits: Sequence[Fitted]) -> str:
    """The fits as tables, and where they are kept."""
    from nnspec.cli.shown.text import visible

    return "\n".join([*map(_page, fits), f"written to {visible(str(path))}\n"])


def _page(found: Fitted) -> str:
    from nnspec.cli.render import table

    rows = [
        [
            sample.name,
            seconds_text(Fraction(sample.seconds)),
            seconds_text(bound),
            f"{error:+.1%}",
        ]
        for sample, bound, error in found.rows()
    ]
    headings = (
        f"{TITLES[found.mode]}, {found.policy}",
        "measured",
        "at least",
        "estimate when left out",
    )
    return f"{table(headings, rows, numeric=(1, 2, 3))}\n{_told(found.fit)}\n"


def _told(fit: Fit) -> str:
    from nnspec.cli.shown.durations import significant

    factors = fit.factors
    compute, memory = significant(factors.compute), significant(factors.memory)
    order = "at once" if factors.overlap else "one after the other"
    return (
        f"Arithmetic takes {compute} and traffic {memory} times as long as published, {order}; "
        f"a launch takes {seconds_text(factors.launch)}.\n"
        f"A model that is left out is missed by {fit.mean_error:.1%} on average "
        f"and by {fit.worst_error:.1%} at worst."
    )


def fits_object(device: Device, path: Path, fits: Sequence[Fitted]) -> dict[str, Any]:
    """The fits as JSON, with each measurement."""
    return {
        "device": device.name,
        "file": str(path),
        "fits": [_fit_object(each) for each in fits],
    }


def _fit_object(found: Fitted) -> dict[str, Any]:
    fit = found.fit
    return {
        "policy": found.policy,
        "mode": found.mode,
        "compute": number(fit.factors.compute),
        "memory": number(fit.factors.memory),
        "launch_s": number(fit.factors.launch),
        "overlap": fit.factors.overlap,
        "left_out_error_mean": fit.mean_error,
        "left_out_error_worst": fit.worst_error,
        "measurements": [
            {
                "name": sample.name,
                "seconds": sample.seconds,
                "at_least_s": number(bound),
                "left_out_error": error,
            }
            for sample, bound, error in found.rows()
        ],
    }
