"""What a model takes on a device: a forward pass, a training step, and the training of a budget."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from nnspec.analysis.analysis import Analysis
from nnspec.analysis.timing.calibration import Fit
from nnspec.analysis.timing.calibration_file import Calibration, read_calibration
from nnspec.analysis.timing.device import Device
from nnspec.analysis.timing.kernels import Mode, element_of
from nnspec.analysis.timing.latency import Latency
from nnspec.analysis.timing.roofline import Roofline
from nnspec.ir.dims import Size
from nnspec.ir.types import DType
from nnspec.records import dataclass

FLOPS: Mapping[Mode, str] = {"forward": "flops", "training": "training_flops"}


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds as calibrated: the most likely, and the interval of the worst left-out error.

    `high` is None where that error says nothing from above.
    """

    seconds: Fraction
    low: Fraction
    high: Fraction | None
    fit: Fit


class Forecast:
    """The time of one forward pass or training step of a model on a device."""

    def __init__(
        self,
        analysis: Analysis,
        device: Device,
        sizes: Mapping[str, Size],
        mode: Mode,
        calibration: Calibration | None = None,
    ) -> None:
        self.analysis = analysis
        self.device = device
        self.sizes = sizes
        self.mode: Mode = mode
        self.bound = Latency(analysis, Roofline(device), sizes, mode)
        known = calibration or read_calibration(device)
        self.fit = known.fit(analysis.setting.policy.name, mode)

    @property
    def flops(self) -> int:
        """Those of the model's matrix products, each once: what utilisation is told of."""
        found = self.analysis.figure(FLOPS[self.mode])
        if self.mode == "training":
            found = found - self.analysis.figure("recomputed_flops")
        return int(found.at(self.sizes))

    @property
    def peak(self) -> Fraction:
        """FLOP/s of the policy's products. Raises `SpecError` where nobody has published them."""
        element = element_of(DType.FLOAT, self.analysis.setting.policy)
        return self.device.rate(element)

    @property
    def estimate(self) -> Estimate | None:
        """The calibrated time; None where the device is not calibrated for the policy and mode."""
        if self.fit is None:
            return None
        roofline = Roofline(self.device, self.fit.factors)
        seconds = Latency(self.analysis, roofline, self.sizes, self.mode).seconds
        error = Fraction(self.fit.worst_error)
        low = max(seconds / (1 + error), self.bound.seconds)
        high = max(seconds / (1 - error), low) if error < 1 else None
        return Estimate(max(seconds, low), low, high, self.fit)

    def utilisation(self, seconds: Fraction) -> Fraction:
        """The share of the peak that the model's own FLOPs take of a time (MFU: Chowdhery et al., 2022)."""
        return self.flops / (seconds * self.peak) if seconds else Fraction(0)
